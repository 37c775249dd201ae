"""To the right of a Pareto plot: which collection is which, and what the marks mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.report.palette import LIGHT, OTHERS, Series
from harness.report.pareto import Cloud
from harness.report.plots.layout import AXES, shown
from harness.report.plots.marks import Filling, filling, look
from zoo._util.text import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRONTIER: dict[str, Any] = {"linestyle": (0, (5, 2)), "color": LIGHT.frontier, "linewidth": 1.1}

_LONGEST = 24

Entry = tuple[str, dict[str, Any]]


def draw(figure: Figure, cloud: Cloud, styles: Mapping[str | None, Series]) -> None:
    """Both legends, one under the other."""
    end = _legend(figure, AXES[1] + AXES[3], "Collections", _collections(cloud, styles))
    _legend(figure, end - 0.03, "Marks", _marks(cloud))


def _collections(cloud: Cloud, styles: Mapping[str | None, Series]) -> Iterator[Entry]:
    sizes = Counter(point.row.collection for point in cloud.points)
    shared = [name for name in sizes if styles[name] is OTHERS]
    for name, number in sizes.most_common():
        if name is not None and name not in shared:
            yield f"{shown(name, _LONGEST)} ({number})", look(styles[name], "full", faded=False)
    if shared:
        number = sum(sizes[name] for name in shared)
        text = "no collection" if shared == [None] else plural(len(shared), "other collection")
        yield f"{text} ({number})", look(OTHERS, "full", faded=False)


def _marks(cloud: Cloud) -> Iterator[Entry]:
    """What is to be seen in this picture, and nothing else."""
    meanings: dict[Filling, str] = {
        "full": "both values measured",
        "bottom": f"only {cloud.metric.label} measured",
        "left": "only top-1 measured",
        "none": "both values only claimed",
    }
    used = {filling(point) for point in cloud.points}
    for filled, meaning in meanings.items():
        if filled in used:
            yield meaning, {**look(OTHERS, filled, faded=False), "marker": "o"}
    if any(point.interval is not None for point in cloud.points):
        bar = {"marker": "|", "markeredgecolor": OTHERS.edge, "markersize": 10}
        yield "interval of the measured top-1", bar
    if len(cloud.frontier) < len(cloud.points):
        yield "faded: another one beats it", {**look(OTHERS, "full", faded=True), "marker": "o"}
    yield "frontier: no other one beats it", {**FRONTIER}


def _legend(figure: Figure, top: float, title: str, entries: Iterator[Entry]) -> float:
    """Draws a legend below that height; gives the height where it ends, as shares of the figure."""
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
