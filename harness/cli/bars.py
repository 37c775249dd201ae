"""Bars on a terminal, and what they say where there is little room; downloads, a bar each."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from posixpath import basename
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.cli.output import INFO, record, say, stderr_console
from harness.run.progress import RunTally, VariantTally, duration
from zoo._util.text import bounded, foreign, human_bytes, plural
from zoo.weights.types import DownloadProgress, Fetched, Outcome

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from harness.run.files import FilePlan

_NARROW = 80  # columns
# Seconds until the first plain line: of images, and of what may be over sooner; and between them.
SOON, LATE, _MOST_WAIT = 2.0, 30.0, 60.0
_FIRST_LINE = 10.0  # seconds
_WINDOW = 10.0  # seconds that the speed of all downloads is taken over


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


def write_line(bars: Bars | None, sentence: str, level: int = INFO) -> None:
    """Write a line to standard error, above the bars if there are any."""
    if bars is None:
        say(sentence, level)
    else:
        record(sentence, level)
        bars.console.print(bounded(sentence))


class Due:
    """Whether it is time for the next plain line: soon at first, then ever later."""

    def __init__(self, first: float = LATE) -> None:
        self._wait = first
        self._next = time.monotonic() + first

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._wait = min(2 * self._wait, _MOST_WAIT)
        self._next = now + self._wait
        return True


def bar_width(columns: int) -> int:
    """Of a bar on a screen of so many columns: words come first where it is narrow."""
    return min(40, columns // 8) if columns >= _NARROW else 0


def fitting(candidates: Sequence[str], room: int) -> str:
    """The first of them that fits, else the last."""
    return next((each for each in candidates if len(each) <= room), candidates[-1])


def rows_of(tally: VariantTally) -> list[str]:
    """What a row says of a variant beside its bar, ever shorter."""
    count = f"{tally.images:,}/{max(tally.most, tally.images):,}"
    speed = f"{tally.speed:,.1f}" if tally.speed else ""
    left = duration(max(tally.most - tally.images, 0) / tally.speed) if tally.speed else ""
    others = _with(f"{tally.others:,}" if tally.others else "", " otherwise")
    top1 = short = shortest = ""
    if (found := tally.accuracy) is not None:
        value, (low, high) = found[0], found[1].percent
        top1 = f"top-1 {value:.2f} % ({found[1]})"
        short, shortest = f"{value:.1f} % ({low:.1f}-{high:.1f})", f"{value:.1f} %"
    return [
        _row(f"{count} images", others, _with(speed, " images/s"), _with(left, " left"), top1),
        _row(count, others, _with(speed, "/s"), _with(left, " left"), short),
        _row(count, _with(speed, "/s"), left, short),
        _row(count, left, short),
        _row(count, short),
        _row(count, shortest),
    ]


def rows_of_all(tally: RunTally) -> list[str]:
    """What the row of all says, ever shorter."""
    seconds = tally.seconds_left() if tally.done < tally.variants else None
    left = "" if seconds is None else f"{duration(seconds)} left"
    number = f"{tally.done}/{tally.variants}"
    ends = [_row(number, tally.speed, left), _row(number, left), number]
    if not tally.has_images:
        return ends
    done, most, speed = tally.images()
    rate, images = f"{speed:,.1f}" if speed else "", f"{done:,}/{most:,}"
    return [
        _row(f"{number} {tally.what}s", f"{images} images", _with(rate, " images/s"), left),
        _row(number, images, _with(rate, "/s"), left),
        _row(number, images, left),
        *ends,
    ]


def _with(text: str, unit: str) -> str:
    return text and text + unit


def _row(*parts: str) -> str:
    return "  ".join(filter(None, parts))


class Downloads(DownloadProgress):
    """Downloads of several threads: a bar each, or a line each when it is done and now and then.

    A file that was in the cache already is not mentioned. ``plan`` has what is to be fetched, where
    that is known.
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
