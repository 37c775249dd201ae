"""The report as workflow commands, which GitHub Actions shows on the lines of a pull request.

The log of a step is read for commands line by line, so that whatever an index holds must not look
like one: in a command it is escaped, and every other line begins with a word of this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from harness.report import unchecked, words
from harness.report.grouping import arrange
from harness.report.options import Options
from harness.report.places import in_repository
from harness.types import Finding, Report
from zoo._util.text import for_terminal, truncate

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = _DATA | {":": "%3A", ",": "%2C"}
# An older form of commands is obeyed anywhere in a line.
_OLD_COMMAND = "##["


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write a command per finding that is shown in full, a plain line per group of the others."""
    layout = arrange(report, options)
    lines = [_line(finding, options) for group in layout.groups for finding in group.findings]
    lines += [_alike(findings) for findings in layout.alike]
    broken = words.cut_short(report)
    if broken is not None:
        lines.append(_command("error", broken, title="zoo"))
    open_ = unchecked.sentence(report)
    if open_ is not None and not options.quiet:
        lines.append(_plain(f"zoo: {open_}"))
    lines.append(f"zoo: {words.summary(report)}")
    out.writelines(f"{line}\n" for line in lines)


def _line(finding: Finding, options: Options) -> str:
    documented = truncate(words.value(finding.documented))
    values = f"(documented {documented}, measured {words.value(finding.measured)})"
    about = ": ".join(part for part in (finding.variant, finding.field) if part)
    command = _COMMANDS.get(words.word(finding))
    if command is None:
        cause = f" [{finding.cause}]" if finding.cause else ""
        where = words.place(finding)
        return _plain(
            f"{words.word(finding)}: {where}: {about}: {words.message(finding)} {values}{cause}"
        )
    title = " ".join(part for part in (about, f"({finding.cause})") if part)
    place = finding.location
    if place is None:
        return _command(command, f"{finding.message} {values}", title=title)
    return _command(
        command,
        f"{finding.message} {values}",
        file=in_repository(place.file, options),
        line=str(place.line),
        col=str(place.column),
        title=title,
    )


def _alike(findings: Sequence[Finding]) -> str:
    first = findings[0]
    said = "; ".join(words.messages(findings))
    return _plain(f"{words.word(first)}: {words.alike(findings)}: {said} [{first.cause}]")


def _command(name: str, message: str, **properties: str) -> str:
    written = ",".join(f"{key}={_escaped(text, _PROPERTY)}" for key, text in properties.items())
    return f"::{name} {written}::{_escaped(message, _DATA)}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(char, char) for char in _plain(text))


def _plain(text: str) -> str:
    """One line without a command in it."""
    return for_terminal(text).replace(_OLD_COMMAND, "# #[")
