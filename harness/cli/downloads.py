"""Downloads on standard error: a bar each on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections import deque
from posixpath import basename
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.cli.bars import Due, open_bars, write_line
from harness.cli.output import say
from harness.run.tally import duration
from zoo._util.text import foreign, human_bytes, plural
from zoo.weights.types import Fetched, Outcome

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from harness.run.files import FilePlan

_FIRST_LINE = 10.0  # seconds
_WINDOW = 10.0  # seconds that the speed of all downloads is taken over


class Downloads:
    """Downloads of several threads: a bar each, or a line each when it is done and now and then.

    A file that was in the cache already is not mentioned.

    Args:
        draw: bars can be drawn.
        plan: what is to be fetched, where that is known.
    """

    def __init__(self, *, draw: bool, plan: FilePlan | None = None) -> None:
        self._draw = draw
        self._plan = plan
        self._lock = threading.Lock()
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._whole: TaskID | None = None
        self._due = Due(_FIRST_LINE)
        self._open: dict[str, tuple[int, int | None]] = {}
        self._files = self._bytes = 0
        self._seen: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def start(self, url: str, total: int | None) -> None:
        """Open a bar for this file, or set its bar back to zero."""
        with self._lock:
            self._open[url] = 0, total
            if not self._draw:
                return
            if self._bars is None:
                self._bars = _download_bars()
                if self._plan is not None and self._plan.files > 1:
                    size = None if self._plan.unknown else self._plan.bytes
                    self._whole = self._bars.add_task(self._counted(), total=size)
            if url in self._tasks:
                self._bars.reset(self._tasks[url], total=total)
            else:
                self._tasks[url] = self._bars.add_task(foreign(_name(url)), total=total)

    def advance(self, url: str, count: int) -> None:
        """Count more bytes of it."""
        with self._lock:
            done, total = self._open.get(url, (0, None))
            self._open[url] = done + count, total
            if self._bars is not None and url in self._tasks:
                self._bars.update(self._tasks[url], advance=count)
                if self._whole is not None:
                    self._bars.update(self._whole, completed=self._done())
            elif not self._draw and self._due():
                for line in self.lines():
                    say(line)

    def done(self, url: str, outcome: Outcome) -> None:
        """Write one line for a file that was fetched just now, in place of its bar."""
        with self._lock:
            self._open.pop(url, None)
            task = self._tasks.pop(url, None)
            fetched = isinstance(outcome, Fetched) and outcome.origin == "fetched"
            if fetched:
                self._files += 1
                self._bytes += outcome.size if isinstance(outcome, Fetched) else 0
            if self._bars is not None and task is not None:
                self._bars.remove_task(task)
                if self._whole is not None:
                    self._bars.update(self._whole, description=self._counted())
                self._bars.refresh()
            if isinstance(outcome, Fetched) and fetched:
                write_line(self._bars, f"fetched {_name(url)}, {human_bytes(outcome.size)}")

    def lines(self) -> list[str]:
        """How far each file is, and all of them."""
        each = [
            f"{_name(url)}: {human_bytes(done)}{f' of {human_bytes(total)}' if total else ''}"
            for url, (done, total) in self._open.items()
        ]
        done, now = self._done(), time.monotonic()
        while len(self._seen) > 1 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()
        since, before = self._seen[0]
        self._seen.append((now, done))
        speed = max(0, done - before) / max(now - since, 1e-3)
        parts = [self._counted(), human_bytes(done)]
        plan = self._plan
        if plan is not None and plan.bytes and not plan.unknown:
            parts[-1] += f" of {human_bytes(plan.bytes)}"
        parts.append(f"{human_bytes(round(speed))}/s")
        if plan is not None and plan.bytes > done and not plan.unknown and speed:
            parts.append(f"{duration((plan.bytes - done) / speed)} left")
        return [*each, ", ".join(parts)]

    def kept(self) -> str:
        """What an interrupt leaves: files that are whole, and how much of others; or nothing."""
        begun = [done for done, _ in self._open.values() if done]
        parts = [f"{plural(self._files, 'file')} fetched"] if self._files else []
        if begun:
            parts.append(
                f"{human_bytes(sum(begun))} of {plural(len(begun), 'unfinished file')} kept"
            )
        return ", ".join(parts)

    def close(self) -> None:
        """Take the bars away."""
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None

    def _done(self) -> int:
        return self._bytes + sum(done for done, _ in self._open.values())

    def _counted(self) -> str:
        most = f" of {self._plan.files}" if self._plan is not None else ""
        return f"in all: {self._files}{most} files"


def _download_bars() -> Bars:
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    rate = (TransferSpeedColumn(), TimeRemainingColumn())
    return open_bars(BarColumn(), DownloadColumn(), *rate, auto_refresh=True)


def _name(url: str) -> str:
    return basename(urlsplit(url).path) or url
