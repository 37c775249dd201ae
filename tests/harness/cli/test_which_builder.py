"""Who builds a variant: whom its index names, or another who is asked for."""

from __future__ import annotations

import json
import os

import pytest
from cli import run_zoo
from distributions import install, python_path

from zoo.index import load_index

INDEX = """\
Builder: timm
Collections:
- Name: Ours
  Builder: zoo
- Name: Theirs
  Metadata: {Builder: torchvision}
Models:
- {Name: resnest14d, In Collection: Ours, Metadata: {Parameters: 10611688}}
- {Name: resnet18, In Collection: Theirs, Metadata: {Parameters: 11689512}}
- {Name: resnet18d, Metadata: {Parameters: 11708744}}
- {Name: vgg11, Builder: torchvision, Metadata: {Parameters: 132863336}}
"""


@pytest.fixture
def here(tmp_path):
    """Runs the command beside an index of this text, in a folder of its own."""

    def run(text, *arguments, **changes):
        (tmp_path / "model-index.yml").write_text(text)
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")} | changes
        return run_zoo(arguments, cwd=tmp_path, environment=environment)

    return run


@pytest.mark.slow
def test_several_builders_in_one_index_build_what_is_theirs(here):
    done = here(INDEX, "verify", "--all", "--offline", "--format", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["summary"]["match"] == 4
    builders = {v["name"]: v["builder"] for v in document["variants"]}
    expected = ["zoo", "torchvision", "timm", "torchvision"]
    assert list(builders.values()) == expected
    assert "builders zoo, torchvision, timm, " in done.stderr
    # Asked for, one builds all of them; so it does by a variable.
    for words, environment in ((["--builder", "timm"], {}), ([], {"ZOO_BUILDER": "timm"})):
        other = here(
            INDEX, "verify", "resnet18", "vgg11", "--format", "json", *words, **environment
        )
        assert {v["builder"] for v in json.loads(other.stdout)["variants"]} == {"timm"}


def test_the_project_names_the_builder_of_an_index_that_names_none(here, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.zoo]\nbuilder = "torchvision"\n')
    silent = INDEX.replace("Builder: timm\n", "")
    for text, builder in ((INDEX, "timm"), (silent, "torchvision")):
        done = here(text, "verify", "resnet18d", "--dry-run")
        assert f"builder {builder}," in done.stderr


def test_what_an_index_imports_is_built_by_its_builder_unless_it_says_otherwise(tmp_path):
    model = "Models: [{Name: %s, Metadata: {Layers: 2}}]\n"
    (tmp_path / "model-index.yml").write_text("Import: [b/*.yml]\nBuilder: first\n" + model % "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x.yml").write_text(model % "x")
    (tmp_path / "b/y.yml").write_text(model % "y" + "Builder: second\n")
    (tmp_path / "c.yml").write_text(model % "c")
    found = {v.name: v.effective("Builder") for v in load_index([tmp_path]).variants}
    named = {name: claim and claim.value for name, claim in found.items()}
    assert named == {"a": "first", "x": "first", "y": "second", "c": None}


def test_an_unknown_builder_is_one_line_where_models_are_built(here):
    for text, place in (
        (INDEX.replace("Builder: timm", "Builder: tim"), "1:10"),
        (INDEX.replace("Builder: zoo", "Builder: tim"), "4:12"),
        (INDEX.replace("vgg11, Builder: torchvision", "vgg11, Builder: tim"), "11:26"),
    ):
        done = here(text, "verify", "--all")
        assert done.returncode == 2
        line = f"error: model-index.yml:{place}: Builder: no builder is called 'tim'"
        assert done.stderr.splitlines() == [
            line,
            "hint: there are: mmpretrain, timm, torchvision, zoo",
        ]
        assert done.stdout == ""
        # Who builds nothing needs no builder.
        for command in (["audit"], ["list"], ["show", "vgg11"], ["fetch", "--all", "--dry-run"]):
            assert here(text, *command).returncode == 0, command
    assert here(INDEX.replace("timm", "tim"), "verify", "vgg11", "--dry-run").returncode == 0
    unread = here(INDEX.replace("timm", "[a]"), "verify", "resnet18d", "--format", "json")
    causes = {f["cause"] for f in json.loads(unread.stdout)["findings"]}
    assert causes == {"schema.wrong-type", "schema.unreadable-dependency"}


def test_no_plugin_is_imported_for_what_builds_nothing(here, tmp_path, repository):
    install(tmp_path / "site", "mine = my_builder:Kind", "open('/dev/stderr', 'w').write('HERE')")
    path = python_path(tmp_path / "site", repository)
    text = INDEX.replace("timm", "mine")
    for command in (["audit"], ["list"], ["fetch", "--all", "--dry-run"]):
        done = here(text, *command, PYTHONPATH=path)
        assert done.returncode == 0, done.stderr
        assert "HERE" not in done.stderr
    assert "HERE" in here(text, "verify", "resnet18d", PYTHONPATH=path).stderr
