"""Training and fine-tuning from a recipe, with torch's and torchvision's own parts.

    >>> from zoo.training import Settings, train
    >>> outcome = train(Settings("efficientnet_lite0", "pictures", "runs/mine", finetune=True))
    >>> outcome.top1
    93.5

`train` runs in one process, or in each of those that torchrun starts.
"""

from __future__ import annotations

from zoo.training.errors import BadInput, TrainingError
from zoo.training.recipe import Recipe, recipe_of
from zoo.training.run import Outcome, train
from zoo.training.settings import Settings
from zoo.training.watch import Watcher

__all__ = [
    "BadInput",
    "Outcome",
    "Recipe",
    "Settings",
    "TrainingError",
    "Watcher",
    "recipe_of",
    "train",
]
