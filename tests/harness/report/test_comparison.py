"""The tables of a report, read back by the programs that they are for."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hostile import FORMULAS, TEXTS
from loops import each
from markdown_it import MarkdownIt

from harness.report import comparison
from harness.report.rows import rows
from harness.types import Finding, Measurement, Report, VariantReport
from zoo.index.types import Claim, Location

HERE = Location("model-index/net.yml", 3, 5)


def claim(field: str, value: object, **more: object) -> Claim:
    return Claim(field, str(value), value, "number", Decimal(1), HERE, **more)  # type: ignore[arg-type]


def timing(
    batch: int, speed: float | None, precision: str = "off", **more: object
) -> dict[str, object]:
    environment = {"device_name": "A CPU"}
    values = {"batch": batch, "precision": precision, "images_per_second": speed}
    return {**values, "environment": environment, **more}


@pytest.fixture
def full() -> VariantReport:
    """A variant of which everything is claimed, and everything was measured."""
    measured = {
        **{"parameters": 27483240, "image_size": [224, 192], "file_size": 110273258},
        **{"flops": {"macs": 5371160576, "flops": 10742321152, "fvcore": 5399965376}},
        **{"top1": 80.9375, "top5": 95.25, "images": 1000},
    }
    claims = (
        claim("Parameters", 27480000),
        claim("FLOPs", 6973972864),
        claim("FLOPs Convention", "thop-2020"),
        claim("File Size", 110273259),
        claim("Top 1 Accuracy", Decimal("97.1"), dataset="CIFAR-10"),
        claim("Top 1 Accuracy", Decimal("80.96"), dataset="ImageNet-1k"),
        claim("Top 5 Accuracy", Decimal("95.38"), dataset="ImageNet"),
    )
    timings = [
        *(timing(8, 20.5), timing(32, 31.25), timing(64, 99.0, "bf16")),
        timing(128, None, failed="there is no memory"),
    ]
    made = (None, "timed", {}, "cpu", "2025-01-01")
    facts = (Measurement("speed", "net", "zoo", {"timings": timings}, *made),)
    intervals = {"top1": (78.456, 83.2), "top5": (93.9, 96.5)}
    return VariantReport("net", "Net", "zoo", measured, claims, facts, intervals)


def parsed(report: Report, name: str) -> bytes:
    return dict(comparison.files(report))[name]


def table(report: Report) -> list[dict[str, str]]:
    text = parsed(report, "comparison.csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def named(*names: str) -> Report:
    return Report({}, tuple(VariantReport(name, name, "zoo", {}) for name in names), ())


def test_a_row_holds_what_is_claimed_and_what_was_measured(full: VariantReport):
    (row,) = rows(Report({}, (full,), ()))
    assert (row.parameters_claimed, row.parameters) == (27480000, 27483240)
    assert (row.flops_claimed, row.flops_convention_claimed) == (6973972864, "thop-2020")
    assert (row.macs, row.flops, row.fvcore) == (5371160576, 10742321152, 5399965376)
    assert (row.file_size_claimed, row.file_size) == (110273259, 110273258)
    # The result on ImageNet, not the first one.
    assert (row.top1_claimed, row.dataset) == (80.96, "ImageNet-1k")
    assert (row.top1, row.top1_low, row.top1_high) == (80.9375, 78.456, 83.2)
    assert (row.top5_claimed, row.top5, row.top5_low, row.top5_high) == (95.38, 95.25, 93.9, 96.5)
    assert (row.image_size, row.images) == ((224, 192), 1000)
    # The best in float32: neither the faster one in half precision nor the one that failed.
    fastest = (row.images_per_second, row.images_per_second_batch, row.images_per_second_device)
    assert fastest == (31.25, 32, "A CPU")


def test_a_count_stands_beside_the_claim_on_its_own_dataset(full: VariantReport):
    more = claim("Top 1 Accuracy", Decimal("70.1"), dataset="ImageNet V2 (top images)")
    for dataset, claims, expected in (
        ("imagenet-1k", (), (80.96, 80.9375)),
        ("imagenet-v2-top-images", (more,), (70.1, 80.9375)),
        ("imagenet-v2-top-images", (), (80.96, None)),
        (None, (), (80.96, 80.9375)),
    ):
        measured = {**full.measurements, "evaluations": [{"dataset": dataset}]}
        variant = replace(full, measurements=measured, claims=(*full.claims, *claims))
        (row,) = rows(Report({}, (variant,), ()))
        assert (row.top1_claimed, row.top1) == expected, dataset


@each(
    "labels, status",
    [
        ([("match", None)], "match"),
        ([("match", None), ("unverified", None)], "unverified"),
        ([("unverified", None), ("mismatch", "note")], "note"),
        ([("mismatch", "warning"), ("mismatch", "note")], "warning"),
        ([("match", None), ("unverified", "error"), ("mismatch", "warning")], "error"),
        ([("mismatch", None)], "error"),
        ([], "unverified"),
    ],
)
def test_the_status_is_the_worst_of_the_variants_own_findings(
    make_finding: Callable[..., Finding], labels: list[tuple[str, str | None]], status: str
):
    findings = tuple(make_finding(variant="a", status=s, severity=v) for s, v in labels)
    others = (make_finding(variant="b"), make_finding(variant=None))
    row, _ = rows(Report({}, named("a", "b").variants, findings + others))
    assert row.status == status


ACCEPTED = ("mismatch", "error", "known since 2025")


@each(
    "labels, status",
    [
        ([ACCEPTED, ("match", None, None)], "accepted"),
        ([ACCEPTED, ("unverified", None, None)], "accepted"),
        ([ACCEPTED, ("mismatch", "note", None)], "note"),
        ([ACCEPTED, ("mismatch", "error", None)], "error"),
        ([("mismatch", None, "as ungraded"), ("match", None, None)], "accepted"),
    ],
)
def test_what_a_baseline_accepts_is_a_status_of_its_own(
    make_finding: Callable[..., Finding],
    labels: list[tuple[str, str | None, str | None]],
    status: str,
):
    found = tuple(make_finding(variant="a", status=s, severity=v, accepted=a) for s, v, a in labels)
    report = Report({}, named("a").variants, found)
    assert rows(report)[0].status == status
    assert f"| {status} | a |" in parsed(report, "comparison.md").decode()
    assert table(report)[0]["status"] == status


def test_billions_of_a_torchvision_page_become_operations():
    claims = (claim("FLOPs", Decimal("4.09")), claim("FLOPs Convention", "torchvision"))
    (row,) = rows(Report({}, (VariantReport("net", None, "zoo", {}, claims),), ()))
    assert row.flops_claimed == 4_090_000_000


def test_a_value_that_is_no_number_is_not_claimed():
    claims = (claim("Parameters", None), claim("FLOPs", "many"), claim("File Size", True))
    (row,) = rows(Report({}, (VariantReport("net", None, "zoo", {}, claims),), ()))
    assert (row.parameters_claimed, row.flops_claimed, row.file_size_claimed) == (None, None, None)


def test_the_csv_file_keeps_every_digit(full: VariantReport):
    (row,) = table(Report({}, (full,), ()))
    assert row["name"] == "net"
    assert (row["image_height"], row["image_width"]) == ("224", "192")
    assert (row["macs"], row["top1"], row["top1_low"]) == ("5371160576", "80.9375", "78.456")
    (bare,) = table(named("bare"))
    assert {bare[name] for name in bare if name not in ("name", "collection", "builder")} == {
        "unverified",
        "",
    }


@each("name", TEXTS)
def test_a_name_is_no_formula_and_stays_in_its_cell(name: str):
    first, last = table(named(name, "last"))
    assert last["name"] == "last"
    for column in ("name", "collection"):
        cell = first[column]
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
        if name.isprintable():
            assert cell.removeprefix("'") == name


def test_a_number_is_never_taken_for_a_formula():
    report = Report({}, (VariantReport("net", None, "zoo", {"top1": -0.5}),), ())
    (row,) = table(report)
    assert row["top1"] == "-0.5"


def test_the_parquet_file_has_typed_columns(full: VariantReport):
    parquet = pytest.importorskip("pyarrow.parquet")
    report = Report({}, (full, *named("bare", *FORMULAS).variants), ())
    read = parquet.read_table(io.BytesIO(parsed(report, "comparison.parquet")))
    types = {field.name: str(field.type) for field in read.schema}
    assert types["macs"] == types["image_height"] == types["images"] == "int64"
    assert types["top1"] == types["top1_claimed"] == types["images_per_second"] == "double"
    assert types["name"] in ("string", "large_string")
    rows = read.to_pylist()
    assert (rows[0]["macs"], rows[0]["top1_claimed"]) == (5371160576, 80.96)
    assert (rows[1]["macs"], rows[1]["top1"]) == (None, None)
    assert rows[2]["name"] == FORMULAS[0]


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
from harness.report import comparison
from harness.report.rows import rows
from harness.types import Report, VariantReport
variants = (VariantReport("net", "=Net", "zoo", {"parameters": 5, "top1": 80.5}),)
notes = []
print(sorted(dict(comparison.files(Report({}, variants, ()), notes.append))))
print(notes)
"""


