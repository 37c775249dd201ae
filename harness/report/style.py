"""The design of every plot and page of a report: colours, marker shapes, sizes, the font.

The hues are those of Okabe and Ito ("Color Universal Design", 2008), chosen to stay apart for
every kind of colour vision; some are darkened until text in them can be read. Colour never
carries a meaning alone: a status comes with its word, a collection with a marker of its own, so
that a grey print shows the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from harness.report.rows import STATUSES
from zoo._util.text import for_terminal, truncate

# Of a plot as a file.
SIZE = (9.6, 6.0)  # inches
AXES = (0.09, 0.105, 0.66, 0.77)  # left, bottom, width, height, as shares of the figure
DPI = 150
FONT = "DejaVu Sans"  # comes with matplotlib, so it is the same everywhere


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one ground. Text in ``text``, ``muted`` or a status reads at 4.5:1 on it, and
    ``line``, the edge of what can be used, is seen at 3:1; ``grid`` only decorates.
    """

    background: str
    surface: str
    text: str
    muted: str
    grid: str
    line: str
    status: dict[str, str]


LIGHT = Theme(
    *("#ffffff", "#f5f6f8", "#1b1f24", "#57606a", "#d8dde3", "#7f8894"),
    dict(
        zip(
            STATUSES,
            ("#a8330b", "#855500", "#005f99", "#8f4470", "#57606a", "#00694a"),
            strict=True,
        )
    ),
)
DARK = Theme(
    *("#14171b", "#1e2227", "#e8ebee", "#a3acb5", "#343b43", "#7a838e"),
    dict(
        zip(
            STATUSES,
            ("#ff9a76", "#f2c14e", "#7cc7f5", "#e0a3c6", "#a3acb5", "#5fd3a6"),
            strict=True,
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Series:
    """How the variants of one collection are drawn.

    Attributes:
        colour: of the filling.
        edge: the same hue, dark enough for a thin line on a white ground.
        light: the same hue, light enough for one on a dark ground.
        marker: the shape, as matplotlib names it.
        symbol: the same shape, as the page names it.
    """

    colour: str
    edge: str
    light: str
    marker: str
    symbol: str


SERIES = (
    Series("#0072b2", "#004e7a", "#5aaee6", "o", "circle"),
    Series("#d55e00", "#943f00", "#ff9350", "s", "square"),
    Series("#009e73", "#00694a", "#35c9a0", "^", "triangle-up"),
    Series("#cc79a7", "#8f4470", "#e5a9c9", "D", "diamond"),
    Series("#e69f00", "#946600", "#f2b937", "v", "triangle-down"),
    Series("#56b4e9", "#1f76a8", "#8ccdf2", "P", "cross"),
    Series("#3b3f45", "#1b1f24", "#b4bac2", "X", "x"),
)

# The collections beyond those that have a series of their own, and variants of none.
OTHERS = Series("#9aa2ab", "#57606a", "#d3d8de", "h", "hexagon")


def diameter(number: int) -> float:
    """Of a marker, in points, where there are so many of them."""
    return max(3.0, 7.5 * math.sqrt(math.sqrt(min(1.0, 40 / number))))


# So many radii lie between the middles of two markers, at the least, and the best are larger.
APART = 1.9
STANDING_OUT = 1.15


def spread(spots: Sequence[tuple[float, float]], radius: float) -> list[tuple[float, float]]:
    """Where markers go that would cover each other: pushed apart, until most of each is seen.

    The page's script has the same. What it moves is joined to its place by a line.
    """
    import numpy as np

    least, turns = APART * radius, 2.39996 * np.arange(len(spots))
    truth = np.array(spots, dtype=float).reshape(-1, 2)
    # Those in one place begin apart, each in a direction of its own.
    placed = truth + 0.01 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    moved = np.zeros(len(spots), dtype=bool)
    for _ in range(60):
        apart = placed[:, None] - placed[None]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        np.fill_diagonal(distance, least)
        push = np.maximum(0, least - 0.05 - distance) / 2
        if not push.any():
            break
        moved |= push.any(axis=1)
        # Each of a crowd is pushed by several: half of it keeps them from leaping.
        step = (push / np.maximum(distance, 1e-9))[..., None] * apart
        placed += step.sum(axis=1) / np.maximum(1, (push > 0).sum(axis=1) / 2)[:, None]
    return [(float(x), float(y)) for x, y in np.where(moved[:, None], placed, truth)]


def in_font(text: str, longest: int) -> str:
    """Text of an index as a plot can show it.

    Control characters are written out, and what the font lacks is a box: it would be one anyway,
    with a warning for each, and some of it must not stand in an XML file.
    """
    known = _characters()
    safe = truncate(for_terminal(text), longest)
    return "".join(char if ord(char) in known else "\u25a1" for char in safe)


@cache
def _characters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(FONT)).get_charmap())
