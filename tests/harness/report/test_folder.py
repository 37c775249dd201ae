"""The folder of a report: the previous one in it, files of others, and the user's home."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from loops import each

from harness.report import folder
from harness.report.document import json_schema
from harness.types import Measurement, Report, Unmeasured, VariantReport

UNUSED = "The previous report could not be used, so nothing is compared: "


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Report], str]:
    """Writes a report into the folder, where one may be already: the page."""

    def write(report: Report) -> str:
        folder.write(report, tmp_path, lambda _: None)
        return (tmp_path / "index.html").read_text(encoding="utf-8")

    return write


@each(
    "content, why",
    [
        (b'{"schema": 1, "findi', "report.json is not JSON."),
        (b"", "report.json is not JSON."),
        (b"\xff\xfe\x00", "report.json is not JSON."),
        (b"[" * 100_000, "report.json is not JSON."),
        (b"[1]", "report.json is not a JSON object."),
        (b'{"schema": 7, "findings": []}', "it has another schema than 1."),
    ],
)
def test_a_damaged_previous_report_is_named_and_replaced(
    written, make_report, tmp_path, content, why
):
    (tmp_path / "report.json").write_bytes(content)
    assert UNUSED + why in written(make_report())
    assert json.loads((tmp_path / "report.json").read_bytes())["schema"] == 1


def test_a_previous_report_may_be_missing_and_must_not_be_huge(written, make_report, tmp_path):
    assert "previous report" not in written(make_report())
    assert "previous report" not in written(make_report())
    with open(tmp_path / "report.json", "wb") as file:
        file.truncate(300 << 20)
    assert f"{UNUSED}report.json is larger than " in written(make_report())


def test_the_users_home_is_not_in_the_files(written, make_finding, tmp_path, monkeypatch):
    home = "/home/someone"
    monkeypatch.setenv("HOME", home)
    cache = f"{home}/.cache/torch/hub/checkpoints/net-01234567.pth"
    why = f"{cache} is not used: it is {home}/other, of {home}.old, in /srv{home}, not {home}."
    shown = "~/.cache/torch/hub/checkpoints/net-01234567.pth is not used: it is ~/other, of "
    shown += f"{home}.old, in /srv{home}, not ~."
    facts = (
        Unmeasured("file", "net", "zoo", "weights.hash-mismatch", why),
        Measurement("accuracy", "net", "zoo", {}, None, f"top-1 on {home}/val", {}, "cpu", "2025"),
    )
    found = (
        make_finding(variant="net", message=why, documented=f"{home}/as/documented"),
        make_finding(variant="net", message=why, cause="flops.convention"),
    )
    page = written(Report({}, (VariantReport("net", None, "zoo", {}, facts=facts),), found))
    document = json.loads((tmp_path / "report.json").read_bytes())
    assert [f["message"] for f in document["findings"]] == [shown, shown]
    assert cache not in page
    assert shown in page
    assert "top-1 on ~/val" in page
    # What an index says is quoted as it stands.
    assert f"{home}/as/documented" in page


def test_a_report_changes_only_where_a_number_does(written, make_report, make_finding, tmp_path):
    """Neither when, where and in which order it was made, nor that it was made before."""
    facts = [
        Measurement(kind, "net", "zoo", {"size": 5}, None, "measured", {}, "cpu", "2025-01-02")
        for kind in ("structure", "file", "checkpoint", "new kind")
    ]
    found = (make_finding(variant="net"),)

    def made(facts, found, **environment):
        variant = VariantReport("net", None, "zoo", {"parameters": 5}, facts=tuple(facts))
        report = Report({"zoo": "1", "torch": "2", "python": "3"} | environment, (variant,), found)
        written(report)
        return {path.name: path.read_bytes() for path in sorted(tmp_path.iterdir())}

    written(make_report(make_finding(variant="net", cause="size.shared")))
    first = made(facts, found)
    assert b'"new"' in first["report.json"]
    later = [replace(fact, made="2026-11-12") for fact in reversed(facts)]
    machine = {"started": "2026-11-12", "seconds": 7.5, "platform": "a-machine", "device": "cuda"}
    assert made(later, found, **machine) == first
    assert not [name for name, content in first.items() if b"a-machine" in content]
    jsonschema.validate(json.loads(first["report.json"]), json_schema())
    for path in tmp_path.iterdir():
        path.unlink()
    assert made(later, found, **machine) == made(facts, found)


@each("home", ["", "/"])
def test_a_home_that_is_no_folder_is_none(written, make_finding, tmp_path, home):
    found = make_finding(variant="net", message="the file /srv/net.pth is gone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", home)
        written(Report({}, (VariantReport("net", None, "zoo", {}),), (found,)))
    (shown,) = json.loads((tmp_path / "report.json").read_bytes())["findings"]
    assert shown["message"] == "the file /srv/net.pth is gone"


@each("name", ["index.html", "comparison.csv", "pareto-macs.png"])
def test_files_of_others_are_neither_replaced_nor_removed(tmp_path: Path, name: str):
    place = tmp_path / name.partition(".")[0]
    place.mkdir()
    (place / name).write_bytes(b"mine")
    with pytest.raises(folder.NotOurs, match=f"{name}: was not written by zoo"):
        folder.prepare(place)
    assert [path.name for path in place.iterdir()] == [name]
    with pytest.raises(folder.NotOurs, match="is no folder"):
        folder.prepare(place / name)


def test_a_folder_of_a_report_takes_another_and_keeps_other_files(written, make_report, tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"mine")
    for _ in range(2):
        folder.prepare(tmp_path)
        written(make_report())
    assert {path.name for path in tmp_path.iterdir()} >= {"index.html", "report.json"}
    assert (tmp_path / "notes.txt").read_bytes() == b"mine"


def test_nothing_is_written_before_all_is_made(written, make_report, tmp_path, monkeypatch):
    """An interrupt while the page is made leaves one report, not parts of two."""
    written(make_report())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.report.html.render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(Report({}, (VariantReport("another", None, "zoo", {}),), ()))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_first_report_that_fails_halfway_can_be_written_again(written, make_report, tmp_path):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(folder.FolderError, match="Is a directory"):
        written(make_report())
    (tmp_path / "index.html").rmdir()
    folder.prepare(tmp_path)
    assert written(make_report())
