"""What a Pareto plot shows: which variants can be compared, and which of them nothing beats.

Pure functions over rows; the drawing is `harness.report.plots`, and the page's own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.report.palette import OTHERS, SERIES, Series
from harness.report.rows import Row
from zoo._util.text import plural
from zoo.labels import same_data

# A measured accuracy takes the place of the documented one when so few points are left open: the
# twenty pictures of a sample would move a variant by ten points either way.
WIDEST_INTERVAL = 5.0

# An axis is logarithmic when its largest value is so many times its smallest.
LOGARITHMIC_FROM = 10.0


@dataclass(frozen=True, slots=True)
class Metric:
    """What accuracy is held against.

    Attributes:
        key: names the picture and the axis: ``macs``, ``file-size``.
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
    unit: str
    better: Literal["less", "more"]
    advice: str


_COUNTED = "verify counts them where it can build a variant"

MACS = Metric(
    "macs",
    "multiply-accumulates",
    "MACs",
    "Multiply-accumulates (MACs) of one image",
    "",
    "less",
    _COUNTED,
)
PARAMETERS = Metric("parameters", "parameters", "parameters", "Parameters", "", "less", _COUNTED)
FILE_SIZE = Metric(
    "file-size", "file size", "file size", "Size of the checkpoint", "B", "less", "fetch gets files"
)
IMAGES_PER_SECOND = Metric(
    "images-per-second",
    "images per second",
    "images/s",
    "Images per second in float32, best batch size",
    "",
    "more",
    "bench measures it",
)
METRICS = (MACS, PARAMETERS, FILE_SIZE, IMAGES_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Value:
    """A coordinate, and whether it was measured or is only claimed."""

    number: float
    measured: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One variant in one picture. ``interval`` is that of a measured top-1, in percent."""

    row: Row
    x: Value
    y: Value
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Cloud:
    """One picture's content; without points there is none to draw, and ``notes`` say why.

    Attributes:
        metric: of the horizontal axis.
        points: the variants that can be compared, in the order of the rows.
        frontier: positions in ``points`` of those that no other beats, from left to right.
        logarithmic: whether the horizontal axis spans enough to be so.
        dataset, device: what all points have in common, where that is known.
        notes: sentences on the variants that are left out, and why.
    """

    metric: Metric
    points: tuple[Point, ...]
    frontier: tuple[int, ...]
    logarithmic: bool
    dataset: str | None
    device: str | None
    notes: tuple[str, ...]


def horizontal(row: Row, metric: Metric) -> Value | None:
    """The variant's value on that axis: measured, else claimed, unless an error says it is wrong.

    Claimed FLOPs stand for multiply-accumulates: every convention of the field counts a
    multiply-accumulate once, and little beside it, except ``flops``, which counts it twice.
    """
    if metric is MACS:
        claimed = _trusted(row, "FLOPs", row.flops_claimed)
        if claimed is not None and row.flops_convention_claimed == "flops":
            claimed /= 2
        return _first(row.macs, claimed)
    if metric is PARAMETERS:
        return _first(row.parameters, _trusted(row, "Parameters", row.parameters_claimed))
    if metric is FILE_SIZE:
        return _first(row.file_size, _trusted(row, "File Size", row.file_size_claimed))
    return _first(row.images_per_second, None)


def top1(row: Row) -> Value | None:
    """The variant's top-1 accuracy in percent: measured, where that says enough, else claimed."""
    claimed = _trusted(row, "Top 1 Accuracy", row.top1_claimed)
    value = _first(row.top1 if _is_narrow(row) else None, claimed)
    return value if value is not None and value.number <= 100 else None


def _trusted(row: Row, field: str, claimed: float | None) -> float | None:
    """A documented value, unless it is known to be wrong: nobody shall choose a model by that."""
    return None if field in row.doubted else claimed


def _is_narrow(row: Row) -> bool:
    if row.top1_claimed is None:
        return True
    if row.top1_low is None or row.top1_high is None:
        return False
    return row.top1_high - row.top1_low <= WIDEST_INTERVAL


def _first(measured: float | None, claimed: float | None) -> Value | None:
    for number, is_measured in ((measured, True), (claimed, False)):
        if number is not None and math.isfinite(number) and number > 0:
            return Value(float(number), is_measured)
    return None


def cloud(rows: Sequence[Row], metric: Metric) -> Cloud:
    """The variants of a report that one picture can compare.

    Accuracies on different data sets, and speeds on different devices, are no comparison: the
    picture is of those that most variants have. A variant that names none is taken to mean that
    one.
    """
    placed = [(row, horizontal(row, metric), top1(row)) for row in rows]
    points = [Point(row, x, y, _interval(row, y)) for row, x, y in placed if x and y]
    about = f"top-1 against {metric.label}"
    if not points:
        note = f"no picture of {about}: {_lacking(placed, metric)}"
        return Cloud(metric, (), (), False, None, None, (note,))
    notes: list[str] = []
    if len(points) < len(rows):
        missing = plural(len(rows) - len(points), "variant")
        notes.append(f"the picture of {about} lacks {missing} without both values")
    points, dataset = _agreeing(points, _dataset, "data set", about, notes)
    device = None
    if metric is IMAGES_PER_SECOND:
        points, device = _agreeing(points, _device, "device", about, notes)
    values = [point.x.number for point in points]
    return Cloud(
        metric,
        tuple(points),
        frontier([(point.x.number, point.y.number) for point in points], metric.better),
        max(values) >= LOGARITHMIC_FROM * min(values),
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


def _dataset(row: Row) -> str | None:
    return row.dataset


def _device(row: Row) -> str | None:
    return row.images_per_second_device


def _agreeing(
    points: list[Point],
    trait: Callable[[Row], str | None],
    noun: str,
    about: str,
    notes: list[str],
) -> tuple[list[Point], str | None]:
    """The points that share the most common trait or name none, and that trait as written."""
    named = [text for point in points if (text := trait(point.row))]
    if not named:
        return points, None
    most = Counter(same_data(text) for text in named).most_common(1)[0][0]
    kept = [point for point in points if same_data(trait(point.row) or None) in (most, None)]
    if len(kept) < len(points):
        others = plural(len(points) - len(kept), "variant")
        notes.append(
            f"the picture of {about} is of one {noun}; {others} of another {noun} left out"
        )
    return kept, next(text for text in named if same_data(text) == most)


def frontier(
    points: Sequence[tuple[float, float]], better: Literal["less", "more"]
) -> tuple[int, ...]:
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
    """How each collection is drawn, the same in every picture of a report.

    The largest collections have a series of their own, the others share one.
    """
    sizes = Counter(row.collection for row in rows)
    own = [name for name, _ in sizes.most_common() if name is not None]
    return dict.fromkeys(sizes, OTHERS) | dict(zip(own, SERIES, strict=False))
