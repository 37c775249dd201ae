"""The one description of a Pareto plot: which variants can be compared, and which are best.

Pure functions over rows. `harness.report.plots` draws a `ParetoData` as a file, and the page's
script draws the same one, as `plain_data` gives it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.report.rows import WIDEST_INTERVAL, Row
from harness.report.style import OTHERS, SERIES, Series
from zoo._util.text import for_terminal, foreign, plural
from zoo.labels import same_data

# An axis is logarithmic when its largest value is so many times its smallest.
LOGARITHMIC_FROM = 10.0

Better = Literal["less", "more"]
XY = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Metric:
    """What accuracy is plotted against.

    Attributes:
        key: names the file and the axis: ``macs``, ``file-size``.
        title: for a heading.
        label: short, for a legend.
        axis: for the axis.
        unit: for tick labels.
        better: whether less or more of it is better.
        advice: how to get a value, where no variant has one.
    """

    key: str
    title: str
    label: str
    axis: str
    unit: str = ""
    better: Better = "less"
    advice: str = "verify counts them where it can build a variant"


MACS = Metric("macs", "multiply-accumulates", "MACs", "Multiply-accumulates (MACs) of one image")
PARAMETERS = Metric("parameters", "parameters", "parameters", "Parameters")
FILE_SIZE = Metric(
    "file-size",
    "file size",
    "file size",
    "Size of the checkpoint",
    unit="B",
    advice="fetch gets files",
)
IMAGES_PER_SECOND = Metric(
    "images-per-second",
    "images per second",
    "images/s",
    "Images per second in float32, best batch size",
    better="more",
    advice="bench measures it",
)
METRICS = (MACS, PARAMETERS, FILE_SIZE, IMAGES_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Value:
    """A coordinate, and whether it was measured or is only claimed."""

    number: float
    measured: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One variant of a plot. ``interval`` is that of a measured top-1, in percent."""

    row: Row
    x: Value
    y: Value
    interval: tuple[float, float] | None

    @property
    def xy(self) -> XY:
        """The coordinates alone."""
        return self.x.number, self.y.number


@dataclass(frozen=True, slots=True)
class ParetoData:
    """The content of one plot; without points there is none, and ``notes`` say why.

    Attributes:
        metric: of the horizontal axis.
        points: the variants that can be compared, in the order of the rows.
        frontier: positions in ``points`` of those that no other beats, from left to right.
        logarithmic: whether the horizontal axis spans enough to be so.
        dataset, device: what all points have in common, where that is documented.
        notes: sentences on the variants that are left out, and why.
    """

    metric: Metric
    points: tuple[Point, ...] = ()
    frontier: tuple[int, ...] = ()
    logarithmic: bool = False
    dataset: str | None = None
    device: str | None = None
    notes: tuple[str, ...] = ()

    def steps(self) -> list[XY]:
        """The corners of the frontier: what a variant reaches can be had at every higher cost."""
        corners: list[XY] = []
        for x, y in (self.points[i].xy for i in self.frontier):
            if corners:
                before = corners[-1]
                corners.append((x, before[1]) if self.metric.better == "less" else (before[0], y))
            corners.append((x, y))
        return corners


def horizontal(row: Row, metric: Metric) -> Value | None:
    """The variant's value on that axis: measured, else claimed, unless an error says it is wrong.

    Claimed FLOPs stand for multiply-accumulates: every convention of the field counts a
    multiply-accumulate once, and little beside it, except ``flops``, which counts it twice.
    """
    operations: float | None = row.flops_claimed
    if operations is not None and row.flops_convention_claimed == "flops":
        operations /= 2
    measured, claimed, field = {
        MACS: (row.macs, operations, "FLOPs"),
        PARAMETERS: (row.parameters, row.parameters_claimed, "Parameters"),
        FILE_SIZE: (row.file_size, row.file_size_claimed, "File Size"),
        IMAGES_PER_SECOND: (row.images_per_second, None, ""),
    }[metric]
    return _first(row, measured, claimed, field)


def top1(row: Row) -> Value | None:
    """The variant's top-1 accuracy in percent: measured, where precise enough, else claimed."""
    measured = row.top1 if _is_narrow(row) else None
    value = _first(row, measured, row.top1_claimed, "Top 1 Accuracy")
    return value if value is not None and value.number <= 100 else None


def _is_narrow(row: Row) -> bool:
    if row.top1_claimed is None:
        return True
    if row.top1_low is None or row.top1_high is None:
        return False
    return row.top1_high - row.top1_low <= WIDEST_INTERVAL


def _first(row: Row, measured: float | None, claimed: float | None, field: str) -> Value | None:
    """The measured value, else the claimed one of that field unless an error speaks against it."""
    claims = () if field in row.doubted else ((claimed, False),)
    for number, is_measured in ((measured, True), *claims):
        if number is not None and math.isfinite(number) and number > 0:
            return Value(float(number), is_measured)
    return None


