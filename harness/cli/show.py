"""`zoo list`, `zoo show` and `zoo explain`: what an index claims, and what became of a claim."""

from __future__ import annotations

import difflib
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.options import MEASURING, command, look_up, prepared
from harness.cli.output import (
    WARNING,
    Failure,
    aligned,
    emit,
    emit_json,
    is_terminal,
    say,
    terminal_width,
)
from harness.config import RunConfig, UsageError
from harness.config.rules import SEVERITIES, UNVERIFIED
from harness.report.document import plain_place
from harness.report.rows import CLAIM_COLUMNS, ClaimRow, claim_rows, found_in
from harness.report.sentences import position
from harness.run.plan import builder_of
from harness.run.session import Session
from zoo._util.text import bounded, columns, csv_text, for_terminal, truncate, without_secrets
from zoo.index.schema import canonical
from zoo.index.speeds import SPEEDS
from zoo.index.types import Variant

if TYPE_CHECKING:
    from harness.explain.claim_trace import ClaimTrace
    from harness.types import Measurement, Report

_COLUMNS = ("variant", "collection", "parameters", "image size", "top-1")
_FIELDS = {"parameters": "Parameters", "image_size": "Image Size", "top1": "Top 1 Accuracy"}
_HEADINGS = ("module", "class", "output", "parameters", "MACs", "share")
_WITHOUT_IMAGES = ("flops", "parameters", "layers", "file size")
_CLAIMS = ("claim", "documented", "measured", "status", "where")
_OF_A_LOOK = ("accuracy.no-data", "weights.unreachable")
# Of a documented value, so many characters are always shown.
_ENOUGH, _NARROWEST = 20, 8
# Of a run that these were written for, `show` and `explain` tell the exit status as well.
_JUDGING = ("fail-on", "strict")
_SEEN = (*MEASURING, "checks", "cross-check", "baseline", *_JUDGING)
# Where the output is not a terminal, lines stay whole so that a search finds them.
_UNLIMITED = 10_000


@command("index", name="list", selects="What to list. Default: all.")
def list_variants(config: RunConfig, *, format: str) -> None:
    """A claim is shown as it is written, with a dash where there is none; in JSON it is the
    normalised value, or null.
    """
    chosen = look_up(config).variants
    if format == "json":
        emit_json([_entry(each) for each in chosen])
        return
    if format == "csv":
        emit(csv_text(("name", "collection", *_FIELDS), map(_entry, chosen)))
        return
    if format == "concise":
        lines = (f"{position(each.location)}: {each.name}" for each in chosen)
        emit("".join(f"{for_terminal(line)}\n" for line in lines))
        return
    rows = [_COLUMNS] if is_terminal(sys.stdout) else []
    emit("".join(f"{line}\n" for line in aligned([*rows, *map(_row, chosen)])))


def _row(variant: Variant) -> tuple[str, ...]:
    claims = [variant.effective(field) for field in _FIELDS.values()]
    written = ("-" if claim is None else without_secrets(claim.raw) for claim in claims)
    return (variant.name, variant.collection_name or "-", *written)


def _entry(variant: Variant) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": variant.name, "collection": variant.collection_name}
    for key, field in _FIELDS.items():
        claim = variant.effective(field)
        entry[key] = None if claim is None else _plain(claim.value)
    return entry


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else None
    return value


@command(*_SEEN, selects="What to show.", needs_names=True)
def show(config: RunConfig, *, profile: bool, depth: int | None, format: str) -> None:
    """Measured values are those that are known already: nothing is built, and no server is asked.
    With the options that zoo verify was given it shows what that has found. --profile measures.

    Exit status: 0; with --fail-on or --strict on the command line, 1 as of zoo verify.
    """
    if depth is not None and not profile:
        raise UsageError("--depth: is of the tree of --profile; write that too, or leave it out")
    if profile:
        _show_profiles(look_up(config, builds=True), depth, format)
        return
    session, report = known_report(config)
    found = found_in(report)
    tables = [(v, claim_rows(v, v.in_effect(), found)) for v in session.variants]
    rows = [row for _, of_it in tables for row in of_it]
    if format == "json":
        emit_json([_variant(v, of_it, config) for v, of_it in tables])
    elif format == "csv":
        emit(csv_text(CLAIM_COLUMNS, (row.row() for row in rows)))
    elif format == "concise":
        emit("".join(f"{for_terminal(_line(row))}\n" for row in rows))
    else:
        emit("\n".join(_table(v, of_it) for v, of_it in tables) + _next_steps(rows, config))
    _judge(report, rows, config)


