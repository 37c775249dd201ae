"""What a training leaves in its folder, and finds there when it goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.training import checkpoints
from zoo.training.errors import BadInput
from zoo.training.logs import Log
from zoo.training.watch import EpochReport

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.training.loop import Trainer
    from zoo.training.planning import Plan

CLASSES = "classes.txt"
_SAVE_SECONDS = 600.0
_KEYS = {"identity", "position", "sums", "best", "model"}


@dataclass(slots=True)
class Position:
    """Where a training stands.

    Attributes:
        steps_per_epoch: of optimisation.
        sums: of the epoch that runs, in this process: losses, and the pictures that had them.
        epoch: whole epochs that are done.
        in_epoch: steps of the next one that are done.
        best: the epoch, from 1, of the best accuracy, and that accuracy.
    """

    steps_per_epoch: int
    sums: Tensor
    epoch: int = 0
    in_epoch: int = 0
    best: tuple[int, float] | None = None

    @property
    def step(self) -> int:
        """Optimisation steps taken, of all epochs."""
        return self.epoch * self.steps_per_epoch + self.in_epoch

    def state(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "position": [self.epoch, self.in_epoch],
            "sums": self.sums.tolist(),
            "best": None if self.best is None else list(self.best),
        }

    def load_state(self, state: Mapping[str, Any], *, first: bool) -> None:
        """Goes on from what `state` gave.

        Args:
            state: of the first process, as it alone writes.
            first: this is that process; the sums are not those of any other.
        """
        self.epoch, self.in_epoch = state["position"]
        self.best = None if state["best"] is None else (state["best"][0], state["best"][1])
        if first:
            self.sums.copy_(self.sums.new_tensor(state["sums"]))

    def end_epoch(self) -> None:
        """The next epoch begins."""
        self.epoch, self.in_epoch = self.epoch + 1, 0
        self.sums.zero_()


class Folder:
    """The folder of a training. Only the first process writes to it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.path = Path(plan.settings.output)
        self._log: Log | None = None
        self._saved = time.monotonic()

    def state(self) -> dict[str, Any] | None:
        """The state to go on from; None where there is none.

        Raises:
            BadInput: there is one, and it was not asked for, or is of another training.
        """
        path = self.path / checkpoints.LAST
        if not path.exists():
            return None
        if not self._plan.settings.resume:
            raise BadInput(
                f"{self.path}: holds a training already; go on with it (--resume auto), or "
                "choose another --output"
            )
        state = checkpoints.load_training(path)
        then = state.get("identity")
        if not isinstance(then, dict) or not state.keys() >= _KEYS:
            raise BadInput(f"{path}: is no state of a training that this version can read")
        for name, value in self._plan.identity().items():
            if then.get(name) != value:
                raise BadInput(
                    f"{path}: was trained with another {name.replace('_', ' ')}"
                    f"{_both(then.get(name), value)}; give the same to go on, or another --output"
                )
        return state

    def open(self, position: Position) -> None:
        """Makes the folder and the log.

        Raises:
            BadInput: it can't be made.
            TrainingError: it can't be written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{self.path}: can't be made: {error.strerror or error}") from error
        names = "".join(f"{name}\n" for name in self._plan.train.classes)
        checkpoints.write_text(self.path / CLASSES, names)
        self._log = Log(
            self.path,
            epochs_done=position.epoch,
            steps_done=position.step,
            tensorboard=self._plan.settings.tensorboard,
        )
        self._saved = time.monotonic()

    @property
    def log(self) -> Log:
        """The log, after `open`."""
        assert self._log is not None
        return self._log

    def epoch(
        self, report: EpochReport, trainer: Trainer, position: Position, *, best: bool
    ) -> None:
        """Writes the row, then the files; what a kill in between leaves is written over."""
        self.log.epoch(report)
        if best:
            self._save(checkpoints.BEST, trainer, position)
            self.model(trainer)
        self._save(checkpoints.LAST, trainer, position)

    def step(self, trainer: Trainer, position: Position) -> None:
        """Keeps the state in the middle of an epoch too, each so many steps and from time to time.

        By the clock as well: where it is kept makes no difference to what follows.
        """
        steps = self._plan.settings.save_steps
        due = steps is not None and position.step % steps == 0
        if due or time.monotonic() - self._saved > _SAVE_SECONDS:
            self._save(checkpoints.LAST, trainer, position)

    def model(self, trainer: Trainer) -> None:
        """Writes the weights alone."""
        state = checkpoints.portable(trainer.best_model.state_dict())
        checkpoints.save(state, self.path / checkpoints.MODEL)

    def close(self) -> None:
        """Wait for what is written in the background."""
        if self._log is not None:
            self._log.close()

    def _save(self, name: str, trainer: Trainer, position: Position) -> None:
        state = {"identity": self._plan.identity(), **position.state(), **trainer.state()}
        checkpoints.save_training(state, self.path / name)
        self._saved = time.monotonic()


def _both(then: object, now: object) -> str:
    """Two short values; lists of classes are too long to show."""
    if isinstance(then, list) or isinstance(now, list):
        return ""
    return f" ({then}, now {now})"
