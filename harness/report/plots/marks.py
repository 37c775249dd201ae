"""How a variant is marked.

A marker's shape and colour say which collection a variant is of, its filling what was measured:
full for both values, empty for none, the lower half for the horizontal value alone and the left
half for the accuracy alone. What another variant beats is faded.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from harness.report.palette import LIGHT, Series
from harness.report.pareto import Point

Filling = Literal["full", "none", "bottom", "left"]

_FADED = 0.38  # of a colour's strength


def diameter(number: int) -> float:
    """Of a marker, in points, where there are so many of them."""
    return max(3.0, 7.5 * math.sqrt(math.sqrt(min(1.0, 40 / number))))


def filling(point: Point) -> Filling:
    """Which part of a marker is filled: what lies along the axis of the measured value."""
    if point.x.measured:
        return "full" if point.y.measured else "bottom"
    return "left" if point.y.measured else "none"


def look(style: Series, filled: Filling, *, faded: bool) -> dict[str, Any]:
    """The marker's properties, as matplotlib's lines take them."""
    colour, edge = style.colour, style.edge
    if faded:
        colour, edge = fade(colour), fade(edge)
    return {
        "marker": style.marker,
        "fillstyle": "full" if filled == "none" else filled,
        "markerfacecolor": LIGHT.background if filled == "none" else colour,
        "markerfacecoloralt": LIGHT.background,
        "markeredgecolor": edge,
        "markeredgewidth": 0.9,
    }


def fade(colour: str) -> str:
    """The colour mixed with the ground; being opaque, it stays pale where many overlap."""
    mixed = "#"
    for i in (1, 3, 5):
        part, ground = int(colour[i : i + 2], 16), int(LIGHT.background[i : i + 2], 16)
        mixed += f"{round(_FADED * part + (1 - _FADED) * ground):02x}"
    return mixed


def corners(
    xy: list[tuple[float, float]], better: Literal["less", "more"]
) -> list[tuple[float, float]]:
    """The frontier as steps: what a variant reaches can be had at every higher cost.

    Args:
        xy: the variants on the frontier, by ascending x.
        better: whether less or more x is.
    """
    steps: list[tuple[float, float]] = []
    for x, y in xy:
        if steps:
            before = steps[-1]
            steps.append((x, before[1]) if better == "less" else (before[0], y))
        steps.append((x, y))
    return steps
