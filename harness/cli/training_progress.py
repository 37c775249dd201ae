"""How a training is shown: a bar on a terminal, plain lines elsewhere, all on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from harness.cli import terminal
from zoo._util.text import for_terminal
from zoo.training.watch import EpochReport, StepReport, Watcher

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_LINE_SECONDS = 30.0


class TrainingProgress(Watcher):
    """Says what is done; of several processes only the first does, but for its warnings."""

    def __init__(self, *, first: bool, quiet: bool) -> None:
        self._speaks = first and not quiet
        self._draw = self._speaks and terminal.can_redraw(sys.stderr)
        self._bar: tuple[Bar, TaskID] | None = None
        self._said = time.monotonic()

    def tell(self, sentence: str) -> None:
        if self._speaks:
            self._line(sentence)

    def warn(self, sentence: str) -> None:
        self._line(sentence)

    def step(self, report: StepReport) -> None:
        """Draw the bar, or say a line from time to time."""
        if self._draw:
            self._redraw(report)
        elif self._speaks and time.monotonic() - self._said > _LINE_SECONDS:
            self._said = time.monotonic()
            self._line(
                f"epoch {report.epoch}/{report.epochs}, step {report.step}/{report.steps}: "
                f"{_state(report)}, {_duration(report.seconds_left)} left"
            )

    def epoch(self, report: EpochReport) -> None:
        """A line for each."""
        if not self._speaks:
            return
        validated = ""
        if report.top1 is not None and report.top5 is not None:
            validated = f", top-1 {report.top1:.2f}%, top-5 {report.top5:.2f}%"
        speed = report.images_per_second
        self._line(
            f"epoch {report.epoch}: loss {report.train_loss:.4f}{validated}, "
            f"{'' if speed is None else f'{speed:.1f} images/s, '}{_duration(report.seconds)}"
        )

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None

    def _line(self, sentence: str) -> None:
        if self._bar is None:
            terminal.say(sentence)
        else:
            self._bar[0].console.print(for_terminal(sentence))

    def _redraw(self, report: StepReport) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        if self._bar is None:
            bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[state]}", markup=False),
                console=terminal.stderr_console(),
                transient=True,
                auto_refresh=False,  # Drawn when there is news, as in other commands.
            )
            bar.start()
            self._bar = (bar, bar.add_task("", total=report.steps, state=""))
        bar, task = self._bar
        bar.update(
            task,
            completed=report.step,
            description=f"epoch {report.epoch}/{report.epochs}",
            state=f"{_state(report)}, {_duration(report.seconds_left)} left",
            refresh=True,
        )


def _state(report: StepReport) -> str:
    return f"loss {report.loss:.4f}, {report.images_per_second:.1f} images/s"


def _duration(seconds: float) -> str:
    """``42s``, ``3m 05s``, ``2h 07m``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    return f"{minutes // 60}h {minutes % 60:02}m"
