"""What makes a measurement another one: its key follows what it depends on, and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from harness.run.keys import key_of
from harness.run.plan import recipe_of
from harness.run.request import Progress, Request
from harness.run.session import prepare
from harness.types import Recipe
from zoo.index import load_index

SCRIPT = """
import json
from harness.run.keys import key_of
from harness.types import Recipe

print(json.dumps({
    f"{kind} {name}": key_of(kind, Recipe(name), size)
    for name in ("resnest50d", "efficientnet_lite0")
    for kind, size in (("structure", None), ("flops", (224, 224)), ("accuracy", "0-500"))
}))
"""


@pytest.fixture
def house(repository, tmp_path):
    """A copy of both packages that a test may change."""
    folder = tmp_path / "house"
    for package in ("zoo", "harness"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repository / package, folder / package, ignore=skip)
    return folder


@pytest.fixture
def keys(environment):
    """The keys as a copy of the packages makes them, with other folders before it."""

    def ask(*folders):
        path = ":".join(map(str, folders))
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment | {"PYTHONPATH": path},
            cwd=folders[-1],
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    return ask


def changed(before, after) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def append(path, text="\n# a change\n"):
    path.write_text(path.read_text() + text)


def test_keys_are_the_same_in_every_process(house, keys):
    assert keys(house) == keys(house)


def test_a_family_s_source_changes_its_own_keys(house, keys):
    before = keys(house)
    append(house / "zoo" / "models" / "resnest.py")
    names = changed(before, keys(house))
    assert names == {"structure resnest50d", "flops resnest50d", "accuracy resnest50d"}


def test_what_the_families_share_changes_all_keys(house, keys):
    before = keys(house)
    append(house / "zoo" / "models" / "_base.py")
    assert changed(before, keys(house)) == set(before)


@pytest.mark.parametrize(
    "module",
    ["conventions/thop", "conventions/macs", "trace", "shapes", "repeats", "structure", "build"],
)
def test_the_measuring_modules_change_what_they_measure(house, keys, module):
    before = keys(house)
    append(house / "harness" / "measure" / f"{module}.py")
    assert changed(before, keys(house)) == {name for name in before if "accuracy" not in name}


def test_the_rest_of_the_house_changes_nothing(house, keys):
    before = keys(house)
    for path in (house / "harness").rglob("*.py"):
        if path.parent.name in ("check", "explain", "report", "cli"):
            append(path)
    append(house / "zoo" / "index" / "values.py")
    append(house / "zoo" / "weights" / "fetch.py")
    assert changed(before, keys(house)) == set()


def test_another_torch_is_another_fact(house, keys, tmp_path):
    before = keys(house)
    info = tmp_path / "newer" / "torch-99.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n")
    assert changed(before, keys(tmp_path / "newer", house)) == set(before)


def test_kind_variant_builder_geometry_and_dependencies(hostile):
    made = [
        key_of("structure", Recipe("resnest50d"), None),
        key_of("structure", Recipe("resnest14d"), None),
        key_of("flops", Recipe("resnest50d"), (224, 285)),
        key_of("flops", Recipe("resnest50d"), (285, 224)),
        key_of("checkpoint", Recipe("resnest50d"), None, ["a.pth", 1, 2, 3]),
        key_of("checkpoint", Recipe("resnest50d"), None, ["a.pth", 1, 2, 4]),
        key_of("structure", Recipe("good", "hostile"), None),
        key_of("structure", Recipe("good-2", "hostile"), None),
    ]
    assert len(set(made)) == len(made)


INDEX = """\
Models:
- Name: resnest14d
  Metadata:
    FLOPs: {flops}
    Parameters: {parameters}
    Layers: {layers}
    File Size: {size}
    Image Size: 224
    Crop Pct: {crop}
  Weights: https://example.org/{file}
"""


def test_no_claim_is_part_of_a_key(tmp_path, store_home, monkeypatch):
    """A second index makes other claims of the same variant, and nothing is measured again."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    claims = [
        {
            "flops": 2764157888,
            "parameters": 10611688,
            "layers": 14,
            "size": 42562639,
            "crop": 0.875,
            "file": "a.pth",
        },
        {
            "flops": 2764157889 - 1,
            "parameters": 5,
            "layers": 3,
            "size": 7,
            "crop": 0.5,
            "file": "b.pth",
        },
    ]
    path = tmp_path / "index.yml"
    recipes = []
    for number, claim in enumerate(claims):
        path.write_text(INDEX.format(**claim))
        index = load_index([path])
        recipes.append(recipe_of(index.variants[0], "zoo"))
        checks = ("parameters", "layers", "flops")
        session = prepare(Request(index=(path,), offline=True, checks=checks))
        assert ("nothing to build" in session.plan) == (number == 1)
        session.verify(Progress())
    assert recipes[0] != recipes[1]
    assert key_of("structure", recipes[0], None) == key_of("structure", recipes[1], None)
