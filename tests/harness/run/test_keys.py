"""What makes a measurement another one: its key follows what it depends on, and nothing else."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
from cli import run_python

from harness.run import keys
from harness.run.keys import key_of
from harness.run.plan import recipe_of
from harness.types import Measurement, Recipe
from zoo.index import load_index


@pytest.fixture(scope="module")
def house(repository, tmp_path_factory):
    """A copy of both packages that a test may change."""
    folder = tmp_path_factory.mktemp("house")
    for package in ("zoo", "harness"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repository / package, folder / package, ignore=skip)
    return folder


EACH_MODULE = """
import json, sys
from pathlib import Path
from harness.run import keys
from harness.types import Recipe
from zoo import registry

root = Path(keys.__file__).resolve().parents[2]
adapted = Recipe("mine", base="resnest50d", classes=7)
asked = {
    "structure": (adapted, None), "flops": (adapted, (224, 224)), "profile": (adapted, (224, 224)),
    "preprocess": (adapted, None), "checkpoint": (adapted, None), "speed": (adapted, None),
    "accuracy": (adapted, "0-500"), "structure timm": (Recipe("resnet18", "timm"), None),
    "structure other": (Recipe("efficientnet_lite0"), None),
}

def made():
    for cached in (
        keys._source, keys._imports, keys.measuring_code, keys.identity_of, keys.version_of
    ):
        cached.cache_clear()
    for cached in ("families", "_sources"):
        registry._REGISTRY.__dict__.pop(cached, None)
    return {
        name: keys.key_of(name.partition(" ")[0], recipe, which)
        for name, (recipe, which) in asked.items()
    }

before, changed = made(), {}
for names in json.loads(sys.argv[1]):
    texts = {root / name: (root / name).read_bytes() for name in names.split()}
    for path, text in texts.items():
        path.write_bytes(text + b"\\n# a change\\n")
    changed[names] = sorted(kind for kind, key in made().items() if key != before[kind])
    for path, text in texts.items():
        path.write_bytes(text)
