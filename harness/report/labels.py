"""Names the variants of a Pareto plot, so that no name covers a point or another name.

The plot is kept as a grid of unit cells that are taken or free. To try a place costs the same
however many points there are, so that placing a bounded number of labels takes a bounded time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.report.pareto import XY, ParetoData
from harness.report.style import AXES, FONT, LIGHT, SIZE, STANDING_OUT, diameter, in_font

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import FontProperties
    from matplotlib.transforms import Transform
    from numpy.typing import NDArray

    Cells = NDArray[np.bool_]

_LONGEST = 32
# Labels that are tried: more than a plot has room for.
_MOST_TRIED = 400
# Up to so many variants every label, and not the frontier's alone, may go away from its marker.
_FEW = 40
_FAR = 6
# Around a label's text, in points, and for a viewer's font that runs wider, as a share.
_ROOM, _WIDER = 1.5, 1.03

# From a marker's edge to a label beside it, and to the labels that need a line to their marker.
_GAP = 2.0
_RINGS = (9.0, 18.0, 30.0, 44.0, 60.0, 80.0)
_ANGLES = 16
# What a place costs: per ring away from the marker, for crossing a line of the drawing or other
# markers, for the opposite of the preferred direction.
_COST_OF_RING, _COST_OF_CROSSING, _COST_OF_TURNING = 0.8, 3.0, 0.6
# And for standing so close to another marker that it could be taken for that one's.
_COST_OF_DOUBT, _CLOSE = 2.0, 5.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True)
class LabelPlace:
    """Where a label goes, and the line to its marker where it is not right beside it."""

    box: Box
    leader: tuple[XY, XY] | None


class Canvas:
    """A plot's area, from (0, 0) to (width, height) in points (1/72 inch), and what is on it."""

    def __init__(self, width: float, height: float) -> None:
        import numpy as np

        self._width, self._height = width, height
        shape = (math.ceil(height) + 1, math.ceil(width) + 1)
        self._labels: Cells = np.zeros(shape, dtype=np.bool_)
        self._markers: Cells = np.zeros(shape, dtype=np.bool_)
        self._lines: Cells = np.zeros(shape, dtype=np.bool_)

    def add_marker(self, x: float, y: float, radius: float, *, prominent: bool) -> None:
        """A marker, which no label may cover, nor a label's line where it is prominent."""
        box = Box(x - radius, y - radius, x + radius, y + radius)
        _fill(self._markers, box)
        if prominent:
            _fill(self._labels, box)

    def add_line(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """A line, which labels cross only where there is no other place."""
        _trace(self._lines, (x0, y0), (x1, y1))

    def place(
        self,
        at: XY,
        radius: float,
        size: XY,
        toward: float,
        rings: int,
        *,
        may_cross: bool,
    ) -> LabelPlace | None:
        """Take the best free place for a label; None where there is none.

        Args:
            at: the marker's centre.
            radius: the marker's.
            size: the label's width and height, with the room to keep around it.
            toward: the preferred direction, in radians, counterclockwise from the right.
            rings: how many distances to try beyond the one right beside the marker.
            may_cross: take a place across a line of the drawing, if there is no better one.
        """
        best: LabelPlace | None = None
        lowest = math.inf
        for cost, place in self._candidates(at, radius, size, toward, rings):
            crossing = self._crossing(place) if cost < lowest else None
            if crossing is None or (crossing and not may_cross):
                continue
            total = cost + _COST_OF_CROSSING * crossing
            if place.leader is None and self._is_doubtful(place.box, at, radius):
                total += _COST_OF_DOUBT
            if total < lowest:
                lowest, best = total, place
        if best is not None:
            _fill(self._labels, best.box)
            if best.leader is not None:
                _trace(self._labels, *best.leader)
        return best

    def _candidates(
        self,
        at: XY,
        radius: float,
        size: XY,
        toward: float,
        rings: int,
    ) -> Iterator[tuple[float, LabelPlace]]:
        """Places within the canvas, with what they cost by distance and direction."""
        (x, y), (width, height) = at, size
        for ring, distance in enumerate((_GAP, *_RINGS[:rings])):
            reach = radius + distance
            for turn in range(_ANGLES):
                angle = 2 * math.pi * turn / _ANGLES
                right, up = math.cos(angle), math.sin(angle)
                if ring == 0:
                    # Beside, above or below a marker there are corners to go to, not a circle.
                    stretch = max(abs(right), abs(up))
                    right, up = right / stretch, up / stretch
                left = x + reach * right - width * (1 - right) / 2
                bottom = y + reach * up - height * (1 - up) / 2
                box = Box(left, bottom, left + width, bottom + height)
                if left < 1 or bottom < 1 or box.right > self._width - 1:
                    continue
                if box.top > self._height - 1:
                    continue
                away = abs(math.remainder(angle - toward, 2 * math.pi)) / math.pi
                cost = _COST_OF_RING * ring + _COST_OF_TURNING * away
                yield cost, LabelPlace(box, self._leader(at, radius, box) if ring else None)

    @staticmethod
    def _leader(at: XY, radius: float, box: Box) -> tuple[XY, XY]:
        """From the marker's edge to the nearest point of the box."""
        x, y = at
        end = (min(max(x, box.left), box.right), min(max(y, box.bottom), box.top))
        length = math.hypot(end[0] - x, end[1] - y)
        share = min(1.0, (radius + 1) / length)
        return (x + share * (end[0] - x), y + share * (end[1] - y)), end

    def _is_doubtful(self, box: Box, at: XY, radius: float) -> bool:
        """Whether another marker than its own is close to a label without a line."""
        (x, y), reach = at, radius + 1
        around = Box(box.left - _CLOSE, box.bottom - _CLOSE, box.right + _CLOSE, box.top + _CLOSE)
        own = Box(
            max(around.left, x - reach),
            max(around.bottom, y - reach),
            min(around.right, x + reach),
            min(around.top, y + reach),
        )
        markers = self._markers
        return int(markers[_slices(around)].sum()) > int(markers[_slices(own)].sum())

    def _crossing(self, place: LabelPlace) -> float | None:
        """How much of what may be crossed is; None where the place is taken."""
        inside = _slices(place.box)
        if self._labels[inside].any() or self._markers[inside].any():
            return None
        crossing = 1.0 if self._lines[inside].any() else 0.0
        if place.leader is not None:
            ys, xs = _along(*place.leader)
            # The first steps may still touch the marker that the line is of.
            if self._labels[ys[4:], xs[4:]].any():
                return None
            crossing += 0.6 * float(self._markers[ys[4:], xs[4:]].any())
            crossing += 0.3 * float(self._lines[ys, xs].any())
        return crossing


def _slices(box: Box) -> tuple[slice, slice]:
    """The cells that a box touches; what lies outside of the grid has none."""
    bottom, left = max(0, math.floor(box.bottom)), max(0, math.floor(box.left))
    return slice(bottom, max(0, math.ceil(box.top))), slice(left, max(0, math.ceil(box.right)))


def _fill(cells: Cells, box: Box) -> None:
    cells[_slices(box)] = True


def _along(start: XY, end: XY) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The cells along a line, two steps to a cell: row numbers, column numbers."""
    import numpy as np

    steps = 2 * math.ceil(math.dist(start, end)) + 1
    xs = np.linspace(start[0], end[0], steps)
    ys = np.linspace(start[1], end[1], steps)
    return ys.astype(np.intp), xs.astype(np.intp)


def _trace(cells: Cells, start: XY, end: XY) -> None:
    ys, xs = _along(start, end)
    inside = (ys >= 0) & (ys < cells.shape[0]) & (xs >= 0) & (xs < cells.shape[1])
    cells[ys[inside], xs[inside]] = True


def points_of(axes: Axes) -> Transform:
    """From values to points (1/72 inch) in the area of the axes."""
    from matplotlib.transforms import Affine2D

    return axes.transScale + axes.transLimits + Affine2D().scale(*_points())


def write_names(axes: Axes, canvas: FigureCanvasAgg, data: ParetoData, spots: Sequence[XY]) -> None:
    """Name the frontier first, then whatever else there is room for, the loneliest first.

    The axes have their scale and limits; ``spots`` are the markers' places, in points.
    """
    from matplotlib.font_manager import FontProperties

    radius = STANDING_OUT * diameter(len(data.points)) / 2
    area = _area(data, points_of(axes), spots, radius)
    few = len(spots) <= _FEW
    font = FontProperties(family=FONT, size=7.5 if few else 6.5)
    best = frozenset(data.frontier)
    # The frontier's free side is up, and left where less is better.
    free = math.pi * (0.75 if data.metric.better == "less" else 0.25)
    for position in _order(data, spots):
        name = in_font(data.points[position].row.name, _LONGEST)
        wanted = few or position in best
        size, rings = _extent(canvas, name, font), _FAR if wanted else 0
        place = area.place(spots[position], radius, size, free, rings, may_cross=wanted)
        if place is not None:
            _write(axes, place, name, font, LIGHT.text if position in best else LIGHT.muted)


def _points() -> XY:
    return 72 * SIZE[0] * AXES[2], 72 * SIZE[1] * AXES[3]


def _area(data: ParetoData, to_points: Transform, spots: Sequence[XY], radius: float) -> Canvas:
    """The area with everything on it that is no label."""

    def spot(xy: XY) -> XY:
        x, y = to_points.transform(xy)
        return float(x), float(y)

    area = Canvas(*_points())
    best = frozenset(data.frontier)
    for position, (x, y) in enumerate(spots):
        area.add_marker(x, y, radius, prominent=position in best)
        area.add_marker(*spot(data.points[position].xy), radius, prominent=False)
    for start, end in pairwise(map(spot, data.steps())):
        area.add_line(*start, *end)
    for point in data.points:
        if point.interval is not None:
            low, high = (spot((point.x.number, y)) for y in point.interval)
            area.add_line(*low, *high)
    return area


def _order(data: ParetoData, spots: Sequence[XY]) -> list[int]:
    """Positions in the order in which they are named: a bounded number, whatever there is."""
    best = frozenset(data.frontier)
    every = math.ceil(len(best) / _MOST_TRIED)
    first = list(data.frontier[::every])
    cells = [(int(x // 40), int(y // 20)) for x, y in spots]
    crowd = Counter(cells)
    rest = [position for position in range(len(spots)) if position not in best]
    rest.sort(key=lambda position: (crowd[cells[position]], -spots[position][1]))
    return first + rest[: _MOST_TRIED - len(first)]


def _extent(canvas: FigureCanvasAgg, text: str, font: FontProperties) -> XY:
    """Width and height of a label, in points, with the room around it."""
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    width, _, _ = renderer.get_text_width_height_descent(text, font, ismath=False)
    width *= 72 / canvas.figure.dpi * _WIDER
    return width + 2 * _ROOM, font.get_size_in_points() * 1.2 + 2 * _ROOM


def _write(axes: Axes, place: LabelPlace, name: str, font: FontProperties, colour: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Affine2D

    width, height = _points()
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
