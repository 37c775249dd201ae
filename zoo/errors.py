"""The errors that the library raises on purpose, in one tree: ``except zoo.errors.ZooError``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.weights.match import Match


class ZooError(Exception):
    """What the library can't do; the message says why, and what would help."""


class UnknownModelError(ZooError, ValueError):
    """No model has that name; ``nearest`` holds the closest ones there are, best first."""

    def __init__(self, name: str, nearest: Sequence[str]) -> None:
        # Both go to the base class, so that the error survives the way between two processes.
        super().__init__(name, nearest)
        self.name = name
        self.nearest = tuple(nearest)

    def __str__(self) -> str:
        if not self.nearest:
            return f"there is no model {self.name!r}; zoo.list_models() names them all"
        *others, last = map(repr, self.nearest)
        meant = f"{', '.join(others)} or {last}" if others else last
        return f"there is no model {self.name!r}; did you mean {meant}?"


class DuplicateModelError(ZooError, ValueError):
    """Two entry functions carry the same name."""


class WeightsError(ZooError, RuntimeError):
    """A variant's weights can't be had; the message says which, why, and what would help.

    Attributes:
        cause: the stable id of the reason, such as ``weights.unreachable``.
    """

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


class CheckpointError(ZooError, ValueError):
    """A checkpoint that wasn't loaded; the message says which and why.

    Attributes:
        cause: the stable id of the reason.
    """

    cause = "weights.unreadable"


class UnsafeCheckpointError(CheckpointError):
    """The file holds more than tensors and plain values, such as code."""

    cause = "weights.unsafe"


class UnreadableCheckpointError(CheckpointError):
    """The file is damaged, not a checkpoint, or of a layout that no model loads."""


class NotFiniteCheckpointError(CheckpointError):
    """The file holds NaN or infinity where the model computes with it."""

    cause = "weights.not-finite"


class MismatchedCheckpointError(CheckpointError):
    """The file's tensors are not those that the model expects; ``match`` says which differ."""

    cause = "weights.tensors-differ"

    def __init__(self, message: str, result: Match) -> None:
        super().__init__(message)
        self.match = result


class EmbeddingsError(ZooError):
    """Vectors can't be written so; one line says why, and what would be right."""


class TrainingError(ZooError, RuntimeError):
    """A training that can't go on; the message says why and what would help."""


class BadInput(TrainingError, ValueError):
    """A training that can't start with what it was given; the message says what would be right."""
