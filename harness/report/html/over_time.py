"""What the page shows over time: of each figure of a variant the runs in which it did not move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.report.history import HistoryRow, HistorySpan, is_speed, short, spans
from harness.report.history_file import History
from harness.report.history_rows import names_of
from harness.types import VariantReport

_Number = Callable[[str | None], int]


def over_time(
    past: History | None, variants: Sequence[VariantReport], texts: _Number
) -> dict[str, Any]:
    """The runs, each with its time and commit; and for each variant its figures.

    The order in each list is the one in which ``history.js`` takes it apart.

    Args:
        past: the history, None where there is none.
        variants: those of the page.
        texts: the number of a text.
    """
    if past is None or not len(past):
        return {"runs": [], "variants": [[] for _ in variants]}
    series: dict[str, list[list[HistoryRow]]] = {}
    for rows in past.bends(is_speed):
        series.setdefault(rows[0].variant, []).append(rows)
    runs = {row.run: row for some in series.values() for rows in some for row in rows}
    at = {run: number for number, run in enumerate(sorted(runs))}
    return {
        "runs": [[runs[run].time, texts(short(runs[run].commit))] for run in at],
        "variants": [
            [_figure(rows, at, texts) for rows in series.get(name, ())]
            for name in names_of(variants)
        ],
    }


def _figure(rows: Sequence[HistoryRow], at: Mapping[int, int], texts: _Number) -> list[Any]:
    """Its name, its spans, and of a speed the value of each run, with null where there is none."""
    points: list[float | None] = []
    if is_speed(rows[0].figure):
        found = {at[row.run]: row.measured for row in rows}
        some = (found.get(run) for run in range(at[rows[0].run], at[rows[-1].run] + 1))
        points = [
            float(f"{value:.5g}") if isinstance(value, float | int) else None for value in some
        ]
    return [texts(rows[0].figure), [_span(each, at, texts) for each in spans(rows)], points]


def _span(span: HistorySpan, at: Mapping[int, int], texts: _Number) -> list[Any]:
    row = span.first
    value = texts(row.measured) if isinstance(row.measured, str) else [span.low, span.high]
    return [
        *(at[row.run], at[span.last.run], span.state, value),
        *(texts(row.documented), texts(row.of), texts(row.versions)),
        [texts(each) for each in span.why],
    ]
