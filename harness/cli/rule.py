"""`zoo rule`: what the cause of a finding means, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import command, completion
from harness.cli.output import aligned, emit, emit_json, wrapped
from harness.config import RunConfig, UsageError
from harness.config.rules import UNVERIFIED
from zoo._util.text import csv_text

if TYPE_CHECKING:
    from harness.causes import Cause


def _all_causes() -> Iterable[str]:
    from harness.causes import CAUSES

    return CAUSES


@command()
def rule(
    config: RunConfig,
    cause: Annotated[
        str | None,
        typer.Argument(
            metavar="CAUSE",
            help="As a finding names it, such as flops.differs. Default: list them all.",
            autocompletion=completion(_all_causes),
        ),
    ] = None,
    *,
    every: bool,
    format: str,
) -> None:
    """It says how bad the cause is as a rule (error, warning, note, or unverified for a claim that
    could not be checked), what it means, an example, and the remedy. Without a cause it lists them.
    """
    from harness.causes import CAUSES

    if cause is None:
        _list(list(CAUSES.values()), format)
        return
    if every:
        raise UsageError("zoo rule is given both --all and a cause; leave out one of them")
    found = CAUSES.get(cause.strip())
    if found is None:
        from zoo._util.text import nearest

        near = nearest(cause, CAUSES, n=1)
        what = f"did you mean {near[0]}?" if near else "zoo rule lists them"
        raise UsageError(f"there is no cause {cause!r}; {what}")
    if format == "json":
        emit_json(asdict(found))
        return
    if format == "csv":
        _list([found], format)
        return
    paragraphs = (
        f"{found.id}: {_severity(found)}",
        found.meaning,
        f"Example: {found.example}",
        f"Remedy: {found.remedy}",
    )
    emit("\n\n".join(map(wrapped, paragraphs)) + "\n")


def _list(causes: list[Cause], format: str) -> None:
    if format == "json":
        emit_json([asdict(each) for each in causes])
        return
    if format == "csv":
        emit(csv_text([*asdict(causes[0])], map(asdict, causes)))
        return
    heads = aligned([(each.id, _severity(each)) for each in causes])
    wide = max(map(len, heads)) + 2
    for head, each in zip(heads, causes, strict=True):
        emit(wrapped(f"{head:<{wide}}{each.meaning}", indent=wide) + "\n")


def _severity(cause: Cause) -> str:
    return cause.severity or UNVERIFIED
