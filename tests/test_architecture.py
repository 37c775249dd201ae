"""The rules of the house that a reader of one module can't see: who may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("zoo", "harness")
    for path in sorted((ROOT / package).rglob("*.py"))
}
HEAVY = frozenset(
    {"torch", "pandas", "httpx", "matplotlib", "torchvision", "fvcore", "timm", "numpy"}
)
LIGHT = ("zoo", "zoo.index", "zoo.registry", "harness.cli", "harness.run.session")
# What runs models, weights or tables, and is itself imported inside functions alone.
MAY_IMPORT_TORCH = ("zoo.models.",)


class Imports(ast.NodeVisitor):
    """The modules that a file imports: when it is imported, and anywhere at all."""

    def __init__(self, name: str) -> None:
        self.package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
        self.top: set[str] = set()
        self.anywhere: set[str] = set()
        self.depth = 0

    def visit_If(self, node: ast.If) -> None:
        """What stands under ``if TYPE_CHECKING`` never runs."""
        if ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for inner in node.orelse:
                self.visit(inner)
        else:
            self.generic_visit(node)

    def _inside(self, node: ast.AST) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _inside

    def visit_Import(self, node: ast.Import) -> None:
        self._add(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = self.package.split(".")
            parent = ".".join(parts[: len(parts) - node.level + 1])
            base = f"{parent}.{base}" if base else parent
        # A name that comes from a package may be a module of it.
        inner = {f"{base}.{alias.name}" for alias in node.names} & MODULES.keys()
        self._add({base} | inner if inner != {f"{base}.{a.name}" for a in node.names} else inner)

    def _add(self, names) -> None:
        names = set(names)
        self.anywhere |= names
        if not self.depth:
            self.top |= names


def read(name: str) -> Imports:
    imports = Imports(name)
    imports.visit(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    return imports


IMPORTS = {name: read(name) for name in MODULES}


def in_package(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def breaches(importers: str, forbidden: tuple[str, ...], *, but: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{name} imports {found}"
        for name, imports in IMPORTS.items()
        if in_package(name, importers) and name not in but
        for found in sorted(imports.anywhere)
        if any(in_package(found, package) for package in forbidden)
    ]


def test_the_library_never_imports_the_auditor():
    assert breaches("zoo", ("harness",), but=("zoo.__main__",)) == []


def test_no_claim_reaches_the_measuring():
    """`harness.types` names a location for findings; the readers of claims stay away."""
    above = ("zoo.index", "harness.check", "harness.explain", "harness.run", "harness.report")
    assert breaches("harness.measure", (*above, "harness.cli")) == []


def test_checks_and_explanations_neither_measure_nor_run():
    above = ("torch", "numpy", "harness.measure", "harness.run", "harness.report", "harness.cli")
    assert breaches("harness.check", above) == []
    assert breaches("harness.explain", above) == []


def test_reports_know_dataclasses_alone():
    below = ("harness.measure", "harness.check", "harness.explain", "harness.run", "harness.cli")
    assert breaches("harness.report", (*below, "torch", "zoo.registry", "zoo.models")) == []


def test_nothing_below_the_run_calls_upward():
    for package in ("harness.measure", "harness.check", "harness.explain", "harness.report"):
        assert breaches(package, ("harness.run", "harness.cli")) == []
    assert breaches("harness.run", ("harness.cli",)) == []


def test_light_modules_import_nothing_heavy():
    """At the top of a module; functions may. The families of models are the exception."""
    found = [
        f"{name} imports {heavy}"
        for name, imports in IMPORTS.items()
        if not name.startswith(MAY_IMPORT_TORCH)
        for heavy in sorted({found.partition(".")[0] for found in imports.top} & HEAVY)
    ]
    assert found == []


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_reaches_nothing_heavy(module):
    """Along every import that runs when the module is imported, packages of the path included."""
    seen: set[str] = set()
    # The commands are found by their names, so no import of one is seen.
    whole = module == "harness.cli"
    waiting = [name for name in MODULES if in_package(name, module)] if whole else [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in MODULES:
            continue
        seen.add(name)
        waiting += [*IMPORTS[name].top, name.rpartition(".")[0]]
        heavy = {found.partition(".")[0] for found in IMPORTS[name].top} & HEAVY
        assert not heavy, f"{module} reaches {name}, which imports {heavy}"


def cycles(edges: dict[str, set[str]]) -> Iterator[list[str]]:
    """One path back to itself for each module that is in a cycle."""
    for start in edges:
        trail = {start: None}
        waiting = [start]
        while waiting:
            name = waiting.pop()
            for target in edges.get(name, ()):
                if target == start:
                    path = [name]
                    while trail[path[-1]] is not None:
                        path.append(trail[path[-1]])
                    yield [*reversed(path), start]
                    waiting.clear()
                    break
                if target not in trail:
                    trail[target] = name
                    waiting.append(target)


def test_there_are_no_import_cycles():
    """Imports inside functions count: what needs them to break a cycle has one."""
    edges = {
        name: (imports.anywhere & MODULES.keys()) - {name} for name, imports in IMPORTS.items()
    }
    assert [" -> ".join(path) for path in cycles(edges)] == []


def test_modules_are_short():
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: n for name, n in lengths.items() if n > 450} == {}


def committed() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name]


def test_no_file_names_a_path_of_this_machine():
    """The checkout, what it lies in, the home folder, the environment that the tests run in."""
    folders = {ROOT, ROOT.parent, Path.home()}
    if sys.prefix != sys.base_prefix:
        folders.add(Path(sys.prefix))
    places = [f"{folder}/".encode() for folder in folders if len(folder.parts) > 1]
    found = [
        f"{path.relative_to(ROOT)}: {place.decode()}"
        for path in committed()
        if path.is_file()
        for place in places
        if place in path.read_bytes()
    ]
    assert found == []
