"""`zoo diff`: every changed fact of a synthetic pair is found, and nothing besides."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cli import run_zoo, said

from harness.diff import diff as compare
from harness.diff.place import Place
from harness.report import Options
from harness.report.diff import FORMATS
from harness.report.document import json_schema
from harness.report.reader import report_of
from zoo._util.text import csv_text

VALIDATOR = jsonschema.Draft202012Validator(json_schema("diff-schema-1"))
LISTS = ("claims", "measurements", "accuracies", "speeds")
FOUND = ("new", "mended", "changed")


def finding(variant: str | None, field: str, check: str, **changes: Any) -> dict[str, Any]:
    values = {
        **{"variant": variant, "field": field, "check": check, "status": "match"},
        **{"severity": None, "cause": None, "documented": "1", "measured": 1, "message": "as is"},
        **{"location": {"file": "net.yml", "line": 3, "column": 5}, "fix": None},
    }
    return values | changes


WRONG = {"status": "mismatch", "severity": "error", "cause": "flops.differs", "message": "it is 2"}


CODE = "source:0011 with mine 1.0, "


def variant(name: str) -> dict[str, Any]:
    flops = {"macs": 400, "flops": 800, "fvcore": 410, "thop-2020": None, "torchvision": 0.4}
    evaluation = {"dataset": "imagenet-1k", "digest": "a1", "of": 1000, "images": 1000}
    return {
        **{"name": name, "collection": "Nets", "builder": "zoo"},
        "measurements": {
            **{"parameters": 1000, "layers": 50, "image_size": [224, 224], "flops": flops},
            **{"file_size": 4100, "sha256": "a" * 64, "top1": 80.0, "top5": 95.0, "images": 1000},
            "evaluations": [evaluation | {"top1": 80.0, "top5": 95.0}],
            "checkpoint": {"tensors": 12, "fits": True},
            "preprocessing": {"image_size": [224, 224], "crop_pct": 0.875, "weights": "v1"},
            "speeds": [
                {
                    **{"batch": 8, "image_size": [224, 224], "setting": "float32"},
                    **{"environment": "A CPU, 2 cores, torch 2.1", "images_per_second": 100.0},
                    "range": [98.0, 102.0],
                }
            ],
        },
        "code": CODE + "layers 1.0",
        "versions": {"torch": "2.1.0"},
        "claims": [
            {"field": "Parameters", "documented": "1000"},
            {"field": "FLOPs", "documented": "1"},
            {"field": "Image Size", "documented": "224"},
            {"field": "Weights", "documented": "https://example.org/net.pth"},
            {"field": "Top 1 Accuracy", "documented": "80%", "result": "ImageNet"},
        ],
    }


def base() -> dict[str, Any]:
    findings = [
        finding("one", "Parameters", "parameters"),
        finding("one", "FLOPs", "flops", **WRONG),
        finding("two", "Parameters", "parameters"),
        finding("two", "FLOPs", "flops"),
        finding("one", "File Size", "size"),
        finding(
            "two", "File Size", "size", **WRONG | {"severity": "note", "cause": "size.binary-unit"}
        ),
        finding(None, "Name", "schema", **WRONG | {"cause": "schema.duplicate-name"}),
    ]
    zero = dict.fromkeys(("match", "mismatch", "unverified", "errors", "warnings", "notes"), 0)
    return {
        "schema": 1,
        "environment": {
            **{"zoo": "0.1.0", "torch": "2.1.0", "python": "3.11.7", "platform": "Linux"},
            **{"device": "cpu", "started": "2026-01-01T00:00:00Z", "seconds": 1.5},
        },
        "variants": [variant("one"), variant("two")],
        "findings": findings,
        "summary": zero,
    }


Change = Callable[[dict[str, Any]], None]


def put(*path: Any) -> Change:
    """Set the last but one part of the path to the last one."""
    *parents, name, value = path

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in parents:
            place = place[key]
        place[name] = value

    return change


def both(*changes: Change) -> Change:
    def change(document: dict[str, Any]) -> None:
        for each in changes:
            each(document)

    return change


ONE = ("variants", 0)
MEASURED = (*ONE, "measurements")
EVALUATION = (*MEASURED, "evaluations", 0)


def claim(number: int, text: str) -> Change:
    return put(*ONE, "claims", number, "documented", text)


def as_found(document: dict[str, Any]) -> dict[str, Any]:
    """Everything that a document of changes says, in short."""
    found: dict[str, Any] = {k: v for k, v in document["variants"].items() if v}
    for name in LISTS:
        for each in document[name]:
            what = each.get("field") or each.get("name") or each.get("metric") or each["batch"]
            found.setdefault(name, []).append((each["variant"], what, each["old"], each["new"]))
    for name in FOUND:
        for each in document["findings"][name]:
            found.setdefault(name, []).append((each["variant"], each["field"], each["cause"]))
    return found


# What is done to the later report -> what is found, of which kinds its causes are, and whether it
# is a regression.
KINDS: dict[str, tuple[Change, dict[str, Any], set[str], bool]] = {
    "a claim edited": (
        claim(0, "1001"),
        {"claims": [("one", "Parameters", "1000", "1001")]},
        {"index"},
        False,
    ),
    "a claim removed": (
        lambda d: d["variants"][0]["claims"].pop(2) and None,
        {"claims": [("one", "Image Size", "224", None)]},
        {"index"},
        False,
    ),
    "a claim added": (
        lambda d: d["variants"][0]["claims"].append({"field": "Layers", "documented": "50"}),
        {"claims": [("one", "Layers", None, "50")]},
        {"index"},
        False,
    ),
    "parameters, as the code changed": (
        both(
            put(*MEASURED, "parameters", 1001),
            put(*ONE, "code", CODE.replace("0011", "0022") + "layers 1.0"),
        ),
        {"measurements": [("one", "parameters", 1000, 1001)]},
        {"code"},
        False,
    ),
    "parameters, as a library changed": (
        both(
            put(*MEASURED, "parameters", 1001),
            put(*ONE, "versions", "torch", "2.2.0"),
            put("environment", "torch", "2.2.0"),
        ),
        {"measurements": [("one", "parameters", 1000, 1001)]},
        {"library"},
        False,
    ),
    "parameters, as what the builder requires changed": (
        both(put(*MEASURED, "parameters", 1001), put(*ONE, "code", CODE + "layers 2.0")),
        {"measurements": [("one", "parameters", 1000, 1001)]},
        {"library"},
        False,
    ),
    "parameters, as the builder's code and version changed": (
        both(
            put(*MEASURED, "parameters", 1001),
            put(*ONE, "code", "source:0022 with mine 1.1, layers 1.0"),
        ),
        {"measurements": [("one", "parameters", 1000, 1001)]},
        {"code", "library"},
        False,
    ),
    "parameters, and nothing tells why": (
        put(*MEASURED, "parameters", 1001),
        {"measurements": [("one", "parameters", 1000, 1001)]},
        {"unknown"},
        False,
    ),
    "layers": (
        put(*MEASURED, "layers", 51),
        {"measurements": [("one", "layers", 50, 51)]},
        {"unknown"},
        False,
    ),
    "MACs at another input": (
        both(
            claim(2, "256"),
            put(*MEASURED, "image_size", [256, 256]),
            put(*MEASURED, "flops", "macs", 522),
        ),
        {
            "claims": [("one", "Image Size", "224", "256")],
            "measurements": [
                ("one", "image_size", [224, 224], [256, 256]),
                ("one", "flops.macs", 400, 522),
            ],
        },
        {"index"},
        False,
    ),
    "another file under the same URL": (
        both(put(*MEASURED, "sha256", "b" * 64), put(*MEASURED, "file_size", 4101)),
        {
            "measurements": [
                ("one", "file_size", 4100, 4101),
                ("one", "sha256", "a" * 64, "b" * 64),
            ]
        },
        {"weights"},
        False,
    ),
    "another URL": (
        both(claim(3, "https://example.org/b.pth"), put(*MEASURED, "sha256", "b" * 64)),
        {
            "claims": [
                ("one", "Weights", "https://example.org/net.pth", "https://example.org/b.pth")
            ],
            "measurements": [("one", "sha256", "a" * 64, "b" * 64)],
        },
        {"index"},
        False,
    ),
    "tensors": (
        both(
            put(*MEASURED, "checkpoint", {"tensors": 11, "fits": False, "misfit": "missing"}),
            put(*MEASURED, "sha256", "b" * 64),
        ),
        {
            "measurements": [
                ("one", "sha256", "a" * 64, "b" * 64),
                ("one", "checkpoint.tensors", 12, 11),
                ("one", "checkpoint.fits", True, False),
                ("one", "checkpoint.misfit", None, "missing"),
            ]
        },
        {"weights"},
        False,
    ),
    "preprocessing": (
        both(put(*MEASURED, "preprocessing", "crop_pct", 0.9), put(*ONE, "code", "timm 1.0.1")),
        {"measurements": [("one", "preprocessing.crop_pct", 0.875, 0.9)]},
        {"library"},
        False,
    ),
    "an accuracy that may be worse": (
        both(put(*EVALUATION, "top1", 79.0), put(*MEASURED, "sha256", "b" * 64)),
        {
            "measurements": [("one", "sha256", "a" * 64, "b" * 64)],
            "accuracies": [("one", "top1", 80.0, 79.0)],
        },
        {"weights"},
        False,
    ),
    "an accuracy that is worse": (
        put(*EVALUATION, "top1", 40.0),
        {"accuracies": [("one", "top1", 80.0, 40.0)]},
        {"unknown"},
        True,
    ),
    "a speed": (
        both(
            put(*MEASURED, "speeds", 0, "images_per_second", 80.0),
            put(*MEASURED, "speeds", 0, "range", [79.0, 81.0]),
        ),
        {"speeds": [("one", 8, 100.0, 80.0)]},
        {"unknown"},
        False,
    ),
    "a speed that is certainly worse": (
        both(
            put(*MEASURED, "speeds", 0, "images_per_second", 30.0),
            put(*MEASURED, "speeds", 0, "range", [29.0, 31.0]),
        ),
        {"speeds": [("one", 8, 100.0, 30.0)]},
        {"unknown"},
        True,
    ),
    "a new error": (
        put("findings", 3, finding("two", "FLOPs", "flops", **WRONG)),
        {"new": [("two", "FLOPs", "flops.differs")]},
        {"unknown"},
        True,
    ),
    "a new note": (
        put("findings", 3, finding("two", "FLOPs", "flops", **WRONG | {"severity": "note"})),
        {"new": [("two", "FLOPs", "flops.differs")]},
        {"unknown"},
        False,
    ),
    "an error that a baseline accepts": (
        put("findings", 3, finding("two", "FLOPs", "flops", **WRONG, accepted="known")),
        {"new": [("two", "FLOPs", "flops.differs")]},
        {"unknown"},
        False,
    ),
    "a file that is gone": (
        lambda d: d["findings"].append(
            finding("two", "Weights", "weights", **WRONG | {"cause": "weights.missing"})
        ),
        {"new": [("two", "Weights", "weights.missing")]},
        {"weights"},
        True,
    ),
    "weights that another variant names since": (
        both(
            put("variants", 1, "claims", 3, "documented", "https://example.org/same.pth"),
            put("environment", "torch", "2.2.0"),
            lambda d: d["findings"].append(
                finding("one", "Weights", "weights", **WRONG | {"cause": "weights.shared-url"})
            ),
        ),
        {
            "claims": [
                ("two", "Weights", "https://example.org/net.pth", "https://example.org/same.pth")
            ],
            "new": [("one", "Weights", "weights.shared-url")],
        },
        {"index"},
        True,
    ),
    "an error of the index, as zoo looks closer": (
        both(
            put("environment", "zoo", "0.2.0"),
            lambda d: d["findings"].append(
                finding(None, "Weights", "schema", **WRONG | {"cause": "schema.wrong-type"})
            ),
        ),
        {"new": [(None, "Weights", "schema.wrong-type")]},
        {"library"},
        True,
    ),
    "a figure that only its finding has": (
        put("findings", 5, "measured", 7),
        {"changed": [("two", "File Size", "size.binary-unit")]},
        {"unknown"},
        False,
    ),
    "a finding mended by an edit": (
        both(
            claim(1, "2"),
            put("findings", 1, finding("one", "FLOPs", "flops", documented="2")),
        ),
        {"claims": [("one", "FLOPs", "1", "2")], "mended": [("one", "FLOPs", "flops.differs")]},
        {"index"},
        False,
    ),
    "a finding of the index mended": (
        lambda d: d["findings"].pop() and None,
        {"mended": [(None, "Name", "schema.duplicate-name")]},
        {"index"},
        False,
    ),
    "a finding that is graver": (
        put("findings", 5, "severity", "error"),
        {"changed": [("two", "File Size", "size.binary-unit")]},
        {"unknown"},
        True,
    ),
    "a finding that is accepted now": (
        put("findings", 1, "accepted", "known"),
        {"changed": [("one", "FLOPs", "flops.differs")]},
        {"baseline"},
        False,
    ),
    "a variant removed": (
        both(
            lambda d: d["variants"].pop(1) and None,
            lambda d: d["findings"].__setitem__(
                slice(None), [f for f in d["findings"] if f["variant"] != "two"]
            ),
        ),
        {"removed": ["two"]},
        set(),
        False,
    ),
    "a variant added, which is wrong": (
        both(
            lambda d: d["variants"].append(variant("three")),
            lambda d: d["findings"].append(finding("three", "FLOPs", "flops", **WRONG)),
        ),
        {"added": ["three"], "new": [("three", "FLOPs", "flops.differs")]},
        {"index"},
        True,
    ),
    "another builder": (
        put(*ONE, "builder", "timm"),
        {"changed": [{"variant": "one", "name": "builder", "old": "zoo", "new": "timm"}]},
        set(),
        False,
    ),
}


@pytest.fixture
def zoo(environment) -> Callable[..., Any]:
    """Run the command in any folder."""

    def run(*words: str, cwd: Path, **changes: str) -> Any:
        return run_zoo(words, cwd=cwd, environment=environment | changes)

    return run


@pytest.fixture
def diff(zoo, tmp_path) -> Callable[..., Any]:
    """The command on two documents."""

    def run(old: dict[str, Any], new: dict[str, Any], *words: str) -> Any:
        for name, document in (("old", old), ("new", new)):
            (tmp_path / f"{name}.json").write_text(json.dumps(document))
        return zoo("diff", "old.json", "new.json", *words, cwd=tmp_path)

    return run


REPORT = jsonschema.Draft202012Validator(json_schema())


def changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The document of what changed, which its schema describes, as do those of the reports."""
    for document in (old, new):
        REPORT.validate(document)
    places = (Place(n, d, report_of(d), {}) for n, d in (("old", old), ("new", new)))
    found = json.loads(json.dumps(compare(*places)))
    VALIDATOR.validate(found)
    return found


