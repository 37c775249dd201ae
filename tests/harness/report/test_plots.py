"""The plots of a report: read back as files, and measured as they are drawn."""

from __future__ import annotations

import io
import itertools
import json
import math
import random
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from cli import run_python
from hostile import TEXTS
from loops import each
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from harness.report import pareto, plots
from harness.report.labels import Canvas, LabelPlace
from harness.report.pareto import ParetoData
from harness.report.plots import draw, pale
from harness.report.rows import Row
from harness.report.style import LIGHT, diameter, spread

SVG = "{http://www.w3.org/2000/svg}"


def row(name: str, **values: object) -> Row:
    known: dict[str, object] = {"collection": "Net", "builder": "zoo", "status": "match"}
    return Row(name=name, **{**known, **values})  # type: ignore[arg-type]


@cache
def crowd(number: int) -> tuple[Row, ...]:
    """Variants as zoos have them: families that climb, some measured, many close together."""
    dice = random.Random(7)
    rows = []
    for i in range(number):
        family = dice.randrange(10)
        macs = int(10 ** dice.gauss(8.5 + family * 0.2, 0.35))
        top1 = min(91.0, 66 + 1.5 * family + dice.gauss(0, 2))
        values: dict[str, object] = {
            "collection": f"Family {family}",
            "macs": macs if dice.random() < 0.8 else None,
            "flops_claimed": 2 * macs,
            "parameters_claimed": macs // 90,
            "top1_claimed": round(top1, 2),
            "dataset": "ImageNet",
        }
        if dice.random() < 0.3:
            values |= {"top1": top1, "top1_low": top1 - 0.7, "top1_high": top1 + 0.9}
        if dice.random() < 0.5:
            values |= {"images_per_second": 1e11 / macs, "images_per_second_device": "A CPU"}
        rows.append(row(f"family{family}_variant{i}", **values))
    return tuple(rows)


EIGHT = (
    row("resnest14d", macs=2749405184, top1_claimed=75.51),
    row("resnest26d", macs=3623391232, top1_claimed=78.48),
    row("resnest50d", macs=5371160576, top1_claimed=80.96),
    row("resnest50d_1s4x24d", macs=4399827456, top1_claimed=81.0),
    row("resnest50d_4s2x40d", macs=4369060736, top1_claimed=81.11),
    row("resnest101e", macs=13321472000, top1_claimed=82.88),
    row("resnest200e", macs=35519694848, top1_claimed=83.85),
    row("resnest269e", macs=77348702208, top1_claimed=84.53),
)


@cache
def drawing(
    rows: tuple[Row, ...], metric: pareto.Metric = pareto.MACS
) -> tuple[Figure, ParetoData]:
    """The figure, drawn once for all tests, so that its extents are known."""
    data = pareto.pareto_data(rows, metric)
    with mpl.rc_context():
        mpl.rcdefaults()
        figure = draw(data, pareto.series(rows))
        figure.canvas.draw()
    return figure, data


def names_in(figure: Figure) -> list[Text]:
    return [text for text in figure.axes[0].texts if text.get_gid() == "name"]


def texts_in(svg: bytes) -> list[str]:
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    return dict(plots.files(crowd(40)))


def test_every_plot_is_written_in_both_formats_and_parses(drawn: dict[str, bytes]):
    wanted = {f"pareto-{key}.{kind}" for key in KEYS for kind in ("svg", "png")}
    assert set(drawn) == wanted
    for name, content in drawn.items():
        if name.endswith(".svg"):
            assert any(text.startswith("Top-1 accuracy against") for text in texts_in(content))
        else:
            image = Image.open(io.BytesIO(content))
            assert image.size == (1440, 900)
            image.load()


KEYS = ("macs", "parameters", "images-per-second")


def test_an_axis_without_data_has_no_plot_and_says_so():
    notes: list[str] = []
    made = dict(plots.files(EIGHT, notes.append))
    assert set(made) == {"pareto-macs.svg", "pareto-macs.png"}
    assert len(notes) == 3
    assert {note.split(":")[0] for note in notes} == {
        "no plot of top-1 against parameters",
        "no plot of top-1 against file size",
        "no plot of top-1 against images/s",
    }
    assert dict(plots.files([])) == {}
    assert set(made) <= set(plots.NAMES)


@each(
    "rows, metric",
    [
        (EIGHT, pareto.MACS),
        (crowd(8), pareto.MACS),
        (crowd(300), pareto.MACS),
        (crowd(300), pareto.IMAGES_PER_SECOND),
        (crowd(1000), pareto.MACS),
    ],
)
def test_no_name_covers_another_or_a_marker_or_leaves_the_plot(
    rows: tuple[Row, ...], metric: pareto.Metric
):
    figure, data = drawing(rows, metric)
    boxes = [text.get_window_extent() for text in names_in(figure)]
    assert boxes
    for a, b in itertools.combinations(boxes, 2):
        assert not overlap(a, b), (a, b)
    axes = figure.axes[0]
    radius = diameter(len(data.points)) / 2 * figure.dpi / 72
    for point in data.points:
        x, y = axes.transData.transform((point.x.number, point.y.number))
        marker = Bbox([[x - radius, y - radius], [x + radius, y + radius]])
        assert not any(overlap(box, marker) for box in boxes)
    for box in boxes:
        assert axes.bbox.x0 <= box.x0
        assert box.x1 <= axes.bbox.x1
        assert axes.bbox.y0 <= box.y0
        assert box.y1 <= axes.bbox.y1


