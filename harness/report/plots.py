"""Pareto plots as files: top-1 accuracy against what it costs, as SVG and PNG.

Text in the SVG stays text, so that a reader can search and copy it. The same rows give the same
bytes with the same version of matplotlib.

A marker's shape and colour name the collection of a variant, its filling what was measured: full
for both values, empty for none, the lower half for the horizontal value alone and the left half
for the accuracy alone. What another variant beats is small and pale. The page has the same marks.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from harness.report.labels import points_of, write_names
from harness.report.pareto import METRICS, XY, ParetoData, Point, pareto_data, series
from harness.report.rows import Row
from harness.report.sentences import quantity
from harness.report.style import (
    AXES,
    DPI,
    LIGHT,
    OTHERS,
    SIZE,
    STANDING_OUT,
    Series,
    diameter,
    in_font,
    spread,
)
from zoo._util.text import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

NAMES = tuple(f"pareto-{metric.key}.{kind}" for metric in METRICS for kind in ("svg", "png"))

# What matplotlib would write about itself, and when.
_NO_METADATA = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
_FRONTIER: dict[str, Any] = {"linestyle": (0, (5, 2)), "color": LIGHT.text, "linewidth": 1.1}
_PALE = 0.38  # of a colour's strength
_LONGEST = 24  # of a collection's name
_LONGEST_DEVICE, _DEVICE_LINE = 200, 36

Filling = Literal["full", "none", "bottom", "left"]
Styles = Mapping[str | None, Series]
LegendEntry = tuple[str, dict[str, Any]]


def files(
    rows: Sequence[Row], warn: Callable[[str], object] | None = None
) -> Iterator[tuple[str, bytes]]:
    """``pareto-macs.svg``, ``pareto-macs.png`` ...: (name, content), for each axis with data.

    Matplotlib's settings are its own while a plot is drawn, whatever the user's are; no other
    thread should draw meanwhile. ``warn`` is called with a sentence on each plot without data, and
    on the variants that a plot leaves out, and why.
    """
    import matplotlib as mpl

    styles = series(rows)
    for metric in METRICS:
        data = pareto_data(rows, metric)
        for note in data.notes:
            if warn is not None:
                warn(note)
        if not data.points:
            continue
        # Beyond matplotlib's defaults: ids in the SVG that are the same each time, text as text.
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update({"svg.hashsalt": "zoo", "svg.fonttype": "none"})
            figure = draw(data, styles)
            made = {kind: _saved(figure, kind) for kind in ("svg", "png")}
        for kind, content in made.items():
            yield f"pareto-{metric.key}.{kind}", content


def _saved(figure: Figure, kind: str) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format=kind, metadata=_NO_METADATA[kind])
    return out.getvalue()


def draw(data: ParetoData, styles: Styles) -> Figure:
    """The plot of these points, of which there is at least one; each collection in its style."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, facecolor=LIGHT.background)
    canvas = FigureCanvasAgg(figure)
    axes: Axes = figure.add_axes(AXES, facecolor=LIGHT.background)
    _scale(axes, data)
    xs, ys = zip(*data.steps(), strict=True)
    axes.plot(xs, ys, zorder=3, **_FRONTIER)
    radius = diameter(len(data.points)) / 2
    places = (point.xy for point in data.points)
    truth = [(float(x), float(y)) for x, y in map(points_of(axes).transform, places)]
    spots = spread(truth, radius)
    _draw_points(axes, data, styles, truth, spots)
    write_names(axes, canvas, data, spots)
    _write_titles(figure, data)
    end = _legend(figure, AXES[1] + AXES[3], "Collections", _collections(data, styles))
    end = _legend(figure, end - 0.03, "Marks", _marks(data))
    if data.device:
        _write_device(figure, end - 0.03, data.device)
    return figure


