"""Errors of a training, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from zoo.errors import BadInput, TrainingError

__all__ = ["BadInput", "TrainingError", "plain_errors"]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raise torch's errors about too little memory as a plain `TrainingError`.

    Raises:
        TrainingError: a process that decodes died, or memory is short.
    """
    try:
        yield
    except MemoryError as error:
        raise TrainingError("memory is short; lower --workers or --batch-size") from error
    except RuntimeError as error:
        from torch.cuda import OutOfMemoryError

        if isinstance(error, OutOfMemoryError):
            raise TrainingError("the GPU's memory is short; lower --batch-size") from error
        # The loader has no class for it, and raises it wherever this process happens to be.
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        raise TrainingError(
            "a process that decodes images died, perhaps for lack of memory; lower --workers, "
            "and go on with --resume auto"
        ) from error
