"""`zoo list`, `zoo show` and `zoo explain`: what an index claims, and what became of a claim."""

from __future__ import annotations

import difflib
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import MEASURING, announce, command, look_up, prepared, variant
from harness.cli.output import (
    Failure,
    aligned,
    columns,
    emit,
    emit_json,
    is_terminal,
    say,
    terminal_width,
)
from harness.config import RunConfig, UsageError
from harness.run.plan import index_options
from harness.run.session import Session
from zoo._util.text import bounded, truncate
from zoo.index.schema import canonical
from zoo.index.types import Claim, Variant

if TYPE_CHECKING:
    from harness.explain.claim_trace import ClaimTrace

_COLUMNS = ("variant", "collection", "parameters", "image size", "top-1")
_FIELDS = {"parameters": "Parameters", "image_size": "Image Size", "top1": "Top 1 Accuracy"}
_HEADINGS = ("module", "class", "output", "parameters", "MACs", "share")
_WITHOUT_IMAGES = ("flops", "parameters", "layers", "file size")
# Where the output is not a terminal, lines stay whole so that a search finds them.
_UNLIMITED = 10_000


@command("index", name="list")
def list_variants(
    config: RunConfig,
    pattern: Annotated[
        str | None, variant("A name, a glob or a collection.", metavar="PATTERN")
    ] = None,
    *,
    format: str,
) -> None:
    """A claim is shown as it is written, with a dash where there is none; in JSON it is the
    normalised value, or null.
    """
    chosen = look_up(config, *([pattern] if pattern else ())).variants
    if format == "json":
        emit_json([_entry(each) for each in chosen])
        return
    rows = [_COLUMNS] if is_terminal(sys.stdout) else []
    emit("".join(f"{line}\n" for line in aligned([*rows, *map(_row, chosen)])))


def _row(variant: Variant) -> tuple[str, ...]:
    claims = [variant.effective(field) for field in _FIELDS.values()]
    written = ("-" if claim is None else claim.raw for claim in claims)
    return (variant.name, _collection(variant) or "-", *written)


def _entry(variant: Variant) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": variant.name, "collection": _collection(variant)}
    for key, field in _FIELDS.items():
        claim = variant.effective(field)
        entry[key] = None if claim is None else _plain(claim.value)
    return entry


def _collection(variant: Variant) -> str | None:
    return None if variant.collection is None else variant.collection.name


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else None
    return value


@command(*MEASURING)
def show(
    config: RunConfig,
    variant: Annotated[str, variant("A name, or a glob.")],
    *,
    profile: bool,
    depth: int | None,
) -> None:
    """The options that say how to measure have a meaning with --profile."""
    if depth is not None and not profile:
        raise UsageError("zoo show: --depth goes with --profile")
    session = look_up(config, variant, builds=profile)
    if profile:
        emit("\n".join(_profile(session, each, depth) for each in session.variants))
    else:
        emit("\n".join(map(_claims, session.variants)))


def _profile(session: Session, variant: Variant, depth: int | None) -> str:
    """What each module of a variant costs, as a tree."""
    from harness.explain.claim_trace import module_tree
    from harness.types import Unmeasured

    fact = session.profile(variant)
    for line in session.warnings():
        say(line)
    if isinstance(fact, Unmeasured):
        raise Failure(fact.why)
    assert fact.image_size is not None
    height, width = fact.image_size
    heading = f"{bounded(variant.name)} at {height}x{width}: {fact.method}\n"
    rows = [_HEADINGS, *module_tree(fact.value, depth)]
    return heading + "".join(f"{line}\n" for line in columns(rows, left=2))


def _claims(variant: Variant) -> str:
    """Everything that the index claims of a variant, and where each claim stands."""
    text = f"{bounded(variant.name)}  {bounded(str(variant.location))}\n"
    text += _located(variant.claims)
    collection = variant.collection
    if collection is not None:
        text += f"\nof the collection {bounded(collection.name)}  "
        text += bounded(str(collection.location)) + "\n"
        text += _located(variant.inherited())
    elif variant.of_index:
        text += "\nof its index\n" + _located(variant.inherited())
    return text


def _located(claims: Iterable[Claim]) -> str:
    rows = [(_name(claim), _first_line(claim.raw), str(claim.location)) for claim in claims]
    return "".join(f"  {line}\n" for line in aligned(rows))


def _first_line(raw: str) -> str:
    """A text as written, or the beginning of one that has several lines."""
    first, *rest = raw.strip().splitlines() or [""]
    return raw if not rest else truncate(first, 60).removesuffix("…") + "…"


def _name(claim: Claim) -> str:
    return f"{claim.field} ({claim.dataset})" if claim.dataset else claim.field


@command(*MEASURING)
def explain(
    config: RunConfig,
    variant: Annotated[str, variant("")],
    field: Annotated[str, typer.Argument(metavar="FIELD", help="As the index writes it: FLOPs.")],
) -> None:
    """With the options that zoo verify was given it explains what that has found."""
    from harness.cli.progress import StderrProgress

    if canonical(field).lower() in _WITHOUT_IMAGES:  # Images can't decide it, and may take hours.
        config = replace(config, data=())
    session = prepared(replace(config, select=(variant,)))
    asked = [(v, c) for v in session.variants for c in v.in_effect() if _is_meant(c.field, field)]
    if not asked:
        raise UsageError(_no_such_field(session, field))
    announce(config, session.subject)
    report = session.verify(StderrProgress(quiet=True))
    if report.cut_short == "interrupted":
        raise KeyboardInterrupt
    if report.cut_short is not None:
        raise Failure(report.cut_short)
    width = terminal_width() or _UNLIMITED
    emit("\n".join(_wrapped(session.trace(report, v, c), width) for v, c in asked))


def _wrapped(trace: ClaimTrace, width: int) -> str:
    lines = [bounded(trace.title)]
    for section in trace.sections:
        lines += ["", bounded(section.heading)]
        for line in section.lines:
            lines += textwrap.wrap(
                bounded(line),
                width,
                initial_indent="  ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        lines += [f"  {line}" for line in columns(section.rows)]
    return "\n".join(lines) + "\n"


def _is_meant(field: str, asked: str) -> bool:
    """Whether ``asked`` names that field, or the whole that it is a part of."""
    return canonical(asked).lower() in (field.lower(), field.partition(".")[0].lower())


def _no_such_field(session: Session, field: str) -> str:
    names = {c.field.lower(): c.field for v in session.variants for c in v.in_effect()}
    shower = f"zoo show {session.variants[0].name}{index_options(session.request.index)}"
    near = difflib.get_close_matches(field.lower(), names, n=1, cutoff=0.4)
    advice = f"did you mean {names[near[0]]!r}?" if near else f"{shower} lists what is claimed"
    return f"{session.variants[0].name} claims no {field!r}; {advice}"