def _scale(axes: Axes, data: ParetoData) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    xs = [point.x.number for point in data.points]
    ys = [y for point in data.points for y in (point.y.number, *(point.interval or ()))]
    low, high = min(xs), max(xs)
    if data.logarithmic:
        axes.set_xscale("log")
        room = (high / low) ** 0.06
        axes.set_xlim(low / room, high * room)
        # Within two decades, decades alone would be one tick or two.
        steps = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        margin = 0.06 * (high - low) or 0.5 * low
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(6))
    unit = data.metric.unit
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: quantity(x, unit, 3)))
    height = max(ys) - min(ys) or 10.0
    # Above the best there has to be room for names: more where many stand close together.
    axes.set_ylim(min(ys) - 0.07 * height, max(ys) + (0.08 if len(xs) <= 40 else 0.16) * height)
    axes.yaxis.set_major_locator(MaxNLocator(8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))
    axes.grid(visible=True, color=LIGHT.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8.5, color=LIGHT.muted, labelcolor=LIGHT.text, which="both")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LIGHT.muted)


def _draw_points(
    axes: Axes, data: ParetoData, styles: Styles, truth: Sequence[XY], spots: Sequence[XY]
) -> None:
    """One artist for all markers that look the same, so that thousands cost little more."""
    alike: dict[tuple[bool, Series, Filling], list[int]] = {}
    best = frozenset(data.frontier)
    for position, point in enumerate(data.points):
        kind = (position in best, styles[point.row.collection], _filling(point))
        alike.setdefault(kind, []).append(position)
    size, back = diameter(len(data.points)), points_of(axes).inverted()
    for (is_best, style, filled), positions in alike.items():
        order = 5 if is_best else 4
        xs, ys = zip(*(back.transform(spots[position]) for position in positions), strict=True)
        way = {**_marker(style, filled, beaten=not is_best), "zorder": order}
        way["markersize"] = size * (STANDING_OUT if is_best else 1)
        # Around each is a rim of the ground, which parts it from what it touches.
        rim = way | {"markeredgewidth": way["markeredgewidth"] + 1.6, "fillstyle": "full"}
        rim |= {"markeredgecolor": LIGHT.background, "markerfacecolor": LIGHT.background}
        rim["zorder"] = order - 0.1
        for each in (rim, way):
            axes.plot(xs, ys, linestyle="none", clip_on=False, **each)
        points = (data.points[position] for position in positions)
        bars = [(point.x.number, *point.interval) for point in points if point.interval]
        if bars:
            at, low, high = zip(*bars, strict=True)
            axes.vlines(at, low, high, color=style.edge, linewidth=0.9, zorder=order - 0.5)
    for true, spot in zip(truth, spots, strict=True):
        if math.dist(true, spot) > 1.5:
            xs, ys = zip(*map(back.transform, (true, spot)), strict=True)
            axes.plot(xs, ys, color=LIGHT.muted, linewidth=0.6, zorder=3.8)


def _filling(point: Point) -> Filling:
    """Which part of a marker is filled: what lies along the axis of the measured value."""
    if point.x.measured:
        return "full" if point.y.measured else "bottom"
    return "left" if point.y.measured else "none"


def _marker(style: Series, filled: Filling, *, beaten: bool = False) -> dict[str, Any]:
    """The marker's properties, as matplotlib's lines take them; its edge is always seen."""
    colour = pale(style.colour) if beaten else style.colour
    return {
        "marker": style.marker,
        "fillstyle": "full" if filled == "none" else filled,
        "markerfacecolor": LIGHT.background if filled == "none" else colour,
        "markerfacecoloralt": LIGHT.background,
        "markeredgecolor": style.edge,
        "markeredgewidth": 0.7 if beaten else 1.1,
    }


def pale(colour: str) -> str:
    """The colour mixed with the ground; being opaque, it stays pale where many overlap."""
    mixed = "#"
    for i in (1, 3, 5):
        part, ground = int(colour[i : i + 2], 16), int(LIGHT.background[i : i + 2], 16)
        mixed += f"{round(_PALE * part + (1 - _PALE) * ground):02x}"
    return mixed


