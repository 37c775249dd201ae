"""The folder of a training: its lock, checkpoints, log and classes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo._util.files import PRIVATE, take_lock
from zoo.errors import BadInput
from zoo.training.logs import CSV, EpochReport, Log, is_log
from zoo.training.state import (
    BEST,
    LAST,
    MODEL,
    Position,
    load_training,
    portable,
    remove_parts,
    save,
    save_training,
    write_text,
)

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from zoo.training.plan import Plan
    from zoo.training.trainer import Trainer

CLASSES = "classes.txt"
_LOCK = ".lock"
# The processes that decode for a training that was killed notice it within five seconds, and with
# an old filelock they hold its lock until then.
_LOCK_SECONDS = 6.0
_SAVE_SECONDS = 600.0


class RunDir:
    """The folder of a training, from `enter` to `close`. Only the first process has one.

    Attributes:
        kept: the steps, of all epochs, that the saved state holds.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.path = Path(plan.settings.output)
        self._lock: BaseFileLock | None = None
        self._is_new = False
        self._log: Log | None = None
        self._saved = time.monotonic()
        self._kept = 0, 0
        self.kept = 0

    def enter(self) -> dict[str, Any] | None:
        """Make the folder and lock it; the state to go on from, None where there is none.

        Raises:
            BadInput: the folder can't be made, another training writes to it, or it holds one that
                was not asked for, or is another one.
        """
        from filelock import FileLock

        try:
            self._is_new = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / _LOCK, mode=PRIVATE)
            taken = take_lock(lock, _LOCK_SECONDS, str(self.path))
        except OSError as error:
            raise BadInput(f"{self.path}: can't be made: {error.strerror or error}") from error
        if not taken:
            raise BadInput(
                f"{self.path}: another training writes there just now; choose another --output"
            )
        self._lock = lock
        try:
            remove_parts(self.path)
        except OSError as error:
            raise BadInput(
                f"{self.path}: can't be cleared of what a killed training left: "
                f"{error.strerror or error}"
            ) from error
        return self._state()

    def begin(self, position: Position) -> None:
        """Open the log, and write the files that are missing beside an existing state.

        Raises:
            BadInput: what is there is no log, or the best weights are gone.
            TrainingError: it can't be written to.
        """
        self._log = Log(
            self.path,
            epochs_done=position.epoch,
            steps_done=position.step,
            tensorboard=self._plan.settings.tensorboard,
        )
        if position.step:
            self._write_classes()
        if position.best is not None and not (self.path / MODEL).exists():
            self._restore_model()
        self._note(position)

    @property
    def log(self) -> Log:
        """The log, after `begin`."""
        assert self._log is not None
        return self._log

    def epoch(self, report: EpochReport, trainer: Trainer, position: Position) -> None:
        """Write the row, then the files; a kill in between leaves what the next run overwrites."""
        self.log.epoch(report)
        best = None if position.best is None else position.best[0]
        if best == position.epoch and not position.in_epoch:
            self._save(BEST, trainer, position)
            self.model(trainer)
        self.save(trainer, position)
        # After the state: weights without a state belong to another program.
        if best is None:
            self.model(trainer)

    def step(self, trainer: Trainer, position: Position) -> None:
        """Save the state within an epoch, every `save_steps` steps and at intervals.

        By the clock as well: where it is kept makes no difference to what follows.
        """
        steps = self._plan.settings.save_steps
        due = steps is not None and position.step % steps == 0
        if due or time.monotonic() - self._saved > _SAVE_SECONDS:
            self.save(trainer, position)

    def save(self, trainer: Trainer, position: Position) -> None:
        self._save(LAST, trainer, position)
        self._write_classes()
        self._note(position)

    def keep(self, trainer: Trainer, position: Position) -> None:
        """Save the checkpoint, unless it is there already."""
        if (position.epoch, position.in_epoch) != self._kept:
            self.save(trainer, position)

    def model(self, trainer: Trainer) -> None:
        self._write_model(trainer.best_model.state_dict())

    def close(self) -> None:
        """Wait for background writes and release the lock."""
        if self._log is not None:
            self._log.close()
        if self._lock is None:
            return
        if self._is_new and self._log is None:
            # Nothing began: the folder is as it was, which is not there.
            with suppress(OSError):
                (self.path / _LOCK).unlink()
                self.path.rmdir()
        self._lock.release()

    def _note(self, position: Position) -> None:
        self._saved = time.monotonic()
        self._kept, self.kept = (position.epoch, position.in_epoch), position.step

    def _state(self) -> dict[str, Any] | None:
        path = self.path / LAST
        if not path.exists():
            self._check_foreign()
            return None
        if not self._plan.settings.resume:
            raise BadInput(
                f"{self.path}: holds a training already; go on with it (--resume auto), or "
                "choose another --output"
            )
        state = load_training(path)
        then = state.get("identity")
        if not isinstance(then, dict):
            raise BadInput(f"{path}: is no state of a training that this version can read")
        then |= _renamed(then)
        for name, value in self._plan.identity().items():
            if then.get(name) != value:
                raise BadInput(
                    f"{path}: was trained with another {name.replace('_', ' ')}"
                    f"{_both(then.get(name), value)}; give the same to go on, or another --output"
                )
        return state

    def _check_foreign(self) -> None:
        """Refuse to overwrite files that a training would have left together with its state."""
        names = (MODEL, BEST, CLASSES)
        found = [name for name in names if (self.path / name).exists()]
        if not is_log(self.path):
            found.append(CSV)
        if found:
            raise BadInput(
                f"{self.path}: holds {' and '.join(found)}, and no {LAST} to go on "
                "from; move it away, or choose another --output"
            )

    def _restore_model(self) -> None:
        """Write the best weights again, where their file was removed."""
        state = load_training(self.path / BEST)
        average = state.get("ema")
        weights = state.get("model") if average is None else average
        if not isinstance(weights, Mapping):
            raise BadInput(f"{self.path / BEST}: has no weights in it")
        prefix = "" if average is None else "module."
        self._write_model(
            {name[len(prefix) :]: v for name, v in weights.items() if name.startswith(prefix)}
        )

    def _write_model(self, weights: Mapping[str, Any]) -> None:
        save(portable(weights), self.path / MODEL)

    def _write_classes(self) -> None:
        names = "".join(f"{name}\n" for name in self._plan.train.classes)
        write_text(self.path / CLASSES, names)

    def _save(self, name: str, trainer: Trainer, position: Position) -> None:
        trainer.check_finite()
        state = {"identity": self._plan.identity(), **position.state(), **trainer.state()}
        save_training(state, self.path / name)


def _renamed(identity: Mapping[Any, Any]) -> dict[str, Any]:
    """The lists of images as this version names them; earlier ones had another word."""
    return {
        key.replace("pictures", "images"): str(value).replace("pictures", "images")
        for key, value in identity.items()
        if key in ("list of pictures", "list of validation pictures") and value is not None
    }


def _both(then: object, now: object) -> str:
    """Two short values; lists of classes are too long to show."""
    if isinstance(then, list) or isinstance(now, list):
        return ""
    return f" ({then}, now {now})"
