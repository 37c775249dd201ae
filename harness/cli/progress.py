"""A run's progress on standard error: the plan in a line, and a bar where one can be drawn."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from harness.cli import terminal
from harness.run.request import Progress
from zoo._util.text import for_terminal

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from harness.cli.downloads import Downloads


_REDRAW_S = 0.05


class StderrProgress(Progress):
    """Says the plan, once, and draws a bar on a terminal; quiet, it says nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._draw = not quiet and terminal.can_redraw(sys.stderr)
        self._drawn = 0.0
        self._said: set[str] = set()
        self._bar: tuple[Bar, TaskID] | None = None
        self._downloads: Downloads | None = None

    def plan(self, sentence: str) -> None:
        """Say it, unless it was said before."""
        if not self._quiet and sentence not in self._said:
            self._said.add(sentence)
            terminal.say(sentence)

    def tell(self, sentence: str) -> None:
        """Say it, unless quiet was asked for."""
        if not self._quiet:
            terminal.say(sentence)

    def warn(self, sentence: str) -> None:
        """Say it even where quiet was asked for: the run is not what it should have been."""
        if self._bar is None:
            terminal.say(sentence)
        else:
            self._bar[0].console.print(for_terminal(sentence))

    def downloads(self) -> Downloads | None:
        """A line for each file, unless quiet was asked for."""
        if self._quiet:
            return None
        from harness.cli.downloads import Downloads

        self._downloads = Downloads(draw=self._draw)
        return self._downloads

    def start(self, total: int | None) -> None:
        """Draw an empty bar, without an end where the total is not known; of nothing, none."""
        if self._downloads is not None:
            self._downloads.close()  # Two live displays can't share a terminal.
        self._counted = total is not None
        if not self._draw or total == 0:
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            console=terminal.stderr_console(),
            transient=True,
            # Drawn when there is news: a thread that redraws would take time from the measuring.
            auto_refresh=False,
        )
        bar.start()
        self._bar = (bar, bar.add_task("measuring", total=total))
        bar.refresh()

    def advance(self, name: str) -> None:
        """One step, with the variant that it was for."""
        if self._bar is not None:
            bar, task = self._bar
            # No eye follows more, and drawing takes longer than many a step.
            now = time.monotonic()
            seen = self._counted or now - self._drawn >= _REDRAW_S
            self._drawn = now if seen else self._drawn
            bar.update(task, advance=1, description=for_terminal(name), refresh=seen)

    def close(self) -> None:
        """Take the bars away."""
        if self._downloads is not None:
            self._downloads.close()
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None
