"""What values an option may have: one rule for each kind, wherever the value is written."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from zoo.known_datasets import KNOWN, known_dataset

# The groups of checks that `--checks` names. Speed is measured only when it is asked for: it
# takes minutes, and a busy machine would make it a lottery.
GROUPS = (
    *("metadata", "parameters", "layers", "flops", "preprocess", "weights", "accuracy"),
    "speed",
)
DEFAULT_GROUPS = GROUPS[:-1]
# What a run can fail for, the gravest first; each fails for those before it as well.
UNVERIFIED = "unverified"
SEVERITIES = ("error", "warning", "note", UNVERIFIED)
NEVER = "never"
OWN_BUILDER = "zoo"  # It builds what this package has written.
LEVELS = ("debug", "info", "warning", "error")
# Speeds that are measured so can be shown beside one another.
USUAL_SECONDS = 5.0
# Seconds that one variant may take: a hang costs no more, and no model is slower to build.
USUAL_TIMEOUT = 300.0
AUTO = "auto"
"""What stands in ``--dataset`` for images whose names have to tell what they are."""
_NUMBER = r"(\d{1,18}(?:\.\d{1,9})?) ?"
_TIME = re.compile(_NUMBER + "([smhdw]?)", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZE = re.compile(_NUMBER + "([KMGT]i?B|B|)", re.IGNORECASE)
_PIXELS = re.compile(r"(\d{1,5})(?:x(\d{1,5}))?")
_UNITS = {"": 1, "B": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for suffix, base in (("B", 1000), ("IB", 1024))
}
_MIN_MEMORY = 2**28  # Python with torch takes as much before any model is built.
_MOST_DAYS = 365_000  # A thousand years: the calendar has no more than two.
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
SWITCH_WORDS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off"), False
)


class UsageError(Exception):
    """The command line is wrong, or an index yields no variant: exit status 2.

    Attributes:
        lines: one line per mistake, each saying what is wrong and what would be right.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class OptionRule:
    """What values are right.

    Attributes:
        check: the value as the program uses it, from one of TOML or Python; ValueError says what is
            wrong with it, and what would be right.
        parse: what a word of the command line or of an environment variable stands for.
        metavar: what the help calls a value.
        words: the choices, for completion.
        is_path: a relative path in a file is relative to the file's folder.
        is_switch: it takes no value on the command line.
        repeated: it may be given several times.
        show: a value as it may be written, for the help.
    """

    check: Callable[[object], Any]
    parse: Callable[[str], object] = str
    metavar: str = "NAME"
    words: Callable[[], Iterable[str]] | None = None
    is_path: bool = False
    is_switch: bool = False
    repeated: bool = False
    show: Callable[[Any], str] = _shown


def suggestion(word: str, words: Iterable[str]) -> str:
    """The word that was probably meant, or else all that there are."""
    from zoo._util.text import nearest

    words = list(words)
    near = nearest(word, words, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"write {' or '.join(filter(None, (', '.join(words[:-1]), words[-1])))}"


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not text; write a word in quotes")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false; write one of them")
    return value


def _number(kind: type, text: str) -> object:
    try:
        return kind(text)
    except ValueError:
        return text


def whole(least: int | None = None) -> OptionRule:

    def check(value: Any) -> int:
        right = isinstance(value, int) and not isinstance(value, bool)
        if right and (least is None or value >= least):
            return int(value)
        limit = "" if least is None else f" from {least}"
        raise ValueError(f"{value!r} is not a whole number{limit}; write one, or leave it out")

    return OptionRule(check, lambda text: _number(int, text), "N")


def real(above: float) -> OptionRule:

    def check(value: Any) -> float:
        right = isinstance(value, int | float) and not isinstance(value, bool)
        if right and above < value < math.inf:
            return float(value)
        raise ValueError(f"{value!r} is not a number above {above}; write one, or leave it out")

    return OptionRule(check, lambda text: _number(float, text), "X")


def choice(noun: str, *words: str) -> OptionRule:
    """One of these words; ``noun`` says with its article what they are."""

    def check(value: object) -> str:
        if value not in words:
            word = value if isinstance(value, str) else ""
            raise ValueError(f"{value!r} is not {noun}; {suggestion(word, words)}")
        return str(value)

    return OptionRule(check, words=lambda: words)


