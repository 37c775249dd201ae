"""Progress of a run, and the time that it takes."""

from __future__ import annotations

import platform
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from zoo import __version__

if TYPE_CHECKING:
    from harness.run.files import FilePlan
    from harness.run.tally import Tally
    from zoo.weights.types import DownloadProgress as Downloads


class Progress:
    """Receives the progress of a run; this one ignores it."""

    def plan(self, sentence: str) -> None:
        """The plan of the run, in one line, before it starts."""

    def warn(self, sentence: str) -> None:
        """A warning: what the run has to do without, in one line."""

    def tell(self, sentence: str) -> None:
        """A line of information."""

    def downloads(self, plan: FilePlan | None = None) -> Downloads | None:
        """What receives the progress of each download, or None."""
        return None

    def follow(self, tally: Tally) -> None:
        """What says how far the measuring is, before it starts."""

    def news(self) -> None:
        """The tally may say something else now."""

    def start(self, total: int) -> None:
        """The number of measurements to make."""

    def advance(self, name: str) -> None:
        """One of them is done, for that variant."""

    def close(self) -> None:
        """The end."""


class Clock:
    """Runs from its making on.

    Attributes:
        started: the moment of that.
    """

    def __init__(self) -> None:
        self.started = datetime.now(timezone.utc)
        self._zero = time.monotonic()

    def environment(self, device: str) -> dict[str, Any]:
        from importlib.metadata import version

        return {
            "zoo": __version__,
            "torch": version("torch"),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "device": device,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._zero, 3),
        }
