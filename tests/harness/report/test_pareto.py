"""Which variants can be compared, and which of them no other beats."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loops import each

from harness.report import comparison, pareto
from harness.report.pareto import (
    FILE_SIZE,
    IMAGES_PER_SECOND,
    MACS,
    METRICS,
    PARAMETERS,
    Value,
    pareto_data,
)
from harness.report.rows import STATUSES, Row, rows
from harness.report.style import DARK, LIGHT, OTHERS, SERIES, Theme
from harness.types import Measurement, Report, VariantReport
from zoo.index.types import Claim


def row(name: str = "net", **values: object) -> Row:
    known: dict[str, object] = {"collection": "Net", "builder": "zoo", "status": "match"}
    return Row(name=name, **{**known, **values})  # type: ignore[arg-type]


# Few values, so that ties are frequent.
COORDINATE = st.sampled_from([1.0, 2.0, 3.0, 4.5, 5.0, 1e9])
POINTS = st.lists(st.tuples(COORDINATE, COORDINATE), max_size=12)


@given(POINTS, st.sampled_from(["less", "more"]))
def test_the_frontier_is_what_no_other_point_beats(points, better):
    def beats(a, b):
        no_dearer = a[0] <= b[0] if better == "less" else a[0] >= b[0]
        return no_dearer and a[1] >= b[1] and a != b

    expected = {
        i for i, point in enumerate(points) if not any(beats(other, point) for other in points)
    }
    found = pareto.frontier(points, better)
    assert set(found) == expected
    assert len(found) == len(expected)
    assert [points[i][0] for i in found] == sorted(points[i][0] for i in found)


def test_a_measured_value_goes_before_a_claimed_one():
    both = row(parameters=10, parameters_claimed=11, file_size_claimed=12, macs=13, flops_claimed=9)
    assert pareto.horizontal(both, PARAMETERS) == Value(10.0, measured=True)
    assert pareto.horizontal(both, FILE_SIZE) == Value(12.0, measured=False)
    assert pareto.horizontal(both, MACS) == Value(13.0, measured=True)
    assert pareto.horizontal(both, IMAGES_PER_SECOND) is None


@each("convention, macs", [(None, 100.0), ("fvcore", 100.0), ("macs", 100.0), ("flops", 50.0)])
def test_claimed_flops_stand_for_multiply_accumulates(convention: str | None, macs: float):
    claimed = row(flops_claimed=100, flops_convention_claimed=convention)
    assert pareto.horizontal(claimed, MACS) == Value(macs, measured=False)


def test_a_few_images_do_not_move_a_documented_accuracy():
    measured = {"top1": 85.0, "top1_low": 60.0, "top1_high": 97.0}
    assert pareto.top1(row(top1_claimed=74.8, **measured)) == Value(74.8, measured=False)
    assert pareto.top1(row(**measured)) == Value(85.0, measured=True)
    narrow = {"top1": 75.0, "top1_low": 74.0, "top1_high": 76.0}
    assert pareto.top1(row(top1_claimed=74.8, **narrow)) == Value(75.0, measured=True)


@each("value", [0, -1, float("nan"), float("inf")])
def test_what_has_no_place_on_an_axis_is_left_out(value: float):
    assert pareto.horizontal(row(file_size=value), FILE_SIZE) is None
    assert pareto.top1(row(top1_claimed=value)) is None


def test_an_accuracy_above_a_hundred_percent_has_no_place():
    assert pareto.top1(row(top1_claimed=8096.0)) is None


def test_one_plot_is_of_one_dataset():
    rows = [
        row("a", parameters=1, top1_claimed=80.0, dataset="ImageNet"),
        row("b", parameters=2, top1_claimed=81.0, dataset="imagenet-1k"),
        row("c", parameters=3, top1_claimed=97.0, dataset="CIFAR-10"),
        row("d", parameters=4, top1_claimed=82.0, dataset=None),
    ]
    data = pareto_data(rows, PARAMETERS)
    assert [point.row.name for point in data.points] == ["a", "b", "d"]
    assert data.dataset == "ImageNet"
    assert len(data.notes) == 1
    assert "1 variant of another dataset" in data.notes[0]


def test_one_plot_of_speeds_is_of_one_device():
    def on(name: str, device: str) -> Row:
        return row(name, top1_claimed=80.0, images_per_second=9.0, images_per_second_device=device)

    several = [on("a", "CPU"), on("b", "GPU"), on("c", "GPU")]
    data = pareto_data(several, IMAGES_PER_SECOND)
    assert [point.row.name for point in data.points] == ["b", "c"]
    assert data.device == "GPU"
    (note,) = data.notes
    assert "2 environments" in note
    assert "2 variants on GPU; 1 variant on CPU" in note


def test_speeds_of_different_environments_are_on_no_axis_together():
    """Whatever a speed depends on tells it from others, and what it does not depend on doesn't."""
    environment = {
        "device": "cuda", "device_name": "NVIDIA H200", "capability": "9.0", "driver": "570.1",
        "cuda": "13.0", "cudnn": 92400, "power_limit": 700.0, "mig": False, "cores": 8,
        "cudnn_benchmark": False, "cpu": "A CPU 1", "threads": 8, "torch": "2.9", "tf32": False,
    }  # fmt: skip
    timing = {
        "batch": 8, "precision": "off", "amp": "off", "layout": "channels_last", "compile": None,
        "images_per_second": 9.0, "environment": environment,
    }  # fmt: skip
    claimed = Claim("Top 1 Accuracy", "80.0", 80.0, "number", 0.1, None, dataset="ImageNet")

    def compared(*others):
        made = (None, "timed", {}, "cpu", "2025-01-01")
        variants = []
        for name, timings in (("a", [timing]), ("b", [timing]), ("c", others)):
            facts = tuple(
                Measurement("speed", name, "zoo", {"timings": [its]}, *made) for its in timings
            )
            variants.append(VariantReport(name, "N", "zoo", {}, (claimed,), facts))
        found = rows(Report({}, tuple(variants), ()))
        data = pareto_data(found, IMAGES_PER_SECOND)
        return [point.row.name for point in data.points], data.notes, markdown(found)

    def markdown(found):
        return comparison.markdown(Report({}, (), ()), found)

    for of_environment in (
        {"device_name": "NVIDIA A100"}, {"driver": "580.2"}, {"cuda": "12.8"}, {"cudnn": 91000},
        {"power_limit": 350.0}, {"mig": True}, {"cudnn_benchmark": True}, {"cpu": "A CPU 2"},
        {"threads": 4}, {"cores": 4}, {"torch": "2.10"}, {"capability": "8.0"},
        {"device": "cpu", "device_name": "A CPU 1"},
    ):  # fmt: skip
        names, notes, text = compared({**timing, "environment": environment | of_environment})
        assert names == ["a", "b"], of_environment
        assert sum("2 environments" in note for note in notes) == 1
        assert "measured in 2 environments, which can't be compared: NVIDIA H200" in text
    for way in ({"layout": "contiguous"}, {"compile": "max-autotune"}):
        assert compared({**timing, **way})[0] == ["a", "b"], way
    # Not in float32, and so on no such axis at all.
    for way in ({"precision": "bf16"}, {"environment": environment | {"tf32": True}}):
        assert compared({**timing, **way})[0] == ["a", "b"], way
    for same in ({"python": "3.9"}, {"platform": "another kernel"}, {}):
        names, notes, text = compared({**timing, "environment": environment | same})
        assert (names, notes) == (["a", "b", "c"], ())
        assert "Images/s were measured: NVIDIA H200 (9.0), driver 570.1" in text
    # Of several timings the one that others can be compared with, though another is faster.
    as_claimed = {**timing, "layout": "contiguous", "images_per_second": 90.0}
    assert compared(as_claimed, timing)[:2] == (["a", "b", "c"], ())
    assert compared(as_claimed)[0] == ["a", "b"]


