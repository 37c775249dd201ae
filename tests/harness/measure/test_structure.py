"""Parameters, the state dict's layout and depth against the model itself and its saved file."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

import zoo
from harness.check.size import window
from harness.measure.structure import depth, state_layout, structure


def saved_bytes(model: nn.Module, **options) -> int:
    file = io.BytesIO()
    torch.save(model.state_dict(), file, **options)
    return file.tell()


class Buffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1000, 10))
        self.register_buffer("index", torch.zeros(500, dtype=torch.int64))
        self.register_buffer("mask", torch.zeros(300, dtype=torch.bool))
        self.register_buffer("scratch", torch.zeros(10**6), persistent=False)


MODELS = {
    "resnest14d": lambda: zoo.create_model("resnest14d"),
    "resnest50d": lambda: zoo.create_model("resnest50d"),
    "efficientnet_lite0": lambda: zoo.create_model("efficientnet_lite0"),
    "buffers": lambda: nn.Sequential(*(Buffers() for _ in range(20))),
    "a long name for every tensor": lambda: nn.Sequential(
        *(nn.ModuleDict({"a_rather_long_name_for_a_child": nn.Linear(3, 3)}) for _ in range(40))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_file_has_a_size_that_is_possible(name):
    model = MODELS[name]()
    full = window(state_layout(model), 4)
    assert full.low <= saved_bytes(model) <= full.high
    half = window(state_layout(model), 2)
    assert half.low <= saved_bytes(model.half()) <= half.high


@pytest.mark.parametrize("name", ["resnest14d", "efficientnet_lite0"])
def test_the_format_of_before_2020_too(name):
    model = MODELS[name]()
    full = window(state_layout(model), 4)
    assert full.low <= saved_bytes(model, _use_new_zipfile_serialization=False) <= full.high


@pytest.mark.parametrize("name", ["resnest26d", "efficientnet_lite1"])
def test_safetensors_too(name):
    from safetensors.torch import save

    model = zoo.create_model(name)
    full = window(state_layout(model), 4)
    assert full.low <= len(save(model.state_dict())) <= full.high


def test_the_layout_counts_what_is_saved():
    model = Buffers()
    assert state_layout(model) == {
        "tensors": 3,
        "float_elements": 10_000,
        "vector_elements": 0,
        "other_bytes": 500 * 8 + 300,
        "path_bytes": 0,
    }
    assert structure(model)["parameters"] == 10_000


def test_frozen_and_tied_parameters():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, bias=False), nn.Linear(4, 2))
    model[1].weight = model[0].weight
    model[2].bias.requires_grad_(False)
    found = structure(model)
    assert found["parameters"] == 16 + 4 + 8 + 2
    assert found["trainable"] == 16 + 4 + 8
    assert sum(found["by_stage"].values()) == found["parameters"]


def test_convolutions_by_themselves():
    """torchvision's ResNet-50, whose norms and classifier are all else that it has."""
    from torchvision.models import resnet50

    with torch.device("meta"):
        model = resnet50()
    rest = sum(
        m.weight.numel() + m.bias.numel()
        for m in model.modules()
        if isinstance(m, nn.BatchNorm2d | nn.Linear)
    )
    assert structure(model)["kinds"]["convolutions"] == 25_557_032 - rest == 23_454_912


@pytest.mark.parametrize("name", ["resnest50d", "efficientnet_lite2"])
def test_the_stages_add_up_in_order(name, on_meta):
    model = on_meta(zoo.create_model, name)
    found = structure(model)
    assert found["parameters"] == found["trainable"] == sum(found["by_stage"].values())
    assert list(found["by_stage"]) == [
        child for child, module in model.named_children() if list(module.parameters())
    ]


