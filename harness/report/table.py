"""The report for a person at a terminal, or for a log to be searched.

On a terminal: a heading per variant, the findings under it wrapped to the width, then what to do
about each cause, then the summary where the eye rests. In a pipe or a file: one line per finding,
however long, in the form of a compiler's messages, so that ``grep`` and editors understand it.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote as quoted
from typing import TYPE_CHECKING, TextIO

from harness.causes import CAUSES
from harness.report import Options, sentences
from harness.report.view import Layout, RuleGroup, arrange
from harness.types import Finding, Report
from zoo._util.text import for_terminal, plural

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# Longer lines than this are tiring to read, however wide the window is.
_WIDEST = 120
_INDENT = 2
_LABEL = 12
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
    # A line is for one claim; on a page, what many claims have in common is stated once.
    layout = arrange(report, options, join=options.width is not None)
    if options.width is None and not options.color:
        out.writelines(line + "\n" for line in _lines(report, layout, options))
        return
    from rich.console import Console

    console = Console(
        file=out,
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


# One line per finding.


def _lines(report: Report, layout: Layout, options: Options) -> list[str]:
    lines = [_line(finding) for finding in layout.full]
    lines += [_alike_line(findings) for findings in layout.alike]
    return [*lines, *_closing(report, options)]


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


def _line(finding: Finding) -> str:
    head = [sentences.place(finding)] if finding.location else []
    head += [sentences.label(finding)]
    head += [finding.variant] if finding.variant else []
    tail = f" [{finding.cause}]" if finding.cause else ""
    head += [finding.field] if finding.field else []
    text = ": ".join([*head, sentences.message(finding)])
    return for_terminal(f"{text} ({sentences.both(finding)}){tail}")


def _alike_line(findings: Sequence[Finding]) -> str:
    if len(findings) == 1:
        return _line(findings[0])
    first = findings[0]
    where = f"{sentences.place(first)}: " if first.location else ""
    text = "; ".join(sentences.messages(findings))
    head = f"{sentences.label(first)}: {sentences.alike(findings)}"
    return for_terminal(f"{where}{head}: {text} [{first.cause}]")


# A page for a terminal.


def _page(console: Console, report: Report, layout: Layout, options: Options) -> None:
    for group in layout.groups:
        names = [name for name in (group.collection, group.variant) if name is not None]
        _paragraph(console, _text(" / ".join(names) or "The index", "bold"))
        for finding in group.findings:
            _block(console, finding, finding.field, _details(finding, console.width))
        console.print()
    for rule in layout.rules:
        _together(console, rule, options.repeat)
    for findings in layout.alike:
        head, lines = sentences.alike(findings), sentences.messages(findings)
        _block(console, findings[0], head, lines, dim=False)
    if layout.alike:
        hint = "--verbose shows each of them, and what matches."
        _paragraph(console, _text(hint, "dim"), _INDENT)
        console.print()
    _remedies(console, layout.causes())
    for line in _closing(report, options):
        _paragraph(console, _text(line, "bold"))


def _details(finding: Finding, width: int) -> list[str]:
    """The lines under a finding's head; a match needs no words but its values."""
    where = [sentences.place(finding)] if finding.location else []
    values = [sentences.both(finding)]
    if len(values[0]) > min(width, _WIDEST) - _INDENT - _LABEL:
        documented, measured = sentences.values(finding)
        values = [f"documented {documented}", f"measured {measured}"]
    message = [] if finding.status == "match" else [sentences.message(finding)]
    return [*message, *values, *where]


def _together(console: Console, rule: RuleGroup, repeat: str) -> None:
    """What a collection's findings have in common, then each in a line."""
    _paragraph(console, _text(rule.collection, "bold"))
    first = rule.findings[0]
    head = f"{first.field} of {plural(len(rule.findings), 'variant')}"
    _block(console, first, head, [rule.sentence])
    longest = max(len(for_terminal(f.variant or "")) for f in rule.findings)
    for finding in rule.findings:
        name = for_terminal(finding.variant or "").ljust(longest)
        line = f"{name}  {sentences.both(finding)}  {sentences.place(finding)}"
        _paragraph(console, _text(line, "dim"), _INDENT + _LABEL, hang=longest + 2)
    command = f"zoo explain {quoted(first.variant or '')} {quoted(first.field)} {repeat}".rstrip()
    _paragraph(console, _text(f"{command} explains one of them", "dim"), _INDENT + _LABEL)
    console.print()


def _block(
    console: Console, finding: Finding, head: str, lines: Sequence[str], *, dim: bool = True
) -> None:
    """A head with lines under it; all but the first are details, and dim, unless that is off."""
    label = sentences.label(finding)
    title = _text("").append_text(_text(label.ljust(_LABEL), _STYLES[label]))
    title.append_text(_text(head, "bold"))
    if finding.cause:
        title.append_text(_text(f"  {finding.cause}", "dim"))
    _paragraph(console, title, _INDENT, hang=_LABEL)
    for number, line in enumerate(lines):
        _paragraph(console, _text(line, "dim" if dim and number else ""), _INDENT + _LABEL)


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


def _closing(report: Report, options: Options) -> list[str]:
    unchecked = None if options.quiet else sentences.unchecked(report)
    lines = (sentences.cut_short(report), sentences.explained(report), unchecked)
    return [*(for_terminal(line) for line in lines if line is not None), sentences.summary(report)]
