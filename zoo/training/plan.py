"""The plan of a training, made from its settings, and its description in sentences."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo._util.cores import usable_cores
from zoo._util.text import plural
from zoo.errors import BadInput
from zoo.images.imagefolder import Tree, read_tree, split, unused
from zoo.index.types import Variant
from zoo.preprocessing import Preprocessing, package_variant, variant_preprocessing
from zoo.training.config import Settings, TrainingRecipe, check_batch, resolve_recipe

if TYPE_CHECKING:
    from zoo.models._base import ImageClassifier
    from zoo.training.distributed import Ranks

# What an epoch may leave out without a word.
_MUCH = 0.03
_MOST_NAMED = 5

Trees = tuple[Tree, "Tree | None", list[str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training will do, by a recipe that has all that was asked for in its place.

    ``sentences`` say it, ``warnings`` what is not as it should be; so many ``workers`` decode for
    this process.
    """

    settings: Settings
    variant: Variant
    recipe: TrainingRecipe
    preprocessing: Preprocessing
    train: Tree
    val: Tree | None
    workers: int
    sentences: tuple[str, ...]
    warnings: tuple[str, ...]

    def identity(self) -> dict[str, Any]:
        """What must be the same for a training to go on, as plain values."""
        settings = self.settings
        recipe = asdict(self.recipe)
        del recipe["stated"], recipe["named"], recipe["not_followed"]
        return {
            "variant": settings.name,
            "classes": list(self.train.classes),
            "list of images": self.train.identity(),
            "list of validation images": None if self.val is None else self.val.identity(),
            "preprocessing": self.preprocessing.key(),
            "finetune": settings.finetune,
            "freeze": settings.freeze,
            "freeze_norms": settings.freeze_norms,
            "amp": settings.amp,
            "ema": settings.ema_decay if settings.ema else None,
            "seed": settings.seed,
            **recipe,
        }


def make_plan(settings: Settings, ranks: Ranks, trees: Trees) -> Plan:
    """Resolve the recipe for the images of `read_trees`.

    Raises:
        BadInput: the data can't be trained on, or the settings don't go with it.
        zoo.errors.UnknownModelError: there is no such variant.
    """
    variant = settings.variant or package_variant(settings.name)
    try:
        preprocessing = variant_preprocessing(variant)
    except ValueError as error:
        raise BadInput(f"{settings.name}: {error}") from error
    notes: list[str] = []
    warnings: list[str] = []
    train, val, beside = trees
    recipe = settings.recipe
    if recipe is None:
        recipe = resolve_recipe(settings, variant, len(train), ranks.world, notes, warnings)
    check_batch(recipe.batch_size, len(train), ranks.world)
    left = len(train) % recipe.batch_size
    if left > _MUCH * len(train):
        notes.append(
            f"{left} of the {len(train)} images fill no batch of {recipe.batch_size}: so many, "
            "drawn anew, are left out of each epoch"
        )
    workers = settings.workers
    if workers is None:
        workers = _workers(ranks.world, len(train) // recipe.batch_size)
    checked = f"{len(val)} to validate on" if val else "none to validate on"
    places = f"{ranks.world} processes" if ranks.world > 1 else "1 process"
    start = "its published weights" if settings.finetune else "random weights"
    start += ", all but the new classifier frozen" if settings.freeze else ""
    head = (
        f"{settings.name} from {start}: {plural(len(train), 'image')} of "
        f"{plural(len(train.classes), 'class')}, {checked}; {ranks.device}, {places}"
    )
    return Plan(
        settings,
        variant,
        recipe,
        preprocessing,
        train,
        val,
        workers,
        (head, recipe.sentence(), *notes),
        (*warnings, *beside),
    )


def build(plan: Plan, share: int, fetch: Callable[[Variant], Path] | None) -> ImageClassifier:
    """The model that the training begins with; equal in every process.

    Args:
        plan: says which.
        share: images of a step for each process.
        fetch: gives the variant's published weights as a file, for a fine-tuning; None leaves the
            weights random, for a state that is loaded next.

    Raises:
        BadInput: the family can't be built so, or not be trained with one image for a process.
        zoo.errors.WeightsError: the published weights can't be had.
        zoo.errors.CheckpointError: they are not what they should be.
    """
    import torch

    from zoo.errors import CheckpointError
    from zoo.training.data import derived
    from zoo.variants import create_variant
    from zoo.weights.load import load_into

    settings = plan.settings
    classes = len(plan.train.classes)
    published = fetch if settings.finetune else None

    def made() -> ImageClassifier:
        return create_variant(
            plan.variant,
            classes if published is None else None,
            drop_rate=plan.recipe.dropout,
            drop_block_rate=plan.recipe.drop_block,
        )

    try:
        if share == 1 and not settings.freeze and not settings.freeze_norms:
            _check_alone(made, plan.preprocessing.image_size)
        torch.manual_seed(derived(settings.seed, "weights"))
        model = made()
        if published is not None:
            load_into(model, published(plan.variant))
    except (CheckpointError, BadInput):
        raise
    except ValueError as error:
        raise BadInput(str(error)) from error
    if published is not None:
        # As many classes as the published weights have don't make them the same ones.
        model.reset_classifier(classes)
    return model


def _check_alone(made: Callable[[], ImageClassifier], image_size: tuple[int, int]) -> None:
    """Run one image through the model on the meta device, as its training would.

    Raises:
        BadInput: where a map has one pixel, a norm has one value, and no spread to divide it by.
    """
    import torch

    with torch.device("meta"):
        model = made().train()
        image = torch.empty(1, 3, *image_size)
    try:
        model(image)
    except ValueError as error:
        raise BadInput(
            "one image for a process is too few for this variant's norms; raise --batch-size, "
            "or leave norms as they are (--freeze-norms)"
        ) from error


def read_trees(settings: Settings) -> Trees:
    """The images to train on and to validate on, and lines about what is not among them.

    Raises:
        BadInput: they can't be trained on.
    """
    warnings: list[str] = []
    data = Path(settings.data)
    root, beside = split(data)
    if settings.val is not None:
        beside = Path(settings.val)
    if others := unused(data, *filter(None, (root, beside))):
        names = " and ".join(others[:_MOST_NAMED]) + (" ..." if others[_MOST_NAMED:] else "")
        warnings.append(f"{data}: {names} in it {'are' if others[1:] else 'is'} not used")
    train = read_tree(root)
    val = None if beside is None else read_tree(beside, train.classes)
    for tree in (train, val):
        if tree is not None and tree.ignored:
            files = plural(tree.ignored, "file")
            warnings.append(f"{tree.root}: {files} left out, as images have other names")
    if val is not None and (lacking := len(val.classes) - len(set(val.labels))):
        classes = "1 class has" if lacking == 1 else f"{lacking} classes have"
        warnings.append(f"{val.root}: {classes} no images to validate on")
    return train, val, warnings


def _workers(world: int, batches: int) -> int:
    """One for each core that this process has for itself, and no more than there are batches."""
    here = os.environ.get("LOCAL_WORLD_SIZE", "")
    share = usable_cores() // (int(here) if here.isdecimal() and int(here) else world)
    return max(1, min(share, batches))
