"""From settings to what a training will do, said in sentences before it is done."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.index.types import Variant
from zoo.preprocessing import Preprocessing, package_variant, variant_preprocessing
from zoo.training.errors import BadInput
from zoo.training.folders import Tree, read_tree, split
from zoo.training.recipe import Recipe, recipe_of
from zoo.training.settings import Settings

if TYPE_CHECKING:
    from zoo.models._base import ImageClassifier
    from zoo.training.distributed import Ranks

# Of each process, where nothing else is asked for: recipes' batches are those of dozens of GPUs.
_USUAL_BATCH = 64
_MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training will do.

    Attributes:
        settings: what was asked for.
        variant: what is trained.
        recipe: with all that was asked for in its place.
        preprocessing: the evaluation transform.
        train, val: the pictures.
        workers: processes that decode, for this process.
        sentences: what to say of it.
        warnings: what is not as it should be.
    """

    settings: Settings
    variant: Variant
    recipe: Recipe
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
        del recipe["stated"], recipe["not_followed"]
        return {
            "variant": settings.name,
            "classes": list(self.train.classes),
            "pictures": len(self.train),
            "preprocessing": self.preprocessing.key(),
            "finetune": settings.finetune,
            "freeze": settings.freeze,
            "freeze_norms": settings.freeze_norms,
            "amp": settings.amp,
            "ema": settings.ema_decay if settings.ema else None,
            "seed": settings.seed,
            **recipe,
        }


def make_plan(settings: Settings, ranks: Ranks) -> Plan:
    """Looks at the data and settles the recipe.

    Raises:
        BadInput: the data can't be trained on, or the settings don't go with it.
        zoo.registry.UnknownModelError: there is no such variant.
    """
    variant = settings.variant or package_variant(settings.name)
    try:
        preprocessing = variant_preprocessing(variant)
    except ValueError as error:
        raise BadInput(f"{settings.name}: {error}") from error
    root, beside = split(Path(settings.data))
    if settings.val is not None:
        root, beside = Path(settings.data) if beside is None else root, Path(settings.val)
    train = read_tree(root)
    val = None if beside is None else read_tree(beside, train.classes)
    said: list[str] = []
    warnings: list[str] = []
    recipe = settings.recipe
    if recipe is None:
        recipe = _recipe(settings, recipe_of(variant), len(train), ranks.world, said, warnings)
    _check_batch(recipe.batch_size, len(train), ranks.world)
    workers = _workers(ranks.world) if settings.workers is None else settings.workers
    checked = f"{len(val)} to validate on" if val else "none to validate on"
    places = f"{ranks.world} processes" if ranks.world > 1 else "1 process"
    start = "its published weights" if settings.finetune else "random weights"
    start += ", all but the new classifier frozen" if settings.freeze else ""
    head = (
        f"{settings.name} from {start}: {len(train)} pictures of {len(train.classes)} classes, "
        f"{checked}; {ranks.device}, {places}"
    )
    for tree in (train, val):
        if tree is not None and tree.ignored:
            warnings.append(f"{tree.root}: {tree.ignored} files are no pictures, and left out")
    if val is not None and (lacking := len(val.classes) - len(set(val.labels))):
        warnings.append(f"{val.root}: {lacking} classes have no pictures to validate on")
    said = [head, recipe.sentence(), *said]
    return Plan(
        settings, variant, recipe, preprocessing, train, val, workers, tuple(said), tuple(warnings)
    )


def build(plan: Plan, fetch: Callable[[Variant], Path] | None) -> ImageClassifier:
    """The model that the training begins with; equal in every process.

    Args:
        plan: says which.
        fetch: gives the variant's published weights as a file, for a fine-tuning; None leaves the
            weights random, for a state that is loaded next.

    Raises:
        BadInput: the family can't be built so.
        zoo.weights.WeightsError: the published weights can't be had.
        zoo.weights.tensors.CheckpointError: they are not what they should be.
    """
    import torch

    from zoo.training.data import derived
    from zoo.variants import create_variant
    from zoo.weights.tensors import CheckpointError, load_into

    classes = len(plan.train.classes)
    published = fetch if plan.settings.finetune else None
    torch.manual_seed(derived(plan.settings.seed, "weights"))
    try:
        model = create_variant(
            plan.variant,
            classes if published is None else None,
            drop_rate=plan.recipe.dropout,
            drop_block_rate=plan.recipe.drop_block,
        )
        if published is not None:
            load_into(model, published(plan.variant))
    except CheckpointError:
        raise
    except ValueError as error:
        raise BadInput(str(error)) from error
    if published is not None:
        # As many classes as the published weights have don't make them the same ones.
        model.reset_classifier(classes)
    return model


def _recipe(
    settings: Settings,
    recipe: Recipe,
    pictures: int,
    world: int,
    said: list[str],
    warnings: list[str],
) -> Recipe:
    """The variant's recipe with what was asked for in its place; says what follows from it."""
    documented = recipe
    if recipe.not_followed and not settings.finetune:
        names = ", ".join(recipe.not_followed)
        warnings.append(f"the index also states {names}: not done here")
    source = "of the index" if "lr" in recipe.stated else "(the usual one)"
    if settings.finetune:
        recipe = recipe.finetuning(freeze=settings.freeze)
        source = "of fine-tuning"
    asked = {"epochs": settings.epochs, "augment": settings.augment}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    recipe = replace(recipe, **given)
    batch_size = settings.batch_size
    if batch_size is None:
        batch_size = min(recipe.batch_size, _USUAL_BATCH * world)
        batch_size = max(world, min(batch_size, pictures // world * world))
    if batch_size < 1:
        raise BadInput(f"batch size must be 1 or more, not {batch_size}")
    if settings.lr is not None:
        recipe = replace(recipe, lr=settings.lr, batch_size=batch_size)
    elif batch_size != recipe.batch_size:
        known, recipe = recipe, recipe.at_batch_size(batch_size)
        said.append(
            f"LR {known.lr:g} {source} is for batches of {known.batch_size}; by the linear rule "
            f"it is {recipe.lr:g} for batches of {batch_size} (--lr sets another)"
        )
    same = {name for name in recipe.stated if getattr(recipe, name) == getattr(documented, name)}
    return replace(recipe, stated=tuple(name for name in recipe.stated if name in same))


def _check_batch(batch_size: int, pictures: int, world: int) -> None:
    if batch_size % world:
        raise BadInput(
            f"a batch of {batch_size} can't be shared by {world} processes; "
            f"--batch-size {max(1, batch_size // world) * world} can"
        )
    if pictures < batch_size:
        raise BadInput(
            f"{pictures} pictures fill no batch of {batch_size}; lower --batch-size, or add some"
        )


def _workers(world: int) -> int:
    """One for each core that this process has for itself, within reason."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count() or 1
    here = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    return max(1, min(_MOST_WORKERS, cores // here))
