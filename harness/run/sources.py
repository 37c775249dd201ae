"""Who a third-party builder is that does not say so itself: a digest of the code it runs.

Of what a distribution has installed its version and its record tell. Of all else, as of an editable
one, the sources tell: those of the builder's package, and of the other packages that they import
and that are not installed either. Only a builder's own process asks:
its modules are imported there.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from harness.measure.builders import BuilderError, Origin

# What decides a model: code, and the tables that code reads.
_CODE = (".py", ".pyx", ".so", ".pyd", ".c", ".cc", ".cpp", ".cu", ".h")
_SOURCES = frozenset({*_CODE, ".json", ".toml", ".yaml", ".yml", ".cfg", ".ini"})
# A larger file is known by its size and modification time.
_READ_WHOLE = 2**22
_INSTALLED = frozenset({"site-packages", "dist-packages"})
# Not parsed: that takes longer than all else in a warm run. A line of a docstring that reads like
# an import costs a measurement at most.
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([^\n;#]+))", re.MULTILINE
)
_REQUIRED = re.compile(r"[\w.-]+")


def default_identity(builder: object, origin: Origin) -> str:
    """A short text that changes whenever the builder's code or what it requires does.

    Args:
        builder: what the entry point made.
        origin: the module and the distribution of its entry point.

    Raises:
        BuilderError: its code is in no file.
    """
    modules = dict.fromkeys([origin.module, type(builder).__module__])
    packages = list(dict.fromkeys(module.partition(".")[0] for module in modules))
    distribution, recorded = origin.distribution, set[Path]()
    digest = hashlib.sha256()
    if distribution is not None:
        digest.update(repr([distribution.version, *_required(distribution)]).encode())
        record = distribution.read_text("RECORD")
        if record:
            digest.update(record.encode())
            recorded = {Path(str(file.locate())).resolve() for file in distribution.files or ()}
    found = False
    for name, path, content in _sources(packages):
        found = True
        if path.resolve() not in recorded:
            digest.update(f"{name!r} {len(content)}\n".encode() + content)
    if not found:
        raise BuilderError(
            f"the sources of {origin.module} can't be read; give the builder a method "
            "identity(name), whose text changes whenever its models do"
        )
    return f"source:{digest.hexdigest()[:16]}"


def _required(distribution: Distribution) -> list[str]:
    """The versions of the distributions that it requires, where they are installed."""
    found = []
    for requirement in distribution.requires or ():
        match = _REQUIRED.match(requirement)
        with suppress(PackageNotFoundError):
            found.append(f"{match[0]} {version(match[0])}" if match else requirement)
    return sorted(set(found))


def _sources(packages: list[str]) -> Iterator[tuple[str, Path, bytes]]:
    """The sources of some top-level packages, and of those that they import and are their like."""
    seen, waiting = set(packages), list(packages)
    while waiting:
        for name, path in _files(waiting.pop(0)):
            try:
                stat = path.stat()
                large = stat.st_size > _READ_WHOLE
                content = repr((stat.st_size, stat.st_mtime_ns)).encode() if large else b""
                content = content or path.read_bytes()
            except OSError as error:  # A link to nothing, say: that is what is there.
                content = repr(error.errno).encode()
            yield name, path, content
            for package in sorted(_imported(content) if path.suffix == ".py" else ()):
                if package not in seen and _is_own(package):
                    waiting.append(package)
                seen.add(package)


def _files(package: str) -> Iterator[tuple[str, Path]]:
    """The files of a package that count, each by its name from there, sorted."""
    origin, places = _found(package)
    if origin is not None and not places:
        yield origin.name, origin
    for place in places:
        # A folder that is a package only for want of another may hold anything.
        suffixes = _SOURCES if origin is not None else {".py"}
        for folder, inner, files in os.walk(place):
            inner[:] = sorted(d for d in inner if d != "__pycache__" and d[0] != ".")
            for path in (Path(folder, file) for file in sorted(files)):
                if path.suffix in suffixes:
                    yield f"{package}/{path.relative_to(place).as_posix()}", path


def _found(package: str) -> tuple[Path | None, list[Path]]:
    """The file of a top-level module, and the folders of a package, without importing it."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None, []
    if spec is None:
        return None, []
    origin = Path(spec.origin) if spec.has_location and spec.origin else None
    return origin, [Path(place) for place in spec.submodule_search_locations or ()]


def _is_own(package: str) -> bool:
    """Whether a package is no part of Python and not installed."""
    if package in sys.stdlib_module_names:
        return False
    origin, places = _found(package)
    found = [*places, *filter(None, [origin])]
    return bool(found) and not any(_INSTALLED & set(path.parts) for path in found)


def _imported(source: bytes) -> set[str]:
    """The top-level packages that a module seems to import, anywhere in it."""
    names: set[bytes] = set()
    for origin, modules in _IMPORT.findall(source):
        names |= {(word.split() or [b""])[0] for word in (origin or modules).split(b",")}
    found = {name.partition(b".")[0].decode(errors="replace") for name in names}
    return {name for name in found if name.isidentifier()}
