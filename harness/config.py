"""What can be set for the command, in `[tool.zoo]` of a pyproject.toml or by a flag.

Both go through the same rules, so that a value is right or wrong wherever it is written. The keys
are the names of the long options.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.run.request import DEFAULT_GROUPS, GROUPS, USUAL_TIMEOUT, Request, UsageError
from zoo._util.text import nearest
from zoo.labels import is_imagenet

FILE = "pyproject.toml"
FAIL_ON = ("error", "warning", "never")
AMP = ("off", "bf16", "fp16")
ENGINES = ("local", "ray")
DECODE = ("pillow", "fast")
COUNTERS = ("fvcore",)
DATASET = "imagenet-1k"
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smh])")
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?) ?([KMGT]i?B|)", re.IGNORECASE)
_UNITS = {"": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("IB", 1024))
}
_LEAST_MEMORY = 2**28  # Python with torch takes as much before any model is built.
# What a run was told of its report, and not of what is measured.
_OF_ONE_RUN = frozenset({"checks", "refresh", "format", "fail-on", "baseline", "cross-check"})
# What is said of images alone.
_OF_IMAGES = ("dataset", "samples", "budget", "decode")
# How a switch is turned off that a file may have turned on.
_OPPOSITES = {
    "no-store": "store",
    "refresh": "no-refresh",
    "offline": "online",
    "no-download": "download",
    "allow-http": "https-only",
    "allow-local": "index-folder-only",
    "compile": "eager",
}
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run; see `harness.run.request.Request` for what they mean.

    ``given`` holds the flags among them, as they were given.
    """

    index: tuple[Path, ...] = ()
    builder: str = "zoo"
    checks: tuple[str, ...] = DEFAULT_GROUPS
    device: str = "auto"
    format: str = "table"
    fail_on: str = "error"
    baseline: Path | None = None
    no_store: bool = False
    refresh: bool = False
    offline: bool = False
    no_download: bool = False
    max_bytes: int | None = None
    allow_http: bool = False
    allow_local: bool = False
    data: str | None = None
    dataset: str | None = None
    samples: int | None = None
    budget: float | None = None
    amp: str = "off"
    compile: bool = False
    decode: str = "pillow"
    workers: int | None = None
    engine: str = "local"
    address: str | None = None
    timeout: float = USUAL_TIMEOUT
    max_memory: int | None = None
    cross_check: str | None = None
    given: tuple[tuple[str, Any], ...] = field(default=(), compare=False)

    def request(self, select: tuple[str, ...]) -> Request:
        """The run that these settings ask for, of these variants."""
        return Request(
            index=self.index,
            select=select,
            builder=self.builder,
            checks=self.checks,
            device=self.device,
            use_store=not self.no_store,
            refresh=self.refresh,
            offline=self.offline,
            no_download=self.no_download,
            max_bytes=self.max_bytes,
            allow_http=self.allow_http,
            allow_local=self.allow_local,
            data=self.data,
            dataset=self.dataset,
            samples=self.samples,
            budget=self.budget,
            amp=self.amp,
            compile=self.compile,
            decode=self.decode,
            decode_workers=self.workers,
            engine=self.engine,
            address=self.address,
            timeout=self.timeout,
            max_memory=self.max_memory,
            cross_check=self.cross_check,
        )

    def with_flags(self, flags: Mapping[str, Any]) -> Settings:
        """These settings, but for the flags that were given: those that are not None.

        Raises:
            UsageError: a flag's value is wrong; one line for each that is.
        """
        given = {key: value for key, value in flags.items() if value is not None}
        made = replace(self, **_checked(given, "--"), given=tuple(given.items()))
        # A file may hold what some runs heed; who writes a flag expects something of it.
        idle = [
            f"--{key}: there are no images to look at; name them with --data, or leave it out"
            for key in _OF_IMAGES
            if key in given and made.data is None
        ]
        if "address" in given and made.engine != "ray":
            idle.append("--address: is a Ray cluster's; write --engine ray, or leave it out")
        if idle:
            raise UsageError(*idle)
        return made

    def repeated(self) -> str:
        """The flags that were given, as another command is given them to see what this run saw."""
        return shlex.join(
            word
            for key, value in self.given
            if key not in _OF_ONE_RUN
            for each in (value if isinstance(value, list | tuple) else (value,))
            for word in _as_written(key, each)
        )


def _as_written(key: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{key}" if value else f"--{_OPPOSITES[key]}"]
    return [f"--{key}", str(value)]


def load(folder: Path) -> Settings:
    """The settings of the nearest pyproject.toml with a `[tool.zoo]`, from ``folder`` upwards.

    Paths in it are relative to the folder that it is in.

    Raises:
        UsageError: it can't be read, or a key or a value in it is wrong; one line for each.
    """
    for parent in [folder, *folder.parents]:
        path = parent / FILE
        table = _table(path, folder)
        if table is not None:
            values = _checked(table, f"{os.path.relpath(path, folder)}: [tool.zoo] ")
            if "index" in values:
                values["index"] = tuple(_beside(path, each, folder) for each in values["index"])
            if "baseline" in values:
                values["baseline"] = _beside(path, values["baseline"], folder)
            return Settings(**values)
    return Settings()


def _table(path: Path, folder: Path) -> Mapping[str, object] | None:
    """The file's `[tool.zoo]`; None where there is no such file or no such table."""
    name = os.path.relpath(path, folder)
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"{name}: can't be read: {error.strerror or error}") from error
    if b"zoo" not in content:  # Another project's file: its mistakes are not ours to report.
        return None
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        tool = toml.loads(content.decode("utf-8")).get("tool")
    except ValueError as error:
        raise UsageError(f"{name}: is no TOML: {error}") from error
    table = tool.get("zoo") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{name}: [tool.zoo]: {table!r} is no table; write [tool.zoo] and keys")
    return table