def causes_in(document: Any) -> Iterator[str]:
    lists = [document[name] for name in LISTS] + [document["findings"][name] for name in FOUND]
    for each in (each for listed in lists for each in listed):
        yield from (cause["kind"] for cause in each["causes"])


def test_each_kind_of_change_is_found_and_nothing_besides(diff):
    for name, (change, expected, kinds, is_regression) in KINDS.items():
        old, new = base(), base()
        change(new)
        document = changes(old, new)
        assert as_found(document) == expected, name
        assert {*causes_in(document)} == kinds, name
        assert bool(document["regressions"]) == is_regression, name
        assert document["summary"]["changes"] == sum(map(len, expected.values())), name
        for format, show in FORMATS.items():
            told = {str(entry[0]) for k in LISTS for entry in expected.get(k, ())}
            assert all(each in show(document, Options()) for each in told), (name, format)


def test_the_exit_status_is_what_fail_on_asks_for(diff):
    """Nothing, a change, and a regression."""
    statuses = {"regression": (0, 0, 1), "any": (0, 1, 1), "never": (0, 0, 0)}
    edited, worse = base(), base()
    KINDS["a claim edited"][0](edited)
    KINDS["a new error"][0](worse)
    for word, expected in statuses.items():
        found = [diff(base(), new, "--fail-on", word) for new in (base(), edited, worse)]
        assert tuple(done.returncode for done in found) == expected, word
        assert all(said(done.stderr) == "" for done in found)
    assert [diff(base(), new).returncode for new in (edited, worse)] == [0, 1]
    document = json.loads(diff(base(), worse, "--format", "json").stdout)
    assert document == changes(base(), worse) | {
        side: document[side] | {"name": f"{side}.json"} for side in ("old", "new")
    }


