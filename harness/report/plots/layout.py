"""What the parts of a Pareto plot agree on: its size, its font, and how text gets into it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from zoo._util.text import for_terminal, truncate

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

SIZE = (9.6, 6.0)  # inches
AXES = (0.09, 0.105, 0.66, 0.77)  # left, bottom, width, height, as shares of the figure
DPI = 150
FONT = "DejaVu Sans"  # Comes with matplotlib, so it is the same everywhere.


def shown(text: str, longest: int) -> str:
    """Text of an index as a picture can show it.

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


def say(
    figure: Figure, x: float, y: float, text: str, size: float, colour: str, weight: str = "normal"
) -> Text:
    """Writes beside the axes, at shares of the figure; a ``$`` is a ``$``."""
    return figure.text(x, y, text, fontsize=size, color=colour, fontweight=weight, parse_math=False)
