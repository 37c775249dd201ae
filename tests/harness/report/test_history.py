"""A history: what a run adds, what stays, what is refused, and where a figure moved."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from loops import each

from harness.report import folder, history_file
from harness.report.history import HistoryRow, is_figure, rows_of, spans
from harness.report.history_file import HistoryError, appended, check, find, history_of, read
from harness.types import Measurement, Report, VariantReport
from zoo.index.types import Claim, Location

FORMS = [history_file.PARQUET, history_file.LINES]
SPEED = "images_per_second.batch 8"
ROOT = Path(__file__).parents[3]


def claim(field: str, raw: str, value, **more) -> Claim:
    return Claim(field, raw, value, "count", None, Location("net.yml", 1, 1), **more)


def report(run: int = 1, parameters: int = 27_483_240, torch: str = "2.4.0") -> Report:
    """One run: a variant with every figure, another of the same name, one with nothing measured."""
    fact = Measurement("structure", "net", "zoo", {}, None, "built", {"timm": "1.0"}, "meta", "")
    timing = {"images_per_second": 100.5, "batch": 8, "image_size": [224, 224]}
    timing["environment"] = {"cpu": "A CPU", "torch": "9"}
    speed = replace(fact, kind="speed", value={"timings": [timing]}, versions={"torch": torch})
    measured = {
        "parameters": parameters,
        "layers": None,
        "image_size": [224, 256],
        "flops": {"macs": 41 * 10**8, "torchvision": 4.1, "thop": None},
        "file_size": 12,
        "sha256": "ab" * 32,
        "evaluations": [
            {"dataset": "imagenet-1k", "digest": "d1", "images": 20, "top1": 90.0, "top5": 95.0},
            {"dataset": "imagenet-a", "digest": "d2", "images": 10, "top1": 10.0, "top5": 30.0},
        ],
    }
    claims = (
        claim("Parameters", "27.5M", 27_500_000),
        claim("FLOPs Convention", "macs", "macs"),
        claim("FLOPs", "4.1G", 41 * 10**8),
        claim("Top 1 Accuracy", "90.1", 90.1, dataset="ImageNet"),
        claim("Weights", "https://user:pass@host.org/net.pth", "x"),
    )
    began = f"2026-01-{run:02}T03:00:00+00:00"
    return Report(
        {"zoo": "0.1", "torch": torch, "python": "3.11", "started": began},
        (
            VariantReport("net", "Net", "zoo", measured, claims, (fact, speed)),
            VariantReport("net", None, "zoo", {"parameters": 1}),
            VariantReport("\x1b\ud800", None, "zoo", {"parameters": 3}),
            VariantReport("none", None, "zoo", {"parameters": None, "flops": {}}),
        ),
        (),
    )


def add(where: Path, run: int = 1, **changes) -> list[HistoryRow]:
    after, name, content = appended(where, rows_of(report(run, **changes), "c" * 40))
    (where / name).write_bytes(content)
    return [*after.rows()]


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    """Each form of the file: the second is that of an installation without pyarrow."""
    if request.param == history_file.LINES:
        monkeypatch.setattr(history_file, "find_spec", lambda _: None)
    return request.param


def test_only_what_was_measured_is_a_row_and_claims_stand_beside_it():
    rows = {(r.variant, r.figure): r for r in rows_of(report(), "abc+")}
    of_net = {figure: r for (name, figure), r in rows.items() if name == "net"}
    assert sorted(of_net) == [
        *("file_size", "flops.macs", "flops.torchvision", SPEED, "parameters"),
        *("sha256", "top1.imagenet-1k", "top1.imagenet-a", "top5.imagenet-1k", "top5.imagenet-a"),
    ]
    assert [*rows][-2:] == [("net #2", "parameters"), ("\\x1b\\ud800", "parameters")]
    documented = {figure: r.documented for figure, r in of_net.items() if r.documented}
    assert documented == {"parameters": "27.5M", "flops.macs": "4.1G", "top1.imagenet-1k": "90.1"}
    assert of_net["flops.macs"].of == "224x256"
    assert of_net["top1.imagenet-a"].of == "10 images, digest d2"
    assert "pass" not in of_net["sha256"].of
    # A new torch is what may have made a speed another: it is a version, and no other machine.
    assert of_net[SPEED].of == "224x224, A CPU"
    assert of_net["parameters"].versions == "python 3.11, timm 1.0, torch 2.4.0, zoo 0.1"
    assert {r.commit for r in rows.values()} == {"abc+"}


def test_what_builds_a_variant_stands_beside_its_figures():
    """Not beside those of its file; and of a builder's own words no more than versions."""
    run = {"python": "3.11", "zoo": "0.1", "torch": "2.4.0"}
    for code, more in {
        "timm 1.0.31": {"timm": "1.0.31"},
        "mm 1.2, mmengine 0.10+a": {"mm": "1.2", "mmengine": "0.10+a"},
        "source:0011": {"source": "0011"},
        "source:0011 with my-zoo 1.0, timm 1.0.3": {
            **{"source": "0011", "my-zoo": "1.0", "timm": "1.0.3"}
        },
        "made on a day, of three parts": {},
        "": {},
    }.items():
        whole = report()
        plain = replace(
            whole.variants[1], code=code, measurements={"parameters": 1, "file_size": 2}
        )
        rows = rows_of(replace(whole, variants=(plain,)), None)
        told = {r.figure: dict(each.split(" ") for each in r.versions.split(", ")) for r in rows}
        assert told == {"parameters": run | more, "file_size": run}, code


