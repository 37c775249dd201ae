"""The state of a training as a file: written whole or not at all, and safe to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from zoo._util.files import SCRATCH_PREFIX, AtomicFile, replace_file
from zoo.training.errors import BadInput, TrainingError

if TYPE_CHECKING:
    from torch import Tensor

LAST, BEST, MODEL = "last.pth", "best.pth", "model.pth"
_FORMAT = 2


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


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    try:
        replace_file(path, text.encode("utf-8"))
    except OSError as error:
        raise TrainingError(f"{path}: can't be written: {error.strerror or error}") from error