def test_all_kinds_at_once(diff):
    """Those that don't concern the same place."""
    old, new = base(), base()
    wanted = ("layers", "a claim edited", "a speed", "a new error", "a finding that is graver")
    for name in wanted:
        KINDS[name][0](new)
    document = changes(old, new)
    found = as_found(document)
    for name in wanted:
        for kind, entries in KINDS[name][1].items():
            assert all(entry in found[kind] for entry in entries), name
    assert document["summary"]["changes"] == len(wanted)


def test_two_reports_of_one_state_differ_in_nothing(diff):
    old, new = base(), base()
    new["environment"] |= {"platform": "macOS", "device": "mps", "started": None, "seconds": 9}
    for each in new["findings"]:
        each["message"] = "said in other words"
        each["location"]["line"] += 7
    new["findings"].reverse()
    document = changes(old, new)
    assert (as_found(document), document["summary"]["unseen"]) == ({}, 0)
    done = diff(old, new, "--fail-on", "any")
    assert (done.returncode, "nothing changed" in done.stdout) == (0, True)


def test_a_version_without_its_local_part_is_no_other_one():
    """A run that validates has torch's own word for it, and one that builds the metadata's."""
    told = {
        ("2.1.0", "2.1.0+cu118"): {"unknown"},
        ("2.1.0+cpu", "2.1.0"): {"unknown"},
        ("2.1.0+cpu", "2.1.0+cu118"): {"library"},
        ("2.1.0", "2.2.0+cpu"): {"library"},
    }
    for versions, kinds in told.items():
        old, new = base(), base()
        for document, torch in zip((old, new), versions, strict=True):
            put(*ONE, "versions", "torch", torch)(document)
        put(*MEASURED, "parameters", 1001)(new)
        assert {*causes_in(changes(old, new))} == kinds, versions


