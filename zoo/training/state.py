"""The state of a training: its position, and files that are written whole and safe to read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoo._util.files import SCRATCH_PREFIX, AtomicFile, replace_file
from zoo.errors import BadInput, TrainingError

if TYPE_CHECKING:
    from torch import Tensor

LAST, BEST, MODEL = "last.pth", "best.pth", "model.pth"
_FORMAT = 2


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
        return {
            "position": [self.epoch, self.in_epoch],
            "sums": self.sums.tolist(),
            "lr": self.lr,
            "best": None if self.best is None else list(self.best),
        }

    def load_state(self, state: Mapping[str, Any], epochs: int) -> None:
        """Resume from a `state` of any process, up to so many epochs.

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


def save(state: Mapping[str, Any], path: Path) -> None:
    """Write tensors and plain values with torch.save, so that a reader sees old or new, whole.

    Raises:
        TrainingError: the disk is full, for example; what was there before is as it was.
    """
    import torch

    try:
        with AtomicFile(path) as new:
            _Writer(new.file).write_all(lambda writer: torch.save(dict(state), writer))
            new.settle()
            new.publish()
    except OSError as error:
        raise TrainingError(f"{path}: can't be written: {error.strerror or error}") from error


class _Writer:
    """A file that remembers why it can't be written.

    torch's zip writer turns that into a RuntimeError, which other things raise as well: a loader
    whose process has died does so in the middle of whatever is done.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self._error = error
            raise

    def flush(self) -> None:
        self._file.flush()

    def write_all(self, save: Callable[[Any], object]) -> None:
        """Call ``save`` with itself.

        Raises:
            OSError: of the file.
        """
        try:
            save(self)
        except RuntimeError:
            if self._error is not None:
                raise self._error from None
            raise


def save_training(state: Mapping[str, Any], path: Path) -> None:
    """As `save`, for `load_training` to read."""
    save({"zoo_training": _FORMAT, **state}, path)


def load_training(path: Path) -> dict[str, Any]:
    """The state of a training, its tensors on the CPU. Nothing that the file holds is executed.

    Raises:
        BadInput: the file is none that `save_training` wrote.
    """
    import pickle

    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BadInput(f"{path}: is no state of a training: {reason}") from error
    if not isinstance(state, dict) or state.get("zoo_training") != _FORMAT:
        raise BadInput(
            f"{path}: is no state of a training that this version can read; choose another --output"
        )
    return state


def portable(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict for others: on the CPU, each tensor contiguous and with bytes of its own."""
    import torch

    return {
        name: tensor.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)
        for name, tensor in state.items()
    }


def remove_parts(folder: Path) -> None:
    """Remove the partial files of a killed process; call it while no process saves."""
    for part in folder.glob(f"{SCRATCH_PREFIX}*"):
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a small file whole or not at all; where ``private``, no other user may read it."""
    try:
        replace_file(path, text.encode("utf-8"), private=private)
    except OSError as error:
        raise TrainingError(f"{path}: can't be written: {error.strerror or error}") from error