def known_report(config: RunConfig, *, stands_in: bool = True) -> tuple[Session, Report]:
    """What is known of these variants; what only settings name is not insisted on."""
    from harness.cli.reporting import BaselineOption
    from harness.run.plan import check_builders

    # A device is part of what a measurement is of; nothing runs on it.
    asked_for = replace(config, device="auto", offline=True, refresh=False)
    session = look_up(asked_for, stands_in=stands_in)
    session.request = replace(session.request, device=config.device)
    asked = not dict(config.given).keys().isdisjoint(("builder", "data", "baseline"))
    try:
        if not asked and not session.has_measured():
            return session, session.audit()
        check_builders(session.variants, config)
        baseline = BaselineOption.read(config, session, config.checks)
        report = session.known()
        # A look has no file and no image that a run may have.
        found = (f for f in report.findings if f.severity or f.cause not in _OF_A_LOOK)
        report = baseline.applied(replace(report, findings=tuple(found)))
    except UsageError:
        if asked:
            raise
        report = session.audit()
    for line in session.warnings():
        say(line, WARNING)
    return session, report


def _variant(variant: Variant, rows: Sequence[ClaimRow], config: RunConfig) -> dict[str, Any]:
    return {
        "name": variant.name,
        "collection": variant.collection_name,
        "builder": builder_of(variant, config),
        "location": plain_place(variant.location),
        "claims": [row.entry() for row in rows],
    }


def _line(row: ClaimRow) -> str:
    values = f"documented {_first_line(row.documented)}, measured {row.shown or '-'}"
    cause = row.finding and row.finding.cause
    word = cause or row.word or ("not-checked" if row.is_open else "-")
    return f"{position(row.claim.location)}: {word} {row.variant}: {row.field}: {values}"


def _table(variant: Variant, rows: Sequence[ClaimRow]) -> str:
    """Everything that the index claims of a variant, what was measured, and how it stands."""
    cells = [_CLAIMS, *map(_cells, rows)]
    own = 1 + sum(not row.inherited for row in rows)
    lines = _fitted(cells)
    text = [f"{bounded(variant.name)}  {bounded(str(variant.location))}", *lines[:own]]
    collection = variant.collection
    if collection is not None:
        place = bounded(str(collection.location))
        text += ["", f"of the collection {bounded(collection.name)}  {place}", *lines[own:]]
    elif lines[own:]:
        text += ["", "of its index", *lines[own:]]
    return "".join(f"{line}\n" for line in text)


def _cells(row: ClaimRow) -> tuple[str, ...]:
    measured = _first_line(row.shown)
    return (row.field, _first_line(row.documented), measured, row.status, str(row.claim.location))


