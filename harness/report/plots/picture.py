"""Draws one Pareto plot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.report.palette import LIGHT, Series
from harness.report.pareto import Cloud, Point
from harness.report.plots import legend, names
from harness.report.plots.layout import AXES, DPI, SIZE, say, shown
from harness.report.plots.marks import Filling, corners, diameter, fade, filling, look
from harness.report.quantities import quantity
from zoo._util.text import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(cloud: Cloud, styles: Mapping[str | None, Series]) -> Figure:
    """The picture of these points, of which there is at least one.

    Args:
        cloud: what to show.
        styles: how each collection is drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, dpi=DPI, facecolor=LIGHT.background)
    canvas = FigureCanvasAgg(figure)
    axes: Axes = figure.add_axes(AXES, facecolor=LIGHT.background)
    _scale(axes, cloud)
    on = [(cloud.points[i].x.number, cloud.points[i].y.number) for i in cloud.frontier]
    xs, ys = zip(*corners(on, cloud.metric.better), strict=True)
    axes.plot(xs, ys, zorder=3, **legend.FRONTIER)
    _points(axes, cloud, styles)
    names.write(axes, canvas, cloud)
    _words(figure, cloud)
    legend.draw(figure, cloud, styles)
    return figure


def _scale(axes: Axes, cloud: Cloud) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    xs = [point.x.number for point in cloud.points]
    ys = [y for point in cloud.points for y in (point.y.number, *(point.interval or ()))]
    low, high = min(xs), max(xs)
    if cloud.logarithmic:
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
    unit = cloud.metric.unit
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


def _points(axes: Axes, cloud: Cloud, styles: Mapping[str | None, Series]) -> None:
    """One artist for all markers that look the same, so that thousands cost little more."""
    alike: dict[tuple[bool, Series, Filling], list[Point]] = {}
    best = frozenset(cloud.frontier)
    for position, point in enumerate(cloud.points):
        kind = (position in best, styles[point.row.collection], filling(point))
        alike.setdefault(kind, []).append(point)
    size = diameter(len(cloud.points))
    for (is_best, style, filled), points in alike.items():
        order = 5 if is_best else 4
        xs, ys = [point.x.number for point in points], [point.y.number for point in points]
        way = {**look(style, filled, faded=not is_best), "markersize": size, "zorder": order}
        axes.plot(xs, ys, linestyle="none", clip_on=False, **way)
        bars = [(point.x.number, *point.interval) for point in points if point.interval]
        if bars:
            at, low, high = zip(*bars, strict=True)
            edge = style.edge if is_best else fade(style.edge)
            axes.vlines(at, low, high, color=edge, linewidth=0.9, zorder=order - 0.5)


def _words(figure: Figure, cloud: Cloud) -> None:
    left, top = AXES[0], AXES[1] + AXES[3]
    subtitle = [
        plural(len(cloud.points), "variant"),
        f"{len(cloud.frontier)} on the frontier",
        *(shown(text, 60) for text in (cloud.dataset, cloud.device) if text),
    ]
    say(
        figure,
        left,
        top + 0.067,
        f"Top-1 accuracy against {cloud.metric.title}",
        13,
        LIGHT.text,
        "bold",
    )
    say(figure, left, top + 0.03, ", ".join(subtitle), 9, LIGHT.muted)
    below = f"{cloud.metric.axis} ({cloud.metric.better} is better)"
    if cloud.logarithmic:
        below += ", logarithmic"
    under = say(figure, left + AXES[2] / 2, 0.025, below, 9.5, LIGHT.text)
    under.set_horizontalalignment("center")
    beside = say(figure, 0.012, AXES[1] + AXES[3] / 2, "Top-1 accuracy", 9.5, LIGHT.text)
    beside.set(rotation=90, verticalalignment="center")
