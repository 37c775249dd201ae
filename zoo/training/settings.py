"""What a training is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from zoo.errors import BadInput
from zoo.index.types import Variant
from zoo.training.recipe import Augmentation, Recipe

Amp = Literal["off", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training is asked to do.

    Attributes:
        name: the variant, one of ``zoo.list_models()``.
        data: a folder with one folder of pictures per class, or with a ``train`` and a ``val``
            folder of that kind.
        output: the folder to write to.
        val: the folder of the validation pictures.
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
        workers: processes that decode pictures, per process of the training; chosen by default.
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
    recipe: Recipe | None = None
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