NATIVE_DEPTHS = {
    "resnest14d": 14,
    "resnest26d": 26,
    "resnest50d": 50,
    "resnest50d_1s4x24d": 50,
    "resnest50d_4s2x40d": 50,
    "resnest101e": 101,
    "resnest200e": 200,
    "resnest269e": 269,
    "efficientnet_lite0": None,
}
TORCHVISION_DEPTHS = {
    "resnet18": 18,
    "resnet34": 34,
    "resnet50": 50,
    "resnet101": 101,
    "resnet152": 152,
    "resnext50_32x4d": 50,
    "wide_resnet50_2": 50,
    "r3d_18": 18,
    "vit_b_16": None,
    "densenet121": None,
    "vgg11": None,
    "convnext_tiny": None,
    "regnet_y_400mf": None,
}
TIMM_DEPTHS = {
    "resnet18": 18,
    "resnet50d": 50,
    "seresnet50": 50,
    "res2net50_26w_4s": 50,
    "skresnet34": 34,
    "resnest50d": 50,
    "ecaresnet101d": 101,
    "resnet10t": 10,
    "resnetrs50": 50,
    "resnext50_32x4d": 50,
    "hrnet_w18_small": None,
    "dla34": None,
    "selecsls42b": None,
    "legacy_seresnet18": None,
    "vit_tiny_patch16_224": None,
    "mixer_s32_224": None,
    "efficientnet_b0": None,
    "regnetx_002": None,
}


@pytest.mark.parametrize("name", NATIVE_DEPTHS)
def test_depth_of_native_variants(name, on_meta):
    assert depth(on_meta(zoo.create_model, name)) == NATIVE_DEPTHS[name]


@pytest.mark.parametrize("name", TORCHVISION_DEPTHS)
def test_depth_of_torchvision_models(name):
    from torchvision.models import get_model

    from harness.measure.meta import without_initialisation

    with without_initialisation():
        model = get_model(name)
    assert depth(model) == TORCHVISION_DEPTHS[name]


@pytest.mark.parametrize("name", TIMM_DEPTHS)
def test_depth_of_timm_models(name, on_meta):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    assert depth(on_meta(timm.create_model, name)) == TIMM_DEPTHS[name]


class Residual(nn.Module):
    """A stem, two stages of two blocks with two convolutions each, and what comes between."""

    def __init__(self, stem=1, between=None, beside=None, heads=1):
        super().__init__()
        self.conv1 = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(stem)))
        self.layer1 = nn.Sequential(*(self.block(beside) for _ in range(2)))
        if between is not None:
            setattr(self, between, nn.Conv2d(3, 3, 3))
        self.layer2 = nn.Sequential(*(self.block(beside) for _ in range(2)))
        self.fc = nn.Sequential(*(nn.Linear(3, 3) for _ in range(heads)))

    def block(self, beside):
        layers = {
            "conv1": nn.Conv2d(3, 3, 3),
            "bn1": nn.BatchNorm2d(3),
            "conv2": nn.Conv2d(3, 3, 3),
        }
        return nn.ModuleDict(layers | ({beside: nn.Conv2d(3, 3, 1)} if beside else {}))


def test_depth_is_defined_where_the_stages_hold_the_whole_trunk():
    """A trunk that goes on elsewhere has more layers than the stages say: none are named then."""
    assert depth(Residual()) == depth(Residual(stem=3)) == depth(Residual(heads=0)) == 10
    for beside in ("downsample", "shortcut", "se", "attn"):
        assert depth(Residual(beside=beside)) == 10
    for other in (
        Residual(between="transition1"),
        Residual(between="fuse"),
        Residual(beside="mixer"),
        Residual(beside="dwconv"),
        Residual(heads=3),
        Residual(stem=5),
        Residual(stem=0),
    ):
        assert depth(other) is None
    after = Residual()
    after.conv_last = nn.Conv2d(3, 3, 3)
    assert depth(after) is None
    after = Residual()
    after.stage4 = nn.ModuleList([nn.Conv2d(3, 3, 3)])
    assert depth(after) is None


def test_half_precision_that_keeps_its_norms_in_float32():
    """As mixed precision training leaves a network: torchvision ships two such files."""
    model = zoo.create_model("resnest14d").half()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.float()
    half = window(state_layout(model), 2)
    assert half.low <= saved_bytes(model) <= half.high


def test_the_last_part_is_described_by_itself():
    model = zoo.create_model("resnest14d")
    head = structure(model)["head"]
    assert head.pop("name") == "fc"
    assert head == {
        "tensors": 2,
        "float_elements": 2048 * 1000 + 1000,
        "vector_elements": 1000,
        "other_bytes": 0,
        "path_bytes": 2,
    }
    bare = zoo.create_model("resnest14d", num_classes=0)
    whole = structure(model)
    assert whole["parameters"] - whole["by_stage"]["fc"] == structure(bare)["parameters"]
    assert whole["buffers"] == sum(
        b.numel() for name, b in model.named_buffers() if name in model.state_dict()
    )