def _beside(path: Path, entry: Path, folder: Path) -> Path:
    # An installed package is nowhere beside the file.
    named = str(entry).startswith("package:")
    if path.parent == folder or entry.is_absolute() or named:
        return entry
    return Path(os.path.relpath(path.parent / entry, folder))


def _checked(values: Mapping[str, object], prefix: str) -> dict[str, Any]:
    """The values by attribute name, each as its rule understands it; ``prefix`` says where."""
    right: dict[str, Any] = {}
    wrong: list[str] = []
    for key, value in values.items():
        try:
            right[key.replace("-", "_")] = _rule(key)(value)
        except ValueError as error:
            wrong.append(f"{prefix}{key}: {error}")
    if wrong:
        raise UsageError(*wrong)
    return right


def _rule(key: str) -> Callable[[object], Any]:
    if key not in _RULES:
        raise ValueError(f"there is no such key; {_instead(key, _RULES)}")
    return _RULES[key]


def _instead(word: str, words: Iterable[str]) -> str:
    words = list(words)
    near = nearest(word, words, n=1)
    return f"did you mean {near[0]}?" if near else f"write {', '.join(words[:-1])} or {words[-1]}"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text; write a word in quotes")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false; write one of them")
    return value


def _count(value: object, *, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{value!r} is no number; write a whole number from {least}")
    return value


def _duration(value: object) -> float:
    """Seconds, from ``90s``, ``10m`` or ``2h``; a plain number is seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not float(match[1]):
        raise ValueError(f"{value!r} is no time; write one such as 90s, 10m or 2h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def _memory(value: object) -> int:
    """Bytes, from ``8GiB``, ``512MB`` or a plain number."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < _LEAST_MEMORY:
        raise ValueError(f"{value!r} is no memory to work in; write 256MiB or more, such as 8GiB")
    return size


def _word(words: tuple[str, ...], value: object) -> str:
    if value not in words:
        raise ValueError(f"{value!r} is not one of them; write {' or '.join(words)}")
    return str(value)


def _bytes(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is no number of bytes; write a whole number from 1")
    return value


def _paths(value: object) -> tuple[Path, ...]:
    paths: list[Path] = []
    for entry in value if isinstance(value, (list, tuple)) else [value]:
        if not isinstance(entry, (str, Path)) or not str(entry):
            raise ValueError(f"{value!r} is no path; write a path, or a list of paths")
        paths.append(Path(entry))
    return tuple(paths)


def _path(value: object) -> Path:
    if not isinstance(value, (str, Path)) or not str(value):
        raise ValueError(f"{value!r} is no path; write the path of a file")
    return Path(value)


def _groups(value: object) -> tuple[str, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError(f"{value!r} is no list; write names such as {','.join(GROUPS[:2])}")
    names = [entry.strip() for entry in entries if entry.strip()]
    for name in names:
        if name not in GROUPS:
            raise ValueError(f"there are no checks {name!r}; {_instead(name, GROUPS)}")
    if not names:
        raise ValueError(f"names no checks; write some of {','.join(GROUPS)}")
    return tuple(dict.fromkeys(names))


def _dataset(value: object) -> str:
    if not isinstance(value, str) or not value or not is_imagenet(value):
        raise ValueError(f"{value!r} can't be stated of images; write {DATASET}, or leave it out")
    return DATASET


def _device(value: object) -> str:
    if not isinstance(value, str) or not _DEVICE.fullmatch(value):
        raise ValueError(f"{value!r} is no device; write auto, cpu, cuda or cuda:0")
    return value


def _format(value: object) -> str:
    from harness.report import UnknownFormatError, get_format

    try:
        get_format(_text(value))
    except UnknownFormatError as error:
        raise ValueError(str(error)) from error
    return _text(value)


def _fail_on(value: object) -> str:
    if value not in FAIL_ON:
        raise ValueError(f"{value!r} is no severity to fail on; {_instead('', FAIL_ON)}")
    return str(value)


_RULES: Mapping[str, Callable[[object], Any]] = {
    "index": _paths,
    "builder": _text,
    "checks": _groups,
    "device": _device,
    "format": _format,
    "fail-on": _fail_on,
    "baseline": _path,
    "no-store": _switch,
    "refresh": _switch,
    "offline": _switch,
    "no-download": _switch,
    "max-bytes": _bytes,
    "allow-http": _switch,
    "allow-local": _switch,
    "data": _text,
    "dataset": _dataset,
    "samples": _count,
    "budget": _duration,
    "timeout": _duration,
    "max-memory": _memory,
    "amp": partial(_word, AMP),
    "compile": _switch,
    "decode": partial(_word, DECODE),
    "engine": partial(_word, ENGINES),
    "address": _text,
    "cross-check": partial(_word, COUNTERS),
    "workers": partial(_count, least=0),
}
