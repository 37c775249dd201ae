"""The position of a training, and checks of a stored one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(slots=True)
class Position:
    """Where a training stands.

    Attributes:
        steps_per_epoch: of optimisation.
        sums: of the epoch that runs, over all processes: losses, and the images that had them.
        epoch: whole epochs that are done, their validation too.
        in_epoch: steps of the next one that are done.
        lr: the learning rate of the step last taken.
        best: the epoch, from 1, of the best accuracy, and that accuracy.
    """

    steps_per_epoch: int
    sums: Tensor
    epoch: int = 0
    in_epoch: int = 0
    lr: float = 0.0
    best: tuple[int, float] | None = None

    @property
    def step(self) -> int:
        """Optimisation steps taken, of all epochs."""
        return self.epoch * self.steps_per_epoch + self.in_epoch

    @property
    def ending(self) -> bool:
        """All steps of an epoch are taken, and its end is still to come: the validation."""
        return self.in_epoch == self.steps_per_epoch

    @property
    def started(self) -> int:
        """Epochs of which at least one step is taken."""
        return self.epoch + (self.in_epoch > 0)

    def state(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "position": [self.epoch, self.in_epoch],
            "sums": self.sums.tolist(),
            "lr": self.lr,
            "best": None if self.best is None else list(self.best),
        }

    def load_state(self, state: Mapping[str, Any], epochs: int) -> None:
        """Resume from a `state`.

        Args:
            state: of any process: it is the same in all of them.
            epochs: how many there are to be.

        Raises:
            KeyError, TypeError, ValueError: it is none that `state` can have given.
        """
        epoch, in_epoch = map(_whole, state["position"])
        _need(epoch <= epochs and in_epoch <= self.steps_per_epoch)
        _need(epoch < epochs or in_epoch == 0)
        sums = [_number(value) for value in state["sums"]]
        _need(len(sums) == 2 and (sums[1] > 0) == (in_epoch > 0))
        best = state["best"]
        if best is not None:
            number, top1 = _whole(best[0]), _number(best[1])
            _need(1 <= number <= epoch and top1 <= 100)
            best = number, top1
        self.epoch, self.in_epoch, self.best = epoch, in_epoch, best
        self.lr = _number(state["lr"])
        self.sums.copy_(self.sums.new_tensor(sums))

    def end_epoch(self) -> None:
        """The next epoch begins."""
        self.epoch, self.in_epoch = self.epoch + 1, 0
        self.sums.zero_()


def fits(found: object, wanted: object) -> bool:
    """Whether a state has the parts of another: names, lengths, kinds, and shapes of tensors."""
    import torch

    if isinstance(wanted, torch.Tensor):
        return (
            isinstance(found, torch.Tensor)
            and found.shape == wanted.shape
            and found.dtype == wanted.dtype
        )
    if isinstance(wanted, Mapping):
        return (
            isinstance(found, Mapping)
            and found.keys() == wanted.keys()
            and all(fits(found[key], value) for key, value in wanted.items())
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(wanted)
            and all(map(fits, found, wanted))
        )
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return type(found) is type(wanted)
    return isinstance(found, int | float) and math.isfinite(found)


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float) or not 0 <= value < math.inf:  # type: ignore[operator]
        raise ValueError(f"{value!r} is no number from 0")
    return float(value)  # type: ignore[arg-type]


def _need(holds: bool) -> None:
    if not holds:
        raise ValueError("its numbers contradict each other")