def test_different_images_are_never_compared_as_the_same(diff):
    for change in (put(*EVALUATION, "digest", "b2"), put(*EVALUATION, "images", 500)):
        old, new = base(), base()
        change(new)
        put(*EVALUATION, "top1", 10.0)(new)
        wrong = WRONG | {"cause": "accuracy.contradicted"}
        new["findings"].append(finding("one", "Top 1 Accuracy", "accuracy", **wrong))
        document = changes(old, new)
        top1, top5 = document["accuracies"]
        for each in (top1, top5):
            assert (each["verdict"], each["points"], each["interval"]) == (
                "other images",
                None,
                None,
            )
            assert [cause["kind"] for cause in each["causes"]] == ["images"]
        assert not any("top1" in line for line in document["regressions"])
        assert "not compared" in FORMATS["table"](document, Options())


def test_speeds_of_other_machines_are_not_compared(diff):
    for key, value in (("environment", "B CPU"), ("setting", "bf16"), ("batch", 1)):
        old, new = base(), base()
        put(*MEASURED, "speeds", 0, "images_per_second", 10.0)(new)
        put(*MEASURED, "speeds", 0, "range", [9.0, 11.0])(new)
        put(*MEASURED, "speeds", 0, key, value)(new)
        document = changes(old, new)
        assert as_found(document) == {}, key

    old, new = base(), base()
    KINDS["a speed that is certainly worse"][0](new)
    put(*MEASURED, "speeds", 0, "contended", True)(new)
    assert as_found(changes(old, new)) == {}
    assert as_found(changes(new, old)) == {}
    timed = [finding("one", "Throughput", "speed", measured=number) for number in (99.1, 101.3)]
    old, new = base(), base()
    for document, each in zip((old, new), timed, strict=True):
        document["findings"].append(each)
    assert as_found(changes(old, new)) == {}


