"""The clouds of points that the page plots, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.report.pareto import METRICS, Cloud, cloud, series
from harness.report.rows import Row
from zoo._util.text import for_terminal


def plots(table: Sequence[Row]) -> dict[str, Any]:
    """One cloud per metric, and how each collection is drawn.

    Returns:
        ``clouds``: per metric its ``points``, each ``[number of the variant, x, 1 if x was
        measured, y, 1 if y was measured]``, and the positions in them that are on the
        ``frontier``; ``series``: colours and symbols in plotly's words; ``drawn``: for each
        variant, which of these.
    """
    looks = series(table)
    numbers = {name: i for i, name in enumerate(looks)}
    places = {id(row): i for i, row in enumerate(table)}
    return {
        "clouds": [_cloud(cloud(table, metric), places) for metric in METRICS],
        "series": [
            {
                "name": "no collection" if name is None else for_terminal(name),
                "colour": look.colour,
                "edge": look.edge,
                "symbol": look.symbol,
            }
            for name, look in looks.items()
        ],
        "drawn": [numbers[row.collection] for row in table],
    }


def _cloud(made: Cloud, places: dict[int, int]) -> dict[str, Any]:
    metric = made.metric
    return {
        "key": metric.key,
        "title": metric.title,
        "label": metric.label,
        "unit": metric.unit,
        "better": metric.better,
        "logarithmic": made.logarithmic,
        "dataset": None if made.dataset is None else for_terminal(made.dataset),
        "device": None if made.device is None else for_terminal(made.device),
        "notes": [for_terminal(note) for note in made.notes],
        "points": [
            [
                places[id(point.row)],
                point.x.number,
                int(point.x.measured),
                point.y.number,
                int(point.y.measured),
            ]
            for point in made.points
        ],
        "frontier": list(made.frontier),
    }
