"""Standard output and standard error, exit statuses, and failures that are one line."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from harness.config.rules import LEVELS
from zoo._util.text import CommandBreaker, bounded, columns, in_workflow, json_text, without_secrets

if TYPE_CHECKING:
    from rich.console import Console

_DUMB = ("dumb", "unknown")
# How much a line matters, by the numbers of Python's own logging.
_LEVELS = dict(zip(LEVELS, (10, 20, 30, 40), strict=True))
DEBUG, INFO, WARNING, ERROR = _LEVELS.values()
# A message says what is wrong and, after a semicolon, what to do: with one of these it begins.
_ADVICE = re.compile(
    r"; (?=(?:add|ask|call|change|check|choose|clear|correct|delete|did|expected|fetch|fill|find|"
    r"free|get|give|go|if|install|leave|look|lower|make|mend|move|name|or|pass|pip|please|publish|"
    r"put|raise|reduce|remove|rename|replace|run|save|say|see|set|start|there are|try|unpack|unset|"
    r"upload|use|wait|write|zoo)\b)"
)

FINDINGS = 1
WRONG_USE = 2
FAILED = 3
GONE = "the working folder is gone; change to one that is there"


class Failure(Exception):
    """What was asked for can't be done here, on a full disk for example: exit status 3.

    The message says what failed and, where there is a way, what to do about it.
    """


class NotBegun(Failure):
    """A failure that showed itself before anything was measured or printed."""


class EarlyInterrupt(NotBegun):
    """An interrupt before anything was measured or printed; the exit status is its own."""


def folder_is_gone() -> bool:
    """Whether the working folder was removed, or can't be reached any more."""
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def prepare_streams() -> None:
    """Let text in any script pass through an output of any encoding."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


class WorkflowStream:
    """A standard stream whose lines command nothing, also those of foreign code."""

    def __init__(self, stream: TextIO) -> None:
        self.unguarded = stream
        self._broken = CommandBreaker()

    def write(self, text: str) -> int:
        """Write the text with its commands broken."""
        self.unguarded.write(self._broken(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Keep foreign text from commanding the runner of a workflow, where one reads the streams."""
    if not in_workflow():
        yield
        return
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, each and WorkflowStream(each)) for each in kept)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = kept


def is_terminal(stream: TextIO | None) -> bool:
    """Whether it is a terminal, rather than a pipe or a file."""
    return stream is not None and not stream.closed and stream.isatty()


def can_redraw(stream: TextIO | None) -> bool:
    """Whether a line on it can be drawn again in place, as a progress bar is."""
    return is_terminal(stream) and os.environ.get("TERM") not in _DUMB


