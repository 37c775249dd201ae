"""The colours and marker shapes of every picture and page of a report: one design.

The hues are those of Okabe and Ito ("Color Universal Design", 2008), chosen to stay apart for
every kind of colour vision; some are darkened until text in them can be read. Colour never
carries a meaning alone: a status comes with its word, a collection with a marker of its own, so
that a grey print tells the same.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one ground. Text in ``text``, ``muted`` or a status reads at 4.5:1 on it."""

    background: str
    surface: str
    text: str
    muted: str
    grid: str
    frontier: str
    status: dict[str, str]


LIGHT = Theme(
    background="#ffffff",
    surface="#f5f6f8",
    text="#1b1f24",
    muted="#57606a",
    grid="#d8dde3",
    frontier="#1b1f24",
    status={
        "error": "#a8330b",
        "warning": "#855500",
        "note": "#005f99",
        "accepted": "#8f4470",
        "unverified": "#57606a",
        "match": "#00694a",
    },
)

DARK = Theme(
    background="#14171b",
    surface="#1e2227",
    text="#e8ebee",
    muted="#a3acb5",
    grid="#343b43",
    frontier="#e8ebee",
    status={
        "error": "#ff9a76",
        "warning": "#f2c14e",
        "note": "#7cc7f5",
        "accepted": "#e0a3c6",
        "unverified": "#a3acb5",
        "match": "#5fd3a6",
    },
)


@dataclass(frozen=True, slots=True)
class Series:
    """How the variants of one collection are drawn.

    Attributes:
        colour: of the filling.
        edge: the same hue, dark enough for a thin line on a white ground.
        marker: the shape, as matplotlib names it.
        symbol: the same shape, as plotly names it.
    """

    colour: str
    edge: str
    marker: str
    symbol: str


SERIES = (
    Series("#0072b2", "#004e7a", "o", "circle"),
    Series("#d55e00", "#943f00", "s", "square"),
    Series("#009e73", "#00694a", "^", "triangle-up"),
    Series("#cc79a7", "#8f4470", "D", "diamond"),
    Series("#e69f00", "#946600", "v", "triangle-down"),
    Series("#56b4e9", "#1f76a8", "P", "cross"),
    Series("#3b3f45", "#1b1f24", "X", "x"),
)

# The collections beyond those that have a series of their own, and variants of none.
OTHERS = Series("#9aa2ab", "#57606a", "h", "hexagon")
