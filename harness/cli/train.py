"""`zoo train`."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from harness.cli import interrupts
from harness.cli.bars import open_bars, write_line
from harness.cli.options import FETCHING_ONE, again, command, not_ours, one_variant, variant
from harness.cli.output import INFO, WARNING, Failure, can_redraw, emit, say
from harness.cli.progress import fetch_shown
from harness.config import RunConfig, UsageError
from harness.run.progress import duration
from zoo._util.text import plural
from zoo.training.logs import Callbacks, EpochReport, StepReport

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_LINE_SECONDS = 30.0
_SAVE_SECONDS = 600.0


@command("index", "amp", "compile", "decode-workers", "device", *FETCHING_ONE)
def train(
    config: RunConfig,
    variant: Annotated[str, variant("What to train.")],
    *,
    data: Path,
    output: Path | None,
    resume: str | None,
    **own: Any,
) -> None:
    """Writes model.pth (the weights alone) and classes.txt into the output folder, beside last.pth
    and best.pth (the whole state) and log.csv. A training that was killed goes on with --resume
    auto to the same result. For several GPUs or hosts: torchrun --nproc_per_node N -m zoo train ...

    Images that can't be read are named, left out and counted. See docs/training.md.
    """
    from zoo.training.distributed import is_first
    from zoo.training.state import LAST

    _check(data, own["val"], output, finetune=own["finetune"], freeze=own["freeze"])
    kept = (output or Path("runs") / variant) / LAST
    if resume is not None and kept.is_file():
        begins: str | None = f"weights of {kept}"
    else:
        begins = None if own["finetune"] else "random weights"
    entry = one_variant(config, variant, weights=begins, announced=is_first())
    from harness.measure.devices import keep_freed_memory
    from zoo.errors import CheckpointError, UnknownModelError, WeightsError
    from zoo.registry import is_model
    from zoo.training import BadInput, Settings, TrainingError, train
    from zoo.variants import base_name

    keep_freed_memory()  # This process does nothing but train.
    progress = TrainingProgress(first=is_first(), quiet=config.quiet)
    try:
        if not is_model(base_name(entry)):
            what = f"this package has no model {base_name(entry)!r} to train"
            raise UsageError(not_ours(what))
        outcome = train(
            Settings(
                entry.name,
                data,
                output or Path("runs") / entry.name,
                variant=entry,
                device=config.device,
                amp=cast(Any, config.amp),
                compile=config.compile,
                workers=config.decode_workers,
                resume=resume is not None,
                **own,
            ),
            progress,
            fetch=lambda wanted: fetch_shown(wanted, config, draw=is_first()),
        )
    except (BadInput, UnknownModelError) as error:
        # Every process meets the same mistake: one line of it is enough.
        raise UsageError(*([str(error)] if is_first() else [])) from error
    except (TrainingError, WeightsError, CheckpointError) as error:
        raise Failure(str(error)) from error
    except KeyboardInterrupt:
        progress.close()
        if is_first() and (output or Path("runs") / entry.name).joinpath(LAST).is_file():
            say(f"continue with: {_resumed()}")
        raise
    finally:
        progress.close()
    if not is_first():
        return
    if outcome.unreadable:
        say(
            f"images were left out {plural(outcome.unreadable, 'time')}, as they can't be read",
            WARNING,
        )
    accuracy = "" if outcome.top1 is None else f"  top-1 {outcome.top1:.2f}%"
    emit(f"{outcome.output / 'model.pth'}  epoch {outcome.best_epoch}{accuracy}\n")
    more = f"--from {shlex.quote(entry.name)} --data {shlex.quote(str(data))}"
    say(f"add it to an index: zoo add {shlex.quote(str(outcome.output / 'model.pth'))} {more}")


def _resumed() -> str:
    """The command that goes on; that of several processes has words that are not ours."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        return "the same command and --resume auto"
    return f"{again(without=('resume',))} --resume auto"


def _check(
    data: Path, val: Path | None, output: Path | None, *, finetune: bool, freeze: bool
) -> None:
    """Refuse what can be seen to be wrong before torch is imported."""
    for name, folder in (("data", data), ("val", val)):
        if folder is not None and not folder.is_dir():
            raise UsageError(
                f"--{name}: {folder}: there is no such folder; give one with a folder per class"
            )
    if output is not None and output.is_file():
        raise UsageError(f"--output: {output}: is a file; name a folder")
    if freeze and not finetune:
        raise UsageError("--freeze: there are no trained layers to keep; add --finetune")


class TrainingProgress(Callbacks):
    """A bar on a terminal, plain lines elsewhere; of several processes, only the first writes them.

    A warning is written by the process that it is about.
    """

    def __init__(self, *, first: bool, quiet: bool) -> None:
        self._writes = first and not quiet
        self._draw = self._writes and can_redraw(sys.stderr)
        self._bar: tuple[Bars, TaskID] | None = None
        self._written = time.monotonic()

    def info(self, sentence: str) -> None:
        if self._writes:
            self._line(sentence)

    def warn(self, sentence: str) -> None:
        self._line(sentence, WARNING)

    def step(self, report: StepReport) -> None:
        """Draw the bar, or write a line from time to time."""
        if self._draw:
            self._redraw(report)
        elif self._writes and time.monotonic() - self._written > _LINE_SECONDS:
            self._written = time.monotonic()
            self._line(
                f"epoch {report.epoch}/{report.epochs}, step {report.step}/{report.steps}: "
                f"{_state(report)}, {duration(report.seconds_left)} left"
            )

    def epoch(self, report: EpochReport) -> None:
        if not self._writes:
            return
        validated = ""
        if report.top1 is not None:
            validated = f", top-1 {report.top1:.2f}%"
        if report.top5 is not None:
            validated += f", top-5 {report.top5:.2f}%"
        speed = report.images_per_second
        self._line(
            f"epoch {report.epoch}: loss {report.train_loss:.4f}{validated}, "
            f"{'' if speed is None else f'{speed:.1f} images/s, '}{duration(report.seconds)}"
        )

    def interrupted(self) -> None:
        """Take the time to save what was trained."""
        interrupts.take(_SAVE_SECONDS)

    def close(self) -> None:
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None

    def _line(self, sentence: str, level: int = INFO) -> None:
        write_line(None if self._bar is None else self._bar[0], sentence, level)

    def _redraw(self, report: StepReport) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

        if self._bar is None:
            state = TextColumn("{task.fields[state]}", markup=False)
            bar = open_bars(BarColumn(), MofNCompleteColumn(), state)
            self._bar = (bar, bar.add_task("", total=report.steps, state=""))
        bar, task = self._bar
        bar.update(
            task,
            completed=report.step,
            description=f"epoch {report.epoch}/{report.epochs}",
            state=f"{_state(report)}, {duration(report.seconds_left)} left",
            refresh=True,
        )


def _state(report: StepReport) -> str:
    return f"loss {report.loss:.4f}, {report.images_per_second:.1f} images/s"
