"""Counts of whole models against the tools that the conventions are named after."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import zoo

NATIVE = {"resnest14d": 224, "efficientnet_lite0": 224}
TORCHVISION = (
    "resnet50",
    "mobilenet_v3_small",
    "densenet121",
    "vit_b_16",
    "swin_t",
    "convnext_tiny",
    "squeezenet1_0",
)
TIMM = {
    "vit_tiny_patch16_224": 224,
    "swin_tiny_patch4_window7_224": 224,
    "mixer_s32_224": 224,
    "efficientnet_b0": 224,
    "tf_efficientnet_lite0": 224,
    "dm_nfnet_f0": 192,
    "deit_tiny_distilled_patch16_224": 224,
    "resnetv2_50x1_bit": 224,
    "regnety_002": 224,
    "xcit_nano_12_p16_224": 224,
    "levit_128s": 224,
    "coat_lite_tiny": 224,
    "convmixer_768_32": 224,
}


def same(tool, make, size, on_meta, record_of, figure):
    shape = (1, 3, size, size)
    theirs = tool.count(on_meta(make), shape)
    assert theirs > 0
    assert figure(record_of(on_meta(make), shape), tool.name) == theirs


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NATIVE)
def test_native(name, tool, on_meta, record_of, figure):
    same(tool, lambda: zoo.create_model(name), NATIVE[name], on_meta, record_of, figure)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*TORCHVISION, "googlenet"])
def test_torchvision(name, tool, record_of, figure):
    from torchvision.models import get_model

    from harness.measure.build import build_on_meta

    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    builder = SimpleNamespace(build=lambda name: get_model(name, **options))
    same(tool, lambda: build_on_meta(builder, name), 224, lambda make: make(), record_of, figure)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TIMM)
def test_timm(name, tool, on_meta, record_of, figure):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    same(tool, lambda: timm.create_model(name), TIMM[name], on_meta, record_of, figure)
