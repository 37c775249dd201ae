"""The report as Markdown: a comment on a pull request, or a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from harness.causes import CAUSES
from harness.report import unchecked, words
from harness.report.grouping import Joint, arrange
from harness.report.options import Options
from harness.types import Finding, Report
from zoo._util.text import for_markdown, truncate

_HEADINGS = ("", "Variant", "Field", "Documented", "Measured", "What is wrong", "Cause", "Where")


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write the summary, a table of the findings that matter, and what to do about each cause."""
    layout = arrange(report, options, join=True)
    out.write(f"## Model zoo report\n\n**{words.summary(report)}**\n")
    broken = words.cut_short(report)
    if broken:
        out.write(f"\n{for_markdown(broken)}\n")
    open_ = unchecked.sentence(report)
    if open_ is not None and not options.quiet:
        out.write(f"\n{for_markdown(open_)}\n")
    shown = [finding for group in layout.groups for finding in group.findings]
    if shown or layout.joint or layout.alike:
        out.write("\n")
        _write_row(out, _HEADINGS)
        _write_row(out, ["---"] * len(_HEADINGS))
        for finding in shown:
            _write_row(out, _cells(finding))
        for joint in layout.joint:
            _write_row(out, _joint_cells(joint))
        for findings in layout.alike:
            _write_row(out, _alike_cells(findings))
    known = [CAUSES[cause] for cause in layout.causes() if cause in CAUSES]
    if known:
        out.write("\n### What to do\n\n")
        for cause in known:
            out.write(f"- `{cause.id}`: {for_markdown(cause.remedy)}\n")


def _write_row(out: TextIO, cells: Sequence[str]) -> None:
    out.write("| " + " | ".join(cells) + " |\n")


def _cells(finding: Finding) -> list[str]:
    texts = (
        finding.variant or "-",
        finding.field,
        truncate(words.value(finding.documented)),
        words.value(finding.measured),
        words.message(finding),
        words.value(finding.cause),
        words.place(finding),
    )
    return [words.word(finding), *map(for_markdown, texts)]


def _joint_cells(joint: Joint) -> list[str]:
    """One row for all, whose cells name each: a table of a page has room for that."""
    first = joint.findings[0]

    def each(values: Iterable[object]) -> str:
        return "<br>".join(for_markdown(str(value)) for value in values)

    return [
        words.word(first),
        each(f.variant for f in joint.findings),
        for_markdown(first.field),
        each(truncate(words.value(f.documented)) for f in joint.findings),
        each(words.value(f.measured) for f in joint.findings),
        for_markdown(joint.sentence),
        for_markdown(words.value(first.cause)),
        each(words.place(f) for f in joint.findings),
    ]


def _alike_cells(findings: Sequence[Finding]) -> list[str]:
    if len(findings) == 1:
        return _cells(findings[0])
    first = findings[0]
    said = "; ".join(words.messages(findings))
    texts = ("-", words.alike(findings), "-", "-", said, words.value(first.cause))
    return [words.word(first), *map(for_markdown, (*texts, words.place(first)))]
