"""What a measurement depends on, as a key: same key, same fact.

The key is made without importing torch: versions are read from package metadata, and builders
say who they are by their source text or their distribution's version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.run.directory import directory_of
from harness.types import Recipe, Size


def key_of(
    kind: str, recipe: Recipe, which: Size | str | None, depends: Sequence[str | int] = ()
) -> str:
    """The key of one fact: a digest of its kind, builder, variant, geometry and versions.

    Args:
        kind: of the fact.
        recipe: the variant; its builder, name, base and classes count: nothing else steers a build.
        which: the input geometry or the part, where one matters.
        depends: what else it depends on: of a checkpoint its path, size, modification time and
            inode; of an accuracy also the pictures, and how they are prepared and run.
    """
    parts: list[Any] = [
        kind,
        recipe.builder,
        recipe.name,
        _identity(recipe.builder, recipe.architecture),
        which,
        list(depends),
        version_of("torch"),
        measuring_code(kind),
    ]
    if recipe.base is not None or recipe.classes is not None:
        parts += [recipe.base, recipe.classes]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@cache
def _identity(builder: str, name: str) -> str:
    return directory_of(builder).identity(name)


@cache
def version_of(distribution: str) -> str:
    """The version of an installed distribution, read from its metadata."""
    return version(distribution)


# The modules whose text decides what a measurement says. An accuracy costs hours of a GPU, so a
# change of its modules counts only with its number: raise it when another count could come out.
_SHAPES = [
    "build",
    "builders/interface",
    "conventions",
    "profile",
    "record",
    "repeats",
    "shapes",
    "structure",
    "trace",
]
_MODULES = {
    "preprocess": ["builders/interface"],
    "checkpoint": ["build", "builders/interface", "checkpoint"],
    "speed": ["build", "builders/interface", "devices", "speed"],
}
_NUMBERED = {"accuracy": 3}


@cache
def measuring_code(kind: str) -> str:
    """A digest of what measures that kind: a change in how is a change in what comes out."""
    if kind in _NUMBERED:
        return f"{kind} {_NUMBERED[kind]}"
    import harness.measure
    import zoo.weights

    measure = Path(harness.measure.__file__ or "").parent
    paths = [path for name in _MODULES.get(kind, _SHAPES) for path in _sources(measure / name)]
    if kind == "checkpoint":
        weights = Path(zoo.weights.__file__ or "").parent
        paths += [weights / "checkpoint.py", weights / "match.py", weights / "summary.py"]
        paths += sorted((weights / "formats").glob("*.py"))
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(module: Path) -> list[Path]:
    """The files of a module, which may be a package."""
    return sorted(module.glob("*.py")) if module.is_dir() else [module.with_suffix(".py")]