def color(stream: TextIO | None) -> bool:
    """Whether to use colour: on a terminal, unless ``NO_COLOR`` or ``TERM=dumb`` say otherwise.

    ``FORCE_COLOR`` asks for it elsewhere too, as logs of continuous integration can show it.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return can_redraw(stream)


class _Drawing:
    """Standard error while bars are drawn on it; where it is gone, nothing is drawn any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            _abandon(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _abandon(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def stderr_console() -> Console:
    """Rich's console on standard error, for what is drawn live; no text of it is markup."""
    from rich.console import Console

    return Console(
        file=cast(TextIO, _Drawing(sys.stderr)),
        no_color=not color(sys.stderr),
        highlight=False,
        markup=False,
        emoji=False,
    )


class _Talk:
    """What the command that runs was asked to say, and where a record of it goes."""

    shown_from = INFO
    log: Any = None
    handler: Any = None


@contextmanager
def talking() -> Iterator[None]:
    """One command's own way of talking, which is over with it."""
    end_talk()
    try:
        yield
    finally:
        end_talk()


def talk(*, quiet: bool, file: Path | None, level: str | None) -> None:
    """Say as much as these options ask for, from now on, and log it to the file, if there is one.

    Raises:
        OSError: the file can't be written.
    """
    named = INFO if level is None else _LEVELS[level]
    shown = INFO if file is not None else named
    _Talk.shown_from = max(shown, WARNING) if quiet else shown
    if file is None:
        return
    import logging
    import time

    handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    form = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    form.default_time_format, form.default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03d"
    form.converter = time.gmtime
    handler.setFormatter(form)
    handler.setLevel(named)
    root, _Talk.log, _Talk.handler = logging.getLogger(), logging.getLogger("zoo"), handler
    root.addHandler(handler)
    _Talk.log.setLevel(named)


def end_talk() -> None:
    """Talk as usual again, and close the log."""
    if _Talk.handler is not None:
        import logging

        logging.getLogger().removeHandler(_Talk.handler)
        _Talk.handler.close()
    _Talk.shown_from, _Talk.log, _Talk.handler = INFO, None, None


def record(line: str, level: int = INFO, *, error: BaseException | None = None) -> None:
    """Write a line to the log alone, if there is one, with where an error came from."""
    if _Talk.log is not None:
        _Talk.log.log(level, "%s", bounded(line), exc_info=error)


def mistakes(*messages: str) -> list[str]:
    """Mistakes as lines: ``error: ...`` for each, and after it ``hint: ...`` with what to do.

    Advice that several in a row share is given once.
    """
    parts = map(with_advice, messages)
    lines: list[str] = []
    for advice, group in groupby(parts, key=lambda part: part[1]):
        lines += (f"error: {what}" for what, _ in group)
        lines += [f"hint: {advice}"] * bool(advice)
    return lines


def with_advice(message: str) -> tuple[str, str]:
    """What is wrong by a message, and its advice, if it has some."""
    what, *advice = _ADVICE.split(message, maxsplit=1)
    return what, "".join(advice)


def fail(*messages: str) -> None:
    """Write what is wrong to standard error, and what to do about it; see `mistakes`."""
    for line in mistakes(*messages):
        say(line, ERROR)


def say(line: str, level: int = INFO) -> None:
    """Write one line to standard error, what is foreign in it cut and visible.

    One that matters less than the command was asked for is left out.
    """
    line = without_secrets(line)
    record(line, level)
    if sys.stderr is None or level < _Talk.shown_from:
        return
    try:
        print(bounded(line), file=sys.stderr, flush=True)
    except OSError:
        _abandon(sys.stderr)


def emit_json(data: Any) -> None:
    """Write one JSON document to standard output."""
    emit(json_text(data) + "\n")


def emit(text: str, *, commands: bool = False) -> bool:
    """Write ``text`` to standard output, now.

    Where a runner reads it, it is obeyed if ``commands`` says that these are our own.

    A reader that went away (``zoo list | head -1``) has read what it wanted: that is not an error,
    and the exit status stays what it would have been.

    Returns:
        Whether there may still be a reader; without one, long work may stop.

    Raises:
        Failure: the text could not be written.
    """
    if sys.stdout is None:
        return False
    try:
        stream: TextIO = getattr(sys.stdout, "unguarded", sys.stdout) if commands else sys.stdout
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _abandon(sys.stdout)
        return False
    except OSError as error:
        _abandon(sys.stdout)
        raise Failure(f"can't write to standard output: {error.strerror or error}") from error
    return True


def _abandon(stream: TextIO) -> None:
    """Discard the rest: the interpreter flushes at its end, and would complain once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is not one."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def wrapped(text: str, indent: int = 0) -> str:
    """The text, in lines as wide as the terminal, if it goes to one."""
    width = terminal_width()
    if width is None:
        return text
    # No indent leaves a narrow terminal without room for words.
    indent = indent if width >= 2 * indent else 4 if indent else 0
    return textwrap.fill(
        text, width, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False
    )


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with all cells flush left; a cell of many characters pushes its own line alone."""
    return columns(rows, left=len(rows[0]) if rows else 0, widest=40)