def write_answers(folder: Path, right: list[bool], digest: str = "a1", **other: Any) -> None:
    """A file as `zoo validate --predictions` writes it, of images that are right or not."""
    rows = [
        {
            **{"image": f"{n}.jpg", "label": 3, "class1": 3 if one else 4, "correct": one},
            **{"correct5": True, "dataset": "imagenet-1k", "digest": digest, "variant": "one"},
            **{"setting": "", "precision": "off", **other},
        }
        for n, one in enumerate(right)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "one.csv").write_text(csv_text([*rows[0]], rows))


def test_what_both_answered_is_compared_image_by_image(zoo, tmp_path):
    """Where files lie in both folders, and are of the images that the reports have counted."""
    answered = [n >= 200 for n in range(1000)]
    worse = [n >= 210 for n in range(1000)]
    old, new = base(), base()
    put(*EVALUATION, "top1", 79.0)(new)
    for name, document in (("old", old), ("new", new)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps(document))

    def found() -> dict[str, Any]:
        done = zoo("diff", "old", "new", "--format", "json", cwd=tmp_path)
        document = json.loads(done.stdout)
        VALIDATOR.validate(document)
        (each,) = document["accuracies"]
        return each

    intervals = found()
    assert (intervals["basis"], intervals["verdict"]) == ("intervals", "open")
    write_answers(tmp_path / "old", answered)
    assert found() == intervals  # Of one alone nothing is known.
    for folder in ("new", "new/predictions"):
        write_answers(tmp_path / folder, worse)
        paired = found()
        assert (paired["basis"], paired["points"], paired["compared"]) == ("paired", -1.0, 1000)
        assert (paired["only_old"], paired["only_new"]) == (10, 0)
        assert paired["mcnemar"] == pytest.approx(2 / 2**10)
        assert paired["flipped"][0] in {f"{n}.jpg" for n in range(200, 210)}
        # It is known better than from both intervals.
        low, high = paired["interval"]
        assert intervals["interval"][0] < low < -1 < high < intervals["interval"][1]
        (tmp_path / folder / "one.csv").unlink()
    # Files of other images, another variant, a setting, or other labels are none of these.
    other = ({"digest": "b2"}, {"variant": "two"}, {"setting": "crop 1"}, {"label": 4})
    for change in other:
        write_answers(tmp_path / "new", worse, **change)
        assert found() == intervals, change
    (tmp_path / "new/one.csv").write_text("no table")
    assert found() == intervals
    # Answers that changed while as many are right.
    put(*EVALUATION, "top1", 80.0)(new)
    (tmp_path / "new/report.json").write_text(json.dumps(new))
    write_answers(tmp_path / "new", [n >= 205 or n < 5 for n in range(1000)])
    each = found()
    assert (each["points"], each["only_old"], each["only_new"]) == (0.0, 5, 5)


