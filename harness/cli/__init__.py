"""The `zoo` command: parsing and printing, nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any, cast

from harness.cli import interrupts
from harness.cli.output import (
    DEBUG,
    ERROR,
    FAILED,
    GONE,
    WRONG_USE,
    EarlyInterrupt,
    Failure,
    fail,
    folder_is_gone,
    guarded_streams,
    prepare_streams,
    record,
    say,
    talking,
)
from harness.config import UsageError
from zoo._util.text import foreign, nearest


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's own.

    Returns:
        The exit status: 0 nothing at or above ``--fail-on``; 1 findings; 2 the command line is
        wrong, or an index yields no variant; 3 the run failed or was cut short; 128 and
        the signal's number for an interrupt, which is 130 for Ctrl-C.
    """
    prepare_streams()
    with guarded_streams(), talking():
        status = _guarded(arguments)
        say(f"ended with {status}", DEBUG)
        return status


def _guarded(arguments: Sequence[str] | None) -> int:
    try:
        with interrupts.deferred():
            return _run(arguments)
    except (KeyboardInterrupt, EarlyInterrupt):
        return interrupts.status()
    except UsageError as error:
        fail(*error.lines)
        return WRONG_USE
    except Failure as error:
        fail(str(error))
        return interrupts.status() if interrupts.hung_up() else FAILED
    except Exception as error:  # noqa: BLE001 - a user gets a line and no traceback
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and folder_is_gone():
        fail(GONE)
    elif isinstance(error, OSError) and interrupts.hung_up():
        return interrupts.status()
    else:
        if os.environ.get("ZOO_DEBUG"):
            import traceback

            traceback.print_exc()
        record("internal error", ERROR, error=error)
        from harness.measure.cuda import ending

        if failed := ending(error):
            remedy = "run it again (CUDA_LAUNCH_BLOCKING=1 shows where it is), or with --device cpu"
            fail(f"the GPU failed: {failed}; {remedy}")
        else:
            fail(
                f"internal error: {type(error).__name__}: {foreign(error)}; "
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
        fail(_reworded(error))
        return WRONG_USE
    if status == 128 + signal.SIGINT:  # As Typer has it for every interrupt.
        return interrupts.status()
    return status if isinstance(status, int) else 0


def _reworded(error: Any) -> str:
    """What is wrong with the command line in our own words, whichever library has parsed it."""
    context, kind = getattr(error, "ctx", None), type(error).__name__
    command = "zoo" if context is None else context.command_path
    parameters = [] if context is None else context.command.params
    option = getattr(error, "option_name", None) or ""
    see = f"see {command} --help"
    if kind == "NoSuchOption":
        names = [name[2:] for each in parameters for name in each.opts if name.startswith("--")]
        near = nearest(option[2:], names, n=1) if option.startswith("--") else []
        meant = f"did you mean --{near[0]}?" if near else see
        return f"{command} has no option {option}; {meant}"
    if kind == "BadOptionUsage":
        found = next((each for each in parameters if option in each.opts), None)
        if found is None or found.is_flag:
            return f"{option} takes no value; leave it out, or {see}"
        return f"{option} is followed by no value; write {option} {found.metavar}, or {see}"
    if kind == "MissingParameter" and error.param is not None:
        wanted = error.param.metavar or error.param.name.upper()
        return f"{command} is given no {wanted}; write one, or {see}"
    return f"{command}: this command line can't be read; {see}"
