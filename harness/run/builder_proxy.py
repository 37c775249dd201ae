"""Proxy of a builder: third-party builders answer from a process of their own.

The builders of this package read files and answer at once. Another distribution's builder may
raise, hang, end the process or import torch when it is only asked for its names; it answers from a
process of its own, and what goes wrong there is one line.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from harness.config import UsageError
from harness.measure.builders import BuilderError, Origin, built_in, get_builder, origin_of
from harness.measure.meta import describe_error
from harness.run import guard
from zoo._util.text import ForeignOutput, foreign, pass_on

_ANSWER_SECONDS = 120.0  # What it imports may take long on a machine with other work.
_LEAVE_SECONDS = 1.0
_CHUNK = 2**16
_MOST_PRINTED = 2**16


class BuilderProxy(Protocol):
    """The part of a `harness.measure.builders.Builder` that a run needs before it builds."""

    def knows(self, name: str) -> bool:
        """Whether there is a variant of that name."""

    def names(self) -> list[str]:
        """All variants' names."""

    def identity(self, name: str) -> str:
        """A short text that changes whenever something else could be built."""


@cache
def open_builder(builder: str) -> BuilderProxy:
    """Open the builder of that name.

    Raises:
        BuilderError: there is none, or it can't be used; the message says why.
        UsageError: it hangs or ends its process as it is loaded.
    """
    if built_in(builder):
        return cast("BuilderProxy", get_builder(builder))  # Those all say who they are.
    return _RemoteBuilder(builder)


class _RemoteBuilder:
    """A third-party builder, in a process that starts with it."""

    def __init__(self, builder: str) -> None:
        self._builder = builder
        self._process = guard.start(
            "harness.run.builder_proxy:serve", builder, text=True, encoding="utf-8"
        )
        self._printing = threading.Thread(target=self._pass_on, daemon=True)
        self._printing.start()
        atexit.register(self._leave)
        self._ask("ready")

    def _end(self) -> None:
        guard.end(self._process)

    def _leave(self) -> None:
        """End it, and let what it printed be seen."""
        self._end()
        self._printing.join(_LEAVE_SECONDS)

    def _pass_on(self) -> None:
        """Show what the builder prints, up to a limit; read all of it, or it would wait."""
        printed, shown = 0, ForeignOutput()
        assert self._process.stderr is not None
        pipe = self._process.stderr.fileno()
        with suppress(ValueError, OSError):  # Closed by now.
            while chunk := os.read(pipe, _CHUNK):
                pass_on(shown(chunk[: max(0, _MOST_PRINTED - printed)]))
                printed += len(chunk)

    def knows(self, name: str) -> bool:
        return bool(self._ask("knows", name))

    def names(self) -> list[str]:
        return list(map(str, self._ask("names")))

    def identity(self, name: str) -> str:
        return str(self._ask("identity", name))

    def _ask(self, method: str, *arguments: str) -> Any:
        """The answer to one question.

        Raises:
            BuilderError: it raised an error, which may be about this question alone.
            UsageError: it hung or ended its process.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._end()

        timer = threading.Timer(_ANSWER_SECONDS, give_up)
        timer.start()
        try:
            process.stdin.write(json.dumps([method, *arguments]) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        except BaseException:  # An interrupt: the answer would be taken for that of another.
            self._end()
            raise
        finally:
            timer.cancel()
        asked = "as it was loaded" if method == "ready" else f"when asked {method}{arguments!r}"
        asked = asked.replace(",)", ")")
        if not line.endswith("\n"):
            how = (
                f"did not answer within {_ANSWER_SECONDS:g} seconds"
                if late.is_set()
                else f"ended its process (status {process.wait()})"
            )
            self._printing.join(_LEAVE_SECONDS)
            # No other question would be answered either.
            raise UsageError(f"--builder: the builder {self._builder} {how} {asked}")
        answer = json.loads(line)
        if "error" in answer:
            how = "can't be used" if method == "ready" else f"failed {asked}"
            whose = "" if answer["ours"] else f"the builder {self._builder} {how}: "
            raise BuilderError(f"{whose}{answer['error']}")
        return answer["is"]


def serve() -> None:
    """Serve requests about the builder named on the command line, until input ends."""
    answers = guard.answers()
    builder: Any = None
    identity = cache(lambda: default_identity(builder, origin_of(sys.argv[1])))
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        answer: dict[str, Any]
        try:
            if method == "ready":
                builder = get_builder(sys.argv[1])
                _complain_of(builder)
                answer = {"is": True}
            elif method == "identity" and not hasattr(builder, "identity"):
                answer = {"is": identity()}
            else:
                answer = {"is": _plain(method, getattr(builder, method)(*arguments))}
        except BaseException as error:  # noqa: BLE001 - whatever a builder raises is reported
            answer = {"error": _one_line(error), "ours": isinstance(error, BuilderError)}
        print(json.dumps(answer), file=answers, flush=True)


def _complain_of(builder: Any) -> None:
    missing = [m for m in ("knows", "names", "build") if not hasattr(builder, m)]
    if missing:
        raise BuilderError(f"{type(builder).__name__} has no method {' or '.join(missing)}")


def _plain(method: str, answer: Any) -> Any:
    if method == "names":
        return [str(name) for name in answer]
    return bool(answer) if method == "knows" else str(answer)


def _one_line(error: BaseException) -> str:
    return foreign(error) if isinstance(error, BuilderError) else describe_error(error)


# -- who a builder is that does not say so itself: a digest of the code it runs ---------------
# Of what a distribution has installed its version and its record tell. Of all else, as of an
# editable one, the sources tell: those of the builder's package, and of the other packages that
# they import and that are not installed either. Only a builder's own process asks: its modules are
# imported there.

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
    """A text that changes whenever the builder's code or what it requires does, and tells which.

    Args:
        builder: what the entry point made.
        origin: the module and the distribution of its entry point.

    Raises:
        BuilderError: its code is in no file.
    """
    modules = dict.fromkeys([origin.module, type(builder).__module__])
    packages = list(dict.fromkeys(module.partition(".")[0] for module in modules))
    distribution, recorded = origin.distribution, set[Path]()
    digest, beside = hashlib.sha256(), ""
    if distribution is not None:
        versions = [f"{distribution.name} {distribution.version}", *_required(distribution)]
        beside = f" with {', '.join(versions)}"
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
    return f"source:{digest.hexdigest()[:16]}{beside}"


def _required(distribution: Distribution) -> list[str]:
    """The versions of the distributions that it requires, where they are installed."""
    found = []
    for requirement in distribution.requires or ():
        match = _REQUIRED.match(requirement)
        with suppress(PackageNotFoundError):
            found += [f"{match[0]} {version(match[0])}"] if match else []
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
