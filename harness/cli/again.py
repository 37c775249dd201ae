"""The command that was called, as it can be called again: to go on where an interrupt ended it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.cli.output import WARNING, say
from harness.config import as_written
from harness.config.options import Option

if TYPE_CHECKING:
    from harness.cli.progress import StderrProgress
    from harness.run.session import Session

# What would begin anew instead of going on.
_ANEW = ("refresh",)


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    arguments: tuple[str, ...]
    options: tuple[tuple[Option, Any], ...]


_calls: list[_Call] = []


def begin(name: str, arguments: Iterable[Any], options: Iterable[tuple[Option, Any]]) -> None:
    """Note what a command was called with; None is not given."""
    words = [w for each in arguments for w in (each if isinstance(each, list | tuple) else [each])]
    given = tuple((option, value) for option, value in options if value is not None)
    _calls[:] = [_Call(name, tuple(str(w) for w in words if w is not None), given)]


def again(without: Collection[str] = _ANEW, arguments: Sequence[str] | None = None) -> str:
    """The command line of this call, quoted for a shell; with other arguments, or options less."""
    call = _calls[-1]
    words = ["zoo", *call.name.split(), *(call.arguments if arguments is None else arguments)]
    for option, value in call.options:
        if option.name not in without and not (arguments is not None and option.name == "all"):
            words += as_written(option, value)
    return shlex.join(words)


def say_interrupted(kept: str, arguments: Sequence[str] | None = None) -> None:
    """Say what an interrupt has left, and how to go on."""
    say(f"interrupted: {kept}", WARNING)
    say(f"continue with: {again(arguments=arguments)}", WARNING)


def say_kept(session: Session, progress: StderrProgress) -> None:
    """Say what of a run's measurements is stored, once it was interrupted."""
    kept = session.kept
    if any(option.name in _ANEW and value for option, value in _calls[-1].options):
        kept += "; what follows takes all that is stored, and --refresh would begin anew"
    say_interrupted("; ".join(filter(None, (progress.fetched(), kept))))