def _fitted(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows in columns; on a terminal values are cut, on a narrow one places and causes left out."""
    width = terminal_width()
    if width is None:
        return [f"  {line}" for line in aligned(rows)]
    brief = [(*row[:3], row[3].partition(" ")[0]) for row in rows]
    lines: list[str] = []
    most = min(max(len(for_terminal(row[1])) for row in rows), max(2 * _ENOUGH, width // 2))
    for kept, least in (rows, _ENOUGH), ([row[:4] for row in rows], _ENOUGH), (brief, _NARROWEST):
        over = max(_cut(kept, most)[0] - width, 0)
        wide, lines = _cut(kept, max(most - over, least))
        if wide <= width:
            break
    return lines


def _cut(rows: Sequence[tuple[str, ...]], most: int) -> tuple[int, list[str]]:
    """How wide rows are with so many characters of documented values, and their lines."""
    cut = [(row[0], truncate(for_terminal(row[1]), most), *row[2:]) for row in rows]
    lines = [f"  {line}" for line in aligned(cut)]
    return max(map(len, lines)), lines


def _next_steps(rows: Sequence[ClaimRow], config: RunConfig) -> str:
    """The commands that say more of these claims."""
    lines = []
    wrong = [row for row in rows if row.word in SEVERITIES and row.word != UNVERIFIED]
    if wrong:
        worst = min(wrong, key=lambda row: SEVERITIES.index(row.word))
        command = config.command("explain", worst.variant, worst.claim.field)
        lines.append(f"to explain {'it' if len(wrong) == 1 else 'the worst'}: {command}")
    fields = ", ".join(dict.fromkeys(row.claim.field for row in rows if row.is_open))
    if fields:
        images = " (accuracies need --data)" * (not config.data and "Accuracy" in fields)
        command = config.command("verify", *(config.select or ("--all",)))
        lines.append(f"not checked yet: {fields}{images}; to check: {command}")
    return "".join(f"\n{for_terminal(line)}\n" for line in lines)


def _judge(report: Report, rows: Sequence[ClaimRow], config: RunConfig) -> None:
    """Exit as the run would that found this, where its options are given."""
    from harness.cli.reporting import exit_status

    if not dict(config.given).keys().isdisjoint(_JUDGING):
        findings = tuple(row.finding for row in rows if row.finding is not None)
        status = exit_status(replace(report, findings=findings), config)
        if status:
            raise typer.Exit(status)


def _first_line(raw: str) -> str:
    """A text as written, or the beginning of one that has several lines."""
    first, *rest = raw.strip().splitlines() or [""]
    return raw if not rest else truncate(first, 60).removesuffix("…") + "…"


def _show_profiles(session: Session, depth: int | None, format: str) -> None:
    """What each module of the variants costs, as a tree."""
    from harness.explain.claim_trace import module_rows, module_tree

    facts = [(each, _profile(session, each)) for each in session.variants]
    if format in ("json", "csv"):
        rows = [
            {"variant": v.name, "image_size": fact.image_size, **row}
            for v, fact in facts
            for row in module_rows(fact.value, depth)
        ]
        emit_json(rows) if format == "json" else emit(csv_text([*rows[0]], rows))
        return
    if format == "concise":
        raise UsageError("zoo show: --format concise has a line for each claim, not for a module")
    tables = []
    for each, fact in facts:
        height, width = fact.image_size or (0, 0)
        lines = [f"{bounded(each.name)} at {height}x{width}: {fact.method}"]
        lines += columns([_HEADINGS, *module_tree(fact.value, depth)], left=2)
        tables.append("".join(f"{line}\n" for line in lines))
    emit("\n".join(tables))


def _profile(session: Session, variant: Variant) -> Measurement:
    from harness.types import Unmeasured

    fact = session.profile(variant)
    for line in session.warnings():
        say(line, WARNING)
    if isinstance(fact, Unmeasured):
        raise Failure(fact.why)
    return fact


@command(*_SEEN, selects="Whose claim to trace.", needs_names=True)
def explain(
    config: RunConfig,
    field: Annotated[str, typer.Argument(metavar="FIELD", help="As the index writes it: FLOPs.")],
    *,
    format: str,
) -> None:
    """With the options that zoo verify was given it explains what that has found.

    Exit status: 0; with --fail-on or --strict on the command line, 1 as of zoo verify.
    """
    from harness.cli.progress import StderrProgress
    from harness.cli.reporting import BaselineOption

    if canonical(field).lower() in _WITHOUT_IMAGES:  # Images can't decide it, and may take hours.
        config = replace(config, data=())
    # The claim is checked, whichever groups a run was about.
    speed = ("speed",) * (canonical(field) in SPEEDS)
    checks = tuple(dict.fromkeys((*config.checks, *RunConfig().checks, *speed)))
    config = replace(config, checks=checks)
    session = prepared(config)
    baseline = BaselineOption.read(config, session, checks)
    asked = [(v, c) for v in session.variants for c in v.in_effect() if _is_meant(c.field, field)]
    if not asked:
        raise UsageError(_no_such_field(session, field))
    say(session.subject)
    report = session.verify(StderrProgress(quiet=True))
    if report.cut_short == "interrupted":
        raise KeyboardInterrupt
    if report.cut_short is not None:
        raise Failure(report.cut_short)
    report = baseline.applied(report)
    found = found_in(report)
    rows = [row for v, c in asked for row in claim_rows(v, [c], found)]
    traces = [session.trace(report, v, c) for v, c in asked]
    if format == "json":
        emit_json([_traced(*each) for each in zip(rows, traces, strict=True)])
    else:
        width = terminal_width() or _UNLIMITED
        emit("\n".join(_wrapped(trace, width) for trace in traces))
    _judge(report, rows, config)


def _traced(row: ClaimRow, trace: ClaimTrace) -> dict[str, Any]:
    sections = [{"heading": s.heading, "lines": s.lines, "rows": s.rows} for s in trace.sections]
    return {"variant": row.variant} | row.entry() | {"sections": sections}


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
    shower = session.request.command("show", session.variants[0].name)
    near = difflib.get_close_matches(field.lower(), names, n=1, cutoff=0.4)
    advice = f"did you mean {names[near[0]]!r}?" if near else f"{shower} lists what is claimed"
    return f"{session.variants[0].name} claims no {field!r}; {advice}"
