"""Settings of a training, and the recipe that follows from them and the index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from zoo._util.text import shown
from zoo.errors import BadInput
from zoo.index.types import Variant
from zoo.training.recipe import KEPT, Augmentation, TrainingRecipe, recipe_of, unusable

Amp = Literal["off", "bf16", "fp16"]

# Of each process, where nothing else is asked for: recipes' batches are those of dozens of GPUs.
_USUAL_BATCH = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training is asked to do.

    Attributes:
        name: the variant, one of ``zoo.list_models()``.
        data: a folder with one folder of images per class, or with a ``train`` and a ``val``
            folder of that kind.
        output: the folder to write to.
        val: the folder of the validation images.
        variant: the variant's entry in an index; the one that ships with this package by default.
        recipe: taken as it is; by default it is made from the claims of ``variant``. The settings
            that stand in place of a recipe's contradict it.
        finetune: begin with the published weights and a new classifier.
        freeze: train the classifier alone.
        freeze_norms: leave norms in evaluation mode: their statistics stay as they are.
        epochs, batch_size, lr, augment: in place of those of the recipe that the claims make.
        device: auto, cpu, cuda or cuda:N.
        amp: mixed precision.
        compile: compile the model with torch.compile.
        ema: validate and keep the moving average of the weights.
        ema_decay: how much of itself it keeps at each step.
        workers: processes that decode images, per process of the training; chosen by default.
        seed: of all that is random.
        resume: go on with the training that ``output`` holds, if it holds one.
        max_steps: stop after so many optimisation steps; resuming goes on from there.
        save_steps: keep the state each so many steps too, not only at the end of an epoch.
        tensorboard: write TensorBoard's files as well.

    Raises:
        BadInput: settings are out of range, or contradict each other.
    """

    name: str
    data: Path | str
    output: Path | str
    val: Path | str | None = None
    variant: Variant | None = None
    recipe: TrainingRecipe | None = None
    finetune: bool = False
    freeze: bool = False
    freeze_norms: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    augment: Augmentation | None = None
    device: str = "auto"
    amp: Amp = "off"
    compile: bool = False
    ema: bool = False
    ema_decay: float = 0.9998
    workers: int | None = None
    seed: int = 0
    resume: bool = False
    max_steps: int | None = None
    save_steps: int | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.amp not in get_args(Amp):
            raise BadInput(f"amp must be off, bf16 or fp16, not {self.amp!r}")
        if self.freeze and not self.finetune:
            raise BadInput("freezing needs pretrained layers: fine-tune (--finetune --freeze)")
        asked = ("epochs", "batch_size", "lr", "augment")
        given = [name for name in asked if getattr(self, name) is not None]
        if self.recipe is not None and given:
            raise BadInput(f"a recipe is taken as it is: put {given[0]} into the recipe itself")
        if not 0 <= self.ema_decay < 1:
            raise BadInput(f"ema_decay must be from 0 to below 1, not {self.ema_decay}")
        for name in ("max_steps", "save_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"{name} must be 1 or more, not {value}")
        if self.workers is not None and self.workers < 0:
            raise BadInput(f"workers must be 0 or more, not {self.workers}")
        if not 0 <= self.seed < 2**63:
            raise BadInput(f"seed must be from 0 to 2**63 - 1, not {self.seed}")


def resolve_recipe(
    settings: Settings,
    variant: Variant,
    images: int,
    world: int,
    notes: list[str],
    warnings: list[str],
) -> TrainingRecipe:
    """Resolve the recipe of a training from the index and the settings.

    Args:
        settings: what was asked for; it has no recipe of its own.
        variant: whose claims make the recipe.
        images: how many there are to train on.
        world: how many processes share a batch.
        notes: sentences about what follows from it are added here.
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
        batch_size = max(world, min(batch_size, images // world * world))
    if batch_size < 1:
        raise BadInput(f"batch size must be 1 or more, not {batch_size}")
    if settings.lr is not None:
        recipe = replace(recipe, lr=settings.lr, batch_size=batch_size)
    elif batch_size != recipe.batch_size:
        known, recipe = recipe, recipe.at_batch_size(batch_size)
        notes.append(
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


def check_batch(batch_size: int, images: int, world: int) -> None:
    """Whether a batch can be shared and filled.

    Raises:
        BadInput: it can't.
    """
    if batch_size % world:
        raise BadInput(
            f"a batch of {batch_size} can't be shared by {world} processes; "
            f"--batch-size {max(1, batch_size // world) * world} can"
        )
    if images < batch_size:
        raise BadInput(
            f"{images} images fill no batch of {batch_size}; lower --batch-size, or add some"
        )


def _mistakes(settings: Settings, variant: Variant, recipe: TrainingRecipe) -> list[str]:
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
