"""Counts of whole models against the tools that the conventions are named after."""

from __future__ import annotations

from math import prod
from types import SimpleNamespace

import pytest

import zoo
from harness.measure.record import walk

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
    "dm_nfnet_f0": 96,
    "deit_tiny_distilled_patch16_224": 224,
    "resnetv2_50x1_bit": 128,
    "regnety_002": 224,
    "xcit_nano_12_p16_224": 224,
    "levit_128s": 224,
    "coat_lite_tiny": 224,
    "convmixer_768_32": 64,
}


@pytest.fixture(scope="module")
def same(record_of, figure):
    """Holds a tool's count of a model against ours; each model's record is made once."""
    records = {}

    def hold(tool, name, make, size):
        shape = (1, 3, size, size)
        theirs = tool.count(make(), shape)
        assert theirs > 0
        if name not in records:
            records[name] = record_of(make(), shape)
        assert figure(records[name], tool.name) == theirs

    return hold


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NATIVE)
def test_native(name, tool, on_meta, same):
    same(tool, name, lambda: on_meta(zoo.create_model, name), NATIVE[name])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*TORCHVISION, "googlenet"])
def test_torchvision(name, tool, same):
    from torchvision.models import get_model

    from harness.measure.meta import build_on_meta

    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    builder = SimpleNamespace(build=lambda name: get_model(name, **options))
    same(tool, f"torchvision {name}", lambda: build_on_meta(builder, name), 224)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TIMM)
def test_timm(name, tool, on_meta, same):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    same(tool, f"timm {name}", lambda: on_meta(timm.create_model, name), TIMM[name])


@pytest.mark.filterwarnings("ignore")
def test_attention_in_one_operator_and_in_its_parts(on_meta, record_of, figure, fvcore_run):
    """What is multiplied is the same, and fvcore counts it where it is not one operator."""
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    from timm.layers import set_fused_attn

    shape = (1, 3, 224, 224)

    def make(fused):
        set_fused_attn(fused)
        try:
            return timm.create_model("vit_tiny_patch16_224")
        finally:
            set_fused_attn(True)

    one, parts = (record_of(on_meta(make, fused), shape) for fused in (True, False))
    for convention in ("macs", "flops"):
        assert figure(one, convention) == figure(parts, convention)
        words = "without attention products"
        assert figure(one, convention, words) == figure(parts, convention, words)
    # Twelve layers of 197 tokens, 192 wide: queries by keys, and scores by values.
    products = figure(one, "macs") - figure(one, "macs", words)
    assert products == 12 * 2 * 197 * 197 * 192
    assert figure(one, "fvcore") == figure(parts, "fvcore") - products
    theirs = sum(fvcore_run(make(False), shape).values())
    assert figure(one, "fvcore", "with attention products") == theirs


def test_variations_leave_out_the_classifier_and_the_products(on_meta, record_of, figure):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    record = record_of(on_meta(timm.create_model, "vit_tiny_patch16_224"), (1, 3, 224, 224))
    head, products = 192 * 1000, 12 * 2 * 197 * 197 * 192
    left = {
        ("thop", "without the classifier"): head,
        ("torchinfo", "without the classifier"): head + 1000,
        ("ptflops", "without the classifier"): head + 1000,
        ("deepspeed", "without the classifier"): head,
        ("deepspeed", "without attention products"): products,
    }
    for (convention, words), less in left.items():
        assert figure(record, convention) - figure(record, convention, words) == less


def test_thop_with_subclasses(on_meta, record_of, figure):
    """timm's same-padding convolutions and its normalisation with activation are subclasses."""
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    shape = (1, 3, 224, 224)
    record = record_of(on_meta(timm.create_model, "tf_efficientnet_lite0"), shape)
    both = figure(record, "thop", "with subclassed convolutions and norms")
    norms = sum(
        4 * prod(call.outputs[0]) for _, call in walk(record) if call.type.endswith("NormAct2d")
    )
    # thop counts a term for each pixel that is averaged, and one for each average.
    pooled = 1280 * (7 * 7 + 1)
    assert both == figure(record, "macs") + norms + pooled
    assert figure(record, "thop") < figure(record, "macs")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "mobilevit_xxs"])
def test_fvcore_on_a_model_left_in_training_mode(name, on_meta, record_of, figure, fvcore_run):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    from harness.measure.meta import without_initialisation

    shape = (1, 3, 64, 64)
    with without_initialisation():
        model = timm.create_model(name)
    model.eval = model.train
    theirs = sum(fvcore_run(model, shape).values())
    record = record_of(on_meta(timm.create_model, name), shape)
    found = figure(record, "fvcore", "in training mode")
    assert found == theirs > figure(record, "fvcore")


def test_a_global_pool_that_is_no_module(on_meta, record_of, figure):
    """Written as a mean it is unseen: what the tool says of such a network is the variation."""
    pytest.importorskip("thop", reason="thop is not installed")
    from thop import profile
    from torch import empty, nn

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    for width, size, squeezed in ((8, 32, False), (12, 20, True), (24, 17, True)):

        def make(pool, width=width, squeezed=squeezed):
            inner = [nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width, 1)] if squeezed else []
            body = [nn.Conv2d(3, width, 3), nn.BatchNorm2d(width)]
            return nn.Sequential(*body, *inner, pool(), nn.Flatten(), nn.Linear(width, 10))

        shape = (1, 3, size, size)
        theirs, _ = profile(on_meta(make, Mean), (empty(shape, device="meta"),), verbose=False)
        record = record_of(on_meta(make, lambda: nn.AdaptiveAvgPool2d(1)), shape)
        assert figure(record, "thop", "without the global pool") == theirs
        less = figure(record, "thop", "without the classifier and without the global pool")
        assert less == theirs - 10 * width


def test_deepspeed_prints_operations_beside_macs(on_meta, record_of, figure):
    """By its published rules, added up by hand: two a product, one an element, norms as fvcore."""
    from torch import nn

    def make():
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.LeakyReLU(),
            nn.GroupNorm(2, 8),
            nn.Hardswish(),
            nn.Upsample(scale_factor=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(8),
            nn.Linear(8, 10),
            nn.Softmax(1),
        )

    macs = 16 * 16 * 8 * 27 + 80
    full, half = 8 * 16 * 16, 8 * 8 * 8
    work = full + 2 * full + full + full + half + 5 * half + half * 4 + full + 5 * 8 + 10
    record = record_of(on_meta(make), (1, 3, 16, 16))
    assert figure(record, "deepspeed") == macs
    words = "in FLOPs with element-wise work"
    assert figure(record, "deepspeed", words) == 2 * macs + work
    assert figure(record, "deepspeed", f"{words} and without the classifier") == (
        2 * (macs - 80) + work
    )
