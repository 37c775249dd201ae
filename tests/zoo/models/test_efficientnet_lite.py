"""EfficientNet-Lite with its real checkpoints, against two independent implementations."""

from __future__ import annotations

import pytest
import timm
import torch
from factories import assert_same_outputs
from shipped import real_weights
from torch import Tensor, nn

import zoo

# Name -> the square input size of the published evaluation.
SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}


def checkpoint(name: str) -> dict[str, Tensor]:
    """The real weights, found in the package that ships them without importing it."""
    return torch.load(real_weights(name), map_location="cpu", weights_only=True)


@pytest.mark.parametrize("name", SIZES)
@torch.inference_mode()
def test_real_checkpoint_fits_and_gives_the_same_logits(name):
    peer = pytest.importorskip("efficientnet_lite_pytorch")
    weights = checkpoint(name)
    ours = zoo.create_model(name).eval()
    ours.load_state_dict(weights, strict=True)
    assert list(ours.state_dict()) == list(weights)

    generator = torch.Generator().manual_seed(0)
    for batch, height, width in ((1, SIZES[name], SIZES[name]), (3, 97, 131), (2, 64, 49)):
        # The peer pads for one input size, which it takes when it is built.
        theirs = peer.EfficientNet.from_name(name.replace("_", "-"), image_size=[height, width])
        theirs.load_state_dict(weights, strict=True)
        theirs.eval()
        x = torch.randn(batch, 3, height, width, generator=generator)
        assert_same_outputs(ours.forward_features(x), theirs.extract_features(x))
        assert_same_outputs(ours(x), theirs(x))


@pytest.mark.parametrize("name", SIZES)
def test_same_architecture_as_timm(name):
    with torch.device("meta"):
        ours = zoo.create_model(name)
        theirs = timm.create_model(f"tf_{name}")
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    norms = [module for module in ours.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


@torch.inference_mode()
def test_same_feature_maps_as_timm():
    theirs = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    weights = checkpoint("efficientnet_lite0")
    whole = zoo.create_model("efficientnet_lite0")
    whole.load_state_dict(weights)
    ours = zoo.create_model("efficientnet_lite0", features_only=True).eval()
    left_over = ours.load_state_dict(weights, strict=False)
    assert not left_over.missing_keys
    assert {key.split(".")[0] for key in left_over.unexpected_keys} == {"_conv_head", "_bn1", "_fc"}

    # Both keep their layers in the order in which they run, so shapes tell what belongs where.
    values = [value for key, value in weights.items() if key in ours.state_dict()]
    keys = list(theirs.state_dict())
    theirs.load_state_dict(dict(zip(keys, values, strict=True)))
    x = torch.randn(2, 3, 97, 131)
    for mine, its in zip(ours(x), theirs(x), strict=True):
        assert mine.shape == its.shape
        assert_same_outputs(mine, its)
    assert [info["num_chs"] for info in ours.feature_info] == theirs.feature_info.channels()
    assert [info["reduction"] for info in ours.feature_info] == theirs.feature_info.reduction()


def test_a_fresh_model_keeps_the_scale_of_its_activations():
    torch.manual_seed(0)
    model = zoo.create_model("efficientnet_lite0").train()
    x = torch.randn(4, 3, 96, 96)
    loss = model(x).square().mean()
    loss.backward()
    assert loss.isfinite()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_there_is_no_drop_block():
    with pytest.raises(ValueError, match="drop_block_rate must be 0"):
        zoo.create_model("efficientnet_lite0", drop_block_rate=0.1)


def test_reset_classifier():
    model = zoo.create_model("efficientnet_lite0", num_classes=5).eval()
    x = torch.randn(2, 3, 64, 64)
    assert model(x).shape == (2, 5)
    model.reset_classifier(0)
    pooled = model.forward_head(model.forward_features(x), pre_logits=True)
    torch.testing.assert_close(model(x), pooled)
    assert pooled.shape == (2, model.num_features) == (2, 1280)


def test_pretrained_weights_with_another_number_of_classes():
    weights = checkpoint("efficientnet_lite0")
    model = zoo.create_model("efficientnet_lite0", pretrained=True, num_classes=7)
    assert model._fc.weight.shape == (7, 1280)
    state = model.state_dict()
    for key, value in weights.items():
        assert key.startswith("_fc.") or state[key].equal(value), key

    maps = zoo.create_model("efficientnet_lite0", pretrained=True, features_only=True)
    for key, value in maps.state_dict().items():
        assert value.equal(weights[key]), key
