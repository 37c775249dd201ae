"""Claim traces and profiles as text: headings with lines below, and columns that line up."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo._util.text import for_terminal

if TYPE_CHECKING:
    from harness.explain.claim_trace import ClaimTrace

# Where the output is no terminal, lines stay whole so that a search finds them.
_UNLIMITED = 10_000


def claim_trace(trace: ClaimTrace, width: int | None) -> str:
    """A claim trace, its lines wrapped to the width of a terminal; None leaves them whole."""
    lines = [for_terminal(trace.title)]
    for section in trace.sections:
        lines += ["", for_terminal(section.heading)]
        for line in section.lines:
            lines += textwrap.wrap(
                for_terminal(line),
                width or _UNLIMITED,
                initial_indent="  ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        lines += [f"  {line}" for line in columns(section.rows)]
    return "\n".join(lines) + "\n"


def columns(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Rows with their cells in columns: the first ones flush left, numbers flush right."""
    safe = [[for_terminal(cell) for cell in row] for row in rows]
    if not safe:
        return []
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    justify = [str.ljust if i < left else str.rjust for i in range(len(widths))]
    return [
        "  ".join(fit(cell, n) for fit, cell, n in zip(justify, row, widths, strict=True)).rstrip()
        for row in safe
    ]
