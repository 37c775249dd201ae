"""Names, builders and their identity; and what it costs to ask for them."""

from __future__ import annotations

import pickle

import pytest
import torch
from cli import run_python

import zoo
from zoo.errors import DuplicateModelError, UnknownModelError
from zoo.registry import Registry, is_model, model_source

RESNEST = [
    "resnest101e",
    "resnest14d",
    "resnest200e",
    "resnest269e",
    "resnest26d",
    "resnest50d",
    "resnest50d_1s4x24d",
    "resnest50d_4s2x40d",
]

FAMILY = """
from torch import nn
from zoo.registry import register_model

@register_model
def {name}(**options):
    return nn.Identity()

def helper():
    pass
"""


def test_list_models_matches_a_pattern():
    assert zoo.list_models("resnest*") == RESNEST
    assert zoo.list_models("resnest50d_*") == ["resnest50d_1s4x24d", "resnest50d_4s2x40d"]
    assert zoo.list_models("no such*") == []
    assert set(RESNEST) <= set(zoo.list_models())


def test_every_listed_model_can_be_built():
    for name in zoo.list_models():
        with torch.device("meta"):
            model = zoo.create_model(name, num_classes=3)
        assert model.get_classifier().out_features == 3, name


def test_names_and_sources_are_found_without_torch():
    script = """
import sys
import zoo
light = set(sys.modules)
from zoo.registry import is_model, list_models, model_source
assert "resnest50d" in zoo.list_models() == list_models()
assert is_model("resnest50d") and not is_model("resnest50")
assert "class SplitAttention" in model_source("resnest50d")
try:
    zoo.create_model("resnest5d")
except ValueError:
    pass
heavy = {"torch", "numpy", "torchvision"} & set(sys.modules)
assert not heavy, heavy
assert not {"ast", "zoo.registry"} & (light - started), light - started
"""
    # What an interpreter has loaded before the first line differs between installations.
    script = "import sys; started = set(sys.modules)\n" + script
    done = run_python(["-c", script])
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownModelError) as caught:
        zoo.create_model("resnest50")
    assert caught.value.nearest[0] == "resnest50d"
    assert str(caught.value).startswith(
        "there is no model 'resnest50'; did you mean 'resnest50d', "
    )
    assert "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(
        UnknownModelError, match=r"^there is no model '\?\?\?'; zoo.list_models\(\)"
    ):
        zoo.create_model("???")
    assert not is_model("resnest50")


def test_a_private_or_helper_function_is_no_model():
    assert not is_model("_deep_stem")
    assert not is_model("SplitAttention")


@pytest.mark.parametrize("second", ["beta", "alpha"])
def test_a_name_declared_twice_is_an_error(tmp_path, second):
    (tmp_path / "alpha.py").write_text(FAMILY.format(name="twin"))
    with (tmp_path / f"{second}.py").open("a") as file:
        file.write(FAMILY.format(name="twin"))
    with pytest.raises(DuplicateModelError, match=rf"'twin'.*alpha.py:6 .*{second}.py:\d+"):
        Registry("nowhere", tmp_path).family("twin")


def test_shared_layers_declare_no_models(tmp_path):
    (tmp_path / "alpha.py").write_text(FAMILY.format(name="one"))
    (tmp_path / "_layers.py").write_text(FAMILY.format(name="two"))
    assert list(Registry("nowhere", tmp_path).families) == ["one"]


def test_identity_changes_with_the_family_and_the_shared_layers_alone(tmp_path):
    def identity() -> str:
        return Registry("nowhere", tmp_path).source("one")

    (tmp_path / "alpha.py").write_text(FAMILY.format(name="one"))
    (tmp_path / "beta.py").write_text(FAMILY.format(name="two"))
    (tmp_path / "_layers.py").write_text("WIDTH = 1")
    first = identity()
    with (tmp_path / "beta.py").open("a") as file:
        file.write("# another family")
    assert identity() == first
    (tmp_path / "_layers.py").write_text("WIDTH = 2")
    second = identity()
    assert second != first
    with (tmp_path / "alpha.py").open("a") as file:
        file.write("# this family")
    assert identity() not in (first, second)


def test_identity_of_an_unknown_model():
    with pytest.raises(UnknownModelError):
        model_source("resnest50")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": -1}, "num_classes must be 0 or more, not -1"),
        ({"in_chans": 0}, "in_chans must be 1 or more, not 0"),
        ({"drop_rate": 1.0}, "drop_rate must be from 0 to below 1, not 1.0"),
        ({"drop_block_rate": -0.1}, "drop_block_rate must be from 0 to below 1, not -0.1"),
        ({"out_indices": (1,)}, "features_only=True"),
        ({"pretrained": True, "in_chans": 1}, "3 channels, not in_chans=1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        zoo.create_model("resnest14d", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 2.0}, "num_classes must be a whole number, not 2.0"),
        ({"num_classes": "10"}, "num_classes must be a whole number, not '10'"),
        ({"in_chans": None}, "in_chans must be a whole number, not None"),
        ({"out_indices": 2, "features_only": True}, "out_indices must be a list of whole numbers"),
        ({"out_indices": 0, "features_only": True}, "out_indices must be a list of whole numbers"),
        ({"out_indices": [1.0], "features_only": True}, "each of out_indices must be a whole"),
    ],
)
def test_options_of_another_type_are_refused(options, message):
    with pytest.raises(TypeError, match=message):
        zoo.create_model("resnest14d", **options)
