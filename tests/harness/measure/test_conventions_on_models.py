"""Counts of whole models against the counters that they are named after."""

from __future__ import annotations

from math import prod
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import zoo
from harness.measure.record import walk
from zoo.index import load_index

SAMPLE_PHOTOGRAPH = (1213, 1546)
NATIVE = (
    "resnest14d",
    "resnest26d",
    "resnest50d",
    "resnest50d_1s4x24d",
    "resnest50d_4s2x40d",
    "resnest101e",
    "resnest200e",
    "resnest269e",
)
# Their arithmetic at the documented size takes fvcore half a minute.
LARGE = ("resnest50d_1s4x24d", "resnest50d_4s2x40d", "resnest101e")
# More of the layers that resnest101e has.
DEEPER = ("resnest200e", "resnest269e")
LITE = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
TIMM = {
    "vit_tiny_patch16_224": 224,
    "swin_tiny_patch4_window7_224": 224,
    "convnext_atto": 224,
    "densenet121": 224,
    "mixer_s32_224": 224,
    "efficientnet_b0": 224,
    "coat_lite_tiny": 224,
    "mobilevit_xxs": 256,
    "regnetx_002": 224,
    "volo_d1_224": 224,
    "hrnet_w18_small": 224,
    "xcit_nano_12_p16_224": 224,
    "levit_128s": 224,
    "convmixer_768_32": 224,
    "halonet26t": 256,
}
# Of these fvcore's own run takes a second or two.
CHEAP = (
    "vit_tiny_patch16_224",
    "convnext_atto",
    "mixer_s32_224",
    "coat_lite_tiny",
    "mobilevit_xxs",
    "regnetx_002",
    "levit_128s",
)
TORCHVISION = (
    "resnet50",
    "mobilenet_v3_small",
    "vit_b_16",
    "swin_t",
    "densenet121",
    "efficientnet_b0",
    "convnext_tiny",
    "regnet_y_400mf",
    "squeezenet1_0",
    "shufflenet_v2_x0_5",
)


@pytest.fixture(scope="module")
def documented(seed_index):
    """Name -> (Image Size, FLOPs) as the index has them."""
    index = load_index([seed_index])
    found = {
        v.name: (v.claim("Image Size").value[0], v.claim("FLOPs").value) for v in index.variants
    }
    assert set(found) == set(NATIVE)
    return found


def on_cpu(make):
    """A model with the values that cost least: nothing here looks at them."""
    from harness.measure.meta import without_initialisation

    with without_initialisation():
        model = make()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    return model


@pytest.mark.parametrize("name", [*NATIVE, *LITE])
def test_native_variants(
    name, documented, by_operator, figure, record_of, fvcore_run, torch_macs, on_meta
):
    """At the documented size, and, of the large ones, fvcore's own run on smaller images."""
    size, flops = documented.get(name, (LITE.get(name), None))
    model = on_meta(zoo.create_model, name)
    macs = torch_macs(model, (1, 3, size, size))
    record = record_of(model, (1, 3, size, size))
    assert figure(record, "macs") == macs
    assert figure(record, "flops") == 2 * macs
    if name in LARGE:
        size = size // 8
        record = record_of(model, (1, 3, size, size))
    if name not in DEEPER:
        theirs = fvcore_run(on_cpu(lambda: zoo.create_model(name)), (1, 3, size, size))
        assert by_operator(record) == theirs
        assert figure(record, "fvcore") == sum(theirs.values())
    if flops is not None:  # The documented figures are the counter of 2020 without the crop.
        size, _ = documented[name]
        width = int(size * SAMPLE_PHOTOGRAPH[1] / SAMPLE_PHOTOGRAPH[0])
        assert figure(record_of(model, (1, 3, size, width)), "thop-2020") == flops


