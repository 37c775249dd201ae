"""Training and fine-tuning from a recipe, with torch's and torchvision's own parts.

    >>> from zoo.training import Settings, train
    >>> outcome = train(Settings("efficientnet_lite0", "images", "runs/mine", finetune=True))
    >>> outcome.top1
    93.5

`train` runs in one process, or in each of those that torchrun starts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.errors import BadInput, TrainingError

if TYPE_CHECKING:
    from zoo.training.config import Settings, TrainingRecipe, recipe_of
    from zoo.training.logs import Callbacks
    from zoo.training.run import Outcome, train

__all__ = [
    "BadInput",
    "Callbacks",
    "Outcome",
    "Settings",
    "TrainingError",
    "TrainingRecipe",
    "recipe_of",
    "train",
]

_HOMES = {
    "Callbacks": "logs",
    "Outcome": "run",
    "Settings": "config",
    "TrainingRecipe": "config",
    "recipe_of": "config",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo.training' has no attribute {name!r}")
    return getattr(import_module(f"zoo.training.{_HOMES[name]}"), name)