def overlap(a: Bbox, b: Bbox) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


def test_every_variant_of_a_small_zoo_is_named():
    figure, _ = drawing(EIGHT)
    assert {text.get_text() for text in names_in(figure)} == {one.name for one in EIGHT}


def test_the_frontier_is_named_first():
    figure, data = drawing(crowd(300))
    order = [text.get_text() for text in names_in(figure)]
    shown = set(order)
    best = {data.points[i].row.name for i in data.frontier}
    others = {point.row.name for point in data.points} - best
    assert len(shown & best) / len(best) > 0.7
    assert set(order[: len(shown & best)]) <= best
    assert len(shown & others) > 10


def test_nothing_else_of_the_plot_leaves_it_or_covers_its_words():
    many = (row(f"n{i}", collection="W" * 60 + str(i), macs=10**9, top1=80.0) for i in range(60))
    figure, _ = drawing((*crowd(40), *many))
    for text in (*figure.texts, *(t for one in figure.legends for t in one.get_texts())):
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    first, second = (one.get_window_extent() for one in figure.legends)
    assert not overlap(first, second)


def test_a_name_that_could_be_anothers_gets_a_line_to_its_marker():
    lonely, doubtful = Canvas(200, 100), Canvas(200, 100)
    for canvas in (lonely, doubtful):
        canvas.add_marker(100, 50, 4, prominent=False)
    # Wherever a name beside the first marker goes, it comes close to another.
    for turn in range(16):
        angle = math.tau * turn / 16
        x, y = 100 + 24 * math.cos(angle), 50 + 17 * math.sin(angle)
        doubtful.add_marker(x, y, 1, prominent=False)

    def place(canvas: Canvas) -> LabelPlace | None:
        return canvas.place((100, 50), 4, (14, 8), toward=0, rings=6, may_cross=True)

    beside = place(lonely)
    assert beside is not None
    assert beside.leader is None
    away = place(doubtful)
    assert away is not None
    assert away.leader is not None


def test_no_line_goes_across_a_prominent_marker():
    walled = Canvas(200, 100)
    walled.add_marker(100, 50, 4, prominent=True)
    for x in range(85, 116, 2):
        for y in range(35, 66, 2):
            if max(abs(x - 100), abs(y - 50)) > 12:
                walled.add_marker(x, y, 1, prominent=True)
    assert walled.place((100, 50), 4, (30, 8), toward=0, rings=6, may_cross=True) is None


def markers(figure: Figure) -> Iterator[tuple[str, str, int]]:
    """Of each lot of markers: what is filled, in which colour, and how many there are."""
    for line in figure.axes[0].lines:
        # Around each marker is a rim, which is the ground's.
        if line.get_linestyle() == "None" and line.get_markeredgecolor() != LIGHT.background:
            filled = line.get_fillstyle()
            if line.get_markerfacecolor() == LIGHT.background:
                filled = "none"
            yield filled, str(line.get_markeredgecolor()), len(line.get_xdata())


def test_measured_and_claimed_values_differ():
    narrow = {"top1": 80.0, "top1_low": 79.5, "top1_high": 80.5}
    rows = (
        *(row(f"measured{i}", macs=i, **narrow) for i in (1,)),
        *(row(f"macs{i}", macs=i, top1_claimed=80.0 + i) for i in (2, 3)),
        *(row(f"top1{i}", flops_claimed=i, **narrow) for i in (4, 5, 6)),
        *(row(f"claimed{i}", flops_claimed=i, top1_claimed=70.0) for i in (7, 8, 9, 10)),
    )
    figure, _ = drawing(rows)
    counts: dict[str, int] = {}
    for filled, _, number in markers(figure):
        counts[filled] = counts.get(filled, 0) + number
    assert counts == {"full": 1, "bottom": 2, "left": 3, "none": 4}
    legend = [text.get_text() for text in figure.legends[1].get_texts()]
    assert legend[:4] == [
        "both values measured",
        "only MACs measured",
        "only top-1 measured",
        "both values only claimed",
    ]
    bars = [path.vertices for c in figure.axes[0].collections for path in c.get_paths()]
    assert len(bars) == 4
    assert {tuple(bar[:, 1]) for bar in bars} == {(79.5, 80.5)}


def test_what_is_beaten_is_small_and_pale_and_its_edge_is_seen():
    figure, data = drawing(EIGHT)
    assert len(data.frontier) == 6
    lines = [line for line in figure.axes[0].lines if line.get_markeredgecolor() == "#004e7a"]
    found = {line.get_markerfacecolor(): len(line.get_xdata()) for line in lines}
    assert found == {"#0072b2": 6, pale("#0072b2"): 2}
    (large, small) = sorted((line.get_markersize() for line in lines), reverse=True)
    assert large > 1.1 * small