def test_runs_are_added_and_earlier_rows_stay_as_they_were(form, tmp_path):
    first = add(tmp_path)
    then = add(tmp_path, 2, parameters=5, torch="2.5.0")
    third = add(tmp_path, 3)
    assert find(tmp_path).name == form
    assert [r for r in then if r.run == 1] == first
    assert [r for r in third if r.run < 3] == then
    assert {r.run for r in third} == {1, 2, 3}
    assert len(third) == 3 * len(first) == 3 * len(rows_of(report(), None))
    assert [*read(tmp_path / form).rows()] == third
    (parameters,) = [
        s for s in read(tmp_path / form, "net").series("net") if s[0].figure == "parameters"
    ]
    assert [r.measured for r in parameters] == [27_483_240, 5, 27_483_240]
    assert [r.versions.split(", ")[2] for r in parameters] == [
        "torch 2.4.0",
        "torch 2.5.0",
        "torch 2.4.0",
    ]
    assert [type(r.measured) for r in third if r.figure == "flops.torchvision"] == [float] * 3


def test_a_history_goes_on_in_the_form_in_which_it_was_begun(tmp_path, monkeypatch):
    with monkeypatch.context() as without:
        without.setattr(history_file, "find_spec", lambda _: None)
        first = add(tmp_path)
        line = json.loads((tmp_path / "history.jsonl").read_text().splitlines()[0])
        assert line["schema"] == 1
    assert [r for r in add(tmp_path, 2) if r.run == 1] == first
    assert find(tmp_path).name == "history.jsonl"
    (tmp_path / "history.parquet").write_bytes(b"")
    with pytest.raises(HistoryError, match=r"has both history.parquet and history.jsonl; move"):
        check(tmp_path)