def _write_titles(figure: Figure, data: ParetoData) -> None:
    def write(x: float, y: float, text: str, size: float, colour: str, **font: Any) -> Text:
        """At shares of the figure; a ``$`` is a ``$``."""
        return figure.text(x, y, text, fontsize=size, color=colour, parse_math=False, **font)

    (left, bottom, width, height), metric = AXES, data.metric
    top = bottom + height
    subtitle = [
        plural(len(data.points), "variant"),
        f"{len(data.frontier)} on the frontier",
        *([in_font(data.dataset, 60)] if data.dataset else []),
    ]
    title = f"Top-1 accuracy against {metric.title}"
    write(left, top + 0.067, title, 13, LIGHT.text, fontweight="bold")
    write(left, top + 0.03, ", ".join(subtitle), 9, LIGHT.muted)
    axis = f"{metric.axis} ({metric.better} is better){', logarithmic' * data.logarithmic}"
    under = write(left + width / 2, 0.025, axis, 9.5, LIGHT.text)
    under.set_horizontalalignment("center")
    beside = write(0.012, bottom + height / 2, "Top-1 accuracy", 9.5, LIGHT.text)
    beside.set(rotation=90, verticalalignment="center")


def _write_device(figure: Figure, top: float, device: str) -> None:
    """What the speeds were measured on, below the legends."""
    left = AXES[0] + AXES[2] + 0.019
    words = textwrap.fill(in_font(device, _LONGEST_DEVICE), _DEVICE_LINE, break_on_hyphens=False)
    texts = (("Measured on", 9, LIGHT.text, "bold"), (words, 8, LIGHT.text, "normal"))
    for text, size, colour, weight in texts:
        style: dict[str, Any] = {
            "fontsize": size,
            "color": colour,
            "fontweight": weight,
            "parse_math": False,
        }
        figure.text(left, top, text, verticalalignment="top", **style)
        top -= 0.025


def _collections(data: ParetoData, styles: Styles) -> Iterator[LegendEntry]:
    sizes = Counter(point.row.collection for point in data.points)
    shared = [name for name in sizes if styles[name] is OTHERS]
    for name, number in sizes.most_common():
        if name is not None and name not in shared:
            yield f"{in_font(name, _LONGEST)} ({number})", _marker(styles[name], "full")
    if shared:
        number = sum(sizes[name] for name in shared)
        text = "no collection" if shared == [None] else plural(len(shared), "other collection")
        yield f"{text} ({number})", _marker(OTHERS, "full")


def _marks(data: ParetoData) -> Iterator[LegendEntry]:
    """What the marks of this plot mean, and no others."""
    meanings: dict[Filling, str] = {
        "full": "both values measured",
        "bottom": f"only {data.metric.label} measured",
        "left": "only top-1 measured",
        "none": "both values only claimed",
    }
    used = {_filling(point) for point in data.points}
    for filled, meaning in meanings.items():
        if filled in used:
            yield meaning, {**_marker(OTHERS, filled), "marker": "o"}
    if any(point.interval is not None for point in data.points):
        bar = {"marker": "|", "markeredgecolor": OTHERS.edge, "markersize": 10}
        yield "interval of the measured top-1", bar
    if len(data.frontier) < len(data.points):
        way = {**_marker(OTHERS, "full", beaten=True), "marker": "o", "markersize": 6}
        yield "small, pale: another beats it", way
    yield "frontier: no other one beats it", {**_FRONTIER}


def _legend(figure: Figure, top: float, title: str, entries: Iterator[LegendEntry]) -> float:
    """Draw a legend below that height; the height where it ends, as a share of the figure."""
    from matplotlib.lines import Line2D

    texts, looks = zip(*entries, strict=True)
    handles = [Line2D([], [], **{"linestyle": "none", "markersize": 7, **way}) for way in looks]
    legend = figure.legend(
        handles,
        # Matplotlib takes a text that begins with _ for a wish to be left out.
        [str(number) for number in range(len(handles))],
        loc="upper left",
        bbox_to_anchor=(AXES[0] + AXES[2] + 0.015, top),
        title=title,
        frameon=False,
        fontsize=8,
        title_fontsize=9,
        alignment="left",
        borderaxespad=0,
    )
    for written, text in zip(legend.get_texts(), texts, strict=True):
        written.set(text=text, parse_math=False, color=LIGHT.text)
    legend.get_title().set(color=LIGHT.text, fontweight="bold")
    return float(legend.get_window_extent().y0 / figure.bbox.height)
