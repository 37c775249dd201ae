"""When a run began, how long it took, and in what environment."""

from __future__ import annotations

import platform
import time
from datetime import datetime, timezone
from typing import Any

from zoo import __version__


class Clock:
    """Runs from its making on.

    Attributes:
        started: the moment of that.
    """

    def __init__(self) -> None:
        self.started = datetime.now(timezone.utc)
        self._zero = time.monotonic()

    def environment(self, device: str) -> dict[str, Any]:
        from harness.run.keys import version_of

        return {
            "zoo": __version__,
            "torch": version_of("torch"),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "device": device,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._zero, 3),
        }
