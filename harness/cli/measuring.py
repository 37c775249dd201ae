"""The options that say what is measured and how, for commands that measure as `zoo verify` does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import get_type_hints

from harness.cli.verifying import verify

# What `zoo verify` takes and is not about measuring: what to verify, and what becomes of it.
_OWN = (
    *("variants", "every", "checks", "dry_run", "format", "output", "fail_on", "baseline"),
    *("write_baseline", "quiet", "verbose", "cross_check"),
)


def measuring(command: Callable[..., None]) -> Callable[..., None]:
    """Lets a command take them as keyword arguments, each by the name that a setting has.

    They are read from `zoo verify` itself, so that a claim that it can reach can be reached here.
    """
    hints = get_type_hints(verify, include_extras=True)
    shared = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
        for name, parameter in inspect.signature(verify).parameters.items()
        if name not in _OWN
    ]
    mine = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(annotation=mine[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    signature = inspect.Signature([*own, *shared], return_annotation=None)
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ |= {each.name: each.annotation for each in shared}
    return command
