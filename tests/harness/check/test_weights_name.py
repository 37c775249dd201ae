"""A weights file with the name of another variant, and the many names that mean nothing."""

from __future__ import annotations

import pytest

from harness.check.weights_name import CHECK
from zoo.index import load_index

FAMILY = (
    "resnest14d",
    "resnest26d",
    "resnest50d",
    "resnest50d_1s4x24d",
    "resnest50d_4s2x40d",
    "resnest101e",
    "resnest200e",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b3a",
    "tf_efficientnet_lite0",
    "mobilenetv2_100",
    "mobilenetv2_110d",
    "regnetx_002",
    "regnetx_004",
    "vit_base_patch16_224",
    "vit_base_patch32_224",
    "vit_base_patch16_384",
    "densenet121",
    "densenet161",
    "resnet18",
    "resnet18_8xb16_cifar10",
    "resnet50",
    "swsl_resnet50",
    "b16",
    "b32",
)
URL = "https://example.org/releases/v0.1-weights/"


@pytest.fixture
def told(load):
    """The variants that a check tells about, when these have these weights files."""

    def find(**files):
        lines = ["Models:"]
        for name in FAMILY:
            lines.append(f"- Name: {name}")
            if name in files:
                lines.append(f"  Weights: {URL}{files[name]}")
        index = load("\n".join(lines) + "\n")
        found = list(CHECK.find(index, index.variants))
        assert all((f.severity, f.cause) == ("warning", "weights.name-mismatch") for f in found)
        return {f.variant: f for f in found}

    return find


@pytest.mark.parametrize(
    ("variant", "file", "like"),
    [
        ("resnest200e", "resnest101-22405ba7.pth", "resnest101e"),
        ("resnest14d", "resnest50-528c19ca.pth", "resnest50d"),
        ("resnest50d", "resnest-14-9c8fe254.pth", "resnest14d"),
        ("efficientnet_b2", "efficientnet_b3_ra2-cf984f9c.pth", "efficientnet_b3"),
        ("densenet161", "densenet121_ra-50efcf5c.pth", "densenet121"),
        ("regnetx_002", "regnetx_004-7d0e9424.pth", "regnetx_004"),
        ("resnet18", "resnet50-19c8e357.pth", "resnet50"),
    ],
)
def test_the_name_of_a_sibling(variant, file, like, told):
    found = told(**{variant: file})
    assert set(found) == {variant}
    assert like in found[variant].message
    assert found[variant].measured == file


@pytest.mark.parametrize(
    ("variant", "file"),
    [
        ("resnest200e", "resnest200-75117900.pth"),
        ("resnest101e", "resnest101-22405ba7.pth"),
        ("resnest14d", "gluon_resnest14-9c8fe254.pth"),
        ("resnest50d_1s4x24d", "resnest50_fast_1s4x24d-d4a4f76f.pth"),
        ("resnest50d_4s2x40d", "resnest50_fast_4s2x40d-41d14ed0.pth"),
        ("resnest50d", "model_best.pth.tar"),
        ("resnest50d", "checkpoint-101.pth"),
        ("resnest50d", "50.pth"),
        ("resnest50d", "v0.1.101/model.safetensors"),
        ("resnest50d", "resnest50-10100101.pth"),
        ("resnest50d", "resnest77-528c19ca.pth"),
        ("resnest101e", "resnest101-50200269.pth"),
        ("efficientnet_b2", "efficientnet_b2_ra-bcdf34b7.pth"),
        ("efficientnet_b3a", "efficientnet_b3_ra2-cf984f9c.pth"),
        ("tf_efficientnet_lite0", "efficientnet-lite0-57934424.pth"),
        ("mobilenetv2_100", "mobilenetv2_100_ra-b33bc2c4.pth"),
        ("mobilenetv2_110d", "mobilenetv2_110d_ra-77090ade.pth"),
        ("vit_base_patch16_224", "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1.npz"),
        ("vit_base_patch16_384", "vit_base_patch16_384_in21k-0243c7d9.pth"),
        ("densenet121", "densenet121_ra-50efcf5c.pth"),
        ("resnet50", "resnet50_ram-a26f946b.pth"),
        ("swsl_resnet50", "semi_weakly_supervised_resnet50-16a12f1b.pth"),
        ("resnet18", "resnet18-5c106cde.pth"),
        ("resnet18_8xb16_cifar10", "resnet18_b16x8_cifar10_20210528-bd6371c8.pth"),
        ("resnet50", "rn50_epoch18.pth"),
        ("b16", "net2-b32c19ca.pth"),
    ],
)
def test_a_name_that_is_its_own_or_says_nothing(variant, file, told):
    assert told(**{variant: file}) == {}


def test_the_documented_index(seed_index):
    index = load_index([seed_index])
    assert [f.variant for f in CHECK.find(index, index.variants)] == ["resnest200e"]


def test_the_pages_of_other_zoos(shared_corpus):
    index = load_index([shared_corpus / "timm-docs", shared_corpus / "mmpretrain"])
    named = [v for v in index.variants if v.claim("Weights") is not None]
    assert len(named) > 90
    assert [f.variant for f in CHECK.find(index, index.variants)] == ["efficientnet_b2a"]
