"""Bars on a terminal, and what they say where there is little room."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.cli.output import INFO, record, say, stderr_console
from harness.run.tally import Tally, VariantTally, duration
from zoo._util.text import bounded

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_NARROW = 80  # columns
# Seconds until the first plain line: of images, and of what may be over sooner; and between them.
SOON, LATE, _MOST_WAIT = 2.0, 30.0, 60.0


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
    """Whether it is time for the next plain line: soon at first, then ever later, as logs are read.

    Args:
        first: seconds until the first one.
    """

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


def rows_of_all(tally: Tally) -> list[str]:
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