def test_without_pyarrow_a_parquet_history_is_left_alone(tmp_path, monkeypatch):
    add(tmp_path)
    before = (tmp_path / "history.parquet").read_bytes()
    monkeypatch.setattr(history_file, "find_spec", lambda _: None)
    with pytest.raises(HistoryError, match="pyarrow is not installed; pip install"):
        add(tmp_path)
    assert (tmp_path / "history.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["history.parquet"]


def damaged_lines() -> list[bytes]:
    row = {"schema": 1} | dict.fromkeys(("commit", "documented", "of"))
    row |= {"run": 1, "time": "2026-01-01T00:00:00+00:00", "variant": "net", "figure": "layers"}
    row |= {"measured": 5, "versions": ""}
    changes = [
        *({"run": value} for value in (0, -1, "1", True, 1 << 40, None)),
        *({"measured": value} for value in (None, True, [], {}, 10**400)),
        *({"measured": value} for value in (-1, -0.5)),
        *({"figure": f"top{k}.imagenet-1k", "measured": 100.5} for k in (1, 5)),
        *({"time": value} for value in ("yesterday", 5, None)),
        *({"variant": 5}, {"figure": None}, {"versions": None}, {"commit": 5}, {"more": 1}),
    ]
    made = [json.dumps(row | change).encode() + b"\n" for change in changes]
    whole = json.dumps(row).encode()
    nan = whole.replace(b'"measured": 5', b'"measured": NaN')
    more = whole.replace(b'"measured": 5', b'"measured": 1e400') + b"\n"
    return [
        *made,
        whole,
        whole[:-9],
        b"\n",
        b"\xff\n",
        b"[]\n",
        b"5\n",
        b"[" * 99_999,
        nan + b"\n",
        more,
    ]


def test_damaged_newer_and_foreign_files_are_each_one_clear_line(tmp_path):
    add(tmp_path)
    path, lines = tmp_path / "history.parquet", tmp_path / "history.jsonl"
    whole = path.read_bytes()
    shutil.copy(ROOT / "reports" / "comparison.parquet", tmp_path / "other")
    newer = whole.replace(b'{"schema": 1}', b'{"schema": 9}')
    cases = [
        whole[:-1],
        whole[:9],
        b"",
        b"PAR1",
        b"{}\n",
        (tmp_path / "other").read_bytes(),
    ]
    for changes in ({"figure": "top1.imagenet-1k", "measured": 500.0}, {"measured": -1}):
        rows = [replace(row, **changes) for row in rows_of(report(), "c")]
        cases.append(history_of([]).joined(rows).parquet())
    for content in cases:
        path.write_bytes(content)
        with pytest.raises(
            HistoryError, match=f"{path}: is damaged, or no history of zoo: "
        ) as error:
            check(tmp_path)
        assert "\n" not in str(error.value)
    path.write_bytes(newer)
    with pytest.raises(
        HistoryError, match=r"newer version of zoo \(form 9, and this one knows 1\)"
    ):
        check(tmp_path)
    path.unlink()
    for content in damaged_lines():
        lines.write_bytes(content)
        with pytest.raises(
            HistoryError, match=r"history.jsonl:1: is damaged, or no history of zoo"
        ):
            check(tmp_path)
    lines.write_bytes(b'{"schema":2,"anything":[1]}\n')
    with pytest.raises(HistoryError, match="jsonl:1: was written by a newer version"):
        check(tmp_path)
    lines.unlink()
    path.mkdir()
    with pytest.raises(HistoryError, match=r"history.parquet: a folder, not a regular file"):
        check(tmp_path)


ADDS = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from test_history import report
from harness.report import folder, plots
plots.files = lambda *_: ()
for _ in range({times}):
    folder.write(report(), Path({where!r}), lambda line: None, history=True)
    print("added", flush=True)
"""


def adding(where: Path, times: int) -> subprocess.Popen[str]:
    paths = [str(ROOT), str(Path(__file__).parent), str(ROOT / "tests" / "plugins")]
    code = ADDS.format(paths=paths, where=str(where), times=times)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_a_flipped_byte_is_told_or_changes_nothing(tmp_path):
    rows = add(tmp_path)
    path = tmp_path / "history.parquet"
    whole, told = path.read_bytes(), 0
    places = range(0, len(whole), 41)
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x15]) + whole[place + 1 :])
        try:
            assert [*read(path).rows()] == rows, place
        except HistoryError:
            told += 1
    assert told > len(places) / 2


@pytest.mark.slow
def test_runs_at_once_lose_nothing_and_a_kill_loses_no_earlier_run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    where = tmp_path / "reports"
    where.mkdir()
    both = [adding(where, 3), adding(where, 3)]
    assert [each.communicate(timeout=300)[0] for each in both] == ["added\n" * 3] * 2
    rows = [*read(where / "history.parquet").rows()]
    assert sorted({r.run for r in rows}) == [1, 2, 3, 4, 5, 6]
    # Killed at some moment of the second writing, several times: whole runs alone are there.
    for wait in (0.0, 0.3):
        before = [*read(where / "history.parquet").rows()]
        process = adding(where, 9)
        assert process.stdout.readline() == "added\n"
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        after = [*read(where / "history.parquet").rows()]
        assert [r for r in after if r.run <= before[-1].run] == before
        per_run = len(rows_of(report(), None))
        assert len(after) == per_run * max(r.run for r in after)


def test_the_history_stays_when_a_report_is_written_without_it(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.report.plots.files", lambda *_: ())
    said: list[str] = []
    folder.write(report(), tmp_path, said.append, history=True)
    kept = (tmp_path / "history.parquet").read_bytes()
    folder.write(report(2), tmp_path, said.append)
    assert (tmp_path / "history.parquet").read_bytes() == kept
    (tmp_path / "history.parquet").write_bytes(b"no")
    folder.write(report(3), tmp_path, said.append)
    assert "the page shows no history" in "\n".join(said)
    with pytest.raises(folder.FolderError, match="is damaged, or no history of zoo"):
        folder.write(report(4), tmp_path, said.append, history=True)


def test_a_run_that_came_between_is_taken_in(tmp_path, monkeypatch):
    """As of another user, whose lock is another: while this one's tables were made."""
    add(tmp_path)
    others = iter([2])
    monkeypatch.setattr(
        "harness.report.plots.files", lambda *_: [add(tmp_path, run) for run in others] and ()
    )
    said: list[str] = []
    folder.write(report(3), tmp_path, said.append, history=True)
    assert "history.parquet: run 3 added, 12 figures" in "\n".join(said)
    assert {r.run for r in read(tmp_path / "history.parquet").rows()} == {1, 2, 3}


def test_a_run_that_measured_nothing_is_not_added(make_report, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.report.plots.files", lambda *_: ())
    said: list[str] = []
    empty = replace(make_report(), variants=())
    folder.write(empty, tmp_path, said.append, history=True)
    assert "nothing was measured, so no run is added" in "\n".join(said)
    assert find(tmp_path) is None


# -- where a figure moved -------------------------------------------------------------------


def series(*values, figure: str = "parameters", **columns) -> list[HistoryRow]:
    """Rows of one figure, a run each; of a column, the value of each run."""
    rows = []
    for i, value in enumerate(values):
        given = {name: of_it[i] for name, of_it in columns.items()}
        time = f"2026-01-{i + 1:02}T03:00:00+00:00"
        row = HistoryRow(i + 1, time, f"c{i}", "net", figure, value, None, None, "torch 2.4.0")
        rows.append(replace(row, **given))
    return rows


def states(rows: list[HistoryRow]) -> list[tuple[str, int]]:
    return [(span.state, span.first.run) for span in spans(rows)]


@each(
    "rows, expected",
    [
        (series(), []),
        (series(5), [("first", 1)]),
        (series(5, 5, 6, 6, 5), [("first", 1), ("moved", 3), ("moved", 5)]),
        (series("ab", "ab", "cd", figure="sha256"), [("first", 1), ("moved", 3)]),
        # By one image of fifty thousand, of the same images.
        (series(80.96, 80.962, figure="top1.imagenet-1k"), [("first", 1), ("moved", 2)]),
        # Of others, whatever the value.
        (series(5, 6, of=["a", "b"]), [("first", 1), ("other", 2)]),
        (series(5, 5, of=["a", None]), [("first", 1), ("other", 2)]),
        (series(5, 5, documented=["5.1", "5"]), [("first", 1), ("documented", 2)]),
        (series(5, 6, documented=["5.1", "5"]), [("first", 1), ("moved", 2)]),
        (series(5, 5, versions=["torch 1", "torch 2"]), [("first", 1)]),
    ],
)
def test_a_figure_has_moved_where_the_same_is_measured_otherwise(rows, expected):
    assert states(rows) == expected


@each(
    "values, moved",
    [
        ((100, 104, 97, 110, 91, 103), []),
        ((100, 101, 55, 99, 102), []),  # One night of other work on the machine.
        ((100, 101, 99, 130, 131, 128), [4]),
        ((100, 101, 99, 60, 61, 60, 99, 101), [4, 7]),
        ((100, 100, 150), []),  # The next night tells.
        ((100, 100, 150, 60, 100), []),
    ],
)
def test_a_speed_has_moved_where_it_stays_another(values, moved):
    found = states(series(*map(float, values), figure=SPEED))
    assert found == [("first", 1), *(("moved", run) for run in moved)]


def test_what_changed_with_a_move_stands_beside_it():
    versions = ["timm 1.0, torch 2.4.0", "torch 2.5.0, zoo 0.1"]
    rows = series(5, 6, versions=versions, documented=["5", None], of=["a", "b"])
    assert spans(rows)[1].why == (
        *("of a -> b", "documented 5 -> nothing", "timm 1.0 -> absent", "torch 2.4.0 -> 2.5.0"),
        *("zoo absent -> 0.1", "commit c0 -> c1"),
    )


@each(
    "figure, asked",
    [
        *(("flops.macs", name) for name in ("FLOPs", "flops", "flops.macs", "MACs")),
        *(("top1.imagenet-1k", name) for name in ("Top 1 Accuracy", "top1", "TOP1.imagenet-1k")),
        *(("file_size", name) for name in ("File Size", "file_size", "file-size")),
        *((SPEED, name) for name in ("Throughput", "images/s", "images_per_second", SPEED)),
        ("sha256", "SHA256"),
        ("flops.thop-2020", "flops.thop-2020"),
    ],
)
def test_a_figure_is_found_by_its_name_and_by_the_field_of_an_index(figure, asked):
    assert is_figure(figure, asked)
    assert not is_figure("layers", asked)
    assert asked.lower() == "flops" or not is_figure("flops.thop", asked) or asked == "FLOPs"
