"""A variant's recipe with what was asked for in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zoo._util.text import shown
from zoo.errors import BadInput
from zoo.index.types import Variant
from zoo.training.recipe import KEPT, Recipe, recipe_of, unusable
from zoo.training.settings import Settings

# Of each process, where nothing else is asked for: recipes' batches are those of dozens of GPUs.
_USUAL_BATCH = 64


def settle(
    settings: Settings,
    variant: Variant,
    pictures: int,
    world: int,
    said: list[str],
    warnings: list[str],
) -> Recipe:
    """The recipe of a training; says what follows from it.

    Args:
        settings: what was asked for; it has no recipe of its own.
        variant: whose claims make the recipe.
        pictures: how many there are to train on.
        world: how many processes share a batch.
        said: sentences are added to it.
        warnings: and to this those about what is not followed.

    Raises:
        BadInput: what was asked for is out of range.
    """
    documented = recipe = recipe_of(variant)
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
    warnings += _mistakes(settings, variant, recipe)
    same = {
        name
        for name in (*recipe.stated, *recipe.named)
        if getattr(recipe, name) == getattr(documented, name)
    }
    return replace(
        recipe,
        stated=tuple(name for name in recipe.stated if name in same),
        named=tuple(name for name in recipe.named if name in same),
    )


def check_batch(batch_size: int, pictures: int, world: int) -> None:
    """Whether a batch can be shared and filled.

    Raises:
        BadInput: it can't.
    """
    if batch_size % world:
        raise BadInput(
            f"a batch of {batch_size} can't be shared by {world} processes; "
            f"--batch-size {max(1, batch_size // world) * world} can"
        )
    if pictures < batch_size:
        raise BadInput(
            f"{pictures} pictures fill no batch of {batch_size}; lower --batch-size, or add some"
        )


def _mistakes(settings: Settings, variant: Variant, recipe: Recipe) -> list[str]:
    """A line for each claim that would have counted here, and can't."""
    overruled = {
        name for name in ("epochs", "batch_size", "lr") if getattr(settings, name) is not None
    }
    return [
        f"the index states {shown(claim.field)}: {shown(claim.raw)}, which can't be used; "
        f"{getattr(recipe, name):g} is taken instead"
        for name, claim in unusable(variant).items()
        if name not in overruled and (name in KEPT or not settings.finetune)
    ]