def test_markers_in_one_place_are_told_apart_and_joined_to_it():
    """Twins, a crowd in one spot, and a chain of neighbours; who stands alone stays."""
    crowd = [(200.0, 200.0)] * 30
    chain = [(10.0 + 2 * i, 50.0) for i in range(10)]
    spots = [(100.0, 100.0), (100.0, 100.5), *crowd, *chain, (300.0, 10.0)]
    placed = spread(spots, 4)
    assert placed[-1] == spots[-1]
    for a, b in itertools.combinations(placed, 2):
        assert math.dist(a, b) > 1.5 * 4, (a, b)
    assert max(map(math.dist, spots, placed)) < 50
    twins = (row("a", macs=10**9, top1_claimed=80.0), row("b", macs=10**9, top1_claimed=80.0))
    figure, _ = drawing(twins)
    leaders = [line for line in figure.axes[0].lines if line.get_color() == LIGHT.muted]
    assert len(leaders) == 2


@each("better", ["less", "more"])
def test_the_steps_of_the_frontier_are_the_best_that_can_be_had(better: str):
    metric = pareto.MACS if better == "less" else pareto.IMAGES_PER_SECOND
    data = pareto.pareto_data(crowd(80), metric)
    values = [point.xy for point in data.points]
    steps = data.steps()
    for (x0, y0), (x1, y1) in itertools.pairwise(steps):
        assert x0 == x1 or y0 == y1
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        # No variant is better than what the line promises, in both.
        for x, y in values:
            cheaper = x < middle[0] if better == "less" else x > middle[0]
            assert not (cheaper and y > middle[1])
        # And some variant keeps the promise.
        assert any(
            (x <= middle[0] if better == "less" else x >= middle[0]) and y >= middle[1]
            for x, y in values
        )


BATCHES = [TEXTS[start::9] for start in range(9)]


@each("batch", BATCHES)
def test_hostile_names_are_text(batch: Sequence[str]):
    """As the name of a variant, of its collection, of the dataset and of the device."""
    rows = [
        row(
            name,
            collection=name,
            top1=50.0 + 5 * (i % 4),
            images_per_second=5.0 * (i + 1),
            dataset=batch[0],
            images_per_second_device=batch[2],
        )
        for i, name in enumerate(batch)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = dict(plots.files(rows))
    assert len(made) == 2
    svg = made["pareto-images-per-second.svg"]
    texts = texts_in(svg)
    assert not any(ET.fromstring(svg).iter(f"{SVG}script"))
    plain = [name for name in batch if name.isascii() and name.isprintable() and 0 < len(name) < 25]
    assert {*plain, *(f"{name} (1)" for name in plain)} <= set(texts)
    assert batch[0] not in plain or any(batch[0] in text for text in texts)


def test_control_characters_are_written_out():
    svg = dict(plots.files([row("nul\x00", macs=5, top1=7.0)]))["pareto-macs.svg"]
    assert r"nul\x00" in texts_in(svg)


AGAIN = """
import hashlib, json, sys
import matplotlib
matplotlib.rcParams.update({"font.size": 30, "axes.linewidth": 9, "text.color": "red"})
sys.path[:0] = ["tests/harness/report", "tests/plugins"]
from test_plots import crowd
from harness.report import plots
digests = {name: hashlib.sha256(content).hexdigest() for name, content in plots.files(crowd(40))}
assert "matplotlib.pyplot" not in sys.modules
assert matplotlib.rcParams["font.size"] == 30
print(json.dumps(digests))
"""


def test_the_same_rows_give_the_same_bytes_whatever_the_users_settings(
    drawn: dict[str, bytes], repository: Path
):
    """In another process with another hash seed; pyplot, and so a display, is not touched."""
    from hashlib import sha256

    ended = run_python(
        ["-c", AGAIN],
        cwd=repository,
        env={"PYTHONHASHSEED": "99", "PYTHONPATH": str(repository), "PATH": ""},
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        name: sha256(content).hexdigest() for name, content in drawn.items()
    }


def test_a_plot_of_one_variant_and_one_of_equals_can_be_drawn():
    assert dict(plots.files([row("one", macs=5, top1_claimed=80.0)]))
    same = [row(f"same{i}", macs=5, top1_claimed=80.0) for i in range(50)]
    assert dict(plots.files(same))


def test_the_axes_span_every_variant():
    for rows in (EIGHT, crowd(300)):
        figure, data = drawing(rows)
        axes = figure.axes[0]
        spots = axes.transAxes.inverted().transform(
            axes.transData.transform([(p.x.number, p.y.number) for p in data.points])
        )
        assert np.all((spots > 0) & (spots < 1))
        assert axes.get_xscale() == "log"
    narrow, _ = drawing((row("a", macs=10, top1=5.0), row("b", macs=20, top1=6.0)))
    assert narrow.axes[0].get_xscale() == "linear"
