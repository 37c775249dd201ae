"""The folder of a report: what is said of the one before, and what of this machine is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.report import folder
from harness.types import Finding, Measurement, Report, Unmeasured, VariantReport

UNUSED = "The previous report could not be used, so nothing is compared: "


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Report], Path]:
    """Writes a report into a folder, where one may be already: the folder."""

    def write(report: Report) -> Path:
        folder.write(report, tmp_path, lambda _: None)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"schema": 1, "findi', "report.json is not JSON."),
        (b"", "report.json is not JSON."),
        (b"\xff\xfe\x00", "report.json is not JSON."),
        (b"[" * 100_000, "report.json is not JSON."),
        (b"[1]", "report.json is not a JSON object."),
        (b'{"schema": 7, "findings": []}', "it has another schema than 1."),
    ],
)
def test_a_damaged_report_before_is_named_and_replaced(
    written: Callable[[Report], Path], make_report, tmp_path: Path, content: bytes, why: str
):
    (tmp_path / "report.json").write_bytes(content)
    place = written(make_report())
    assert UNUSED + why in (place / "index.html").read_text(encoding="utf-8")
    assert json.loads((place / "report.json").read_bytes())["schema"] == 1


def test_where_there_is_none_none_is_missed(written: Callable[[Report], Path], make_report):
    page = (written(make_report()) / "index.html").read_text(encoding="utf-8")
    assert "There is no previous report to compare with." in page
    again = (written(make_report()) / "index.html").read_text(encoding="utf-8")
    assert "Compared with the report of " in again


def test_one_that_is_too_large_to_be_one_is_named(
    written: Callable[[Report], Path], make_report, tmp_path: Path
):
    with open(tmp_path / "report.json", "wb") as file:
        file.truncate(300 << 20)
    page = (written(make_report()) / "index.html").read_text(encoding="utf-8")
    assert f"{UNUSED}report.json is larger than " in page


def test_the_home_of_whoever_ran_it_is_not_in_the_files(
    written: Callable[[Report], Path],
    make_finding: Callable[..., Finding],
    monkeypatch: pytest.MonkeyPatch,
):
    home = "/home/someone"
    monkeypatch.setenv("HOME", home)
    cache = f"{home}/.cache/torch/hub/checkpoints/net-01234567.pth"
    why = f"{cache} is not used: it is {home}/other, of {home}.old, in /srv{home}, not {home}."
    said = "~/.cache/torch/hub/checkpoints/net-01234567.pth is not used: it is ~/other, of "
    said += f"{home}.old, in /srv{home}, not ~."
    facts = (
        Unmeasured("file", "net", "zoo", "weights.hash-mismatch", why),
        Measurement("accuracy", "net", "zoo", {}, None, f"top-1 on {home}/val", {}, "cpu", "2025"),
    )
    found = (
        make_finding(variant="net", message=why, documented=f"{home}/as/documented"),
        make_finding(variant="net", message=why, cause="flops.convention"),
    )
    place = written(Report({}, (VariantReport("net", None, "zoo", {}, facts=facts),), found))
    told = [f["message"] for f in json.loads((place / "report.json").read_bytes())["findings"]]
    assert told == [said, said]
    page = (place / "index.html").read_text(encoding="utf-8")
    assert page.count(cache) == 0
    assert said in page
    assert "top-1 on ~/val" in page
    # What an index says is quoted as it stands.
    assert f"{home}/as/documented" in page


@pytest.mark.parametrize("home", ["", "/"])
def test_a_home_that_is_no_folder_of_anyone_is_none(
    written: Callable[[Report], Path],
    make_finding: Callable[..., Finding],
    monkeypatch: pytest.MonkeyPatch,
    home: str,
):
    monkeypatch.setenv("HOME", home)
    found = make_finding(variant="net", message="the file /srv/net.pth is gone")
    place = written(Report({}, (VariantReport("net", None, "zoo", {}),), (found,)))
    (told,) = json.loads((place / "report.json").read_bytes())["findings"]
    assert told["message"] == "the file /srv/net.pth is gone"


def test_a_folder_of_a_report_takes_another(written: Callable[[Report], Path], make_report):
    place = written(make_report())
    folder.prepare(place)
    assert {path.name for path in place.iterdir()} >= {"index.html", "report.json"}


@pytest.mark.parametrize("name", ["index.html", "comparison.csv", "pareto-macs.png"])
def test_files_of_others_are_neither_replaced_nor_removed(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(folder.NotOurs, match=f"{name}: was not written by zoo"):
        folder.prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_files_in_the_folder_stay(
    written: Callable[[Report], Path], make_report, tmp_path: Path
):
    (tmp_path / "notes.txt").write_bytes(b"mine")
    folder.prepare(tmp_path)
    written(make_report())
    assert (tmp_path / "notes.txt").read_bytes() == b"mine"


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(folder.NotOurs, match="is no folder"):
        folder.prepare(tmp_path / "file")


def test_nothing_is_written_before_all_is_made(
    written: Callable[[Report], Path], make_report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """An interrupt while the page is made leaves one report, not parts of two."""
    written(make_report())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.report.html.render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(Report({}, (VariantReport("another", None, "zoo", {}),), ()))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_first_report_that_fails_halfway_can_be_written_again(
    written: Callable[[Report], Path], make_report, tmp_path: Path
):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(folder.FolderError, match="Is a directory"):
        written(make_report())
    (tmp_path / "index.html").rmdir()
    folder.prepare(tmp_path)
    assert (written(make_report()) / "index.html").is_file()
