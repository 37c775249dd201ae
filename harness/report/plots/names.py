"""Writes the variants' names into a Pareto plot, as many as can be read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.report.palette import LIGHT
from harness.report.pareto import Cloud
from harness.report.plots.labels import Canvas, Place
from harness.report.plots.layout import AXES, FONT, SIZE, shown
from harness.report.plots.marks import corners, diameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import FontProperties
    from matplotlib.transforms import Transform

_LONGEST = 32
# Labels that are tried: more than a picture has room for.
_MOST_TRIED = 400
# Up to so many variants every label, and not the frontier's alone, may go away from its marker.
_FEW = 40
_FAR = 6
# Around a label's text, in points, and for a viewer's font that runs wider, as a share.
_ROOM, _WIDER = 1.5, 1.03


def write(axes: Axes, canvas: FigureCanvasAgg, cloud: Cloud) -> None:
    """Names the frontier first, then whatever else there is room for, the loneliest first.

    Args:
        axes: with its scale and limits set.
        canvas: that the figure is drawn on.
        cloud: what the picture shows.
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.transforms import Affine2D

    width, height = (72 * inches * share for inches, share in zip(SIZE, AXES[2:], strict=True))
    to_points = axes.transScale + axes.transLimits + Affine2D().scale(width, height)
    radius = diameter(len(cloud.points)) / 2
    area, spots = _area(cloud, to_points, (width, height), radius)
    few = len(spots) <= _FEW
    font = FontProperties(family=FONT, size=7.5 if few else 6.5)
    best = frozenset(cloud.frontier)
    # The frontier's free side is up, and left where less is better.
    free = math.pi * (0.75 if cloud.metric.better == "less" else 0.25)
    for position in _order(cloud, spots):
        name = shown(cloud.points[position].row.name, _LONGEST)
        wanted = few or position in best
        place = area.place(
            spots[position],
            radius,
            _extent(canvas, name, font),
            free,
            _FAR if wanted else 0,
            may_cross=wanted,
        )
        if place is not None:
            colour = LIGHT.text if position in best else LIGHT.muted
            _write(axes, place, name, font, colour)


def _area(
    cloud: Cloud, to_points: Transform, size: tuple[float, float], radius: float
) -> tuple[Canvas, list[tuple[float, float]]]:
    """The area with everything on it that is no label, and where the markers are."""

    def spot(xy: tuple[float, float]) -> tuple[float, float]:
        x, y = to_points.transform(xy)
        return float(x), float(y)

    area = Canvas(*size)
    values = [(point.x.number, point.y.number) for point in cloud.points]
    spots = [spot(xy) for xy in values]
    best = frozenset(cloud.frontier)
    for position, (x, y) in enumerate(spots):
        area.add_marker(x, y, radius, prominent=position in best)
    steps = corners([values[i] for i in cloud.frontier], cloud.metric.better)
    for start, end in pairwise(map(spot, steps)):
        area.add_line(*start, *end)
    for point in cloud.points:
        if point.interval is not None:
            low, high = (spot((point.x.number, y)) for y in point.interval)
            area.add_line(*low, *high)
    return area, spots


def _order(cloud: Cloud, spots: Sequence[tuple[float, float]]) -> list[int]:
    """Positions in the order in which they are named: a bounded number, whatever there is."""
    best = frozenset(cloud.frontier)
    every = math.ceil(len(best) / _MOST_TRIED)
    first = list(cloud.frontier[::every])
    cells = [(int(x // 40), int(y // 20)) for x, y in spots]
    crowd = Counter(cells)
    rest = [position for position in range(len(spots)) if position not in best]
    rest.sort(key=lambda position: (crowd[cells[position]], -spots[position][1]))
    return first + rest[: _MOST_TRIED - len(first)]


def _extent(canvas: FigureCanvasAgg, text: str, font: FontProperties) -> tuple[float, float]:
    """Width and height of a label, in points, with the room around it."""
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    width, _, _ = renderer.get_text_width_height_descent(text, font, ismath=False)
    width *= 72 / canvas.figure.dpi * _WIDER
    return width + 2 * _ROOM, font.get_size_in_points() * 1.2 + 2 * _ROOM


def _write(axes: Axes, place: Place, name: str, font: FontProperties, colour: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Affine2D

    width, height = (72 * inches * share for inches, share in zip(SIZE, AXES[2:], strict=True))
    from_points = Affine2D().scale(1 / width, 1 / height) + axes.transAxes
    if place.leader is not None:
        xs, ys = zip(*place.leader, strict=True)
        line = Line2D(xs, ys, transform=from_points, color=colour, linewidth=0.6, zorder=3.5)
        axes.add_artist(line)
    axes.text(
        place.box.left + _ROOM,
        (place.box.bottom + place.box.top) / 2,
        name,
        transform=from_points,
        fontproperties=font,
        color=colour,
        verticalalignment="center_baseline",
        parse_math=False,
        zorder=6,
        gid="name",
    )
