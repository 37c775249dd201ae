"""The ResNeSt family against timm, an independent implementation of the same checkpoints."""

from __future__ import annotations

import pytest
import timm
import torch
from factories import assert_same_outputs
from torch import Tensor, nn

import zoo

# Square input sizes that the family's page documents.
SIZES = {
    "resnest14d": 224,
    "resnest26d": 224,
    "resnest50d": 224,
    "resnest50d_1s4x24d": 224,
    "resnest50d_4s2x40d": 224,
    "resnest101e": 256,
    "resnest200e": 320,
    "resnest269e": 416,
}
# Documented operation counts; they were taken at 1546/1213 times the width, by the rules of
# `count_operations`.
OPERATIONS = {
    "resnest14d": 3548594464,
    "resnest26d": 4678918720,
    "resnest50d": 6937106336,
    "resnest50d_1s4x24d": 5686764544,
    "resnest50d_4s2x40d": 5657064720,
    "resnest101e": 17423183648,
    "resnest200e": 45954387872,
    "resnest269e": 100830307104,
}


def build(name: str, **options: object) -> nn.Module:
    """One of ours, without paying for an initialisation that the test replaces."""
    with torch.device("meta"):
        return zoo.create_model(name, **options)


@pytest.fixture
def pair(randomise):
    """A builder of (ours, timm's) with the same random weights, in evaluation mode."""

    def make(name: str, **options: object) -> tuple[nn.Module, nn.Module]:
        with torch.device("meta"):
            theirs = timm.create_model(name, **options)
        theirs = theirs.to_empty(device="cpu").eval()
        randomise(theirs)
        ours = build(name, **options).eval()
        ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
        return ours, theirs

    return make


def count_operations(model: nn.Module, height: int, width: int) -> int:
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if type(module) is nn.Conv2d:
            kernel = module.kernel_size[0] * module.kernel_size[1]
            per_output = module.in_channels // module.groups * kernel
            total += output.numel() * (per_output + (module.bias is not None))
        elif type(module) is nn.BatchNorm2d:
            total += 2 * output.numel()
        elif type(module) is nn.AvgPool2d:
            total += output.numel()
        elif type(module) is nn.AdaptiveAvgPool2d:
            area = inputs[0].shape[-1] * inputs[0].shape[-2]
            total += output.numel() * (area + 1)

    for module in model.modules():
        module.register_forward_hook(count)
    model(torch.zeros(1, 3, height, width, device="meta"))
    return total


@pytest.mark.parametrize("name", SIZES)
def test_same_keys_and_shapes_as_published_checkpoints(name):
    with torch.device("meta"):
        theirs = timm.create_model(name)
    expected = [(key, value.shape, value.dtype) for key, value in theirs.state_dict().items()]
    actual = [(key, value.shape, value.dtype) for key, value in build(name).state_dict().items()]
    assert actual == expected


@pytest.mark.parametrize("name", SIZES)
@torch.inference_mode()
def test_same_logits_and_feature_maps(name, pair):
    ours, theirs = pair(name)
    with torch.device("meta"):
        their_maps = timm.create_model(name, features_only=True)
    our_maps = build(name, features_only=True)
    for maps in (our_maps, their_maps):
        left_over = maps.eval().load_state_dict(theirs.state_dict(), strict=False, assign=True)
        assert not left_over.missing_keys

    # An odd size meets every rounding of strides and pools; layers know nothing of the input's size
    # that a larger one, at forty times the cost, would show.
    x = torch.randn(2, 3, 65, 97, generator=torch.Generator().manual_seed(2))
    maps, expected = our_maps(x), their_maps(x)
    for mine, its in zip(maps, expected, strict=True):
        assert mine.shape == its.shape
        assert_same_outputs(mine, its)
    # The last map is what the head is fed; the maps' extractors share the classifiers' layers.
    assert_same_outputs(ours(x), theirs.forward_head(expected[-1]))
    assert_same_outputs(
        ours.forward_head(maps[-1], pre_logits=True),
        theirs.forward_head(expected[-1], pre_logits=True),
    )


@pytest.mark.parametrize("name", SIZES)
def test_operations_equal_the_documented_counts(name):
    size = SIZES[name]
    model = build(name).eval()
    assert count_operations(model, size, int(size * 1546 / 1213)) == OPERATIONS[name]


