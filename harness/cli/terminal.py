"""Standard output and standard error: what they can show, and writing to them safely."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

from harness.cli.status import Failure
from harness.report import Options
from zoo._util.text import for_terminal

if TYPE_CHECKING:
    from rich.console import Console

_DUMB = ("dumb", "unknown")


def prepare() -> None:
    """Let text in any script pass through an output of any encoding."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def stdout() -> TextIO | None:
    """Standard output as it is now; None where the process was started without one."""
    return sys.stdout


def options(*, quiet: bool = False, verbose: bool = False) -> Options:
    """How to show a report on this process's standard output."""
    width = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None
    return Options(width=width, color=color(sys.stdout), verbose=verbose, quiet=quiet)


def is_terminal(stream: TextIO | None) -> bool:
    """Somebody looks at it, rather than a pipe or a file."""
    return stream is not None and not stream.closed and stream.isatty()


def can_redraw(stream: TextIO | None) -> bool:
    """A line on it can be drawn again in place, as a progress bar is."""
    return is_terminal(stream) and os.environ.get("TERM") not in _DUMB


def color(stream: TextIO | None) -> bool:
    """Colour is welcome: on a terminal, unless ``NO_COLOR`` or ``TERM=dumb`` say otherwise.

    ``FORCE_COLOR`` asks for it elsewhere too, as logs of continuous integration can show it.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return can_redraw(stream)


def stderr_console() -> Console:
    """Rich's console for what is drawn live: on standard error, and no text of it is markup."""
    from rich.console import Console

    return Console(
        file=sys.stderr,
        no_color=not color(sys.stderr),
        highlight=False,
        markup=False,
        emoji=False,
    )


def say(line: str) -> None:
    """One line for a person on standard error."""
    if sys.stderr is None:
        return
    try:
        print(for_terminal(line), file=sys.stderr, flush=True)
    except OSError:
        _abandon(sys.stderr)


def emit(text: str) -> bool:
    """Write ``text`` to standard output, now.

    A reader that went away (``zoo list | head -1``) has read what it wanted: that is no error, and
    the exit status stays what it would have been.

    Returns:
        Whether somebody may read what comes next; who has much more to say need not find it out
        where nobody does.

    Raises:
        Failure: the text could not be written.
    """
    if sys.stdout is None:
        return False
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon(sys.stdout)
        return False
    except OSError as error:
        _abandon(sys.stdout)
        raise Failure(f"can't write to standard output: {error.strerror or error}") from error
    return True


def _abandon(stream: TextIO) -> None:
    """Send the rest nowhere: the interpreter flushes at its end, and would complain once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
