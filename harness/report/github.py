"""The report as workflow commands, which GitHub Actions shows on the lines of a pull request.

The log of a step is read for commands line by line, so that whatever an index holds must not look
like one: in a command it is escaped, and every other line begins with a word of this module.
"""

from __future__ import annotations

from typing import TextIO

from harness.report import Options, sentences
from harness.report.groups import arrange, in_a_line
from harness.types import Finding, Report
from zoo._util.text import for_workflow_log

_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = _DATA | {":": "%3A", ",": "%2C"}


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write a command per finding that is shown in full, a plain line per group of the others."""
    layout = arrange(report, options)
    lines = [_line(finding, options) for finding in layout.full]
    lines += [for_workflow_log(sentences.alike_line(each)) for each in layout.alike]
    cut_short = sentences.cut_short(report)
    if cut_short is not None:
        lines.append(command("error", cut_short, title="zoo"))
    unchecked = in_a_line(report, options)
    if unchecked is not None and not options.quiet:
        lines.append(for_workflow_log(f"zoo: {unchecked}"))
    lines.append(f"zoo: {sentences.summary(report)}")
    out.writelines(f"{line}\n" for line in lines)


def _line(finding: Finding, options: Options) -> str:
    label, values = sentences.label(finding), f"({sentences.both(finding)})"
    about = sentences.about(finding)
    if label not in _COMMANDS:
        cause = f" [{finding.cause}]" if finding.cause else ""
        text = f"{about}: {sentences.message(finding)} {values}{cause}"
        return for_workflow_log(f"{label}: {sentences.place(finding)}: {text}")
    at, place = finding.location, {}
    if at is not None:
        file = sentences.in_repository(at.file, options)
        place = {"file": file, "line": str(at.line), "col": str(at.column)}
    title = " ".join(part for part in (about, f"({finding.cause})") if part)
    return command(_COMMANDS[label], f"{finding.message} {values}", **place, title=title)


def command(name: str, message: str, **properties: str) -> str:
    """A workflow command, in which nothing foreign can end it or begin another."""
    written = ",".join(f"{key}={_escaped(text, _PROPERTY)}" for key, text in properties.items())
    return f"::{name} {written}::{_escaped(message, _DATA)}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(char, char) for char in for_workflow_log(text))