def pareto_data(rows: Sequence[Row], metric: Metric) -> ParetoData:
    """The variants of a report that one plot can compare.

    Accuracies on different datasets are no comparison, nor are speeds that were measured on
    different machines or in different ways: the plot is of those that most variants have. A
    variant that names none is taken to mean that one.
    """
    placed = [(row, horizontal(row, metric), top1(row)) for row in rows]
    points = [Point(row, x, y, _interval(row, y)) for row, x, y in placed if x and y]
    about = f"top-1 against {metric.label}"
    if not points:
        return ParetoData(metric, notes=(f"no plot of {about}: {_lacking(placed, metric)}",))
    notes: list[str] = []
    if len(points) < len(rows):
        missing = plural(len(rows) - len(points), "variant")
        notes.append(f"the plot of {about} lacks {missing} without both values")
    points, dataset = _of_one_dataset(points, about, notes)
    device = None
    if metric is IMAGES_PER_SECOND:
        points, device = _of_one_environment(points, about, notes)
    xs = [point.x.number for point in points]
    return ParetoData(
        metric,
        tuple(points),
        frontier([point.xy for point in points], metric.better),
        max(xs) >= LOGARITHMIC_FROM * min(xs),
        dataset,
        device,
        tuple(notes),
    )


def _interval(row: Row, y: Value | None) -> tuple[float, float] | None:
    if y is None or not y.measured or row.top1_low is None or row.top1_high is None:
        return None
    return (row.top1_low, row.top1_high)


def _lacking(placed: Sequence[tuple[Row, Value | None, Value | None]], metric: Metric) -> str:
    """Which of the two values is missing everywhere, or that no variant has both."""
    if not any(x for _, x, _ in placed):
        return f"no variant has a value for {metric.label} ({metric.advice})"
    if not any(y for _, _, y in placed):
        return "no variant has a top-1 accuracy"
    return "no variant has both values"


def _of_one_dataset(
    points: list[Point], about: str, notes: list[str]
) -> tuple[list[Point], str | None]:
    """The points of the most common dataset, or that name none, and its name as written."""
    named = [text for point in points if (text := point.row.dataset)]
    if not named:
        return points, None
    most = Counter(same_data(text) for text in named).most_common(1)[0][0]
    kept = [point for point in points if same_data(point.row.dataset or None) in (most, None)]
    if len(kept) < len(points):
        others = plural(len(points) - len(kept), "variant")
        notes.append(f"the plot of {about} is of one dataset; {others} of another dataset left out")
    return kept, next(text for text in named if same_data(text) == most)


def environments(rows: Iterable[Row]) -> list[tuple[str, int]]:
    """What speeds were measured on, and of how many variants, the most first."""
    named = [row.images_per_second_device for row in rows if row.images_per_second is not None]
    return Counter(name for name in named if name is not None).most_common()


def _of_one_environment(
    points: list[Point], about: str, notes: list[str]
) -> tuple[list[Point], str | None]:
    """The points whose speeds most variants share the environment of, and that one."""
    found = environments(point.row for point in points)
    if not found:
        return points, None
    if len(found) > 1:
        words = "; ".join(f"{plural(size, 'variant')} on {name}" for name, size in found)
        notes.append(
            f"the plot of {about} is of the first of {len(found)} environments that speeds were "
            f"measured in, which can't be compared: {words}"
        )
    most = found[0][0]
    return [p for p in points if p.row.images_per_second_device in (most, None)], most


def frontier(points: Sequence[XY], better: Better) -> tuple[int, ...]:
    """The positions of the points that no other beats, by ascending x.

    A point beats another when it is at least as good in both and better in one, so of equal
    points none beats the other. More y is always better. It takes n log n steps.
    """
    sign = 1 if better == "less" else -1
    order = sorted(range(len(points)), key=lambda i: (sign * points[i][0], -points[i][1]))
    kept: list[int] = []
    for i in order:
        last = points[kept[-1]] if kept else None
        if last is None or points[i][1] > last[1] or points[i] == last:
            kept.append(i)
    return tuple(kept[::sign])


def series(rows: Iterable[Row]) -> dict[str | None, Series]:
    """How each collection is drawn, the same in every plot of a report.

    The largest collections have a series of their own, the others share one.
    """
    sizes = Counter(row.collection for row in rows)
    own = [name for name, _ in sizes.most_common() if name is not None]
    return dict.fromkeys(sizes, OTHERS) | dict(zip(own, SERIES, strict=False))


def plain_data(rows: Sequence[Row]) -> dict[str, Any]:
    """All plots of a report as plain data for the page's script.

    Returns:
        ``metrics``: per metric its ``points``, each ``[number of the variant, x, 1 if x was
        measured, y, 1 if y was measured]``, and the positions in them that are on the
        ``frontier``; ``series``: colours and symbols in the page's words; ``drawn``: for each
        variant, which of these.
    """
    styles = series(rows)
    numbers = {name: i for i, name in enumerate(styles)}
    places = {id(row): i for i, row in enumerate(rows)}
    return {
        "metrics": [_plain(pareto_data(rows, metric), places) for metric in METRICS],
        "series": [
            {
                "name": "no collection" if name is None else foreign(name),
                "colour": style.colour,
                "edge": style.edge,
                "light": style.light,
                "symbol": style.symbol,
            }
            for name, style in styles.items()
        ],
        "drawn": [numbers[row.collection] for row in rows],
    }


def _plain(data: ParetoData, places: dict[int, int]) -> dict[str, Any]:
    names = ("key", "title", "label", "unit", "better")
    return {
        **{name: getattr(data.metric, name) for name in names},
        "logarithmic": data.logarithmic,
        "dataset": data.dataset and foreign(data.dataset),
        "device": data.device and foreign(data.device),
        "notes": [for_terminal(note) for note in data.notes],
        "points": [
            [places[id(p.row)], p.x.number, int(p.x.measured), p.y.number, int(p.y.measured)]
            for p in data.points
        ],
        "frontier": list(data.frontier),
        "intervals": {places[id(p.row)]: p.interval for p in data.points if p.interval},
    }
