"""The findings as CSV, a row for each, matches included: what a spreadsheet and pandas read."""

from __future__ import annotations

from typing import TextIO

from harness.report import Options
from harness.report.document import plain
from harness.types import FINDING_COLUMNS, Report, finding_row
from zoo._util.text import csv_text


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write the columns of `Report.to_pandas`, in its order; a fix begins as a diff does."""
    rows = (
        {name: plain(value) for name, value in finding_row(each).items()}
        for each in report.findings
    )
    out.write(csv_text(FINDING_COLUMNS, rows, verbatim="fix"))
