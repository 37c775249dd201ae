"""The `zoo` command: parsing and printing, nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import cast

from harness.cli import interrupts
from harness.cli.output import (
    FAILED,
    GONE,
    WRONG_USE,
    EarlyInterrupt,
    Failure,
    folder_is_gone,
    guarded_streams,
    prepare_streams,
    say,
)
from harness.config import UsageError
from zoo._util.text import foreign


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's own.

    Returns:
        The exit status: 0 nothing at or above ``--fail-on``; 1 findings; 2 the command line is
        wrong, or an index yields no variant; 3 the run failed or was cut short; 128 and
        the signal's number for an interrupt, which is 130 for Ctrl-C.
    """
    prepare_streams()
    with guarded_streams():
        return _guarded(arguments)


def _guarded(arguments: Sequence[str] | None) -> int:
    try:
        with interrupts.deferred():
            return _run(arguments)
    except (KeyboardInterrupt, EarlyInterrupt):
        return interrupts.status()
    except UsageError as error:
        for line in error.lines:
            say(line)
        return WRONG_USE
    except Failure as error:
        say(f"zoo: {error}")
        return interrupts.status() if interrupts.hung_up() else FAILED
    except Exception as error:  # noqa: BLE001 - a user gets a line and no traceback
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and folder_is_gone():
        say(f"zoo: {GONE}")
    elif isinstance(error, OSError) and interrupts.hung_up():
        return interrupts.status()
    else:
        if os.environ.get("ZOO_DEBUG"):
            import traceback

            traceback.print_exc()
        say(
            f"zoo: internal error: {type(error).__name__}: {foreign(error)}; "
            "please report it, with what ZOO_DEBUG=1 shows"
        )
    return FAILED


def _run(arguments: Sequence[str] | None) -> int:
    import typer

    from harness.cli.app import run

    # Typer's errors about the command line have this base; it has no public name of its own.
    wrong_line = cast(type[Exception], typer.BadParameter.__mro__[2])
    try:
        # `list` is a module of this package, once it is imported.
        status = run(None if arguments is None else [*arguments])
    except typer.Abort:
        return interrupts.status()
    except wrong_line as error:
        say(_one_line(error))
        return WRONG_USE
    if status == 128 + signal.SIGINT:  # As Typer has it for every interrupt.
        return interrupts.status()
    return status if isinstance(status, int) else 0


def _one_line(error: BaseException) -> str:
    """What is wrong with the command line, and where to look."""
    message = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "zoo"
    return f"{command}: {message.rstrip('.')}; see {command} --help"