@each("metric", METRICS)
def test_an_axis_without_data_says_so(metric: pareto.Metric):
    data = pareto_data([row(top1_claimed=80.0)], metric)
    assert data.points == ()
    assert len(data.notes) == 1
    assert f"no variant has a value for {metric.label}" in data.notes[0]


def test_without_accuracies_there_is_no_plot():
    (note,) = pareto_data([row(parameters=5)], PARAMETERS).notes
    assert "no variant has a top-1 accuracy" in note
    (note,) = pareto_data([row(parameters=5), row(top1=50.0)], PARAMETERS).notes
    assert "no variant has both" in note


def test_variants_that_a_plot_lacks_are_counted():
    rows = [row(parameters=5, top1_claimed=80.0), row(parameters=5), row()]
    (note,) = pareto_data(rows, PARAMETERS).notes
    assert "lacks 2 variants" in note


@each("largest, logarithmic", [(99, False), (100, True)])
def test_an_axis_is_logarithmic_from_a_decade_on(largest: int, logarithmic: bool):
    rows = [row(parameters=n, top1_claimed=80.0) for n in (10, largest)]
    assert pareto_data(rows, PARAMETERS).logarithmic is logarithmic


def test_a_collection_is_drawn_in_its_own_way_and_the_largest_first():
    rows = [row(collection=f"C{i}") for i in range(len(SERIES) + 2) for _ in range(20 - i)]
    rows += [row(collection=None)] * 50
    styles = pareto.series(rows)
    assert [styles[f"C{i}"] for i in range(len(SERIES))] == list(SERIES)
    assert styles[f"C{len(SERIES)}"] == styles[None] == OTHERS


