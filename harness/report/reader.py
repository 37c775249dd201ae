"""Read report.json, which any program, of any version, may have written, and files of answers."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from io import BytesIO, StringIO
from typing import Any, get_args

from harness.types import Finding, Report, Status, VariantReport
from zoo._util.install import install_command
from zoo._util.text import shown, truncate
from zoo.index.types import Location, Severity
from zoo.known_datasets import ACCURACIES

# A document that is larger was not written by this package for any index that it reads.
MOST_BYTES = 256 << 20


class UnusableReport(ValueError):
    """It is not a report of this kind; the text says why, after "it is" or the like."""


def document_of(data: bytes) -> Mapping[str, Any]:
    """The document of a file's content.

    Raises:
        UnusableReport: it is not a JSON object, or too large for one.
    """
    if len(data) > MOST_BYTES:
        raise UnusableReport(f"it is larger than {MOST_BYTES:,} bytes")
    try:
        found = json.loads(data, parse_constant=_refuse_constant, parse_float=_finite)
    except UnusableReport:
        raise
    except (ValueError, RecursionError) as error:
        raise UnusableReport("it is not JSON") from error
    if not isinstance(found, dict):
        raise UnusableReport("it is not a JSON object")
    return found


def _refuse_constant(name: str) -> None:
    raise UnusableReport(f"it is not JSON: {name} is no number")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise UnusableReport(f"it has {truncate(text, 40)}, beyond every measurement")
    return number


def report_of(document: Mapping[str, Any]) -> Report:
    """The report of a document: its variants with what was measured, and its findings.

    Raises:
        UnusableReport: it is no report, one of another schema, or malformed somewhere.
    """
    findings = findings_of(document)
    environment, listed = document.get("environment"), document.get("variants")
    if not isinstance(environment, Mapping):
        raise UnusableReport("it has no environment")
    if not isinstance(listed, list):
        raise UnusableReport("it has no list of variants")
    variants = tuple(_variant(number, entry) for number, entry in enumerate(listed, 1))
    return Report(environment, variants, tuple(findings))


def findings_of(document: Mapping[str, Any]) -> list[Finding]:
    """The findings of a document.

    Raises:
        UnusableReport: it is no report, one of another schema, or one of its findings is malformed.
    """
    if not isinstance(document, Mapping):
        raise UnusableReport("it is not a JSON object")
    if document.get("schema") != 1:
        raise UnusableReport("it has another schema than 1")
    entries = document.get("findings")
    if not isinstance(entries, list):
        raise UnusableReport("it has no list of findings")
    return [_finding(number, entry) for number, entry in enumerate(entries, 1)]


# -- what the keys may hold -----------------------------------------------------------------

_Test = Callable[[Any], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return isinstance(value, str | None)


def _is_number(value: Any) -> bool:
    """Whether it is a measurement: none is below zero, or beyond what a float holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e300


def _is_percent(value: Any) -> bool:
    return _is_number(value) and value <= 100


def _maybe(test: _Test) -> _Test:
    return lambda value: value is None or test(value)


def _list_of(test: _Test) -> _Test:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _holds(**tests: _Test) -> _Test:
    """An object with these keys, null or absent where the test allows that, and any others."""
    return lambda value: (
        isinstance(value, Mapping) and all(test(value.get(key)) for key, test in tests.items())
    )


def _pair(value: Any) -> bool:
    return _list_of(_is_number)(value) and len(value) == 2


