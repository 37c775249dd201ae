"""Progress of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.weights.types import DownloadProgress as Downloads


class Progress:
    """Receives the progress of a run; this one ignores it."""

    def plan(self, sentence: str) -> None:
        """The plan of the run, in one line, before it starts."""

    def warn(self, sentence: str) -> None:
        """A warning: what the run has to do without, in one line."""

    def tell(self, sentence: str) -> None:
        """A line of information."""

    def downloads(self) -> Downloads | None:
        """What receives the progress of each download, or None."""
        return None

    def start(self, total: int) -> None:
        """The number of measurements to make."""

    def advance(self, name: str) -> None:
        """One of them is done, for that variant."""

    def close(self) -> None:
        """The end."""
