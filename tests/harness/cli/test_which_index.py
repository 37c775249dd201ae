"""Which index a command reads where none is named, and what it says of it."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest
from cli import run_zoo, said

INDEX = "Models:\n- Name: resnest14d\n  Metadata:\n    Crop Pct: 8.75\n"
PAGE = f"---\nlicense: mit\n---\n<!--\nType: model-index\n{INDEX}-->\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working folder, and a store of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ZOO_IMAGENET", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(place):
    def go(*arguments):
        done = run_zoo(arguments, cwd=Path.cwd(), environment=os.environ)
        return done.returncode, done.stdout, said(done.stderr).splitlines()

    return go


def test_the_index_at_hand_is_read_and_named(place, run):
    for name in ("model-index/a.yml", "model-index.yml", "model-index.yaml", "model-index.md"):
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(PAGE if name.endswith(".md") else INDEX)
        shown = name.partition("/")[0]
        status, out, err = run("audit")
        assert status == 1
        assert out.splitlines()[1].startswith(f"{name}:")
        assert err == [f"1 variant of index {shown}, read and not built"]
        status, _, err = run("verify", "--all", "--dry-run", "--offline")
        assert status == 0
        assert err[0].startswith(f"1 variant of index {shown}, builder zoo, ")
        assert run("audit", "--quiet")[2] == []
        path.unlink()
        if path.parent != place:
            path.parent.rmdir()


def test_the_index_of_the_project_is_found_from_its_folders(place, run, monkeypatch):
    (place / "model-index.yml").write_text(INDEX)
    deep = place / "src" / "deep"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    # Not above a folder that is no project's.
    assert run("audit")[0] == 2
    (place / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    status, out, _ = run("audit")
    assert (status, out.splitlines()[1].partition(":")[0]) == (1, "../../model-index.yml")
    # Another project in between has none, and is the nearest.
    (deep.parent / "pyproject.toml").write_text("")
    assert run("audit")[0] == 2
    # What is in the working folder itself comes first.
    (deep / "model-index.yaml").write_text(INDEX)
    assert run("audit")[1].splitlines()[1].startswith("model-index.yaml:")


def test_an_index_that_settings_name_says_which_nearer_one_it_stands_for(place, run, monkeypatch):
    (place / "pyproject.toml").write_text("[tool.zoo]\nindex = ['big.yml']\n")
    (place / "big.yml").write_text(INDEX)
    below = place / "below"
    below.mkdir()
    (below / "model-index.yml").write_text(INDEX)
    passed = " (as ../pyproject.toml says; model-index.yml here is not read)"
    monkeypatch.chdir(below)
    for words in (["audit"], ["list"], ["verify", "--all", "--dry-run", "--offline"]):
        line = run(*words)[2][0]
        assert line.startswith(f"1 variant of index ../big.yml{passed}"), words
    assert run("list", "--index", "model-index.yml")[2] == ["1 variant of index model-index.yml"]
    (below / "model-index.yml").unlink()
    assert run("list")[2] == ["1 variant of index ../big.yml"]
    monkeypatch.chdir(place)
    assert run("list")[2] == ["1 variant of index big.yml"]


JUDGING = [
    ["audit"],
    ["verify", "--all"],
    ["verify", "resnest50d", "--checks", "parameters"],
    ["validate", "efficientnet_lite0", "--data", "sample"],
    ["explain", "resnest50d", "FLOPs"],
    ["fix"],
    ["fix", "--write"],
    ["report"],
    ["docs"],
    ["docs", "--check"],
    ["cards", "--output", "c"],
    ["table"],
    ["manifest"],
    ["fetch", "--all"],
    ["bench", "resnest14d"],
    ["cite", "resnest50d"],
]


def test_no_command_that_judges_takes_the_index_of_the_package(place, run):
    for arguments in JUDGING:
        status, out, err = run(*arguments)
        assert (status, out, len(err)) == (2, "", 1), arguments
        assert err[0].startswith(f"no index here: {place} holds neither model-index/ nor "), err
        assert "--index PATH" in err[0]
        assert list(place.iterdir()) == []
    status, out, err = run("audit", "--format", "json")
    assert (status, json.loads(out)["findings"], len(err)) == (2, [], 1)


def test_the_index_of_the_package_stands_in_for_a_look_or_by_name(place, run):
    why = "; no index is here, so this is the one that ships with zoo"
    for arguments, found in ((["list"], "11 variants"), (["show", "resnest50d"], "1 variant")):
        status, out, err = run(*arguments)
        assert status == 0
        assert "resnest50d" in out
        assert err == [f"{found} of index package:zoo{why}"]
    assert run("list", "--index", "package:zoo")[2] == ["11 variants of index package:zoo"]
    status, _, err = run("audit", "--index", "package:zoo", "--fail-on", "never")
    assert (status, err[0].endswith("of index package:zoo, read and not built")) == (0, True)
    (place / "pyproject.toml").write_text('[tool.zoo]\nindex = "package:zoo"\n')
    assert run("fetch", "--all", "--dry-run", "--offline")[0] == 0
    # A variant of the index at hand is never mixed with those of the package.
    (place / "model-index.yml").write_text(INDEX)
    (place / "pyproject.toml").unlink()
    assert run("list")[1].splitlines()[0].startswith("resnest14d")
    assert run("show", "resnest50d")[0] == 2


NAMING = [
    ("list", ""),
    ("list --format json", ""),
    ("show resnest14d", ""),
    ("show resnest14d --profile --depth 0", ", builder zoo"),
    ("audit --format sarif --fail-on never", ", read and not built"),
    ("verify --all --checks metadata --format json", ", builder zoo, nothing to build, "),
    ("explain resnest14d 'Crop Pct'", ", builder zoo"),
    ("fix --checks parameters", ", builder zoo, nothing to build, "),
    ("report --output out", ", builder zoo, "),
    ("bench resnest14d --batch 1 --seconds 0.1 --format json", ", builder zoo"),
    ("fetch --all --dry-run", ", no files to fetch"),
    ("docs", ""),
]


def test_beside_all_a_bare_word_is_the_folder_of_that_name(place, run):
    (place / "mine").mkdir()
    (place / "mine" / "a.yml").write_text(INDEX)
    for words in (["--all", "mine"], ["mine", "--all", "./mine"], ["--all", "--index", "mine"]):
        assert run("list", *words)[::2] == (0, ["1 variant of index mine"]), words
    status, _, err = run("list", "--all", "resnest14d")
    assert (status, err) == (2, ["zoo list is given both --all and names; leave out one of them"])
    for name in ("list", "verify", "fetch"):
        assert "write ./mine for the file or folder of that name" in run(name, "mine")[2][-1]


def test_the_first_line_of_a_run_names_the_index_and_who_builds(place, run):
    (place / "mine.yml").write_text(INDEX.replace("8.75", "0.875"))
    (place / "pyproject.toml").write_text('[tool.zoo]\nindex = "mine.yml"\noffline = true\n')
    for words, more in NAMING:
        status, out, err = run(*shlex.split(words))
        assert status == 0, (words, err)
        assert err[0].startswith(f"1 variant of index mine.yml{more}"), (words, err)
        assert "of index" not in out
        if "json" in words or "sarif" in words:
            json.loads(out)


def test_what_builds_nothing_asks_no_builder_that_settings_name(place, run):
    (place / "model-index.yml").write_text(INDEX)
    (place / "pyproject.toml").write_text('[tool.zoo]\nbuilder = "nosuch"\noffline = true\n')
    for words in ("list", "show resnest14d", "fetch --all", "audit --fail-on never", "docs"):
        status, _, err = run(*words.split())
        assert (status, "nosuch" in " ".join(err)) == (0, False), (words, err)
    for words in ("verify --all", "show resnest14d --profile", "explain resnest14d FLOPs"):
        status, _, err = run(*words.split())
        assert (status, "no builder is called 'nosuch'" in err[0]) == (2, True), words


def test_a_hint_names_the_index_that_was_asked(place, run):
    (place / "other index.yml").write_text(INDEX)
    option = "--index 'other index.yml'"
    _, _, err = run("verify", "qqq", "--index", "other index.yml")
    assert err == [
        f"'qqq' names no variant, collection or glob of the index; zoo list {option} shows all"
    ]
    _, _, err = run("explain", "resnest14d", "zzzzz", "--index", "other index.yml")
    assert err == [
        f"resnest14d claims no 'zzzzz'; zoo show resnest14d {option} lists what is claimed"
    ]


IDLE = [
    ("verify --all --samples 5", "--samples: there are no images to look at; "),
    ("verify --all --budget 90s", "--budget: there are no images to look at; "),
    ("report --samples 5", "--samples: there are no images to look at; "),
    ("explain resnest14d FLOPs --decode fast", "--decode: there are no images"),
    ("verify --all --dataset imagenet-1k", "--dataset: there are no images to look"),
    ("verify --all --address auto", "--address: is a Ray cluster's; "),
    ("verify --all --device cuda:99", "--device: device 'cuda:99': there are "),
    ("verify --all --device cuda:99 --dry-run", "--device: device 'cuda:99': "),
    ("fix --device cuda:99", "--device: device 'cuda:99': there are "),
    ("bench resnest14d --device cuda:99", "--device: device 'cuda:99': there are "),
    ("explain resnest14d 'Crop Pct' --device cuda:99", "--device: device 'cuda:"),
    ("report --device cuda:99", "--device: device 'cuda:99': there are "),
]


def test_an_option_that_can_do_nothing_is_wrong_use(place, run):
    (place / "model-index.yml").write_text(INDEX)
    for arguments, line in IDLE:
        status, out, err = run(*shlex.split(arguments))
        assert (status, out, len(err)) == (2, "", 1), arguments
        assert err[0].startswith(line)
        assert sorted(path.name for path in place.iterdir()) == ["model-index.yml"]


def test_a_file_may_hold_what_some_runs_alone_heed(place, run):
    (place / "model-index.yml").write_text(INDEX)
    (place / "pyproject.toml").write_text('[tool.zoo]\nsamples = 5\nbudget = "90s"\n')
    assert run("verify", "--all", "--dry-run", "--offline")[0] == 0


def test_explain_and_show_reach_what_verify_reaches(place, run):
    """timm's ResNet-18 is known to timm alone; its parameters are those of its paper's model."""
    pytest.importorskip("timm")
    text = "Models:\n- Name: resnet18\n  Metadata:\n    Parameters: 11689512\n    FLOPs: 1\n"
    (place / "timm.yml").write_text(text)
    same = ["--index", "timm.yml", "--builder", "timm", "--offline", "--no-store"]
    status, out, _ = run("verify", "--all", *same, "--format", "json")
    found = {f["field"]: f["status"] for f in json.loads(out)["findings"]}
    assert (status, found["Parameters"], found["FLOPs"]) == (1, "match", "mismatch")
    assert "11,689,512" in run("explain", "resnet18", "Parameters", *same)[1]
    assert "mismatch flops.differs" in run("explain", "resnet18", "FLOPs", *same)[1]
    status, out, _ = run("show", "resnet18", "--profile", "--depth", "0", *same)
    assert (status, "11,689,512" in out) == (0, True)
    # Without the builder it would be another story.
    assert "build.unknown" in run("explain", "resnet18", "Parameters", *same[:2], "--offline")[1]
