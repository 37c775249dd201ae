"""The log of a training: one row per epoch as CSV, and TensorBoard's files where asked for."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from zoo.training.callbacks import EpochReport, StepReport
from zoo.training.checkpoints import write_text
from zoo.training.errors import BadInput, TrainingError

CSV = "log.csv"
_COLUMNS = [field.name for field in fields(EpochReport)]


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
        """A new row."""
        row = {name: "" if value is None else str(value) for name, value in asdict(report).items()}
        self._rows.append(row)
        self._write()
        if self._board is not None:
            for name, value in asdict(report).items():
                if value is not None and name not in ("epoch", "step"):
                    self._board.add_scalar(f"epoch/{name}", value, report.step)
            self._board.flush()

    def close(self) -> None:
        """TensorBoard writes in the background: wait for it."""
        if self._board is not None:
            self._board.close()

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self._path, text.getvalue())


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
        raise BadInput("TensorBoard is not installed; install the extra train") from error
    # Events at or after this step come from a killed process, and will come again.
    return SummaryWriter(str(folder), purge_step=steps_done + 1)
