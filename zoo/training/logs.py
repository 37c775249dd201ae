"""What a training reports and writes down: callbacks, throughput, skipped images and the log.

The log has one row per epoch as CSV, and TensorBoard's files where they are asked for.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo._util.files import make_private
from zoo._util.install import install_command
from zoo.errors import BadInput, TrainingError
from zoo.training.state import write_text

if TYPE_CHECKING:
    from zoo.training.data import TrainBatch

CSV = "log.csv"
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class StepReport:
    """How far a training is.

    Attributes:
        epoch: the epoch that runs, from 1.
        epochs: how many there are to be.
        step: optimisation steps taken, of all epochs.
        steps: how many there are to be.
        loss: mean over the images of this epoch up to now, of all processes.
        lr: the learning rate of the step just taken.
        images_per_second: of this run, over all processes, validation left out.
        seconds_left: until the last step, at that speed, validation left out.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    lr: float
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch, as the log keeps it. Accuracies are percentages.

    Attributes:
        epoch: from 1.
        step: optimisation steps taken, of all epochs.
        lr: the learning rate of its last step.
        train_loss: mean over its images, augmented as they were.
        val_loss, top1, top5: of the validation images; None where there are none. Of five classes
            or fewer the right one is always among the best five, so that there is no top5.
        images_per_second: over all processes, validation left out; what was done before the
            process was last started does not count, and None is left where that was all.
        seconds: of the same part of the epoch, and of the validation.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    val_loss: float | None
    top1: float | None
    top5: float | None
    images_per_second: float | None
    seconds: float


class Callbacks:
    """Callbacks that do nothing; override those that you need.

    Every process of a training has one. What all processes share is reported by the first alone.
    """

    def info(self, sentence: str) -> None:
        """What is about to be done, or was decided; in the first process."""

    def warn(self, sentence: str) -> None:
        """What is not as it should be, and does not stop the training; in the process it is of."""

    def step(self, report: StepReport) -> None:
        """Some steps more were taken; in the first process."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is over, its validation too; in the first process."""

    def interrupted(self) -> None:
        """It ends early, and is about to be saved; in the first process."""


_COLUMNS = [field.name for field in fields(EpochReport)]


class Throughput:
    """Images of all processes, and seconds; of this run, without validation."""

    def __init__(self) -> None:
        self.images, self.seconds = 0.0, 0.0
        self._counted, self._since = 0.0, 0.0

    def start(self, count: float) -> None:
        """An epoch begins, or goes on, in which so many images are done."""
        self._counted, self._since = count, time.perf_counter()

    def add(self, count: float) -> None:
        """So many of the epoch's images are done by now."""
        now = time.perf_counter()
        self.images += count - self._counted
        self.seconds += now - self._since
        self._counted, self._since = count, now

    def since(self, images: float, seconds: float) -> float | None:
        """Images per second after a moment that had these; None where nothing was done."""
        if self.seconds == seconds:
            return None
        return (self.images - images) / (self.seconds - seconds)


class SkippedImages:
    """Report each unreadable image once, and count how often one was skipped."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._named: set[str] = set()
        self.count = 0

    def noted(self, batches: Iterable[TrainBatch]) -> Iterator[TrainBatch]:
        """The batches as they are."""
        for batch in batches:
            self.count += len(batch.unreadable)
            for line in batch.unreadable:
                self._note(line)
            yield batch

    def _note(self, line: str) -> None:
        if line in self._named or len(self._named) > _MOST_NAMED:
            return
        self._named.add(line)
        named = len(self._named) <= _MOST_NAMED
        self._callbacks.warn(f"left out: {line}" if named else "more are left out and counted")


class Log:
    """Where the epochs are written down.

    Args:
        folder: of the training.
        epochs_done: rows of later epochs, which a killed process wrote and which will be done
            again, are removed; so is every row of another training.
        steps_done: the same for TensorBoard.
        tensorboard: write its files too.

    Raises:
        BadInput: TensorBoard is not installed.
        TrainingError: the file can't be written.
    """

    def __init__(
        self, folder: Path, *, epochs_done: int, steps_done: int, tensorboard: bool
    ) -> None:
        self._path = folder / CSV
        self._rows = _rows(self._path, epochs_done)
        self._board = _board(folder, steps_done) if tensorboard else None
        self._write()

    def step(self, report: StepReport) -> None:
        """How far the training is, for TensorBoard alone."""
        if self._board is not None:
            self._board.add_scalar("step/loss", report.loss, report.step)
            self._board.add_scalar("step/lr", report.lr, report.step)

    def epoch(self, report: EpochReport) -> None:
        row = {name: "" if value is None else str(value) for name, value in asdict(report).items()}
        self._rows.append(row)
        self._write()
        if self._board is not None:
            for name, value in asdict(report).items():
                if value is not None and name not in ("epoch", "step"):
                    self._board.add_scalar(f"epoch/{name}", value, report.step)
            self._board.flush()
            self._guard_events()

    def close(self) -> None:
        """TensorBoard writes in the background: wait for it."""
        if self._board is not None:
            self._board.close()
            self._guard_events()

    def _guard_events(self) -> None:
        """TensorBoard opens its files when it likes, for everybody to read."""
        for events in self._path.parent.glob("events.out.tfevents.*"):
            make_private(events)

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self._path, text.getvalue(), private=True)


def is_log(folder: Path) -> bool:
    """Whether a new log may take the place of what is there: a log, or nothing."""
    path = folder / CSV
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), _COLUMNS) == _COLUMNS
    except FileNotFoundError:
        return True
    except (OSError, ValueError, csv.Error):
        return False


def _rows(path: Path, epochs_done: int) -> list[dict[str, str]]:
    if not epochs_done or not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            {name: row[name] for name in _COLUMNS}
            for row in rows
            if int(row["epoch"]) <= epochs_done
        ]
    except OSError as error:
        raise TrainingError(f"{path}: can't be read: {error.strerror or error}") from error
    except (KeyError, ValueError, csv.Error) as error:
        raise BadInput(f"{path}: is not the log of a training; move it away") from error


def _board(folder: Path, steps_done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BadInput(f"TensorBoard is not installed; {install_command('train')}") from error
    # Events at or after this step come from a killed process, and will come again.
    return SummaryWriter(str(folder), purge_step=steps_done + 1)
