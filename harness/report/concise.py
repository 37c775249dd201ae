"""A line for each finding, as compilers and ruff write it: ``path:line:col: cause message``.

Nothing else is in the output, so that editors and ``wc -l`` can take it as it is.
"""

from __future__ import annotations

from typing import TextIO

from harness.report import Options, sentences
from harness.report.view import is_wanted
from harness.types import Finding, Report
from zoo._util.text import for_terminal
from zoo.index.types import Location


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write what is wrong and what could not be checked; matches too where all is asked for."""
    locate = sentences.locator(report)
    wanted = (finding for finding in report.findings if is_wanted(finding, options))
    out.writelines(f"{for_terminal(_line(each, locate(each)))}\n" for each in wanted)


def _line(finding: Finding, at: Location | None) -> str:
    about = [part for part in (finding.variant, finding.field) if part]
    text = ": ".join([*about, sentences.message(finding)])
    cause = finding.cause or finding.status
    known = finding.documented is not None or finding.measured is not None
    values = f" ({sentences.both(finding)})" if known else ""
    return f"{sentences.position(at)}: {cause} {text}{values}"
