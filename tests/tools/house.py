"""Measure the code base against its own targets: ``python -m tests.tools.house``.

The functions are what ``tests/test_house.py`` asserts on; the command prints them as a table.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("zoo", "harness")
MAX_MODULE_LINES = 450

# Words that the field does not use for these things, with what it says instead.
BANNED = {
    r"\bpictures?\b(?! and features)": "image",  # Columns of a table of features.
    r"\bgaller(?:y|ies)\b": "evaluation dataset",
    r"\basks? nobody\b": "offline",
    r"\bwhoever\b": "",
    r"\bsomebody\b": "",
    r"\bnobody\b": "",
    r"\btold\b": "reported",
    r"\btells? the story\b": "trace",
}

# Names in files that were written before, which are read and written as they are.
STORED = {"picture", "pictures", "list of pictures", "list of validation pictures"}


def modules(*packages: str) -> list[Path]:
    """The Python files of these folders of the repository."""
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def lines(path: Path) -> int:
    """How many lines a file has."""
    return path.read_text(encoding="utf-8").count("\n")


def duplicate_classes() -> dict[str, list[str]]:
    """Public top-level classes that share their name with another, with where they stand."""
    places: dict[str, list[str]] = {}
    for path in modules(*PACKAGES):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    return {name: where for name, where in places.items() if len(where) > 1}


# What is imported or read as package data under a name in quotes.
_BY_NAME = {"import_module", "find_spec", "files", "resources.files", "locate_file"}


def _is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def imported_distributions() -> set[str]:
    """The top-level modules that zoo and harness import and do not hold themselves."""
    found: set[str] = set()
    for path in modules(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in _BY_NAME:
                names = (c.value for a in node.args for c in ast.walk(a) if _is_text(c))
                found |= {n.partition(".")[0] for n in names if re.match(r"[a-z]+(\.|$)", n)}
    return found - set(PACKAGES) - sys.stdlib_module_names


def declared_dependencies() -> tuple[set[str], set[str]]:
    """The names of the required distributions and of those that an extra brings."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    optional = {
        _name(d) for key, group in extras.items() if key not in ("test", "dev") for d in group
    }
    return {_name(d) for d in project["dependencies"]}, optional


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return found[0].lower().replace("_", "-")


def undeclared() -> set[str]:
    """Modules that are imported and come from no declared distribution."""
    required, optional = declared_dependencies()
    owners = packages_distributions()
    return {
        module
        for module in imported_distributions()
        if not {_name(o) for o in owners.get(module, [module])} & (required | optional)
    }


def unused() -> set[str]:
    """Required distributions that nothing imports."""
    required, _ = declared_dependencies()
    owners = packages_distributions()
    used = {_name(o) for m in imported_distributions() for o in owners.get(m, [m])}
    return required - used


def unmapped_folders() -> list[str]:
    """Folders of the packages that CONTRIBUTING's map does not name, as ``name/``."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = {p.parent for p in modules(*PACKAGES)}
    return sorted(str(f.relative_to(ROOT)) for f in folders if f"{f.name}/" not in text)


def long_modules() -> dict[str, int]:
    """Modules above the limit, with their lines."""
    sized = {str(p.relative_to(ROOT)): lines(p) for p in modules(*PACKAGES)}
    return {name: n for name, n in sized.items() if n > MAX_MODULE_LINES}


def pages() -> list[Path]:
    """The Markdown pages that a person reads; those about models are made from the index."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def messages(path: Path) -> Iterator[str]:
    """The string constants of a module: messages, help, docstrings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if _is_text(node) and node.value not in STORED:
            yield node.value


def banned_words() -> Counter[str]:
    """File -> how many banned words its messages (of a page: its text) hold."""
    pattern = re.compile("|".join(BANNED), re.IGNORECASE)
    found: Counter[str] = Counter()
    for path in modules(*PACKAGES):
        found[str(path.relative_to(ROOT))] = sum(len(pattern.findall(t)) for t in messages(path))
    for path in pages():
        found[str(path.relative_to(ROOT))] = len(pattern.findall(path.read_text(encoding="utf-8")))
    return +found


def main() -> None:
    """Print each figure beside its target."""
    code, tests = modules(*PACKAGES), modules("tests")
    rows = [
        ("lines of zoo and harness", sum(map(lines, code)), "31,000"),
        ("modules of zoo and harness", len(code), "160"),
        ("classes that share a name", len(duplicate_classes()), "0"),
        ("lines of tests", sum(map(lines, tests)), "27,000"),
        ("modules above 450 lines", len(long_modules()), "0"),
        ("declared and not imported", len(unused()), "0"),
        ("imported and not declared", len(undeclared()), "0"),
        ("folders that the map leaves out", len(unmapped_folders()), "0"),
        ("words that the field does not use", sum(banned_words().values()), "0"),
    ]
    for words, figure, target in rows:
        print(f"{words:36}{figure:>8,}   target {target:>7}")
    for name, found in (
        ("shared class names", sorted(duplicate_classes())),
        ("not imported", sorted(unused())),
        ("not declared", sorted(undeclared())),
        ("not mapped", unmapped_folders()),
        ("long", sorted(long_modules())),
        ("words", [f"{path} {n}" for path, n in banned_words().most_common(12)]),
    ):
        if found:
            print(f"{name}: {', '.join(found)}")


if __name__ == "__main__":
    main()