def test_what_a_run_did_not_look_for_is_no_news(diff):
    """A run of fewer checks, of fewer variants, or that measured less."""
    whole, less = base(), base()
    less["findings"] = [f for f in less["findings"] if f["check"] == "schema"]
    for each in less["variants"]:
        empty = dict.fromkeys(each["measurements"])
        kept = ("parameters", "layers", "image_size", "flops", "file_size", "sha256")
        each["measurements"] = {k: empty[k] for k in (*kept, "top1", "top5", "images")}
        each["measurements"]["flops"] = dict.fromkeys(
            ("macs", "flops", "fvcore", "thop-2020", "torchvision")
        )
    for old, new in ((whole, less), (less, whole)):
        document = changes(old, new)
        assert document["regressions"] == []
        assert not any(document[name] for name in LISTS)
        assert document["findings"]["new"] == document["findings"]["mended"] == []
        assert document["summary"]["unseen"] > 0


def test_of_several_results_each_finding_is_its_own():
    """One that holds now is mended beside one that stays, and an edit of one causes no other."""
    wrong = {"status": "mismatch", "severity": "error", "cause": "accuracy.contradicted"}
    says: dict[str, tuple[Any, Any]] = {  # What the claim and its finding are, before and now.
        "ImageNet": (("80%", {}), ("81%", wrong)),
        "ImageNet-V2": (("70%", wrong), ("70%", wrong)),
        "ImageNet-A": (("20%", {}), ("20%", wrong)),
        "ImageNet-R": (("30%", wrong), (None, None)),
        "ImageNet-ReaL": (("85%", wrong), ("86%", {})),
        "ImageNet-Sketch": (("35%", wrong), ("35%", wrong | {"cause": "accuracy.preprocessing"})),
    }
    old, new = base(), base()
    for which, document in enumerate((old, new)):
        document["variants"][0]["claims"] = [
            {"field": "Top 1 Accuracy", "documented": both[which][0], "result": name}
            for name, both in says.items()
            if both[which][0]
        ]
        for name, both in says.items():
            text, found = both[which]
            about = {"documented": text, "measured": 50.0, "message": name}
            if text:
                said = finding("one", "Top 1 Accuracy", "accuracy", **(found | about))
                document["findings"].append(said)
    document = changes(old, new)
    found = document["findings"]
    unknown = "nothing that the reports hold tells why"
    assert {f["message"]: [c["text"] for c in f["causes"]] for f in found["new"]} == {
        "ImageNet": ["Top 1 Accuracy 80% -> 81%"],
        "ImageNet-A": [unknown],
        "ImageNet-Sketch": [unknown],
    }
    # Another result's error that is gone stood in the place of none, and hides no regression.
    assert [f.get("was", {}).get("documented") for f in found["new"]] == [None, None, "35%"]
    assert len(document["regressions"]) == 2
    assert [f["message"] for f in found["unchanged"]][-1:] == ["ImageNet-V2"]
    assert {f["message"]: [c["text"] for c in f["causes"]] for f in found["mended"]} == {
        "ImageNet-R": ["Top 1 Accuracy 30% -> nothing"],
        "ImageNet-ReaL": ["Top 1 Accuracy 85% -> 86%"],
    }


