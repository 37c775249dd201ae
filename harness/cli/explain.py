"""`zoo explain`: the trace of a claim, its lines wrapped for a terminal."""

from __future__ import annotations

import difflib
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.errors import Failure
from harness.cli.options import MEASURING, command, variant
from harness.cli.output import columns, emit, terminal_width
from harness.cli.selection import prepared
from harness.config import RunConfig, UsageError
from harness.run.progress import Progress
from harness.run.session import Session
from harness.run.sources import index_options
from zoo._util.text import for_terminal
from zoo.index.schema import canonical
from zoo.index.types import Claim, Variant

if TYPE_CHECKING:
    from harness.explain.claim_trace import ClaimTrace

_WITHOUT_IMAGES = ("flops", "parameters", "layers", "file size")
# Where the output is not a terminal, lines stay whole so that a search finds them.
_UNLIMITED = 10_000


@command(*MEASURING)
def explain(
    config: RunConfig,
    variant: Annotated[str, variant("")],
    field: Annotated[str, typer.Argument(metavar="FIELD", help="As the index writes it: FLOPs.")],
) -> None:
    """With the options that zoo verify was given it explains what that has found."""
    if canonical(field).lower() in _WITHOUT_IMAGES:  # Images can't decide it, and may take hours.
        config = replace(config, data=None)
    session = prepared(replace(config, select=(variant,)))
    asked = [(v, c) for v in session.variants for c in _effective(v) if _is_meant(c.field, field)]
    if not asked:
        raise UsageError(_no_such_field(session, field))
    report = session.verify(Progress())
    if report.cut_short is not None:
        raise Failure(report.cut_short)
    width = terminal_width() or _UNLIMITED
    emit("\n".join(_wrapped(session.trace(report, v, c), width) for v, c in asked))


def _wrapped(trace: ClaimTrace, width: int) -> str:
    lines = [for_terminal(trace.title)]
    for section in trace.sections:
        lines += ["", for_terminal(section.heading)]
        for line in section.lines:
            lines += textwrap.wrap(
                for_terminal(line),
                width,
                initial_indent="  ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        lines += [f"  {line}" for line in columns(section.rows)]
    return "\n".join(lines) + "\n"


def _effective(variant: Variant) -> list[Claim]:
    """The variant's own claims, and those of its collection in the fields that it leaves out."""
    own = {claim.field for claim in variant.claims}
    inherited = variant.collection.claims if variant.collection is not None else ()
    return [*variant.claims, *(claim for claim in inherited if claim.field not in own)]


def _is_meant(field: str, asked: str) -> bool:
    """Whether ``asked`` names that field, or the whole that it is a part of."""
    return canonical(asked).lower() in (field.lower(), field.partition(".")[0].lower())


def _no_such_field(session: Session, field: str) -> str:
    names = {c.field.lower(): c.field for v in session.variants for c in _effective(v)}
    shower = f"zoo show {session.variants[0].name}{index_options(session.request.index)}"
    near = difflib.get_close_matches(field.lower(), names, n=1, cutoff=0.4)
    advice = f"did you mean {names[near[0]]!r}?" if near else f"{shower} lists what is claimed"
    return f"{session.variants[0].name} claims no {field!r}; {advice}"
