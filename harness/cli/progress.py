"""Progress on standard error: plain lines, and bars where they can be drawn."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from posixpath import basename
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.cli.output import can_redraw, say, stderr_console
from harness.config import RunConfig
from harness.run.progress import Progress
from zoo._util.text import bounded, foreign, human_bytes
from zoo.weights.types import Fetched, Outcome

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from zoo.index.types import Variant


_REDRAW_S = 0.05


def open_bars(*columns: Any, auto_refresh: bool = False) -> Bars:
    """Bars that leave nothing behind.

    By default they are drawn when there is news: a thread that redraws would take time from the
    measuring.
    """
    from rich.progress import Progress, TextColumn

    text = TextColumn("{task.description}", markup=False)
    console = stderr_console()
    bars = Progress(text, *columns, console=console, transient=True, auto_refresh=auto_refresh)
    bars.start()
    return bars


def write_line(bars: Bars | None, sentence: str) -> None:
    """Write a line to standard error, above the bars if there are any."""
    if bars is None:
        say(sentence)
    else:
        bars.console.print(bounded(sentence))


class StderrProgress(Progress):
    """Shows the plan, once, and draws a bar on a terminal; quiet, it shows warnings alone."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._draw = not quiet and can_redraw(sys.stderr)
        self._drawn = 0.0
        self._plans: set[str] = set()
        self._bar: tuple[Bars, TaskID] | None = None
        self._downloads: Downloads | None = None

    def plan(self, sentence: str) -> None:
        """Show it, unless it was shown before."""
        if sentence not in self._plans:
            self._plans.add(sentence)
            self.tell(sentence)

    def tell(self, sentence: str) -> None:
        """Show it, unless quiet."""
        if not self._quiet:
            say(sentence)

    def warn(self, sentence: str) -> None:
        """Show it even where quiet: the run is not what it should have been."""
        write_line(None if self._bar is None else self._bar[0], sentence)

    def downloads(self) -> Downloads | None:
        """A line for each file, unless quiet."""
        if self._quiet:
            return None
        self._downloads = Downloads(draw=self._draw)
        return self._downloads

    def start(self, total: int | None) -> None:
        """Draw an empty bar, without an end where the total is not known; of nothing, none."""
        if self._downloads is not None:
            self._downloads.close()  # Two live displays can't share a terminal.
        self._counted = total is not None
        if not self._draw or total == 0:
            return
        from rich.progress import BarColumn, MofNCompleteColumn

        bar = open_bars(BarColumn(), MofNCompleteColumn())
        self._bar = (bar, bar.add_task("measuring", total=total))
        bar.refresh()

    def advance(self, name: str) -> None:
        """One step, with the variant that it was for."""
        if self._bar is not None:
            bar, task = self._bar
            # Drawing more often than it can be seen takes longer than many a step.
            now = time.monotonic()
            seen = self._counted or now - self._drawn >= _REDRAW_S
            self._drawn = now if seen else self._drawn
            bar.update(task, advance=1, description=foreign(name), refresh=seen)

    def close(self) -> None:
        """Take the bars away."""
        if self._downloads is not None:
            self._downloads.close()
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None


class Downloads:
    """Downloads of several threads: a bar each, or a line each when it is done.

    A file that was in the cache already is not mentioned.
    """

    def __init__(self, *, draw: bool) -> None:
        self._draw = draw
        self._lock = threading.Lock()
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}

    def start(self, url: str, total: int | None) -> None:
        """Open a bar for this file, or set its bar back to zero."""
        if not self._draw:
            return
        with self._lock:
            if self._bars is None:
                self._bars = _download_bars()
            if url in self._tasks:
                self._bars.reset(self._tasks[url], total=total)
            else:
                self._tasks[url] = self._bars.add_task(foreign(_name(url)), total=total)

    def advance(self, url: str, count: int) -> None:
        """Count more bytes of it."""
        with self._lock:
            if self._bars is not None and url in self._tasks:
                self._bars.update(self._tasks[url], advance=count)

    def done(self, url: str, outcome: Outcome) -> None:
        """Write one line for a file that was fetched just now, in place of its bar."""
        with self._lock:
            task = self._tasks.pop(url, None)
            if self._bars is not None and task is not None:
                self._bars.remove_task(task)
                self._bars.refresh()
            if isinstance(outcome, Fetched) and outcome.origin == "fetched":
                write_line(self._bars, f"fetched {_name(url)}, {human_bytes(outcome.size)}")

    def close(self) -> None:
        """Take the bars away."""
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None


def _download_bars() -> Bars:
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    rate = (TransferSpeedColumn(), TimeRemainingColumn())
    return open_bars(BarColumn(), DownloadColumn(), *rate, auto_refresh=True)


def _name(url: str) -> str:
    return basename(urlsplit(url).path) or url


def fetch_shown(variant: Variant, config: RunConfig, *, draw: bool = True) -> Path:
    """Fetch a variant's checkpoint, as the options of the command say, and show the download.

    Raises:
        zoo.errors.WeightsError: it can't be had.
    """
    from zoo.weights import variant_weights

    downloads = Downloads(draw=draw and can_redraw(sys.stderr))
    try:
        return variant_weights(
            variant,
            offline=config.offline,
            allow_http=config.allow_http,
            allow_local=config.allow_local,
            public_hosts_only=config.public_hosts_only,
            max_bytes=config.max_bytes,
            progress=downloads,
        )
    finally:
        downloads.close()