def test_reports_of_older_days_are_compared_as_far_as_they_go(diff):
    old, new = base(), base()
    for each in old["variants"]:
        for key in ("code", "versions", "claims"):
            del each[key]
        for key in ("checkpoint", "preprocessing", "speeds"):
            del each["measurements"][key]
    new["findings"][0]["documented"] = "7"
    document = changes(old, new)
    assert as_found(document) == {"claims": [("one", "Parameters", "1", "7")]}


def test_a_document_is_whole_or_one_line_says_what_is_wrong(zoo, tmp_path):
    good = tmp_path / "good.json"
    good.write_text(json.dumps(base()))
    damaged = base()
    damaged["variants"][1]["measurements"]["parameters"] = "many"
    later = base() | {"schema": 2}
    cases = {
        "there.json": None,
        "text.json": "no JSON",
        "list.json": "[]",
        "nan.json": '{"schema": NaN}',
        "empty.json": "",
        "later.json": json.dumps(later),
        "damaged.json": json.dumps(damaged),
        "deep.json": "[" * 100_000,
    }
    for key, value in (
        ("parameters", -5),
        ("file_size", 10**400),
        ("top1", 500.0),
        ("images", -1),
        ("image_size", [-224, 224]),
        ("flops", {"macs": -1}),
        ("speeds", [base()["variants"][0]["measurements"]["speeds"][0] | {"range": [-1, 2]}]),
    ):
        impossible = base()
        impossible["variants"][0]["measurements"][key] = value
        cases[f"{key}.json"] = json.dumps(impossible)
    for number in ("-1", "1e400", "-1e400"):
        impossible = base()
        impossible["findings"][0]["measured"] = "number"
        cases[f"of{number}.json"] = json.dumps(impossible).replace('"number"', number)
    impossible = base()
    impossible["findings"][0] |= {"field": "Top 1 Accuracy", "measured": 500}
    cases["percent.json"] = json.dumps(impossible)
    for name, text in cases.items():
        if text is not None:
            (tmp_path / name).write_text(text)
        for words in ((name, "good.json"), ("good.json", name)):
            done = zoo("diff", *words, cwd=tmp_path)
            assert (done.returncode, done.stdout) == (2, ""), name
            lines = done.stderr.splitlines()
            assert [line.partition(":")[0] for line in lines] == ["error", "hint"], name
            assert name in lines[0]
    (tmp_path / "empty").mkdir()
    assert "no report.json in it" in zoo("diff", "empty", "good.json", cwd=tmp_path).stderr
    assert zoo("diff", "good.json", cwd=tmp_path).returncode == 2


