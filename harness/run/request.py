"""What a run reports while it goes on; how it is asked for is in `harness.config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.config import (
    DEFAULT_GROUPS,
    GROUPS,
    USUAL_BATCHES,
    USUAL_SECONDS,
    USUAL_TIMEOUT,
    UsageError,
)
from harness.config import RunConfig as Request

if TYPE_CHECKING:
    from zoo.weights.types import DownloadProgress as Downloads

__all__ = [
    "DEFAULT_GROUPS",
    "GROUPS",
    "USUAL_BATCHES",
    "USUAL_SECONDS",
    "USUAL_TIMEOUT",
    "Progress",
    "Request",
    "UsageError",
]


class Progress:
    """What a run tells while it goes on; this one says nothing."""

    def plan(self, sentence: str) -> None:
        """What the run will do, in one line, before it does it."""

    def warn(self, sentence: str) -> None:
        """What the run has to do without, in one line."""

    def tell(self, sentence: str) -> None:
        """What the run has seen, in one line."""

    def downloads(self) -> Downloads | None:
        """Who is told how each file's download goes on; None for nobody."""
        return None

    def start(self, total: int) -> None:
        """So many measurements have to be made."""

    def advance(self, name: str) -> None:
        """One of them, of that variant, is done."""

    def close(self) -> None:
        """No more will be told."""
