"""The report for a person at a terminal, or for a log that somebody searches.

On a terminal: a heading per variant, the findings under it wrapped to the width, then what to do
about each cause, then the summary where the eye rests. In a pipe or a file: one line per finding,
however long, in the form of a compiler's messages, so that ``grep`` and editors understand it.
"""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote as quoted
from typing import TYPE_CHECKING, TextIO

from harness.causes import CAUSES
from harness.report import unchecked, words
from harness.report.grouping import Joint, Layout, arrange
from harness.report.options import Options
from harness.types import Finding, Report
from zoo._util.text import for_terminal, plural, truncate

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
    # A line is for one claim; on a page, what many claims have in common is said once.
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
    lines = [_line(finding) for group in layout.groups for finding in group.findings]
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
    head = [str(finding.location)] if finding.location else []
    head += [words.word(finding)]
    head += [finding.variant] if finding.variant else []
    tail = f" [{finding.cause}]" if finding.cause else ""
    values = ", ".join(_both(finding))
    said = ": ".join([*head, finding.field, words.message(finding)])
    return for_terminal(f"{said} ({values}){tail}")


def _alike_line(findings: Sequence[Finding]) -> str:
    if len(findings) == 1:
        return _line(findings[0])
    first = findings[0]
    where = f"{first.location}: " if first.location else ""
    said = "; ".join(words.messages(findings))
    what = f"{words.word(first)}: {words.alike(findings)}: {said} [{first.cause}]"
    return for_terminal(where + what)


# A page for a terminal.


def _page(console: Console, report: Report, layout: Layout, options: Options) -> None:
    for group in layout.groups:
        names = [name for name in (group.collection, group.variant) if name is not None]
        _paragraph(console, _text(" / ".join(names) or "The index", "bold"))
        for finding in group.findings:
            _block(console, finding, finding.field, _details(finding, console.width))
        console.print()
    for joint in layout.joint:
        _together(console, joint, options.repeat)
    for findings in layout.alike:
        _block(console, findings[0], words.alike(findings), words.messages(findings), dim=False)
    if layout.alike:
        _paragraph(
            console, _text("--verbose shows each of them, and what matches.", "dim"), _INDENT
        )
        console.print()
    _remedies(console, layout.causes())
    for line in _closing(report, options):
        _paragraph(console, _text(line, "bold"))


def _details(finding: Finding, width: int) -> list[str]:
    """The lines under a finding's head; a match needs no words but its values."""
    where = [str(finding.location)] if finding.location else []
    documented, measured = _both(finding)
    together = f"{documented}, {measured}"
    fits = len(together) <= min(width, _WIDEST) - _INDENT - _LABEL
    values = [together] if fits else [documented, measured]
    message = [] if finding.status == "match" else [words.message(finding)]
    return [*message, *values, *where]


def _together(console: Console, joint: Joint, repeat: str) -> None:
    """What a collection's findings have in common, then each in a line."""
    _paragraph(console, _text(joint.collection, "bold"))
    first = joint.findings[0]
    head = f"{first.field} of {plural(len(joint.findings), 'variant')}"
    _block(console, first, head, [joint.sentence])
    longest = max(len(for_terminal(f.variant or "")) for f in joint.findings)
    for finding in joint.findings:
        name = for_terminal(finding.variant or "").ljust(longest)
        line = f"{name}  {', '.join(_both(finding))}  {words.place(finding)}"
        _paragraph(console, _text(line, "dim"), _INDENT + _LABEL, hang=longest + 2)
    command = f"zoo explain {quoted(first.variant or '')} {quoted(first.field)} {repeat}".rstrip()
    told = f"{command} tells the story of one of them"
    _paragraph(console, _text(told, "dim"), _INDENT + _LABEL)
    console.print()


def _block(
    console: Console, finding: Finding, head: str, lines: Sequence[str], *, dim: bool = True
) -> None:
    """A head with lines under it; all but the first are details, and dim, unless that is off."""
    word = words.word(finding)
    title = _text("").append_text(_text(word.ljust(_LABEL), _STYLES[word]))
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

    Rich's own padding would fill each line to the window's edge with spaces, which then are in
    everything that somebody copies.
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


# Both.


def _both(finding: Finding) -> tuple[str, str]:
    documented = truncate(words.value(finding.documented))
    return f"documented {documented}", f"measured {words.value(finding.measured)}"


def _closing(report: Report, options: Options) -> list[str]:
    broken = words.cut_short(report)
    open_ = None if options.quiet else unchecked.sentence(report)
    told = (broken, words.explained(report), open_)
    first = [for_terminal(line) for line in told if line is not None]
    return [*first, words.summary(report)]
