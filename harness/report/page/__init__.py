"""The report as one page: a single HTML file that opens from a disk, without a network.

Text of an index is hostile. It reaches the page in two ways: through the template, which escapes
all of it, and as JSON in a data block, which a script turns into text nodes. A policy in the page
names the hashes of its own scripts and styles, so that nothing else could run in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report.page.changes import compare
from harness.report.page.data import page_data
from harness.report.page.overview import overview
from harness.types import Report

__all__ = ["render"]


def render(report: Report, previous: Mapping[str, Any] | str | None) -> str:
    """The whole page.

    Args:
        report: what to show.
        previous: the JSON document of the report before, to say what is new and what is fixed;
            None where there is none, and a text where it can't be read, which says why. One that
            can't be used is named on the page with the reason.

    Returns:
        HTML text to be written as UTF-8. It holds plotly's script once, some 5 MB.
    """
    from harness.report.page.assets import template

    changes = compare(report, previous)
    data = page_data(report, changes)
    return template().render(page=overview(report, changes), data=data)
