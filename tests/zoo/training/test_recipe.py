"""What an index claims of a training is what is done, and what is not done is said."""

from __future__ import annotations

import pytest

from zoo.index import load_index
from zoo.preprocessing import package_variant
from zoo.training import BadInput, Recipe, recipe_of

PAGE = """\
Collections:
- Name: C
  Metadata:
    Weight Decay: 0.0003
Models:
- Name: a
  In Collection: C
  Metadata:
    LR: 0.4
    Epochs: 120
    Batch Size: 1024
    Momentum: 0.85
    Label Smoothing: 0.05
    LR Step Size: 30
    Training Techniques: [Nesterov Accelerated Gradient, Label Smoothing, Stochastic Depth]
- Name: b
  Metadata:
    Image Size: 224
"""


@pytest.fixture
def variants(tmp_path):
    path = tmp_path / "index.yml"
    path.write_text(PAGE)
    return {variant.name: variant for variant in load_index([path]).variants}


def test_the_documented_recipe_of_resnest():
    """The page's numbers, and the strengths that its paper gives to the techniques it names."""
    recipe = recipe_of(package_variant("resnest50d"))
    assert (recipe.lr, recipe.epochs, recipe.batch_size) == (0.1, 270, 8192)
    assert (recipe.momentum, recipe.weight_decay, recipe.dropout) == (0.9, 0.0001, 0.2)
    assert (recipe.label_smoothing, recipe.mixup, recipe.drop_block) == (0.1, 0.2, 0.1)
    assert recipe.augment == "auto"
    assert recipe.warmup_epochs == 5
    assert recipe.not_followed == ()


def test_claims_of_a_variant_and_its_collection(variants):
    recipe = recipe_of(variants["a"])
    assert (recipe.lr, recipe.epochs, recipe.batch_size) == (0.4, 120, 1024)
    assert (recipe.momentum, recipe.weight_decay) == (0.85, 0.0003)
    assert recipe.label_smoothing == 0.05  # a number says more than the technique's name
    assert recipe.nesterov
    assert (recipe.mixup, recipe.drop_block, recipe.augment) == (0, 0, "crop")
    assert recipe.not_followed == ("Stochastic Depth", "LR Step Size")


def test_without_claims_the_usual_settings(variants):
    recipe = recipe_of(variants["b"])
    assert recipe == Recipe()
    assert "no setting stated" in recipe.sentence()


def test_the_linear_rule():
    recipe = Recipe(lr=0.1, batch_size=8192).at_batch_size(64)
    assert recipe.batch_size == 64
    assert recipe.lr == pytest.approx(0.1 * 64 / 8192)


@pytest.mark.parametrize(("epochs", "warmup"), [(270, 5), (50, 5), (20, 2), (1, 0.1)])
def test_a_short_training_has_a_short_warm_up(epochs, warmup):
    assert Recipe(epochs=epochs).warmup_epochs == pytest.approx(warmup)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"lr": float("nan")}, {"augment": "x"}]
)
def test_what_is_out_of_range_is_refused(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        Recipe(**wrong)