assert made() == before
sys.path.insert(0, sys.argv[2])
changed["torch"] = sorted(kind for kind, key in made().items() if key != before[kind])
print(json.dumps([before, changed]))
"""


@pytest.fixture
def ran(repository, tmp_path):
    """The files of this checkout whose code runs while one fact of each kind is made."""
    import torch

    from harness.measure.profile import Profiler

    torch.save({"weight": torch.zeros(3)}, tmp_path / "odd.pth")
    recipe = Recipe("mine", base="resnest14d", classes=7)
    kinds = ("structure", "flops", "profile", "preprocess", "checkpoint")
    codes = set()

    def note(frame, event, argument):
        codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        facts = Profiler().measure(recipe, kinds, ((64, 64),), str(tmp_path / "odd.pth"))
    finally:
        sys.setprofile(None)
    assert [type(fact) for fact in facts] == [Measurement] * 5, facts
    files = {code.co_filename for code in codes if code.co_name != "<module>"}
    folders = tuple(f"{repository}/{package}/" for package in ("harness", "zoo"))
    return sorted(f.removeprefix(f"{repository}/") for f in files if f.startswith(folders))


@pytest.mark.slow
def test_each_module_that_makes_a_fact_changes_its_key(
    repository, house, environment, ran, tmp_path
):
    """What runs in truth while facts are made, and not what a text says of imports."""
    folders = ("check", "explain", "report", "cli")
    paths = [p for folder in folders for p in (house / "harness" / folder).rglob("*.py")]
    paths += [house / "zoo" / name for name in ("index/values.py", "weights/fetch.py")]
    rest = " ".join(str(path.relative_to(house)) for path in paths)
    builders = [f"harness/measure/builders/{name}.py" for name in ("timm", "native")]
    others = ["harness/measure/speed.py", "harness/measure/devices.py", "zoo/models/_base.py"]
    named = [*ran, rest, *builders, *others]
    info = tmp_path / "newer" / "torch-99.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n")
    done = run_python(
        ["-c", EACH_MODULE, json.dumps(named), str(tmp_path / "newer")],
        env=environment | {"PYTHONPATH": str(house)},
        cwd=house,
        check=True,
    )
    before, made = json.loads(done.stdout)
    # Another process, another folder, the same sources.
    assert before["structure"] == key_of(
        "structure", Recipe("mine", base="resnest50d", classes=7), None
    )
    assert set(made.pop("torch")) == set(before)
    changes = {name: set(kinds) for name, kinds in made.items()}
    shapes = {"structure", "flops", "profile", "preprocess", "checkpoint"}
    silent = {name for name, kinds in changes.items() if not kinds}
    # That of the weights finds what it is asked for by name, and makes nothing.
    assert silent - {"zoo/weights/__init__.py"} == {rest}
    assert len(ran) > 20
    for module in ("functional_hooks", "builders/__init__", "trace", "fastpath", "flops/thop"):
        assert changes[f"harness/measure/{module}.py"] >= {*shapes, "structure timm"}, module
    for module in ("zoo/weights/match.py", "harness/measure/checkpoint.py"):
        assert changes[module] == {"checkpoint"}, module
    assert changes["harness/measure/speed.py"] == {"speed"}
    assert changes["harness/measure/builders/timm.py"] == {"structure timm"}
    native = {*shapes, "structure other", "speed"}
    assert changes["harness/measure/builders/native.py"] == native
    assert changes["zoo/registry.py"] >= native
    assert changes["zoo/models/_base.py"] == {*native, "accuracy"}
    assert changes["zoo/models/resnest.py"] == {*shapes, "speed", "accuracy"}


@pytest.mark.slow
def test_imports_are_read_as_python_reads_them():
    """Every way to write one, against the interpreter's own parser, over all of both packages."""
    import ast

    def imported(name, node):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        if isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)
        for child in ast.iter_child_nodes(node):
            yield from imported(name, child)

    root = keys._ROOT
    for path in (*root.glob("harness/**/*.py"), *root.glob("zoo/**/*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        known = {m for m in imported(name, ast.parse(path.read_text())) if m is not None}
        ours = {m for m in known if m.partition(".")[0] in ("harness", "zoo")}
        assert ours <= set(keys._imports(name)), name
    lines = {
        "from .a import b as c, d": {"x.y.a", "x.y.a.b", "x.y.a.d"},
        "from . import (\n    a,  # why\n    b,\n)": {"x.y", "x.y.a", "x.y.b"},
        "    from ..z import a": {"x.z", "x.z.a"},
        "import zoo.a as b, os, harness.c": {"zoo.a", "harness.c"},
        "from zoolander import a\nimportant = 1": set(),
        "if TYPE_CHECKING:\n    from zoo.a import b\n\n    import zoo.c\nimport zoo.d": {"zoo.d"},
    }
    for text, names in lines.items():
        running = keys._TYPES_ONLY.sub("", text)
        assert set(keys._named("x.y.here", running)) == names, text


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
    FLOPs: 2764157888
    Parameters: {parameters}
    Layers: {layers}
    File Size: {size}
    Image Size: 224
    Crop Pct: {crop}
  Weights: https://example.org/{file}
"""


@pytest.mark.slow
def test_no_claim_is_part_of_a_key(zoo, tmp_path):
    """A second index makes other claims of the same variant, and nothing is measured again."""
    claims = [
        {"parameters": 10611688, "layers": 14, "size": 42562639, "crop": 0.875, "file": "a.pth"},
        {"parameters": 5, "layers": 3, "size": 7, "crop": 0.5, "file": "b.pth"},
    ]
    path = tmp_path / "index.yml"
    recipes = []
    for number, claim in enumerate(claims):
        path.write_text(INDEX.format(**claim))
        recipes.append(recipe_of(load_index([path]).variants[0], "zoo"))
        arguments = ("--all", "--offline", "--checks", "parameters,layers,flops")
        done = zoo("verify", "--index", str(path), *arguments)
        assert ("nothing to build" in done.stderr) == (number == 1)
    assert recipes[0] != recipes[1]
    assert key_of("structure", recipes[0], None) == key_of("structure", recipes[1], None)
