"""The report for a person at a terminal, or for a log to be searched.

The summary leads, and what is wrong, the worst first, in the first five lines. On a terminal: a
heading per variant, the findings under it wrapped to the width, what could not be checked, what to
do about each cause. In a pipe or a file: one line per finding, however long, in the form of a
compiler's messages, so that ``grep`` and editors understand it.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from posixpath import basename
from shlex import quote as quoted
from typing import TYPE_CHECKING, TextIO

from harness.causes import CAUSES
from harness.report import Options, across, sentences
from harness.report.groups import FindingGroup, Layout, ReportedValue, RuleGroup, arrange, reasons
from harness.report.view import precisions
from harness.types import Finding, Report
from zoo._util.text import FOREIGN, columns, for_terminal, plural, truncate

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Longer lines than this are tiring to read, however wide the window is.
_WIDEST = 120
_INDENT = 2
_LABEL = 12
# What is wrong, and where, is in so many lines.
_LEAD = 5
_LEAD_LABEL = 8
# A report of more lines scrolls its beginning away, and so ends with the summary again.
_SCREEN = 24
# So many of a collection are named on a terminal, and so many places of one value.
_ROWS = 20
_PLACES = 5
_STORIES = 3
_VERBOSE = "--verbose shows each"
_STYLES = {
    "error": "bold red",
    "warning": "bold yellow",
    "note": "cyan",
    "unverified": "magenta",
    "match": "green",
    "accepted": "blue",
}


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write a page for ``options.width`` columns, or a line per finding where that is None."""
    if report.zoos:
        across.render(report, out=out, options=options)
        return
    layout = arrange(report, options, join=True)
    if options.width is None and not options.color:
        out.writelines(line + "\n" for line in _lines(report, layout, options))
        return
    from rich.console import Console

    page = io.StringIO()
    console = Console(
        file=page,
        width=options.width or 10**6,
        height=25,
        force_terminal=options.color,
        color_system="standard" if options.color else None,
        no_color=not options.color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    if options.width is None:
        _colored_lines(console, report, layout, options)
    else:
        _page(console, report, layout, options)
        if page.getvalue().count("\n") > _SCREEN:
            _paragraph(console, _text(sentences.summary(report), "bold"))
    out.write(f"{page.getvalue().rstrip()}\n")


# The first lines.


def _lead(report: Report, layout: Layout, width: int | None) -> Iterator[tuple[str, str, str]]:
    """What is wrong, a line for each cause: its word, which values and where, the causes.

    None where the findings' own lines are so few.
    """
    found: dict[tuple[str, tuple[str, ...]], list[Finding]] = {}
    told = [each for block in layout.blocks for each in block.values]
    for each in told:
        label = sentences.label(each.first)
        if label in ("error", "mismatch", "warning"):
            found.setdefault((label, each.causes), []).append(each.first)
    if width is None and sum(map(len, found.values())) < _LEAD:
        return
    room = _LEAD - _height(sentences.summary(report), width)
    wide = None if width is None else min(width, _WIDEST) - _INDENT - _LEAD_LABEL - 1
    worst_first = sorted(found.items(), key=lambda item: item[0][0] == "warning")
    for at, ((label, causes), findings) in enumerate(worst_first):
        line = _short(findings, causes, wide)
        room -= _height(" ".join(line).rstrip(), wide)
        if room < (at < len(found) - 1):
            yield "", f"and {plural(len(found) - at, 'more cause')} below", ""
            return
        yield label, *line


def _short(
    findings: Sequence[Finding], causes: Sequence[str], width: int | None
) -> tuple[str, str]:
    """Which values, and where, and the causes: as much as there is room for in a line."""
    at, whose = findings[0].location, sentences.of_whom(findings)
    first = "first " if len(findings) > 1 else ""
    full = f"{whose}, {first}at {sentences.place(findings[0])}" if at else whose
    near = f"{whose}, {basename(truncate(at.file, FOREIGN))}:{at.line}" if at else whose
    # Each cause is a finding of its own: a name less, and the sum of the summary is a riddle.
    more = f" +{len(causes) - 1}" if len(causes) > 1 else ""
    words = (", ".join(causes), "".join(causes[:1]) + more)
    shown = [(where, cause) for cause in words for where in (full, near)]
    for line in [*shown, (near, ""), (whose, words[1]), (whose, "")]:
        if _height(" ".join(line).rstrip(), width) == 1:
            return line
    return truncate(whose, width or 0), ""


def _height(text: str, width: int | None) -> int:
    return 1 if width is None else -(-len(for_terminal(text)) // min(width, _WIDEST))


# One line per finding.


def _lines(report: Report, layout: Layout, options: Options) -> list[str]:
    lines = [sentences.summary(report), *filter(None, (sentences.cut_short(report),))]
    for label, what, causes in _lead(report, layout, None):
        lines.append(f"  {label}: {what} [{causes}]" if label else f"  {what}")
    for block in layout.blocks:
        leaders = block.leaders if isinstance(block, RuleGroup) else block.values
        lines += map(_line, block.values, leaders)
    lines += [_alike_line(findings) for findings in _notes(layout)]
    if layout.accepted:
        lines.append(f"accepted: {_accepted(layout.accepted)}")
    for reason in [] if options.quiet else reasons(report, options):
        first = reason.findings[0]
        where = f"{sentences.place(first)}: " if first.location else ""
        about = f"{sentences.label(first)}: {sentences.alike(reason.findings)}"
        lines.append(f"{where}{about}: {reason.why}; {reason.remedy} [{first.cause}]")
    lines += filter(None, (sentences.explained(report),))
    lines += _precisions(report)
    lines += lines[: len(lines) > _SCREEN]
    return [for_terminal(line) for line in lines]


def _colored_lines(console: Console, report: Report, layout: Layout, options: Options) -> None:
    """The same lines for a log that shows colour: the severity's word stands out."""
    from rich.text import Text

    for line in _lines(report, layout, options):
        text = Text(line, overflow="ignore", no_wrap=True)
        for word, style in _STYLES.items():
            at = line.find(f"{word}: ")
            if at >= 0:
                text.stylize(style, at, at + len(word))
                break
        console.print(text, soft_wrap=True)


def _precisions(report: Report) -> list[str]:
    rows, notes = precisions(report)
    return [*(columns(rows, 3) if rows else ()), *notes]


def _line(told: ReportedValue, leader: ReportedValue) -> str:
    """A value's line; what was said of the one that it follows is not said again."""
    first = told.first
    head = [sentences.place(first)] if first.location else []
    head += [sentences.label(first), *filter(None, (first.variant, first.field))]
    said = _messages(told) if leader is told else [f"as {leader.first.variant}'s"]
    tail = "".join(f" [{cause}]" for cause in told.causes)
    text = ": ".join([*head, "; ".join([*said, *_elsewhere(told)])])
    return f"{text} ({_both(told)}){tail}"


def _messages(told: ReportedValue) -> list[str]:
    """What is wrong with a value; what is less bad than the worst of it says so."""
    label = sentences.label(told.first)
    return [
        f"{'' if sentences.label(f) == label else f'{sentences.label(f)}: '}{sentences.message(f)}"
        for f in told.findings
    ]


def _elsewhere(told: ReportedValue) -> list[str]:
    """Where else the same value stands, in one sentence, if anywhere."""
    places = list(dict.fromkeys(map(partial(_other, told.first), told.repeated)))
    if not places:
        return []
    more = [f"{len(places) - _PLACES} more places"] if len(places) > _PLACES else []
    return [f"the same stands at {', '.join([*places[:_PLACES], *more])}"]


def _other(first: Finding, finding: Finding) -> str:
    """A place that repeats a value, and how it is written there, if not so."""
    written = sentences.values(finding)[0]
    as_ = "" if finding.documented == first.documented else f" (as {written})"
    return f"{sentences.place(finding)}{as_}"


def _both(told: ReportedValue) -> str:
    """The documented value, and what was measured by whichever check did."""
    return sentences.both(next((f for f in told.findings if f.measured is not None), told.first))


def _notes(layout: Layout) -> list[tuple[Finding, ...]]:
    """The groups of what is no more than a note; what could not be checked has its own part."""
    return [each for each in layout.alike if sentences.label(each[0]) != "unverified"]


def _accepted(findings: Sequence[Finding]) -> str:
    """All of them in a line, with their reason; of several reasons, with the most common."""
    causes = ", ".join(dict.fromkeys(f.cause for f in findings if f.cause))
    (reason, _), *others = Counter(finding.accepted or "" for finding in findings).most_common()
    more = f", and {plural(len(others), 'other reason')}" if others else ""
    said = f"{sentences.alike(findings)} ({causes}): {truncate(reason, FOREIGN)}{more}"
    return f"{said}; {_VERBOSE}"


def _alike_line(findings: Sequence[Finding]) -> str:
    if len(findings) == 1:
        told = ReportedValue(list(findings))
        return _line(told, told)
    first = findings[0]
    where = f"{sentences.place(first)}: " if first.location else ""
    return f"{where}{sentences.alike_line(findings)}"


# A page for a terminal.


def _page(console: Console, report: Report, layout: Layout, options: Options) -> None:
    _paragraph(console, _text(sentences.summary(report), "bold"))
    cut_short = sentences.cut_short(report)
    if cut_short is not None:
        _paragraph(console, _text(cut_short, "bold"))
    for label, what, causes in _lead(report, layout, console.width):
        line = _text("").append_text(_text(label.ljust(_LEAD_LABEL), _STYLES.get(label, "")))
        line.append_text(_text(what))
        line.append_text(_text(f" {causes}".rstrip(), "dim"))
        _paragraph(console, line, _INDENT, hang=_LEAD_LABEL)
    console.print()
    for block in layout.blocks:
        if isinstance(block, RuleGroup):
            _together(console, block, options.repeat)
        else:
            _values(console, block)
    notes = _notes(layout)
    for findings in notes:
        head, lines = sentences.alike(findings), sentences.messages(findings)
        where = [f"first at {sentences.place(findings[0])}"] if findings[0].location else []
        _block(console, findings[:1], head, [*lines, *where], dim=False)
    if layout.accepted:
        line = _text("").append_text(_text("accepted".ljust(_LABEL), _STYLES["accepted"]))
        line.append_text(_text(_accepted(layout.accepted)))
        _paragraph(console, line, _INDENT, hang=_LABEL)
    if notes:
        _paragraph(console, _text("--verbose shows each of them, and what holds.", "dim"), _INDENT)
    if notes or layout.accepted:
        console.print()
    _unchecked(console, report, options)
    _remedies(console, layout.causes())
    for row in _precisions(report):
        console.print(_text(row), soft_wrap=True)
    explained = sentences.explained(report)
    if explained is not None:
        _paragraph(console, _text(explained, "bold"))


def _values(console: Console, group: FindingGroup) -> None:
    """The values of one variant, each with what is wrong."""
    names = [name for name in (group.collection, group.variant) if name is not None]
    _paragraph(console, _text(" / ".join(names) or "The index", "bold"))
    for told in group.values:
        _block(console, told.findings, told.first.field, _details(told, console.width))
    console.print()


def _details(told: ReportedValue, width: int) -> list[str]:
    """The lines under a finding's head; a match needs no words but its values."""
    where = [sentences.place(told.first)] if told.first.location else []
    values = [_both(told)]
    if len(values[0]) > min(width, _WIDEST) - _INDENT - _LABEL:
        seen = next((f for f in told.findings if f.measured is not None), told.first)
        documented, measured = sentences.values(seen)
        values = [f"documented {documented}", f"measured {measured}"]
    messages = [] if told.first.status == "match" else _messages(told)
    return [*messages, *values, *where, *_elsewhere(told)]


def _together(console: Console, rule: RuleGroup, repeat: str) -> None:
    """What a collection's findings have in common, then each in a line."""
    _paragraph(console, _text(rule.collection or "Variants of no collection", "bold"))
    first = rule.values[0].first
    head = f"{first.field} of {plural(len(rule.values), 'variant')}"
    _block(console, rule.values[0].findings, head, _stories(rule))
    shown = rule.values if len(rule.values) <= _ROWS + 1 else rule.values[:_ROWS]
    longest = max(len(for_terminal(told.first.variant or "")) for told in shown)
    for told in shown:
        name = for_terminal(told.first.variant or "").ljust(longest)
        places = [sentences.place(told.first), *_elsewhere(told)]
        line = f"{name}  {_both(told)}  {'; '.join(places)}"
        _paragraph(console, _text(line, "dim"), _INDENT + _LABEL, hang=longest + 2)
    if len(shown) < len(rule.values):
        more = f"and {len(rule.values) - len(shown)} more; {_VERBOSE}"
        _paragraph(console, _text(more, "dim"), _INDENT + _LABEL)
    command = f"zoo explain {quoted(first.variant or '')} {quoted(first.field)} {repeat}".rstrip()
    _paragraph(console, _text(f"to explain one of them: {command}", "dim"), _INDENT + _LABEL)
    console.print()


def _stories(rule: RuleGroup) -> list[str]:
    """What is said of the values of a group, each story once, of the first that has it."""
    if rule.sentence is not None:
        return [rule.sentence]
    leaders = list({id(told): told for told in rule.leaders}.values())
    told = [f"{each.first.variant}: {'; '.join(_messages(each))}" for each in leaders[:_STORIES]]
    more = len(leaders) - _STORIES
    return told if more <= 0 else [*told, f"and {plural(more, 'other reason')}; {_VERBOSE}"]


def _block(
    console: Console,
    findings: Sequence[Finding],
    head: str,
    lines: Sequence[str],
    *,
    dim: bool = True,
) -> None:
    """A head with lines under it; all but the first are details, and dim, unless that is off."""
    label = sentences.label(findings[0])
    title = _text("").append_text(_text(label.ljust(_LABEL), _STYLES[label]))
    title.append_text(_text(head, "bold"))
    causes = ", ".join(dict.fromkeys(f.cause for f in findings if f.cause))
    if causes:
        title.append_text(_text(f"  {causes}", "dim"))
    _paragraph(console, title, _INDENT, hang=_LABEL)
    for number, line in enumerate(lines):
        style = "dim" if dim and number >= len(findings) else ""
        _paragraph(console, _text(line, style), _INDENT + _LABEL)


def _unchecked(console: Console, report: Report, options: Options) -> None:
    """What could not be checked, by reason, and the command that would check it."""
    found = [] if options.quiet else reasons(report, options)
    if not found:
        return
    _paragraph(console, _text("Not checked", "bold"))
    longest = max(len(str(len(reason.findings))) for reason in found) + 2
    for reason in found:
        why = "" if options.verbose else f": {reason.why}"
        number = _text(str(len(reason.findings)).ljust(longest), _STYLES["unverified"])
        line = _text("").append_text(number)
        line.append_text(_text(f"{reason.about}{why}"))
        _paragraph(console, line, _INDENT, hang=longest)
        _paragraph(console, _text(reason.remedy, "dim"), _INDENT + longest)
    console.print()


def _remedies(console: Console, causes: Sequence[str]) -> None:
    """What to do, once for each cause, since many findings share one."""
    known = [CAUSES[cause] for cause in causes if cause in CAUSES]
    if not known:
        return
    _paragraph(console, _text("What to do", "bold"))
    longest = max(len(cause.id) for cause in known) + 2
    for cause in known:
        line = _text("").append_text(_text(cause.id.ljust(longest), "dim"))
        line.append_text(_text(cause.remedy))
        _paragraph(console, line, _INDENT, hang=longest)
    console.print()


def _paragraph(console: Console, text: Text, indent: int = 0, hang: int = 0) -> None:
    """Print wrapped text, its first line ``indent`` columns in and the others ``hang`` more.

    Rich's own padding would fill each line to the window's edge with spaces, to be copied along.
    """
    room = max(min(console.width, _WIDEST) - indent - hang, 20)
    first, rest = text, None
    if hang:
        first, rest = text.divide([hang])
        rest.overflow = "fold"
    lines = list((rest or first).wrap(console, room))
    for number, line in enumerate(lines):
        line.rstrip()
        if hang:
            head = first.copy() if number == 0 else _text(" " * hang)
            line = head.append_text(line)  # noqa: PLW2901 - the hanging indent belongs to the line
        console.print(_text(" " * indent).append_text(line), soft_wrap=True)


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(for_terminal(text), style=style, overflow="fold")