def test_same_gradients(pair):
    # Radix 4, cardinality 2, and pooling before the attention: the least ordinary variant.
    ours, theirs = pair("resnest50d_4s2x40d")
    x = torch.randn(3, 3, 65, 71, generator=torch.Generator().manual_seed(3))
    gradients = []
    for model in (ours, theirs):
        # The two share their weights' storage, so the norms stay in evaluation mode.
        parameters = dict(model.named_parameters())
        loss = model(x).square().mean()
        gradients.append(
            dict(zip(parameters, torch.autograd.grad(loss, parameters.values()), strict=True))
        )
    mine, its = gradients
    assert mine.keys() == its.keys()
    for name, gradient in its.items():
        assert gradient.abs().max() > 0, name
        scale = gradient.abs().max()
        torch.testing.assert_close(mine[name] / scale, gradient / scale, rtol=0, atol=1e-5)


def test_same_training_step_statistics(pair):
    ours, theirs = pair("resnest14d")
    ours.load_state_dict(
        {key: value.clone() for key, value in ours.state_dict().items()}, assign=True
    )
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        assert_same_outputs(ours.train()(x), theirs.train()(x))
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-5, atol=1e-5)


def test_a_fresh_block_is_its_shortcut():
    model = zoo.create_model("resnest26d")
    block = model.layer2[1]
    assert block.bn3.weight.eq(0).all()
    x = torch.rand(2, 512, 9, 7)
    torch.testing.assert_close(block(x), x)


def test_convolutions_start_with_kaiming_spread():
    torch.manual_seed(0)
    model = zoo.create_model("resnest14d")
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 4000:
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            expected = (2 / fan_out) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.05), name


def test_dropout_acts_on_the_head_while_training_only():
    model = zoo.create_model("resnest14d", drop_rate=0.5)
    features = torch.rand(64, 2048, 2, 2)
    torch.manual_seed(0)
    dropped = model.train().forward_head(features, pre_logits=True)
    assert dropped.eq(0).float().mean().item() == pytest.approx(0.5, abs=0.01)
    kept = model.eval().forward_head(features, pre_logits=True)
    torch.testing.assert_close(kept, features.mean(dim=(2, 3)))


def test_drop_block_acts_in_the_last_two_stages_while_training_only():
    plain = zoo.create_model("resnest14d").eval()
    model = zoo.create_model("resnest14d", drop_block_rate=0.3)
    model.load_state_dict(plain.state_dict())
    with torch.no_grad():
        # Norms in evaluation mode and fresh blocks opened: only DropBlock can make a difference.
        for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
            stage[0].bn3.weight.fill_(1)
        model.eval()
        x = torch.randn(2, 256, 16, 16)
        calm = [model.layer2(x), model.layer3(model.layer2(x))]
        for module in model.modules():
            if not isinstance(module, nn.BatchNorm2d):
                module.training = True
        torch.testing.assert_close(model.layer2(x), calm[0])
        assert not torch.allclose(model.layer3(model.layer2(x)), calm[1])
        model.eval()
        torch.testing.assert_close(model.layer3(model.layer2(x)), calm[1])


@pytest.mark.parametrize(("in_chans", "classes"), [(1, 10), (5, 2)])
def test_other_channels_and_classes(in_chans, classes, randomise):
    model = zoo.create_model("resnest14d", in_chans=in_chans, num_classes=classes).eval()
    randomise(model)
    x = torch.randn(2, in_chans, 64, 64)
    logits = model(x)
    assert logits.shape == (2, classes)
    # Every channel counts.
    for channel in range(in_chans):
        changed = x.clone()
        changed[:, channel] += 1
        assert not torch.allclose(model(changed), logits)


def test_reset_classifier(randomise):
    model = zoo.create_model("resnest14d").eval().double()
    randomise(model)
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    pooled = model.forward_head(model.forward_features(x), pre_logits=True)

    model.reset_classifier(7)
    assert model.num_classes == 7
    assert model(x).shape == (2, 7)
    assert model.fc.weight.dtype == torch.float64

    model.reset_classifier(0)
    assert model.num_classes == 0
    torch.testing.assert_close(model(x), pooled)
    assert "fc.weight" not in model.state_dict()

    bare = zoo.create_model("resnest14d", num_classes=0)
    assert bare.state_dict().keys() == model.state_dict().keys()