def luminance(colour: str) -> float:
    """Relative luminance of a colour, as WCAG 2.1 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_in_every_colour_can_be_read(theme: Theme):
    assert tuple(theme.status) == STATUSES
    for colour in (theme.text, theme.muted, *theme.status.values()):
        assert contrast(colour, theme.background) >= 4.5
        assert contrast(colour, theme.surface) >= 4.5
    assert contrast(theme.line, theme.background) >= 3
    assert contrast(theme.line, theme.surface) >= 3


def test_markers_are_seen_on_white_and_told_apart_without_colour():
    series = (*SERIES, OTHERS)
    assert all(contrast(one.edge, LIGHT.background) >= 3 for one in series)
    assert all(contrast(one.light, DARK.background) >= 3 for one in series)
    for trait in ("marker", "symbol", "colour", "edge"):
        values = [getattr(one, trait) for one in series]
        assert trait == "edge" or len(set(values)) == len(values)
    assert {field.name for field in dataclasses.fields(SERIES[0])} >= {"marker", "symbol"}


@pytest.mark.parametrize(
    ("metric", "field", "claimed"),
    [
        (MACS, "FLOPs", {"flops_claimed": 10}),
        (PARAMETERS, "Parameters", {"parameters_claimed": 10}),
        (FILE_SIZE, "File Size", {"file_size_claimed": 10}),
    ],
)
def test_a_claim_that_an_error_speaks_against_is_in_no_plot(metric, field, claimed):
    assert pareto.horizontal(row(**claimed), metric) == Value(10.0, measured=False)
    assert pareto.horizontal(row(**claimed, doubted=(field,)), metric) is None
    measured = {name.removesuffix("_claimed"): 20 for name in claimed}
    measured = {"macs": 20} if metric is MACS else measured
    doubted = row(**claimed, **measured, doubted=(field,))
    assert pareto.horizontal(doubted, metric) == Value(20.0, measured=True)
    wrong = row(top1_claimed=99.0, doubted=("Top 1 Accuracy",))
    assert pareto.top1(wrong) is None
