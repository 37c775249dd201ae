"""Progress on standard error: plain lines, and bars where they can be drawn."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.bars import (
    LATE,
    SOON,
    Downloads,
    Due,
    bar_width,
    fitting,
    open_bars,
    rows_of,
    rows_of_all,
    write_line,
)
from harness.cli.output import ERROR, WARNING, can_redraw, mistakes, say, stderr_console
from harness.config import RunConfig
from harness.run.progress import Progress, RunTally
from zoo._util.text import foreign, truncate

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from harness.run.files import FilePlan
    from zoo.index.types import Variant

_REDRAW_S = 0.05
_MOST_ROWS = 8


class StderrProgress(Progress):
    """Shows the plan, once, and draws a bar on a terminal; quiet, it shows warnings alone."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._draw = not quiet and can_redraw(sys.stderr)
        self._drawn = 0.0
        self._plans: set[str] = set()
        self._bar: tuple[Bars, TaskID] | None = None
        self._rows: dict[str, TaskID] = {}
        self._tally: RunTally | None = None
        self._due = Due()
        self._downloads: Downloads | None = None

    def plan(self, sentence: str) -> None:
        if sentence not in self._plans:
            self._plans.add(sentence)
            self.tell(sentence)

    def tell(self, sentence: str) -> None:
        if not self._quiet:
            say(sentence)

    def warn(self, sentence: str) -> None:
        """Show it even where quiet: the run is not what it should have been."""
        self._line(sentence, WARNING)

    def _line(self, sentence: str, level: int) -> None:
        write_line(None if self._bar is None else self._bar[0], sentence, level)

    def fail(self, sentence: str) -> None:
        """Show what is wrong, and what to do about it."""
        for line in mistakes(sentence):
            self._line(line, ERROR)

    def downloads(self, plan: FilePlan | None = None) -> Downloads | None:
        if self._quiet:
            return None
        self._downloads = Downloads(draw=self._draw, plan=plan)
        return self._downloads

    def fetched(self) -> str:
        """What there is of files that were fetched in this run; empty where none was."""
        return "" if self._downloads is None else self._downloads.kept()

    def follow(self, tally: RunTally) -> None:
        """Show how far it is: rows of bars on a terminal, elsewhere lines from time to time."""
        self._tally = tally
        self._due = Due(SOON if tally.has_images else LATE)

    def news(self) -> None:
        if self._tally is None or self._quiet:
            return
        ended, self._tally.events = self._tally.events, []
        if self._bar is not None:
            now = time.monotonic()
            if now - self._drawn >= _REDRAW_S:
                self._drawn = now
                self._redraw(*self._bar, self._tally)
        elif not self._draw:
            for line in [*ended, *(self._tally.lines() if self._due() else [])]:
                say(line)

    def _redraw(self, bars: Bars, whole: TaskID, tally: RunTally) -> None:
        """A row for all, and one for each variant that is being run on images."""
        width = bars.console.width
        busy = {each.name: each for each in tally.busy[:_MOST_ROWS]}
        for name in self._rows.keys() - busy.keys():
            bars.remove_task(self._rows.pop(name))
        name_width = max(8, min(24, width // 5))
        room = width - name_width - bar_width(width) - 2
        for name, each in busy.items():
            if name not in self._rows:
                self._rows[name] = bars.add_task(truncate(foreign(name), name_width), state="")
            bars.update(
                self._rows[name],
                completed=each.images,
                total=max(each.most, each.images),
                state=fitting(rows_of(each), room),
            )
        about = "in all" if tally.has_images else tally.last or "measuring"
        done, most = tally.images()[:2] if tally.has_images else (tally.done, tally.variants)
        bars.update(
            whole,
            description=truncate(foreign(about), name_width),
            completed=done,
            total=most,
            state=fitting(rows_of_all(tally), room),
        )
        bars.refresh()

    def start(self, total: int | None) -> None:
        """Draw an empty bar, without an end where the total is not known; of nothing, none."""
        if self._downloads is not None:
            self._downloads.close()  # Two live displays can't share a terminal.
        self._counted = total is not None
        if not self._draw or total == 0:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        self.close()
        if self._tally is None:
            bar = open_bars(BarColumn(), MofNCompleteColumn())
        else:
            state = TextColumn("{task.fields[state]}", markup=False)
            wide = bar_width(stderr_console().width)
            bar = open_bars(*([BarColumn(wide)] if wide else []), state)
        self._bar = (
            bar,
            bar.add_task("measuring" if total else "images", total=total, state=f"0/{total}"),
        )
        bar.refresh()

    def advance(self, name: str) -> None:
        if self._tally is not None:
            self._drawn = 0.0  # A step is always shown.
            self.news()
        elif self._bar is not None:
            bar, task = self._bar
            # Drawing more often than it can be seen takes longer than many a step.
            now = time.monotonic()
            seen = self._counted or now - self._drawn >= _REDRAW_S
            self._drawn = now if seen else self._drawn
            bar.update(task, advance=1, description=foreign(name), refresh=seen)

    def close(self) -> None:
        if self._downloads is not None:
            self._downloads.close()
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None
            self._rows.clear()


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