def hooked_count(model: nn.Module, height: int, width: int, classifier: nn.Module) -> int:
    """The counter of 2020 once more, as it was: a forward hook on each module of a known class."""
    total = 0

    def convolution(module, inputs, output):
        kernel = module.kernel_size[0] * module.kernel_size[1]
        per_output = kernel * module.in_channels // module.groups + (module.bias is not None)
        return output.numel() * per_output

    def adaptive(module, inputs, output):
        (_, _, high, wide), (_, _, rows, columns) = inputs[0].shape, output.shape
        return output.numel() * ((high // rows) * (wide // columns) + 1)

    rules = {
        nn.Conv2d: convolution,
        nn.BatchNorm2d: lambda module, inputs, output: 2 * inputs[0].numel(),
        nn.AvgPool2d: lambda module, inputs, output: output.numel(),
        nn.AdaptiveAvgPool2d: adaptive,
        nn.Linear: lambda module, inputs, output: output.numel() * module.in_features,
    }

    def hook(module, inputs, output):
        nonlocal total
        total += rules[type(module)](module, inputs, output)

    for module in model.modules():
        if type(module) in rules and module is not classifier:
            module.register_forward_hook(hook)
    with torch.no_grad():
        model(torch.empty(1, 3, height, width, device="meta"))
    return total


@pytest.mark.parametrize("height", [224, 193])
@pytest.mark.parametrize("name", ["resnest14d", "resnest50d_1s4x24d", "efficientnet_lite0"])
def test_the_counter_of_2020_agrees_with_hooks(name, height, on_meta, record_of, figure):
    model = on_meta(zoo.create_model, name)
    classifier = next(m for m in reversed(list(model.modules())) if isinstance(m, nn.Linear))
    hooked = hooked_count(model, height, height + 61, classifier)
    record = record_of(on_meta(zoo.create_model, name), (1, 3, height, height + 61))
    assert figure(record, "thop-2020") == hooked
    everything = hooked + classifier.in_features * classifier.out_features
    assert figure(record, "thop-2020", "with the classifier") == everything


def test_subclasses_escape_the_counter_of_2020(on_meta, record_of, figure):
    """timm's same-padding convolutions and its normalisation with activation are subclasses."""
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    shape = (1, 3, 224, 224)
    record = record_of(on_meta(timm.create_model, "tf_efficientnet_lite0"), shape)
    model = on_meta(timm.create_model, "tf_efficientnet_lite0")
    assert figure(record, "thop-2020") == hooked_count(model, 224, 224, model.classifier)
    kinds = ("norms", "convolutions", "convolutions and norms")
    norms, convolutions, both = (
        figure(record, "thop-2020", f"with subclassed {kind}") for kind in kinds
    )
    plain = figure(record, "thop-2020")
    assert both > figure(record, "macs") > plain
    assert norms + convolutions == both + plain
    assert norms - plain == sum(
        2 * prod(call.outputs[0]) for _, call in walk(record) if call.type.endswith("NormAct2d")
    )


@pytest.mark.parametrize("name", TIMM)
def test_timm(name, on_meta, record_of, figure, by_operator, torch_macs, fvcore_run):
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    size = TIMM[name]
    model = on_meta(timm.create_model, name)
    macs = torch_macs(model, (1, 3, size, size))
    record = record_of(model, (1, 3, size, size))
    assert figure(record, "macs") == macs
    if name in CHEAP:
        theirs = fvcore_run(on_cpu(lambda: timm.create_model(name)), (1, 3, size, size))
        assert by_operator(record) == theirs


def test_padding_by_word_is_nothing_to_fvcore(on_meta, record_of, by_operator, fvcore_run):
    """ConvMixer's blocks pad with ``same``, which is traced as an operator without a handle."""
    timm = pytest.importorskip("timm", reason="timm, an extra, is not installed")
    shape = (1, 3, 64, 64)
    record = record_of(on_meta(timm.create_model, "convmixer_768_32"), shape)
    theirs = fvcore_run(on_cpu(lambda: timm.create_model("convmixer_768_32")), shape)
    assert by_operator(record) == theirs


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_documents_what_is_counted(name, record_of, figure):
    from torchvision.models import get_model, get_model_weights

    from harness.measure.meta import build_on_meta

    weights = next(iter(get_model_weights(name)))
    size = weights.transforms().crop_size[0]
    model = build_on_meta(SimpleNamespace(build=get_model), name)  # not all build on meta
    record = record_of(model, (1, 3, size, size))
    assert round(figure(record, "torchvision") / 1e9, 3) == weights.meta["_ops"]


def test_the_classifier_is_the_layer_of_the_logits(on_meta, record_of, figure):
    from harness.measure.record import classifier_path

    for name, path in (("resnest14d", "fc"), ("efficientnet_lite0", "_fc")):
        model = on_meta(zoo.create_model, name)
        record = record_of(model, (1, 3, 224, 224))
        assert classifier_path(record) == path
        head = model.get_submodule(path)
        left = figure(record, "macs") - figure(record, "macs", "without the classifier")
        assert left == head.in_features * head.out_features


def test_attention_that_is_one_operator_without_gradients(on_meta, record_of, figure):
    from torchvision.models import vit_b_16

    # What fvcore 0.1.5 prints under torch.no_grad().
    record = record_of(on_meta(vit_b_16), (1, 3, 224, 224))
    words = "without MultiheadAttention as one operator"
    assert figure(record, "fvcore", words) == 11_290_036_992


def test_a_classifier_of_several_layers_may_be_left_out_whole(on_meta, record_of, figure):
    from torchvision.models import alexnet, mobilenet_v3_small, vgg11

    for builder in (alexnet, vgg11, mobilenet_v3_small):
        model = on_meta(builder)
        record = record_of(model, (1, 3, 224, 224))
        layers = [m for m in model.classifier if hasattr(m, "in_features")]
        linear = sum(m.in_features * m.out_features for m in layers)
        for name, times in (("macs", 1), ("flops", 2), ("fvcore", 1)):
            rest = figure(record, name, "without all layers of the classifier")
            assert figure(record, name) - rest == times * linear, builder
