"""`zoo report --history` and `zoo history`, as they are typed."""

from __future__ import annotations

import csv
import io
import json
import subprocess

import pytest
from cli import said

REPORT = ("report", "--checks", "parameters", "--history", "--offline")


@pytest.fixture(autouse=True)
def without_plots(monkeypatch):
    """They take most of a report's time, and have no history in them."""
    monkeypatch.setattr("harness.report.plots.files", lambda *_: ())


def git(folder, *words):
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


@pytest.mark.slow
def test_two_runs_are_kept_and_printed(zoo, folder):
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@b.org", "commit", "-qm", "one")
    done = zoo(*REPORT)
    assert done.returncode == 0, done.stderr
    assert "reports/history.parquet: run 1 added, 4 figures" in said(done.stderr)
    index = folder / "model-index" / "net.yml"
    index.write_text(index.read_text().replace("27480000", "27483000"))
    assert zoo(*REPORT).returncode == 0
    done = zoo("history", "resnest50d", "Parameters", "--format", "json")
    first, second = json.loads(done.stdout)["rows"]
    assert (first["run"], first["measured"], first["documented"]) == (1, 27483240, "27480000")
    assert (second["run"], second["measured"], second["documented"]) == (2, 27483240, "27483000")
    assert (first["state"], second["state"]) == ("first", "documented")
    # An index that was edited and not committed is told.
    assert second["commit"] == first["commit"] + "+"
    assert len(first["commit"]) == 40
    table = zoo("history", "resnest50d").stdout.splitlines()
    assert table[0].startswith("resnest50d: 2 runs from 20")
    (at,) = [number for number, line in enumerate(table) if "documented anew" in line]
    assert table[at].split()[-2:] == ["27483240", "27483000"]
    assert table[at + 1].startswith("      documented 27480000 -> 27483000, commit ")
    done = zoo("history", "resnest50d", "layers", "--format", "csv")
    assert [row["measured"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["50", "50"]


def test_what_is_not_there_is_one_clear_line(zoo, folder):
    for words, line in (
        (
            ("net",),
            "--report: reports: there is no such file or folder; zoo report --history begins",
        ),
        (("net", "--report", "model-index"), "--report: model-index: has no history; zoo report"),
        (("net", "--report", "model-index/net.yml"), "model-index/net.yml:1: is damaged, or no "),
    ):
        done = zoo("history", *words)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert said(done.stderr).startswith(line), done.stderr
        assert said(done.stderr).count("\n") == 1
    assert zoo(*REPORT, "resnest14d").returncode == 0
    done = zoo("history", "resnest14")
    assert "has no variant 'resnest14'; did you mean resnest14d?" in said(done.stderr)
    done = zoo("history", "resnest14d", "FLOPs")
    assert "has no figure 'FLOPs' of resnest14d; there are layers, parameters" in said(done.stderr)


def test_a_damaged_history_stops_a_run_before_it_measures(zoo, folder):
    (folder / "reports").mkdir()
    (folder / "reports" / "history.parquet").write_bytes(b"something")
    done = zoo(*REPORT)
    assert done.returncode == 2
    assert said(done.stderr).startswith("--history: reports/history.parquet: is damaged, or no ")
    assert said(done.stderr).count("\n") == 1
    assert [path.name for path in (folder / "reports").iterdir()] == ["history.parquet"]