def _seconds(text: str, unit: str, units: str = "smh") -> float:
    """A time in seconds, of which a plain number has that unit; 0 where it is none."""
    match = _TIME.fullmatch(text.strip())
    written = (match[2].lower() or unit) if match else ""
    return float(match[1]) * _SECONDS[written] if match and written in units else 0.0


def duration(least: float = 0) -> OptionRule:
    """A time in seconds, from ``least``, or any but none at all."""

    def check(value: Any) -> float:
        time = _seconds(value, "s") if isinstance(value, str) else value
        right = isinstance(time, int | float) and not isinstance(time, bool)
        if right and 0 < time < math.inf and time >= least:
            return float(time)
        limit = f" from {least:g} seconds" if least else ""
        raise ValueError(f"{value!r} is not a time{limit}; write one such as 90s, 10m or 2h")

    def show(value: Any) -> str:
        unit = next((u for u in "hm" if value % _SECONDS[u] == 0), "s")
        return f"{value / _SECONDS[unit]:g}{unit}"

    return OptionRule(check, metavar="TIME", show=show)


def _age(value: object) -> timedelta:
    """How long ago something may have been made."""
    days = _seconds(value, "d", "smhdw") / 86_400 if isinstance(value, str) else 0
    if not 0 < days <= _MOST_DAYS:
        raise ValueError(f"{value!r} is not an age; write one such as 30d, 12h or 90m")
    return timedelta(days=days)


def _bytes(value: object) -> int | None:
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match:
        return int(float(match[1]) * _UNITS[match[2].upper()])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _size(value: object) -> int:
    size = _bytes(value)
    if size is None or size < 1:
        raise ValueError(f"{value!r} is not a size; write one such as 500MB, 2GiB or 1000000")
    return size


def _memory(value: object) -> int:
    size = _bytes(value)
    if size is None or size < _MIN_MEMORY:
        raise ValueError(f"{value!r} is not enough memory; write 256MiB or more, such as 8GiB")
    return size


def _image_size(value: object) -> tuple[int, int]:
    match = _PIXELS.fullmatch(str(value))
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if min(size) < 8 or max(size) > 16_384:
        raise ValueError(f"{value!r} is not a size in pixels; write one such as 224 or 224x288")
    return size


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{value!r} is not a path; write one")
    return Path(value)


def _paths(value: object) -> tuple[Path, ...]:
    entries = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(entry, str | Path) and str(entry) for entry in entries):
        raise ValueError(f"{value!r} is not a path; write a path, or a list of paths")
    return tuple(map(Path, entries))


def _groups(value: object) -> tuple[str, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list | tuple) or not all(isinstance(e, str) for e in entries):
        raise ValueError(f"{value!r} is not a list; write names such as {','.join(GROUPS[:2])}")
    names = [entry.strip() for entry in entries if entry.strip()]
    for name in names:
        if name not in GROUPS:
            raise ValueError(f"there are no checks {name!r}; {suggestion(name, GROUPS)}")
    if not names:
        raise ValueError(f"names no checks; write some of {','.join(GROUPS)}")
    return tuple(dict.fromkeys(names))


def _several(value: object) -> list[str]:
    """The words of an option that may be repeated, and may have several with commas between."""
    entries = value if isinstance(value, list | tuple) else [value]
    return [word.strip() for entry in entries for word in str(entry).split(",")]


def _names(value: object) -> tuple[str, ...]:
    names = _several(value)
    if not all(names):
        raise ValueError(f"{value!r} holds an empty name; write the names of variants, or globs")
    return tuple(names)


def _all_kinds() -> tuple[str, ...]:
    from harness.run.rows import KINDS

    return KINDS


def _kinds(value: object) -> tuple[str, ...]:
    kind = choice("a kind of measurement", *_all_kinds())
    return tuple(map(kind.check, _several(value)))


def _all_columns() -> tuple[str, ...]:
    from harness.report.comparison import COLUMNS

    return tuple(COLUMNS)


def _columns(value: object) -> tuple[str, ...]:
    column = choice("a column", *_all_columns())
    return tuple(dict.fromkeys(map(column.check, _several(value))))


def _report_address(value: object) -> str:
    from harness.report.source import web_address

    return web_address(_text(value))


def _address(value: object) -> str:
    from harness.report.source import template

    template(_text(value))
    return _text(value)


