"""The import closure of a module: the sources that it runs, found without importing any.

Imports are read from the text by a regular expression: parsing forty modules takes longer than a
warm run. Every ``import`` statement counts, inside a function too, except under
``if TYPE_CHECKING:``, which never runs. A line of a docstring that reads like an import counts as
well: one module too many costs a measurement, one too few gives a stale one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

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

    Only modules of ``harness`` and ``zoo`` are followed. A package's ``__init__`` belongs to it
    where the package itself is imported, not where one of its modules is.

    Args:
        entries: dotted names of modules.
        without: modules and packages that are neither included nor followed.
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
