"""What the store knows of each claim, side by side with the claim; lists as tables of values."""

from __future__ import annotations

import csv
import io
import json
import re

import pandas as pd
import pytest

KNOWN = "accepted:\n- variant: resnest50d\n  field: Layers\n  cause: layers.differs\n"


def _statuses(done) -> dict[str, list[object]]:
    (variant,) = json.loads(done.stdout)
    return {c["field"]: [c["measured"], c["status"], c["severity"]] for c in variant["claims"]}


def test_a_claim_its_measurement_and_its_status_are_side_by_side(zoo, edit):
    edit("Layers: 50", "Layers: 51")
    show = ("show", "resnest50d", "--format", "json")
    before = _statuses(zoo(*show))
    assert before["Parameters"] == before["Layers"] == [None, None, None]
    run = ("verify", "resnest50d", "--offline", "--format", "json")
    found = {f["field"]: f for f in json.loads(zoo(*run).stdout)["findings"]}
    after = _statuses(zoo(*show))
    for field in ("Parameters", "Layers"):
        expected = [found[field][key] for key in ("measured", "status", "severity")]
        assert after[field] == expected, field
    assert (after["Layers"][0], after["Parameters"][0]) == (50, 27483240)
    assert after["Top 1 Accuracy"] == [None, None, None]
    assert after["Paper.Title"] == [None, None, None]
    page = zoo("show", "resnest50d").stdout
    assert re.search(r"^  Layers +51 +50 +error layers\.differs +model-index/", page, re.M)
    assert re.search(r"^  Parameters +27480000 +27483240 +match +model-index/", page, re.M)
    # Nothing is known without the store, and of another builder's models.
    for more, status in (["--no-store"], None), (["--builder", "torchvision"], "unverified"):
        assert _statuses(zoo(*show, *more))["Layers"] == [None, status, None]


def test_the_options_of_a_run_are_taken_and_its_status_where_it_is_asked_for(zoo, folder, edit):
    edit("Layers: 50", "Layers: 51")
    reason = "  documented: '51'\n  reason: known\n"
    (folder / "known.yml").write_text(KNOWN + reason)
    zoo("verify", "resnest50d", "--offline", "-q", "--checks", "layers")
    options = ("--index", "model-index", "--builder", "zoo", "--offline", "--checks", "layers")
    for command in (["show", "resnest50d"], ["explain", "resnest50d", "Layers"]):
        assert zoo(*command, *options).returncode == 0
        assert zoo(*command, *options, "--fail-on", "error").returncode == 1
        done = zoo(*command, *options, "--fail-on", "error", "--baseline", "known.yml")
        assert (done.returncode, "accepted" in done.stdout) == (0, True), command
    traced = json.loads(zoo("explain", "resnest50d", "Layers", "--format", "json").stdout)
    assert [(c["documented"], c["measured"], c["cause"]) for c in traced] == [
        ("51", 50, "layers.differs")
    ]
    tree = json.loads(zoo("show", "resnest50d", "--profile", "--format", "json").stdout)
    assert (tree[0]["parameters"], tree[0]["class"]) == (27483240, "ResNeSt")
    inside = sum(row["macs"] for row in tree if row["level"] == 1)
    assert inside == tree[0]["macs"]


@pytest.mark.slow
def test_images_that_were_counted_are_known(zoo, folder):
    pytest.importorskip("efficientnet_lite_pytorch")
    zoo_index = ("--index", "package:zoo", "--data", "sample")
    name = "efficientnet_lite0"
    done = zoo("verify", name, *zoo_index, "--checks", "accuracy", "--format", "json")
    (measured,) = {f["measured"] for f in json.loads(done.stdout)["findings"] if "1" in f["field"]}
    assert measured is not None
    show = ("show", name, "--format", "json")
    assert _statuses(zoo(*show, *zoo_index))["Top 1 Accuracy"][0] == measured
    assert _statuses(zoo(*show, *zoo_index[:2]))["Top 1 Accuracy"][0] is None


def test_a_narrow_terminal_leaves_the_places_out(zoo_on_a_terminal, zoo, edit):
    zoo("verify", "resnest50d", "--offline", "-q", "--checks", "parameters,layers")
    edit("A paper", "A paper of a network")
    _, out, _ = zoo_on_a_terminal("show", "resnest50d", columns=60)
    assert max(map(len, out.splitlines()[:-2])) <= 60
    edit("A paper of a network", "A long paper on a network " * 5)
    for columns in (60, 80, 100, 160):
        _, out, _ = zoo_on_a_terminal("show", "resnest50d", columns=columns)
        table = [line for line in out.splitlines() if line.startswith("  ")]
        assert max(map(len, table)) <= columns, columns
        assert any(re.search(r"Parameters +27480000 +27483240 +match", line) for line in table)
        assert ("model-index/net.yml:9" in out) is (columns == 160)


def test_lists_are_read_back_by_pandas(zoo):
    def table(*command: str) -> pd.DataFrame:
        done = zoo(*command, "--format", "csv")
        assert done.returncode == 0
        return pd.read_csv(io.StringIO(done.stdout))

    listed = table("list")
    assert list(listed["name"]) == ["resnest50d", "resnest14d"]
    assert list(listed["parameters"]) == [27480000, 10610000]
    assert listed.loc[0, "image_size"] == "224x224"
    shown = table("show", "resnest*")
    assert set(shown["variant"]) == {"resnest50d", "resnest14d"}
    assert shown.set_index("field").loc["Layers", "documented"] == "50"
    from harness.causes import CAUSES

    assert list(table("rule")["id"]) == list(CAUSES)
    tree = table("show", "resnest14d", "--profile", "--depth", "0")
    assert list(tree["parameters"]) == [10611688]
    lines = zoo("list", "--format", "concise").stdout.splitlines()
    assert lines == ["model-index/net.yml:6:9: resnest50d", "model-index/net.yml:17:9: resnest14d"]
    claims = list(csv.DictReader(io.StringIO(zoo("show", "resnest50d", "--format", "csv").stdout)))
    concise = zoo("show", "resnest50d", "--format", "concise").stdout.splitlines()
    for claim, line in zip(claims, concise, strict=True):
        place = "{file}:{line}:{column}: ".format(**claim)
        assert line.startswith(place)
        assert f" resnest50d: {claim['field']}" in line


@pytest.mark.slow
def test_a_claim_of_the_collection_and_a_part_of_one_are_explained(zoo, folder):
    (folder / "net.yml").write_text(
        "Collections:\n- Name: C\n  License: Mine\n"
        "Models:\n- Name: resnest14d\n  In Collection: C\n  Code: {URL: 'http:/x'}\n"
    )
    for field, cause in (("License", "license.unknown"), ("Code.URL", "schema.wrong-type")):
        told = zoo("explain", "resnest14d", field, "--index", "net.yml", "--format", "json").stdout
        (traced,) = json.loads(told)
        heading = traced["sections"][-1]["heading"]
        assert (traced["cause"], heading) == (cause, f"mismatch {cause}")