def test_without_pyarrow_the_other_files_are_written_with_a_warning(repository: Path):
    """In a process of its own, as pandas looks for pyarrow once."""
    command = [sys.executable, "-c", WITHOUT_PYARROW]
    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    names, notes = ended.stdout.splitlines()
    assert names == "['comparison.csv', 'comparison.md']"
    assert "no comparison.parquet: pyarrow is not installed" in notes


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def body(text: str) -> list[list[str]]:
    return [cells(line) for line in text.splitlines() if line.startswith("|")]


def test_the_markdown_table_reads_well(full: VariantReport):
    heading, _, row = body(parsed(Report({}, (full,), ()), "comparison.md").decode())
    shown = dict(zip(heading, row, strict=True))
    assert shown["Parameters, documented"] == "27.48 M"
    assert shown["FLOPs, documented"] == "6.974 G (thop-2020)"
    assert shown["MACs, measured"] == "5.371 G"
    assert shown["File size, measured"] == "110.3 MB"
    assert shown["Top-1, documented"] == "80.96 %"
    # Outwards: an interval never promises more than it holds.
    assert shown["Top-1, interval"] == "78.45 to 83.20 %"
    assert shown["Images/s, measured"] == "31.25 (batch 32)"


def test_columns_without_a_value_are_named_below_the_table():
    text = parsed(named("a", "b"), "comparison.md").decode()
    assert body(text)[0] == ["Status", "Variant", "Collection"]
    assert "No variant has a value for: Input; Parameters, documented;" in text


