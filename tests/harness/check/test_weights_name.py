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


def test_the_whole_name_of_a_sibling_with_another_word(load):
    """Without a number to tell by, the file has to be called as the sibling is."""

    def told(name, file, sibling, own):
        entry = "- Name: {}\n  Weights: https://example.org/{}\n"
        index = load("Models:\n" + entry.format(name, file) + entry.format(sibling, own))
        return [f.variant for f in CHECK.find(index, index.variants)]

    for name, file, sibling in (
        ("convnext_tiny", "convnext_small-7777777a.pth", "convnext_small"),
        ("mixnet_s", "mixnet_m-4647fc68.pth", "mixnet_m"),
        ("ViT-Small-Patch16", "vit_base_patch16-d2f5a1c9.pth", "ViT-Base-Patch16"),
        ("mobilenet_v3_large", "mobilenet-v3-small.safetensors", "mobilenet_v3_small"),
    ):
        assert told(name, file, sibling, "other-12345678.pth") == [name], name
        assert told(name, file, sibling, file) == [], f"{name}: the sibling lists it too"
        assert told(name, file, f"{sibling}_384", "other.pth") == [], f"{name}: no such sibling"
    for name, file, sibling in (
        ("swin_tiny", "swin_t-704ceda3.pth", "swin_t"),
        ("tv_resnet34", "resnet34-333f7ec4.pth", "resnet34"),
        ("ssl_resnet18", "swsl_resnet18-118f1556.pth", "swsl_resnet18"),
        ("vgg11_bn", "vgg11-8a719046.pth", "vgg11"),
        ("bit_large_ft", "bit_large-0d5ae0a1.pth", "bit_large"),
    ):
        assert told(name, file, sibling, "other-12345678.pth") == [], name


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


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        # One checkpoint that is evaluated by two protocols.
        ({"cub_5way-1shot": "cub_5way-5shot-0a1b2c3d.pth",
          "cub_5way-5shot": "cub_5way-5shot-0a1b2c3d.pth"}, {}),
        # Fine-tuned from its own file, which names both sizes.
        ({"vit_b16_384": "vit_b16_224_ft384-0a1b2c3d.pth", "vit_b16_224": "b.pth"}, {}),
        ({"swin_v1_384": "swin_v2_to_v1_384.pth", "swin_v2_384": "swin_v2_384.pth"}, {}),
        # The sibling whose whole name fits, not the first with that number.
        ({"det_r50_coco-384x288": "det_r101_coco-256x192.pth",
          "det_r101_animal-256x256": "c.pth", "det_r101_coco-256x192": "d.pth"},
         {"det_r50_coco-384x288": "det_r101_coco-256x192"}),
        # No sibling is called so as a whole, but one has the number, and all else is its own.
        ({"seg_r50-d8_40k_voc": "seg_r101-d8_40k_voc.pth", "seg_r101-d8_80k_city": "e.pth"},
         {"seg_r50-d8_40k_voc": "says r101 where this variant's name says r50"}),
    ],
)  # fmt: skip
def test_whole_names_are_compared(entries, told, load):
    lines = [f"- Name: {name}\n  Weights: {URL}{file}\n" for name, file in entries.items()]
    index = load("Models:\n" + "".join(lines))
    found = {f.variant: f.message for f in CHECK.find(index, index.variants)}
    assert set(found) == set(told)
    assert all(words in found[name] for name, words in told.items())


def test_the_names_that_libraries_give_their_own_files(load):
    """Every file there is the entry's own."""
    torchvision = pytest.importorskip("torchvision.models")
    timm = pytest.importorskip("timm.models")
    rows = [
        (f"{name}.{weights.name}", weights.url)
        for name in torchvision.list_models()
        for weights in torchvision.get_model_weights(name)
    ]
    names = timm.list_pretrained()
    rows += [(n, u) for n in names if (u := timm.get_pretrained_cfg(n).url)]
    lines = [f'- Name: "{name}"\n  Weights: {url}\n' for name, url in rows]
    index = load("Models:\n" + "".join(lines))
    assert len(index.variants) > 500
    assert list(CHECK.find(index, index.variants)) == []


def test_names_of_another_script_say_nothing(load):
    """None of them has a Latin letter or a digit, nor have their files."""
    for names in (("模型", "网络"), ("модель", "сеть"), ("---", "???"), ("⛄", "☃")):
        lines = [f'- Name: "{name}"\n  Weights: "{URL}{name}.pth"' for name in names]
        lines.append(f'- Name: "{names[0]}!"\n  Weights: "{URL}{names[1]}"')
        index = load("Models:\n" + "\n".join(lines) + "\n")
        assert list(CHECK.find(index, index.variants)) == []


def test_a_file_that_the_library_publishes_as_anothers_is_said_once(load, measured):
    text = "Models:\n- Name: {}\n  Weights: https://x.org/other50-1a2b3c4d.pth\n"
    for name, sibling, owners, words in (
        ("net", "", ["other50.tag"], "zoo publishes the file other50-1a2b3c4d.pth as that of"),
        ("other18", "- Name: other50\n", ["other50.tag"], "is named like other50"),
        ("net", "", [], None),
    ):
        index = load(text.format(name) + sibling)
        variant = index.variants[0]
        fact = measured("preprocess", {"settings": [], "owners": owners})
        facts = {id(variant): {fact.slot: fact}}
        found = list(CHECK.find_measured(index, [variant], facts))
        assert [words in f.message for f in found] == [True] * (words is not None), found
