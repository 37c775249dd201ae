"""The report as Markdown: a comment on a pull request, or a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from harness.causes import CAUSES
from harness.report import Options, across, sentences
from harness.report.groups import Layout, RuleGroup, arrange, in_a_line
from harness.report.view import precisions
from harness.types import Finding, Report
from zoo._util.text import for_markdown

# So many of a collection are named in one row.
_EACH = 20
_HEADINGS = ("", "Variant", "Field", "Documented", "Measured", "What is wrong", "Cause", "Where")


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write the summary, a table of the findings that matter, and what to do about each cause."""
    if report.zoos:
        across.markdown(report, out=out, options=options)
        return
    layout = arrange(report, options, join=True)
    out.write(f"## Model zoo report\n\n**{sentences.summary(report)}**\n")
    unchecked = None if options.quiet else in_a_line(report, options)
    for line in (sentences.cut_short(report), unchecked):
        if line:
            out.write(f"\n{for_markdown(line)}\n")
    rows = list(_rows(layout, options.verbose))
    if rows:
        out.write("\n")
        for row in (_HEADINGS, ["---"] * len(_HEADINGS), *rows):
            out.write(f"| {' | '.join(row)} |\n")
    out.writelines(precision_table(report))
    known = [CAUSES[cause] for cause in layout.causes() if cause in CAUSES]
    if known:
        out.write("\n### What to do\n\n")
        for cause in known:
            out.write(f"- `{cause.id}`: {for_markdown(cause.remedy)}\n")


def precision_table(report: Report) -> Iterator[str]:
    """The precisions that were compared, side by side; nothing where none were."""
    rows, notes = precisions(report)
    if rows:
        head, *others = rows
        yield "\n"
        for row in (head, ["---"] * 3 + ["---:"] * (len(head) - 3), *others):
            yield f"| {' | '.join(map(for_markdown, row))} |\n"
        yield from (f"\n{for_markdown(note)}\n" for note in notes)


def _rows(layout: Layout, whole: bool) -> Iterator[list[str]]:
    for finding in layout.full:
        yield _row(finding, sentences.message(finding))
    for rule in layout.rules:
        if rule.sentence is not None and all(len([*told.all]) == 1 for told in rule.values):
            yield _rule_row(rule, None if whole else _EACH)
        else:
            found = (finding for told in rule.values for finding in told.all)
            yield from (_row(finding, sentences.message(finding)) for finding in found)
    for finding in layout.accepted:
        yield _row(finding, sentences.message(finding))
    for findings in layout.alike:
        text = "; ".join(sentences.messages(findings))
        yield _row(findings[0], text, findings if len(findings) > 1 else ())


def _row(finding: Finding, message: str, alike: Sequence[Finding] = ()) -> list[str]:
    """The row of a finding, or of several alike that it is the first of."""
    about = (finding.variant or "-", finding.field, *sentences.values(finding))
    if alike:
        about = ("-", sentences.alike(alike), "-", "-")
    cells = (*about, message, sentences.value(finding.cause), sentences.place(finding))
    return [sentences.label(finding), *map(for_markdown, cells)]


def _rule_row(rule: RuleGroup, room: int | None) -> list[str]:
    """One row for all, whose cells name each, or as many as there is room for."""
    findings = rule.findings[:room]
    first, more = findings[0], len(rule.findings) - len(findings)

    def each(values: Iterable[object]) -> str:
        return "<br>".join(for_markdown(str(value)) for value in values)

    documented, measured = zip(*map(sentences.values, findings), strict=True)
    names = [*(f.variant for f in findings), *([f"and {more} more"] if more else [])]
    return [
        sentences.label(first),
        each(names),
        for_markdown(first.field),
        each(documented),
        each(measured),
        for_markdown(rule.sentence or ""),
        for_markdown(sentences.value(first.cause)),
        each(map(sentences.place, findings)),
    ]