@each("name", TEXTS)
def test_a_name_stays_text_in_the_markdown_table(name: str):
    text = parsed(named(name, "last"), "comparison.md").decode()
    lines = body(text)
    assert len(lines) == 4
    assert {len(line) for line in lines} == {3}
    shown = re.sub(r"&#\d+;", " ", lines[2][1])
    assert not re.search(r"[<>\x00-\x1f]|(?<!\\)[\[\]`*$]|[@#]\w", shown)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    kinds = {child.type for token in tokens for child in token.children or []}
    assert kinds <= {"text", "text_special", "code_inline"}  # the code is of the legend


def test_a_report_of_nothing_is_a_table_of_nothing():
    made = dict(comparison.files(Report({}, (), ())))
    assert made["comparison.csv"].decode().count("\n") == 1
    assert len(body(made["comparison.md"].decode())) == 2


def test_the_same_report_gives_the_same_bytes(full: VariantReport):
    report = Report({}, (full, *named(*TEXTS).variants), ())
    assert dict(comparison.files(report)) == dict(comparison.files(report))


def test_every_file_is_one_of_those_announced(full: VariantReport):
    assert set(dict(comparison.files(Report({}, (full,), ())))) <= set(comparison.NAMES)


def test_a_wrong_claim_on_one_dataset_speaks_against_none_on_another(full: VariantReport):
    field, places = "Top 1 Accuracy", [Location("net.yml", line, 1) for line in (3, 4)]
    names, values = ("ImageNet", "ImageNet-ReaL"), (Decimal("80.9"), Decimal("87.1"))
    claims = tuple(
        replace(claim(field, value, dataset=name), location=place)
        for name, value, place in zip(names, values, places, strict=True)
    )
    for wrong in (0, 1):
        for counted, dataset in enumerate(("imagenet-1k", "imagenet-real")):
            measured = {**full.measurements, "evaluations": [{"dataset": dataset}]}
            found = [
                Finding(
                    *(full.name, field, "accuracy", "mismatch" if n == wrong else "match"),
                    *("error" if n == wrong else None, None, "x", 80.9, ""),
                    places[n],
                )
                for n in (0, 1)
            ]
            variant = replace(full, claims=claims, measurements=measured)
            (row,) = rows(Report({}, (variant,), tuple(found)))
            assert row.top1_claimed == float(values[counted])
            assert row.doubted == ((field,) if counted == wrong else ())
            assert row.cells[field][0] == ("error" if counted == wrong else "match")