_BEST_BATCH = "best"


def _batches(value: object) -> tuple[int, ...]:
    entries = value.split(",") if isinstance(value, str) else value
    try:
        words = [str(entry).strip() for entry in entries]  # type: ignore[attr-defined]
        sizes = tuple(0 if word == _BEST_BATCH else int(word) or -1 for word in words)
    except (TypeError, ValueError):
        sizes = ()
    if not sizes or min(sizes) < 0:
        raise ValueError(f"{value!r} is not a list of sizes; write one such as 1,8,32 or 1,best")
    return sizes


_PRECISIONS = ("off", "bf16", "fp16")


def _precisions(value: object) -> tuple[str, ...]:
    words = [word.replace("float32", "off") for word in _several(value)]
    found = dict.fromkeys(map(choice("a precision", *_PRECISIONS).check, words))
    return tuple(sorted(found, key=_PRECISIONS.index))


def _datasets(value: object) -> tuple[str, ...]:
    entries = value if isinstance(value, list | tuple) else [value]
    found = []
    for entry in entries:
        known = known_dataset(entry) if isinstance(entry, str) else None
        if known is None and entry != AUTO:
            raise ValueError(
                f"{entry!r} can't be stated of images; write {', '.join(KNOWN)}, or leave it out"
            )
        found.append(AUTO if known is None else known.name)
    return tuple(found)


def _places(value: object) -> tuple[str, ...]:
    _paths(value)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _device(value: object) -> str:
    if not isinstance(value, str) or not _DEVICE.fullmatch(value):
        raise ValueError(f"{value!r} is not a device; write auto, cpu, cuda or cuda:0")
    return value


def _format(value: object) -> str:
    from harness.report import UnknownFormatError, get_format

    try:
        get_format(_text(value))
    except UnknownFormatError as error:
        raise ValueError(str(error)) from error
    return _text(value)


def _formats() -> Iterable[str]:
    from harness.report import formats

    return formats()


def _index_paths(text: str) -> object:
    """Paths as PATH has them; the colon of ``package:`` separates none."""
    return re.split(rf"(?<!package){re.escape(os.pathsep)}", text)


TEXT = OptionRule(_text)
SWITCH = OptionRule(_switch, lambda text: SWITCH_WORDS.get(text.lower(), text), is_switch=True)
PATH = OptionRule(_path, metavar="FILE", is_path=True)
PAGES = OptionRule(_paths, _index_paths, "FILE", is_path=True, repeated=True)
COLUMNS = OptionRule(_columns, metavar="LIST", words=_all_columns, repeated=True)
INDEX = OptionRule(_paths, _index_paths, "PATH", is_path=True, repeated=True)
DURATION = duration()
AGE = OptionRule(_age, metavar="AGE")
SIZE = OptionRule(_size, metavar="SIZE")
MEMORY = OptionRule(_memory, metavar="SIZE")
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
COMPILE = choice("a mode of torch.compile", *COMPILE_MODES)
CAST = choice("a precision", "float32", "bf16", "fp16")
LAYOUT = choice("a memory format", "channels_last", "contiguous")
PRECISIONS = OptionRule(_precisions, metavar="LIST", words=lambda: _PRECISIONS)
CHECKS = OptionRule(_groups, metavar="LIST", words=lambda: GROUPS)
NAMES = OptionRule(_names, repeated=True)
KINDS = OptionRule(_kinds, metavar="LIST", words=_all_kinds, repeated=True)
REPORT_ADDRESS = OptionRule(_report_address, metavar="URL")
ADDRESS = OptionRule(_address, metavar="URL")
BATCHES = OptionRule(_batches, metavar="LIST")
DATASET = OptionRule(
    _datasets, lambda text: text.split(","), words=lambda: (*KNOWN, AUTO), repeated=True
)
IMAGE_SIZE = OptionRule(_image_size, metavar="PIXELS")
DEVICE = OptionRule(_device, words=lambda: ("auto", "cpu", "cuda"))
FORMAT = OptionRule(_format, words=_formats)
# A path or the word `sample`; what it names is looked at when it is opened.
DATA = OptionRule(_places, _index_paths, "PATH", is_path=True, repeated=True)
IMAGES = OptionRule(_text, metavar="PATH", is_path=True)
