"""What an index claims of a training is what is done, and what is not done is said."""

from __future__ import annotations

import pytest
import torch

from zoo.index import load_index
from zoo.preprocessing import package_variant
from zoo.training import BadInput, Settings, TrainingRecipe, recipe_of
from zoo.training.distributed import Ranks
from zoo.training.plan import make_plan, read_trees

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
- Name: c
  Metadata:
    Momentum: -1
    Epochs: many
    LR: 0.2
    Label Smoothing: 7
    Training Techniques: [Label Smoothing, Dropout]
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
    assert recipe == TrainingRecipe()
    assert "no setting stated" in recipe.sentence()


def test_what_is_stated_is_told_from_what_is_named(variants):
    """In the words of the index; what a name says all of is stated."""
    sentence = recipe_of(variants["a"]).sentence()
    assert sentence.endswith(
        "(of the index: Nesterov Accelerated Gradient, Label Smoothing, LR, Epochs, Batch Size, "
        "Momentum, Weight Decay)"
    )
    documented = recipe_of(package_variant("resnest50d")).sentence()
    assert "AutoAugment, Weight Decay, LR, Epochs, Batch Size, Momentum, Dropout; " in documented
    named = "named by the index, and of the usual strength: DropBlock, Label Smoothing, Mixup)"
    assert documented.endswith(named)


def plan(variant, images, **settings):
    given = Settings(variant.name, images, "out", variant=variant, **settings)
    return make_plan(given, Ranks(0, 1, torch.device("cpu")), read_trees(given))


def test_claims_that_can_t_be_used_are_named_with_what_is_taken_instead(variants, images):
    assert plan(variants["c"], images).warnings == (
        "the index also states Dropout: not done here",
        "the index states Epochs: many, which can't be used; 90 is taken instead",
        "the index states Momentum: -1, which can't be used; 0.9 is taken instead",
        "the index states Label Smoothing: 7, which can't be used; 0.1 is taken instead",
    )
    # Only what would have counted.
    found = plan(variants["c"], images, finetune=True, epochs=3).warnings
    assert found == ("the index states Momentum: -1, which can't be used; 0.9 is taken instead",)


def test_what_is_not_trained_on_is_said(variants, images):
    (images / "test").mkdir()
    found = plan(variants["b"], images, batch_size=13)
    assert found.warnings == (f"{images}: test in it is not used",)
    assert found.sentences[-1].startswith("11 of the 24 images fill no batch of 13")
    other = plan(variants["b"], images, batch_size=12, val=images / "train")
    assert other.warnings == (f"{images}: test and val in it are not used",)
    assert not any("fill no batch" in sentence for sentence in other.sentences)


@pytest.mark.parametrize(
    "asked", [{"epochs": 2}, {"batch_size": 4}, {"lr": 1.0}, {"augment": "none"}]
)
def test_a_recipe_is_taken_as_it_is(asked):
    with pytest.raises(BadInput, match=f"put {next(iter(asked))} into the recipe itself"):
        Settings("efficientnet_lite0", "data", "out", recipe=TrainingRecipe(), **asked)


def test_the_linear_rule():
    recipe = TrainingRecipe(lr=0.1, batch_size=8192).at_batch_size(64)
    assert recipe.batch_size == 64
    assert recipe.lr == pytest.approx(0.1 * 64 / 8192)


@pytest.mark.parametrize(("epochs", "warmup"), [(270, 5), (50, 5), (20, 2), (1, 0.1)])
def test_a_short_training_has_a_short_warm_up(epochs, warmup):
    assert TrainingRecipe(epochs=epochs).warmup_epochs == pytest.approx(warmup)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"lr": float("nan")}, {"augment": "x"}]
)
def test_what_is_out_of_range_is_refused(wrong):
    with pytest.raises(BadInput, match=next(iter(wrong))):
        TrainingRecipe(**wrong)
