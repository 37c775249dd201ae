"""Downloads on standard error: a line each with its progress, or a line each when it is done."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from posixpath import basename
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.cli import terminal
from zoo._util.text import for_terminal, human_bytes
from zoo.weights.types import Fetched, Outcome

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from harness.config import Settings
    from zoo.index.types import Variant


class Downloads:
    """Told by the fetcher's threads, several at a time; a file that is here already is no news."""

    def __init__(self, *, draw: bool) -> None:
        self._draw = draw
        self._lock = threading.Lock()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def start(self, url: str, total: int | None) -> None:
        """A line for this file, or its line set back to zero."""
        if not self._draw:
            return
        with self._lock:
            bars = self._opened()
            if url in self._tasks:
                bars.reset(self._tasks[url], total=total)
            else:
                self._tasks[url] = bars.add_task(for_terminal(_name(url)), total=total)

    def advance(self, url: str, count: int) -> None:
        """So many more bytes of it are here."""
        with self._lock:
            if self._bars is not None and url in self._tasks:
                self._bars.update(self._tasks[url], advance=count)

    def done(self, url: str, outcome: Outcome) -> None:
        """One line for a file that was fetched just now, in place of its bar."""
        with self._lock:
            task = self._tasks.pop(url, None)
            if self._bars is not None and task is not None:
                self._bars.remove_task(task)
                self._bars.refresh()
            if not isinstance(outcome, Fetched) or outcome.origin != "fetched":
                return
            line = f"fetched {_name(url)}, {human_bytes(outcome.size)}"
            if self._bars is None:
                terminal.say(line)
            else:
                self._bars.console.print(for_terminal(line))

    def close(self) -> None:
        """Takes the lines away."""
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None

    def _opened(self) -> Progress:
        if self._bars is None:
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )

            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=terminal.stderr_console(),
                transient=True,
            )
            self._bars.start()
        return self._bars


def fetch_shown(variant: Variant, settings: Settings, *, draw: bool = True) -> Path:
    """A variant's checkpoint as a file, by the settings of a command; what is fetched is shown.

    Raises:
        zoo.weights.WeightsError: it can't be had.
    """
    from zoo.weights import variant_weights

    downloads = Downloads(draw=draw and terminal.can_redraw(sys.stderr))
    try:
        return variant_weights(
            variant,
            offline=settings.offline,
            allow_http=settings.allow_http,
            allow_local=settings.allow_local,
            max_bytes=settings.max_bytes,
            progress=downloads,
        )
    finally:
        downloads.close()


def _name(url: str) -> str:
    return basename(urlsplit(url).path) or url
