"""The commands on a small index: what they print, where, and the status they exit with."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import product
from pathlib import Path

import jsonschema
import pytest
from cli import run_python, said

from harness.report.document import json_schema
from harness.run import store as store_module

HEAVY = ("torch", "pandas", "httpx", "matplotlib", "torchvision")
BAD_LAYERS = ("Layers: 50", "Layers: 51")


def document_of(done):
    document = json.loads(done.stdout)
    jsonschema.validate(document, json_schema())
    return document


def errors(document):
    return [
        (f["variant"], f["field"], f["cause"])
        for f in document["findings"]
        if f["severity"] == "error"
    ]


def test_list(zoo):
    done = zoo("list")
    assert (done.returncode, said(done.stderr).count("\n")) == (0, 1)
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["resnest50d", "ResNeSt", "27480000", "224", "80.96%"],
        ["resnest14d", "ResNeSt", "10610000", "-", "-"],
    ]


def test_list_as_json(zoo):
    for pattern, names in {
        "*14*": ["resnest14d"],
        "ResNeSt": ["resnest50d", "resnest14d"],
        "resnest50d": ["resnest50d"],
    }.items():
        entries = json.loads(zoo("list", pattern, "--format", "json").stdout)
        assert [entry["name"] for entry in entries] == names
    expected = {"name": "resnest50d", "collection": "ResNeSt", "parameters": 27480000}
    assert entries == [{**expected, "image_size": [224, 224], "top1": 80.96}]


def test_show_says_where_each_claim_stands(zoo, folder):
    done = zoo("show", "resnest50d")
    assert (done.returncode, said(done.stderr).count("\n")) == (0, 1)
    lines = (folder / "model-index" / "net.yml").read_text().splitlines()
    shown = [line.strip() for line in done.stdout.splitlines()]
    for field, value in [
        ("Parameters", "27480000"),
        ("Top 1 Accuracy (ImageNet)", "80.96%"),
        ("Layers", "50"),
    ]:
        [line] = [line for line in shown if line.startswith(f"{field} ")]
        place = re.fullmatch(
            re.escape(field) + rf" +{value} +model-index/net.yml:(\d+):(\d+)", line
        )
        number, column = int(place[1]), int(place[2])
        assert lines[number - 1][column - 1 :] == value
    assert "A paper" in done.stdout
    assert "of the collection ResNeSt" in done.stdout


def test_an_unknown_variant_names_the_nearest(zoo):
    for command in ("show", "list", "verify"):
        done = zoo(command, "resnest51d")
        assert (done.returncode, done.stdout) == (2, ""), command
        assert "resnest50d" in said(done.stderr)
        assert said(done.stderr).count("\n") == 1


@pytest.mark.parametrize(
    "command", [["list"], ["show", "resnest50d"], ["audit"], ["cache", "info"], ["rule"]]
)
def test_light_commands_import_nothing_heavy(command, environment, folder):
    code = (
        f"import sys; sys.argv = {['zoo', *command]!r}\n"
        "from zoo.__main__ import main\n"
        "try: main()\n"
        f"finally: print(sorted({{*{HEAVY!r}}} & {{*sys.modules}}), file=sys.stderr)"
    )
    done = run_python(["-c", code], cwd=folder, env=environment)
    assert said(done.stderr).splitlines()[-1] == "[]", said(done.stderr)


def test_audit_exit_statuses(zoo, edit):
    assert zoo("audit").returncode == 0
    edit("Image Size: 224", "Image Size: 0")
    assert zoo("audit").returncode == 1
    assert zoo("audit", "--fail-on", "never").returncode == 0
    done = zoo("audit", "--format", "json")
    assert done.returncode == 1
    assert errors(document_of(done)) == [("resnest50d", "Image Size", "schema.out-of-range")]


def test_a_warning_fails_only_where_it_is_asked_for(zoo, edit):
    edit("  Results:\n", "  Weights: https://x.org/resnest14d-12345678.pth\n  Results:\n")
    summary = document_of(zoo("audit", "--format", "json"))["summary"]
    assert (summary["errors"], summary["warnings"]) == (0, 1)
    assert zoo("audit").returncode == 0
    assert zoo("audit", "--fail-on", "warning").returncode == 1


@pytest.mark.slow
def test_each_severity_fails_for_the_graver_ones_too(zoo, folder):
    """One variant for each severity; none, and an unverified claim under --strict, fail too."""
    entry = "Models:\n- Name: resnest14d\n  Metadata:\n"
    results = "  Results:\n  - Task: Image Classification\n    Dataset: ImageNet\n    Metrics:\n"
    index = {
        "error": f"{entry}    Image Size: 0\n",
        "warning": f"{entry}    Parameters: 10610000\n  Weights: http://x.test/a-12345678.pth\n",
        "note": f"{entry}    Parameters: '10610000'\n",
        "slip": f"{entry}    Paramters: 10610000\n",
        "unverified": f"{entry}    Parameters: 10610000\n{results}      Top 1 Accuracy: 75%\n",
        "match": f"{entry}    Parameters: 10610000\n",
    }
    order = ["error", "warning", "note", "unverified"]
    for found, text in index.items():
        (folder / "one.yml").write_text(text)
        run = ("audit", "--index", "one.yml", "--quiet")
        if found == "unverified":
            run = ("verify", "--all", *run[1:], "--checks", "accuracy")
        for least in (*order, "never"):
            kind = "note" if found == "slip" else found
            fails = kind in order and least in order[order.index(kind) :]
            assert zoo(*run, "--fail-on", least).returncode == fails, (found, least)
        fails = found in ("error", "unverified", "slip")
        assert zoo(*run, "--strict").returncode == fails, found
        assert zoo(*run, ZOO_STRICT="1").returncode == fails, found
        assert zoo(*run, "--fail-on", "never", ZOO_STRICT="1").returncode == 0, found
    done = zoo(*run, "--strict", "--fail-on", "never")
    assert (done.returncode, done.stdout) == (2, "")
    assert said(done.stderr).startswith(
        "--strict: has nothing to add to --fail-on never; leave out one"
    )
    assert said(done.stderr).count("\n") == 1


def test_verify_reports_what_differs(zoo, edit):
    done = zoo("verify", "--all", "--format", "json")
    assert done.returncode == 0
    document = document_of(done)
    assert document["variants"][0]["measurements"]["parameters"] == 27483240
    assert errors(document) == []
    assert len(said(done.stderr).splitlines()) == 1, "the plan, and no bar in a pipe"
    edit(*BAD_LAYERS)
    done = zoo("verify", "--all", "--format", "json")
    assert done.returncode == 1
    assert errors(document_of(done)) == [("resnest50d", "Layers", "layers.differs")]
    table = zoo("verify", "--all")
    assert table.returncode == 1
    assert re.search(
        r"^model-index/net.yml:\d+:\d+: error: resnest50d: Layers: ", table.stdout, re.M
    )
    assert "\x1b" not in table.stdout + table.stderr


def test_a_dry_run_stops_at_the_plan(zoo):
    done = zoo("verify", "--all", "--dry-run", "--format", "json")
    assert (done.returncode, done.stdout) == (0, "")
    assert said(done.stderr).startswith("2 variants")
    assert said(done.stderr).count("\n") == 1


def test_quiet_is_quiet(zoo):
    done = zoo("verify", "resnest14d", "--quiet")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_defaults_are_read_and_a_flag_beats_them(zoo, folder, edit):
    edit(*BAD_LAYERS)
    table = '[tool.zoo]\nformat = "json"\nfail-on = "never"\nchecks = ["layers"]\n'
    (folder / "pyproject.toml").write_text(table)
    done = zoo("verify", "--all")
    assert done.returncode == 0
    assert errors(document_of(done)) == [("resnest50d", "Layers", "layers.differs")]
    done = zoo("verify", "--all", "--format", "markdown", "--fail-on", "error")
    assert done.returncode == 1
    assert done.stdout.startswith("## ")


def test_an_unusable_index(zoo, folder):
    for command, text in product(
        (["audit"], ["verify", "--all"]), ("Models:\n- Name: [\n", "", "Models: 3\n")
    ):
        (folder / "bad.yml").write_text(text)
        done = zoo(*command, "--index", "bad.yml")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr
        for line in said(done.stderr).splitlines():
            assert re.match(r"bad\.yml:\d+:\d+: .+; .+", line)
        done = zoo(*command, "--index", "bad.yml", "--format", "json")
        assert done.returncode == 2
        document = document_of(done)
        assert document["variants"] == []
        assert {f["location"]["file"] for f in document["findings"]} == {"bad.yml"}


def test_an_index_that_is_not_there(zoo):
    done = zoo("audit", "--index", "nowhere.yml")
    assert done.returncode == 2
    assert said(done.stderr).startswith("nowhere.yml")
    assert "Traceback" not in said(done.stderr)


def test_the_store_is_shown_and_emptied(zoo, environment):
    assert zoo("verify", "resnest14d", "--checks", "parameters").returncode == 0
    before = zoo("cache", "info")
    assert before.returncode == 0
    assert environment["XDG_CACHE_HOME"] in before.stdout
    assert not re.search(r"^measurements: 0$", before.stdout, re.MULTILINE)
    done = zoo("cache", "clear", "--yes")
    assert re.fullmatch(r"[1-9]\d* measurements? removed\n", done.stdout)
    assert re.search(r"^measurements: 0$", zoo("cache", "info").stdout, re.MULTILINE)


@pytest.mark.parametrize("damage", ["all", "pages"])
def test_a_damaged_store_is_emptied(damage, zoo, environment):
    assert zoo("verify", "resnest14d", "--checks", "parameters").returncode == 0
    store = next(Path(environment["XDG_CACHE_HOME"]).rglob("measurements-*.sqlite"))
    content = store.read_bytes()
    start = 0 if damage == "all" else 4096  # what follows the page that says what the tables are
    store.write_bytes(content[:start] + b"\x5a" * (len(content) - start))
    assert zoo("cache", "info").returncode == 3
    done = zoo("cache", "clear", "--yes")
    assert (done.returncode, done.stdout, said(done.stderr)) == (
        0, f"{store} was damaged, and is removed\n", ""
    )  # fmt: skip
    assert "\nmeasurements: 0\n" in zoo("cache", "info").stdout


def test_a_store_that_another_run_holds_is_left_alone(zoo, environment, monkeypatch):
    monkeypatch.setattr(store_module, "_WAIT_SECONDS", 0.5)
    assert zoo("verify", "resnest14d", "--checks", "parameters").returncode == 0
    store = next(Path(environment["XDG_CACHE_HOME"]).rglob("measurements-*.sqlite"))
    with closing(sqlite3.connect(store, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        done = zoo("cache", "clear", "--yes")
    assert (done.returncode, done.stdout) == (3, "")
    assert "locked" in said(done.stderr)
    assert not re.search(r"^measurements: 0$", zoo("cache", "info").stdout, re.MULTILINE)


def test_a_field_is_found_however_it_is_spelt(zoo):
    for field in ("Parameters", "parameters", "Params", "PARAMS"):
        done = zoo("explain", "resnest50d", field)
        assert (done.returncode, said(done.stderr).count("\n")) == (0, 1), field
        assert done.stdout.startswith("resnest50d  Parameters  model-index/net.yml:9:17\n")
        assert "27,483,240" in done.stdout


def test_the_story_of_a_flop_count_shows_what_was_measured(zoo, folder):
    index = folder / "model-index" / "net.yml"
    index.write_text(index.read_text().replace("Layers: 50", "FLOPs: 5399965376"))
    lines = [line.split() for line in zoo("explain", "resnest50d", "FLOPs").stdout.splitlines()]
    heading = lines.index(["input", "macs", "fvcore", "flops", "thop-2020"])
    row = ["224x224", "5,371,160,576", "=", "5,399,965,376", "10,742,321,152"]
    assert lines[heading + 1][: len(row)] == row


def test_a_claim_of_the_collection_can_be_asked_about(zoo):
    for field in ("Paper", "paper.title"):
        done = zoo("explain", "resnest50d", field)
        assert (done.returncode, said(done.stderr).count("\n")) == (0, 1), field
        assert done.stdout.startswith("resnest50d  Paper.Title  model-index/net.yml:4:12\n")
        assert "A paper" in done.stdout


def test_a_misspelt_field_names_the_nearest(zoo):
    done = zoo("explain", "resnest50d", "layesr")
    assert (done.returncode, done.stdout) == (2, "")
    assert said(done.stderr) == "resnest50d claims no 'layesr'; did you mean 'Layers'?\n"


def test_a_profile_shows_lists_of_blocks(zoo, folder):
    index = folder / "model-index" / "net.yml"
    index.write_text("Models:\n- Name: efficientnet_lite0\n")
    done = zoo("show", "efficientnet_lite0", "--profile", "--depth", "1")
    assert (done.returncode, said(done.stderr).count("\n")) == (0, 1)
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()[2:]}
    assert rows["_blocks"][1] == "ModuleList"
    macs = {name: int(row[-2].replace(",", "")) for name, row in rows.items()}
    assert macs["_blocks"] == macs.pop("(model)") - sum(macs.values()) + macs["_blocks"]
    assert macs["_blocks"] > 0


def test_a_store_that_can_not_be_used_is_one_line(zoo, tmp_path):
    (tmp_path / "file").write_text("")
    done = zoo("cache", "info", XDG_CACHE_HOME=str(tmp_path / "file"))
    assert done.returncode == 3
    assert done.stdout == ""
    assert "the measurement store can't be used" in said(done.stderr)
    assert "internal" not in said(done.stderr)
    assert said(done.stderr).count("\n") == 1


def test_an_interrupt_leaves_a_report_and_130(environment, folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "zoo", "verify", "--all", "--format", "json"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # The plan is said before anything is measured.
    assert process.stderr.readline().startswith("2 variants")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    jsonschema.validate(json.loads(out), json_schema())
    assert "Traceback" not in err
    assert "internal error" not in err


def test_show_keeps_a_text_of_several_lines_to_its_first(zoo, folder):
    index = folder / "model-index" / "net.yml"
    text = index.read_text()
    index.write_text(text.replace("  Paper:\n", "  Description: |\n    One.\n    Two.\n  Paper:\n"))
    shown = zoo("show", "resnest50d").stdout
    assert re.search(r"^  Description +One\.… +model-index/net.yml:\d+:\d+$", shown, re.MULTILINE)
    assert "Two" not in shown