_FINDING: dict[str, _Test] = {
    **dict.fromkeys(("field", "check", "message"), _is_text),
    **dict.fromkeys(("variant", "cause", "documented", "fix", "accepted"), _is_text_or_none),
    "status": lambda value: value in get_args(Status),
    "severity": lambda value: value in (*get_args(Severity), None),
    "measured": lambda value: isinstance(value, str | None) or _is_number(value),
}
_VARIANT: dict[str, _Test] = {
    **dict.fromkeys(("name", "builder"), _is_text),
    **dict.fromkeys(("collection", "code"), _is_text_or_none),
    "measurements": lambda value: isinstance(value, Mapping),
    "versions": _maybe(lambda value: isinstance(value, Mapping) and all(map(_is_text, value))),
    "claims": _maybe(
        _list_of(_holds(field=_is_text, documented=_is_text, result=_is_text_or_none))
    ),
}
_MEASUREMENTS: dict[str, _Test] = {
    **dict.fromkeys(("parameters", "layers", "file_size", "images"), _maybe(_is_number)),
    **dict.fromkeys(("top1", "top5"), _maybe(_is_percent)),
    "image_size": _maybe(_pair),
    "sha256": _is_text_or_none,
    "flops": _maybe(
        lambda value: isinstance(value, Mapping) and all(map(_maybe(_is_number), value.values()))
    ),
    **dict.fromkeys(("checkpoint", "preprocessing"), _maybe(lambda v: isinstance(v, Mapping))),
    "evaluations": _maybe(
        _list_of(
            _holds(
                digest=_is_text,
                **dict.fromkeys(("dataset", "setting", "precision"), _is_text_or_none),
                of=_is_number,
                images=lambda value: _is_number(value) and value > 0,
                **dict.fromkeys(("top1", "top5"), _is_percent),
            )
        )
    ),
    "speeds": _maybe(
        _list_of(
            _holds(
                batch=_is_number,
                image_size=_pair,
                **dict.fromkeys(("setting", "environment"), _is_text),
                images_per_second=lambda value: _is_number(value) and value > 0,
                range=_pair,
            )
        )
    ),
}


def _refuse(entry: object, tests: Mapping[str, _Test], whose: str) -> None:
    """Raise UnusableReport for what is no object, or has a key that holds something else."""
    if not isinstance(entry, Mapping):
        raise UnusableReport(f"its {whose} is not an object")
    for name, is_valid in tests.items():
        if not is_valid(value := entry.get(name)):
            said = f"is {shown(json.dumps(value))}, " if isinstance(value, int | float) else "is "
            raise UnusableReport(f"{name} of its {whose} {said}not what schema 1 says")


def _finding(number: int, entry: Any) -> Finding:
    _refuse(entry, _FINDING, f"finding {number}")
    values: dict[str, Any] = {name: entry.get(name) for name in _FINDING}
    if entry["field"] in ACCURACIES and not isinstance(entry.get("measured"), str):
        _refuse(entry, {"measured": _maybe(_is_percent)}, f"finding {number}")
    return Finding(**values, location=_location(entry.get("location")))


def _variant(number: int, entry: Any) -> VariantReport:
    _refuse(entry, _VARIANT, f"variant {number}")
    _refuse(entry["measurements"], _MEASUREMENTS, f"variant {number}")
    return VariantReport(
        entry["name"],
        entry.get("collection"),
        entry["builder"],
        entry["measurements"],
        code=entry.get("code") or "",
    )


def _location(entry: object) -> Location | None:
    """The place, or None where it is malformed: a list of changes can do without."""
    if not isinstance(entry, Mapping):
        return None
    file, line, column = (entry.get(name) for name in ("file", "line", "column"))
    if isinstance(file, str) and isinstance(line, int) and isinstance(column, int):
        return Location(file, line, column)
    return None


# -- files of `zoo validate --predictions`: what a variant answered, image by image ----------


class NoReader(Exception):
    """What would be needed to read the file is not installed; the message says what to do."""


def answers_name(words: str) -> str:
    """What the name of a variant's file begins with."""
    return re.sub(r"[^\w.+-]", "_", words)


def read_answers(suffix: str, data: bytes) -> Mapping[str, Sequence[Any]]:
    """The columns of such a file.

    Args:
        suffix: of its name, ``.parquet`` for one that is no CSV.
        data: its content.

    Raises:
        ValueError, csv.Error: it can't be read, or has no images.
        NoReader: pyarrow is missing.
    """
    if suffix != ".parquet":
        rows = list(csv.DictReader(StringIO(data.decode("utf-8"), newline="")))
        if not rows:
            raise ValueError("it has no images")
        return {name: [row[name] for row in rows] for name in rows[0]}
    if find_spec("pyarrow") is None:
        raise NoReader(f"pyarrow is not installed; {install_command('parquet')}")
    from pyarrow import ArrowException, parquet

    try:
        found: Mapping[str, Sequence[Any]] = parquet.read_table(BytesIO(data)).to_pydict()
    except ArrowException as error:
        raise ValueError(" ".join(str(error).split())) from error
    return found
