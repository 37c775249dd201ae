"""Zoos side by side, in one table: a row for each thing that two of them say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from harness.causes import CAUSES
from harness.report import Options, sentences
from harness.report.view import is_wanted, rank
from harness.types import Finding, Report
from zoo._util.text import FOREIGN, columns, for_markdown, for_terminal, truncate, without_secrets

# How wide a cell may be, on a terminal the first of these at which the table fits.
_CELLS = (60, 44, 32, 24, 18, 12)


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write the summary, the table, and what each cause asks for."""
    found = wanted(report, options)
    out.write(f"{sentences.summary(report)}\n")
    if found:
        rows = [_head(report), *(_cells(each, report) for each in found)]
        out.write("\n")
        out.writelines(f"{for_terminal(line)}\n" for line in _fitting(rows, options.width))
    if not options.quiet:
        out.writelines(f"\n{cause}: {for_terminal(remedy)}\n" for cause, remedy in _remedies(found))


def _fitting(rows: Sequence[list[str]], width: int | None) -> list[str]:
    """The lines of the table; on a terminal the reasons follow it, each once, without places."""
    if width is None:
        return columns([[truncate(c, FOREIGN) for c in row] for row in rows], len(rows[0]))
    reasons = dict.fromkeys(row[-2] for row in rows[1:] if row[-2] != "-")
    number = {why: str(at) for at, why in enumerate(reasons, 1)}
    short = [[*row[:-2], number.get(row[-2], row[-2])] for row in rows]
    lines: list[str] = []
    for most in _CELLS:
        lines = columns([[truncate(c, most) for c in row] for row in short], len(short[0]))
        if max(map(len, lines)) <= width:
            break
    return [*lines, "", *(f"{at} {why}" for why, at in number.items())]


def markdown(report: Report, *, out: TextIO, options: Options) -> None:
    """The same for a page."""
    found = wanted(report, options)
    out.write(f"## Zoos side by side\n\n**{sentences.summary(report)}**\n")
    rows = [[*map(for_markdown, _cells(each, report))] for each in found]
    if rows:
        out.write("\n")
        head = [*map(for_markdown, _head(report))]
        for row in (head, ["---"] * len(head), *rows):
            out.write(f"| {' | '.join(row)} |\n")
        out.writelines(f"\n`{cause}`: {for_markdown(text)}\n" for cause, text in _remedies(found))


def wanted(report: Report, options: Options) -> list[Finding]:
    """What the table has, the worst first."""
    return sorted((f for f in report.findings if is_wanted(f, options)), key=rank)


def _head(report: Report) -> list[str]:
    names = report.zoos if len(report.zoos) == 2 else ("one", "the other")
    return ["", "field", names[0], "says", names[1], "says", "the same by", "why", "where"]


def _cells(finding: Finding, report: Report) -> list[str]:
    beside, one = finding.beside, finding.variant or "-"
    if beside is None:  # of the baseline
        label = sentences.label(finding)
        rest = ("-", "-", "-", "-", finding.message, sentences.place(finding))
        return [label, finding.field, one, *rest]
    other = beside.variant
    if len(report.zoos) > 2:
        other = f"{beside.zoo}: {other}"
    place = beside.claim.location
    return [
        *(sentences.label(finding), finding.field, one, sentences.value(finding.documented)),
        *(
            other,
            without_secrets(beside.claim.raw),
            beside.same.removeprefix("the same "),
            beside.why or "-",
        ),
        f"{sentences.place(finding)}, {sentences.position(place)}",
    ]


def _remedies(findings: Iterable[Finding]) -> Iterator[tuple[str, str]]:
    for cause in dict.fromkeys(f.cause for f in findings if f.cause and f.accepted is None):
        yield cause, CAUSES[cause].remedy