def git(folder: Path, *words: str) -> None:
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, env=os.environ | plain
    )


def test_a_committed_report_is_named_by_its_revision(zoo, tmp_path):
    work = tmp_path / "work"
    (work / "reports").mkdir(parents=True)
    (work / "sub").mkdir()
    git(work, "init", "-q")
    report = work / "reports/report.json"
    report.write_text(json.dumps(base()))
    git(work, "add", "-A")
    git(work, "commit", "-qm", "one")
    later = base()
    KINDS["layers"][0](later)
    report.write_text(json.dumps(later))
    for words, cwd in (
        (("@HEAD", "reports"), work),
        (("@HEAD", "reports/report.json"), work),
        (("@HEAD:reports", "../reports"), work / "sub"),
        (("@HEAD", "../reports"), work / "sub"),
    ):
        done = zoo("diff", *words, "--format", "json", cwd=cwd)
        assert done.returncode == 0, done.stderr
        assert as_found(json.loads(done.stdout)) == KINDS["layers"][1], words
    git(work, "commit", "-qam", "two")
    done = zoo("diff", "@HEAD~1", "@HEAD", "--fail-on", "any", cwd=work)
    assert (done.returncode, "50 -> 51" in done.stdout) == (1, True)
    for word, why in (
        ("@nothing", "no revision 'nothing'"),
        ("@", "names no revision"),
        ("@--help", "names no revision"),
        ("@HEAD:sub", "no report sub in that revision"),
        ("@HEAD:../..", "no report"),
    ):
        done = zoo("diff", word, "reports", cwd=work)
        assert (done.returncode, done.stdout) == (2, ""), word
        assert why in done.stderr, word
    outside = tmp_path / "outside"
    outside.mkdir()
    done = zoo("diff", "@HEAD", str(work / "reports"), cwd=outside)
    assert (done.returncode, "no git repository" in done.stderr) == (2, True)


def test_without_git_one_line_says_so(zoo, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(base()))
    done = zoo("diff", "@HEAD", "a.json", cwd=tmp_path, PATH=str(tmp_path))
    assert done.returncode == 3
    assert "git is not installed" in done.stderr


def test_foreign_text_stays_text(diff):
    old, new = base(), base()
    hostile = "a|b <img src=x> @team\n::error::x\x1b[31m"
    claim(0, hostile)(new)
    wrong = WRONG | {"message": hostile, "documented": hostile}
    new["findings"].append(finding("two", hostile, "flops", **wrong))
    shown = {f: diff(old, new, "--format", f).stdout for f in ("table", "markdown", "github")}
    assert not any("\x1b" in text for text in shown.values())
    assert "<img" not in shown["markdown"]
    assert "@team" not in shown["markdown"]
    commands = [line for line in shown["github"].splitlines() if line.startswith("::")]
    assert len(commands) == 1
    copied = copy.deepcopy(new)
    assert changes(copied, new)["summary"]["changes"] == 0


def test_rows_are_short(diff):
    """What changed alike in many variants is one row, and long texts are not shown."""
    old, new = base(), base()
    for document, text in ((old, "a" * 150), (new, "a" * 150 + "b")):
        for each in document["variants"]:
            each["claims"].append({"field": "Description", "documented": text})
    assert "  one, two: Description: another text\n" in diff(old, new).stdout
    shown = diff(old, new, "--format", "github").stdout
    assert "Claims: one, two: Description: another text\n" in shown
