"""What the commands that write reports do with their folder, and where they can't write it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from cli import said

VERIFY = ("verify", "resnest50d", "--checks", "parameters", "--format", "json")


def test_the_document_is_printed_and_the_folder_written(zoo, folder):
    done = zoo(*VERIFY, "--output", "out")
    assert done.returncode == 0
    printed, kept = json.loads(done.stdout), json.loads((folder / "out/report.json").read_bytes())
    assert printed["findings"] == kept["findings"]
    assert "the report is in out/index.html" in said(done.stderr)


def test_quiet_says_nothing_of_the_folder(zoo, folder):
    done = zoo("report", "resnest50d", "--checks", "parameters", "--quiet")
    assert (done.returncode, done.stdout, said(done.stderr)) == (0, "", "")
    assert (folder / "reports/index.html").is_file()


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("model-index/net.yml", "--output: model-index/net.yml: is no folder; name one for the"),
        ("mine", "--output: mine/index.html: was not written by zoo, and a report would replace"),
    ],
)
def test_a_folder_that_is_not_for_reports_is_wrong_use(zoo, folder, output, line):
    (folder / "mine").mkdir()
    (folder / "mine" / "index.html").write_text("my page")
    done = zoo(*VERIFY, "--output", output)
    assert done.returncode == 2
    assert said(done.stderr).startswith(line)
    assert said(done.stderr).count("\n") == 1
    assert json.loads(done.stdout)["findings"] == []
    assert [path.name for path in (folder / "mine").iterdir()] == ["index.html"]


def test_an_empty_folder_is_not_the_working_folder(zoo, folder):
    for command in ("report", "docs", "verify"):
        done = zoo(command, "--output", "")
        assert (done.returncode, done.stdout) == (2, ""), command
        assert said(done.stderr) == "--output: '' is not a path; write one\n"
    assert [path.name for path in folder.iterdir()] == ["model-index"]


def test_a_report_that_can_not_be_begun_is_told_in_the_document(zoo):
    done = zoo(*VERIFY, "--output", "/proc/nobody/here")
    assert done.returncode == 3
    assert "can't write the report" in said(done.stderr)
    assert json.loads(done.stdout)["findings"] == []


def test_what_was_measured_is_printed_where_the_folder_fails(zoo, folder):
    assert zoo(*VERIFY, "--output", "out").returncode == 0
    (folder / "out/index.html").unlink()
    (folder / "out/index.html").mkdir()
    done = zoo(*VERIFY, "--output", "out")
    assert done.returncode == 3
    assert "out: can't write the report: Is a directory" in said(done.stderr)
    (found,) = [f for f in json.loads(done.stdout)["findings"] if f["field"] == "Parameters"]
    assert found["status"] == "match"


def test_a_run_that_ends_early_leaves_the_report_as_it_is(zoo, folder, environment):
    def content():
        return {path.name: path.read_bytes() for path in (folder / "reports").iterdir()}

    assert zoo("report", "resnest14d", "--checks", "parameters").returncode == 0
    before = content()
    for name in ("SIGINT", "SIGTERM"):
        (folder / "none of 'em.yml").write_text("accepted: []\n")
        process = subprocess.Popen(
            [sys.executable, "-m", "zoo", "report", "--refresh", "--baseline", "none of 'em.yml"],
            cwd=folder,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith("2 variants")
        process.send_signal(getattr(signal, name))
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 128 + getattr(signal, name), said
        assert content() == before
        assert "interrupted: nothing new is stored; what follows takes all that is stored" in said
        again = "continue with: zoo report --baseline 'none of '\"'\"'em.yml'\n"
        assert again in said
        assert "reports: left as it was" in said


def test_a_run_that_fails_is_no_match_for_a_whole_report(make_report_of, tmp_path, capsys):
    from harness.cli.reporting import write_folder

    whole = make_report_of(None)
    write_folder(make_report_of("no cluster"), tmp_path)  # There is none yet.
    write_folder(whole, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_folder(make_report_of("no cluster"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "left as it was, because the run did not come to its end" in capsys.readouterr().err


def test_a_table_that_takes_another_package_is_missed_only_where_more_is_asked_for(
    make_report_of, tmp_path, capsys, monkeypatch
):
    from harness.cli.reporting import write_folder
    from harness.report import comparison

    monkeypatch.setattr(comparison, "find_spec", lambda name: None)
    for verbose in (False, True):
        write_folder(make_report_of(None), tmp_path, verbose=verbose)
        assert ("no comparison.parquet" in capsys.readouterr().err) == verbose
        assert {"comparison.md", "comparison.csv"} <= {path.name for path in tmp_path.iterdir()}


@pytest.fixture
def make_report_of():
    from harness.types import Report, VariantReport

    return lambda cut_short: Report({}, (VariantReport("n", None, "zoo", {}),), (), cut_short)
