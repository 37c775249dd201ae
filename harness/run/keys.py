"""Store keys: all that a measurement depends on; same key, same fact.

The key is made without importing torch: versions are read from package metadata, and builders
say who they are by their source text or their distribution's version.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.measure.builders import module_of
from harness.run.builder_proxy import open_builder
from harness.types import Recipe, Size


def key_of(
    kind: str, recipe: Recipe, which: Size | str | None, depends: Sequence[str | int] = ()
) -> str:
    """The key of one fact: a digest of its kind, builder, variant, geometry and versions.

    Of the recipe builder, name, base and classes count: nothing else steers a build. ``depends``
    has what else it depends on: of a checkpoint its path, size, modification time and inode; of an
    accuracy also the images, and how they are prepared and run.
    """
    parts: list[Any] = [
        kind,
        recipe.builder,
        recipe.name,
        identity_of(recipe.builder, recipe.architecture),
        which,
        list(depends),
        version_of("torch"),
        measuring_code(kind, recipe.builder),
    ]
    if recipe.base is not None or recipe.classes is not None:
        parts += [recipe.base, recipe.classes]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@cache
def identity_of(builder: str, name: str) -> str:
    """What a builder says of itself for one of its names, see `Builder.identity`."""
    return open_builder(builder).identity(name)


@cache
def version_of(distribution: str) -> str:
    """The version of an installed distribution, read from its metadata."""
    return version(distribution)


# Where the making of a kind of fact begins; all that is imported from there decides the fact.
_ENTRIES = {"speed": "harness.measure.speed"}
_ENTRY = "harness.measure.profile"
# What is imported there for one kind alone.
_ALONE = {
    "checkpoint": ("harness.measure.checkpoint", "zoo.weights.load"),
    "fvcore": ("harness.measure.cross_check",),
    "accuracy": ("harness.measure.accuracy",),
}
# A native model is known by its source text (see `zoo.registry.model_source`), and built with no
# weights.
_IDENTIFIED = ("zoo.models", "zoo.weights")
# An accuracy costs hours of a GPU, so a change of its modules counts only with its number: raise
# it when another count could come out.
_NUMBERED = {"accuracy": 4}


@cache
def measuring_code(kind: str, builder: str) -> str:
    """A digest of what measures that kind: a change in how is a change in what comes out."""
    if kind in _NUMBERED:
        return f"{kind} {_NUMBERED[kind]}"
    others = [each for other, modules in _ALONE.items() if other != kind for each in modules]
    sources = import_closure([_ENTRIES.get(kind, _ENTRY)], without=others)
    module = module_of(builder)
    if module is not None:
        sources |= import_closure([module], without=_IDENTIFIED)
    digest = hashlib.sha256()
    for name, source in sorted(sources.items()):
        digest.update(f"{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:16]


# The import closure of a module is read from the texts by a regular expression: parsing forty
# modules takes longer than a warm run. A line of a docstring that reads like an import counts as
# well: one module too many costs a measurement, one too few gives a stale one.
_ROOT = Path(__file__).resolve().parents[2]
_TYPES_ONLY = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+[^\n]*\n|\n)+", re.MULTILINE)
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+((?:harness|zoo)(?:\.\w+)*|\.[.\w]*)[ \t]+import[ \t]+"
    r"(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]*))",
    re.MULTILINE,
)
_COMMENT = re.compile(r"#[^\n]*")


def import_closure(entries: Iterable[str], without: Iterable[str] = ()) -> dict[str, bytes]:
    """The sources of some modules and of all that they import, by dotted name, sorted.

    Every import counts, inside a function too, except under ``if TYPE_CHECKING:``, which never
    runs. Only modules of ``harness`` and ``zoo`` are followed, and none of ``without``. A package's
    ``__init__`` belongs to it where the package is imported, not where one of its modules is.
    """
    left_out = tuple(without)
    found: dict[str, bytes] = {}
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in found or any(name == out or name.startswith(f"{out}.") for out in left_out):
            continue
        source = _source(name)
        if source is not None:
            found[name] = source
            waiting += _imports(name)
    return dict(sorted(found.items()))


def _path(name: str) -> Path | None:
    """The file of a module or package; None for a name that is something inside a module."""
    place = _ROOT.joinpath(*name.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _source(name: str) -> bytes | None:
    path = _path(name)
    return None if path is None else path.read_bytes()


@cache
def _imports(name: str) -> tuple[str, ...]:
    """The dotted names that a module imports; ``from a import b`` gives ``a`` and ``a.b``."""
    text = _TYPES_ONLY.sub("", (_source(name) or b"").decode("utf-8"))
    return tuple(dict.fromkeys(_named(name, text)))


def _named(name: str, text: str) -> Iterator[str]:
    for origin, members, modules in _IMPORT.findall(text):
        if origin:
            package = _absolute(name, origin)
            yield package
            for member in _listed(members):
                yield f"{package}.{member}"
        else:
            yield from (m for m in _listed(modules) if m.partition(".")[0] in ("harness", "zoo"))


def _listed(text: str) -> Iterator[str]:
    """The names of ``(a, b as c)``, without what they are called afterwards."""
    for item in _COMMENT.sub("", text).strip("() \t\\").split(","):
        words = item.split()
        if words:
            yield words[0]


def _absolute(name: str, origin: str) -> str:
    """The package that ``from .origin`` means inside a module."""
    above = len(origin) - len(origin.lstrip("."))
    if not above:
        return origin
    path = _path(name)
    parts = name.split(".")
    levels = above - 1 if path is not None and path.name == "__init__.py" else above
    base = parts[: len(parts) - levels]
    return ".".join([*base, *filter(None, [origin.lstrip(".")])])
