"""Feature extraction: which maps come back, and at what cost."""

from __future__ import annotations

import pytest
import timm
import torch

import zoo

FAMILIES = ["resnest14d", "efficientnet_lite2"]


@pytest.mark.parametrize("indices", [(0,), (1, 3), (3, 1), (-1,), (-2, 0), (0, 1, 2, 3, 4), None])
@torch.inference_mode()
def test_same_maps_as_timm_for_the_same_indices(indices, randomise):
    options = {} if indices is None else {"out_indices": indices}
    theirs = timm.create_model("resnest14d", features_only=True, **options).eval()
    randomise(theirs)
    ours = zoo.create_model("resnest14d", features_only=True, **options).eval()
    ours.load_state_dict(theirs.state_dict())

    x = torch.randn(2, 3, 75, 64)
    expected = theirs(x)
    maps = ours(x)
    assert [m.shape for m in maps] == [m.shape for m in expected]
    for mine, its in zip(maps, expected, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-5, atol=1e-5)
    # The maps come in network order, whatever the order of the indices; so does our info.
    assert [info["num_chs"] for info in ours.feature_info] == [m.shape[1] for m in expected]
    reductions = sorted(theirs.feature_info.reduction())
    assert [info["reduction"] for info in ours.feature_info] == reductions


@pytest.mark.parametrize("name", FAMILIES)
@torch.inference_mode()
def test_feature_info_tells_channels_and_reductions(name):
    model = zoo.create_model(name, features_only=True).eval()
    x = torch.zeros(1, 3, 97, 131)
    assert len(model.feature_info) == 5
    for info, feature_map in zip(model.feature_info, model(x), strict=True):
        reduction = info["reduction"]
        assert feature_map.shape == (1, info["num_chs"], -(-97 // reduction), -(-131 // reduction))


@pytest.mark.parametrize("name", FAMILIES)
def test_layers_that_no_map_needs_are_left_out_and_the_others_keep_their_names(name):
    whole = zoo.create_model(name).state_dict()
    early = zoo.create_model(name, features_only=True, out_indices=(1,)).state_dict()
    assert 0 < len(early) < len(whole) / 2
    assert all(whole[key].shape == value.shape for key, value in early.items())


@pytest.mark.parametrize("indices", [(5,), (0, -6), ()])
def test_an_index_that_names_no_map_is_refused(indices):
    with pytest.raises(ValueError, match="out_indices"):
        zoo.create_model("resnest14d", features_only=True, out_indices=indices)
