"""Rows of the store: sealed with a digest when written, and checked before a fact is believed.

A cache folder is copied, shared, cut short by a full disk and edited by hand. A row is taken for a
fact only where its digest is that of its key and its contents, where its contents have the shape
that its kind of fact has, and where it is the very fact that was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from math import isclose, isfinite
from typing import Any

from harness.check.shards import span_of
from harness.check.weights import MISFIT, REFUSED
from harness.types import PUT_OUT, Measurement, Recipe, Slot
from zoo.licenses import expression_of
from zoo.preprocessing import CROP_MODES

# The columns of a row but for its digest, in the order of the table.
COLUMNS = ("key", "kind", "builder", "name", "made", "body")
# Part of every digest: rows of another layout are not read.
_LAYOUT = "zoo measurement 2"

# Larger than any true figure, and small enough to be a float.
_MOST = 2**100
_MOST_SIDE = 2**24
_MOST_DEPTH = 16
_ENVELOPE = frozenset(each.name for each in fields(Measurement))

Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Some of the rows: those for which all of this is true, and all where nothing is said.

    Attributes:
        kinds: of one of these kinds.
        names: of a variant of one of these names, or that one of these globs fits.
        before: made earlier than that.
    """

    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    before: datetime | None = None

    def condition(self) -> tuple[str, list[str]]:
        """The condition in SQL, and its values."""
        parts, values = [], [*self.kinds]
        if self.kinds:
            parts.append(f"kind IN ({', '.join('?' * len(self.kinds))})")
        if self.names:
            parts.append(f"({' OR '.join(['name = ? OR name GLOB ?'] * len(self.names))})")
            values += (form for each in self.names for form in (each, each.replace("[!", "[^")))
        if self.before is not None:  # What is no time at all is not known to be older.
            parts.append("julianday(made) < julianday(?)")
            values.append(self.before.isoformat())
        return f" WHERE {' AND '.join(parts)}" if parts else "", values


ALL = Wanted()


class DamagedRow(ValueError):
    """A row that is no fact; the message says why, in a few words."""


def pack(key: str, fact: Measurement) -> tuple[str, ...]:
    """A fact as a row, its digest last.

    Raises:
        ValueError, TypeError, RecursionError: it can't be written as JSON.
    """
    body = json.dumps(asdict(fact), allow_nan=False)
    row = (key, fact.kind, fact.builder, fact.name, fact.made, body)
    return (*row, _digest(row))


def unpack(row: Sequence[object]) -> Measurement:
    """The fact of a row, its columns as bytes.

    Raises:
        DamagedRow: it was not written by `pack`, or not left as it was.
    """
    try:
        columns = tuple(_decoded(column) for column in row)
        if columns[-1] != _digest(columns[:-1]):
            raise DamagedRow("it is not what its digest says")
        body = json.loads(columns[-2], parse_constant=_refuse)
        _check_plain(body)
        return _fact(body, dict(zip(COLUMNS, columns, strict=False)))
    except DamagedRow:
        raise
    except (ValueError, RecursionError) as error:
        raise DamagedRow("it can't be read") from error


def why_unfit(fact: Measurement, recipe: Recipe | None = None, slot: Slot | None = None) -> str:
    """Why a fact is not to be believed, in a few words; empty where it is.

    The recipe and the slot are of the fact that was asked for, where that is known.
    """
    if recipe is not None and (fact.builder, fact.name) != (recipe.builder, recipe.name):
        return "it is another variant's"
    if slot is not None and fact.slot != slot:
        return "it is another fact"
    try:
        whole = fact.kind not in _KINDS or _KINDS[fact.kind](fact)
    except ValueError:  # Of a part that is no span.
        whole = False
    return "" if whole else f"it is not of the shape that {fact.kind} has"


def _digest(columns: Sequence[str]) -> str:
    import hashlib

    return hashlib.sha256(json.dumps([_LAYOUT, *columns]).encode()).hexdigest()


def _decoded(column: object) -> str:
    if not isinstance(column, bytes):
        raise DamagedRow("a column is not text")
    return column.decode("utf-8")


def _refuse(constant: str) -> None:
    raise DamagedRow(f"it holds {constant}")


def _check_plain(value: object, depth: int = 0) -> None:
    """Raise DamagedRow for what no fact holds: other depths, and numbers beyond all figures."""
    if depth > _MOST_DEPTH:
        raise DamagedRow("it is nested too deeply")
    if isinstance(value, list):
        for each in value:
            _check_plain(each, depth + 1)
    elif isinstance(value, dict):
        for each in value.values():
            _check_plain(each, depth + 1)
    elif isinstance(value, int | float) and not -_MOST < value < _MOST:
        raise DamagedRow("it holds a number beyond all figures")


def _fact(body: object, columns: Mapping[str, str]) -> Measurement:
    if not isinstance(body, dict) or body.keys() != _ENVELOPE or not _is_envelope(body):
        raise DamagedRow("it is no measurement")
    if any(body[name] != columns[name] for name in ("kind", "builder", "name", "made")):
        raise DamagedRow("its columns differ from its contents")
    size = body["image_size"]
    return Measurement(**{**body, "image_size": None if size is None else tuple(size)})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and isfinite(value)


def _is_amount(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_size(value: Any) -> bool:
    return _each(lambda side: _is_count(side) and 0 < side < _MOST_SIDE)(value) and len(value) == 2


def _is_time(value: Any) -> bool:
    try:
        return bool(datetime.fromisoformat(value))
    except (ValueError, TypeError):
        return False


def _one_of(*words: str) -> Test:
    return lambda value: _is_text(value) and value in words


def _maybe(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _each(test: Test) -> Test:
    return lambda value: isinstance(value, list | tuple) and all(map(test, value))


def _by_name(test: Test) -> Test:
    return lambda value: isinstance(value, dict) and all(map(test, value.values()))


def _holds(**tests: Test) -> Test:
    """A mapping with these keys, and perhaps others."""
    return lambda value: (
        isinstance(value, dict)
        and tests.keys() <= value.keys()
        and all(test(value[key]) for key, test in tests.items())
    )


_is_envelope = _holds(
    kind=_is_text,
    name=_is_text,
    builder=_is_text,
    value=lambda value: isinstance(value, dict),
    image_size=_maybe(_is_size),
    method=_is_text,
    versions=_by_name(_is_text),
    device=_is_text,
    made=_is_time,
    part=_maybe(_is_text),
)

_KIND_NAMES = (
    *("auxiliary", "classes", "classifier", "convolutions", "distillation", "distillation_token"),
    *("folded", "last_norm", "linear", "loose", "norms", "patch", "positions", "rows", "scales"),
    "width",
)
_kinds = _holds(**dict.fromkeys(_KIND_NAMES, _is_integer))
_LAYOUT_NAMES = ("tensors", "float_elements", "vector_elements", "other_bytes", "path_bytes")
_layout = dict.fromkeys(_LAYOUT_NAMES, _is_count)
_interface = _holds(
    parameters=_is_count,
    modules=_by_name(_maybe(_holds(**{"class": _is_text}, weight=_maybe(_each(_is_count))))),
)
_runs = _holds(outputs=_each(_each(_is_count)), features=_maybe(_each(_is_count)), refused=_is_text)
_structure = _holds(
    parameters=_is_count,
    trainable=_is_count,
    buffers=_is_count,
    layers=_maybe(_is_count),
    kinds=_kinds,
    by_stage=_by_name(_is_count),
    state=_holds(**_layout),
    head=_holds(name=_is_text, **_layout),
    forms=_by_name(_holds(parameters=_is_count, kinds=_kinds)),
    built_as=_is_text,
    no_forms=_is_text,
    left_out=_is_text,
)
_count = _holds(convention=_is_text, variation=_is_text, value=_is_number, covered=_is_number)
_some = _maybe(_is_count)
_flops = _holds(
    counts=_each(_count),
    activations=_is_count,
    put_out=_holds(**dict.fromkeys(PUT_OUT[:2], _is_count), **dict.fromkeys(PUT_OUT[2:], _some)),
    by_operator=_by_name(_is_amount),
)
_module = {"path": _is_text, "class": _is_text, "parameters": _is_count}
_profile = _holds(
    modules=_each(_holds(macs=_is_amount, output=_maybe(_each(_is_count)), **_module)),
    uncalled=_each(_holds(**_module)),
)
_settings = _holds(
    weights=_is_text,
    image_size=_maybe(_is_size),
    crop_pct=_maybe(_is_amount),
    interpolation=_maybe(_is_text),
    mean=_maybe(_each(_is_number)),
    std=_maybe(_each(_is_number)),
    url=_maybe(_is_text),
    crop_mode=lambda value: value in (None, *CROP_MODES),
    license=lambda value: value is None or (_is_text(value) and expression_of(value) == value),
)
_preprocess = _holds(
    chosen=lambda value: value in (None, "url", "name", "default"),
    settings=_each(_settings),
    others=_each(_settings),
    owners=_each(_is_text),
)
_refused = _holds(refused=_one_of(*REFUSED), why=_is_text)
_opened = _holds(
    tensors=_is_count,
    fits=_is_flag,
    misfit=_maybe(_one_of(*MISFIT)),
    sentence=_is_text,
    notes=_each(_is_text),
    half=_maybe(_is_text),
    reasons=_each(_is_text),
    entry=_maybe(_is_text),
    others=_each(_is_text),
    holds=_each(_is_text),
    all_zero=_is_flag,
    odd_layout=_is_flag,
)
_counted = _holds(
    images=_is_count,
    top1=_is_count,
    top5=_is_count,
    unreadable=_each(lambda pair: _each(_is_text)(pair) and len(pair) == 2),
    not_finite=_is_count,
    precision=_is_text,
    others=_maybe(_each(_is_text)),
    predictions=_maybe(lambda pair: _each(_is_text)(pair) and len(pair) == 2),
)
_compared = _holds(images=_is_count, differ=_is_count)
_timing = _holds(
    batch=_is_count,
    best=_is_flag,
    precision=_is_text,
    amp=_one_of("off", "bf16", "fp16"),
    layout=_one_of("channels_last", "contiguous"),
    image_size=_is_size,
    compile=_maybe(_is_text),
    compiled=_is_flag,
    weights=_is_text,
    environment=_holds(
        device=_is_text,
        device_name=_is_text,
        cpu=_is_text,
        cores=_is_count,
        threads=_is_count,
        torch=_is_text,
        tf32=_is_flag,
    ),
)
_figures = _holds(
    images_per_second=_is_amount,
    images_per_second_range=lambda pair: _each(_is_amount)(pair) and len(pair) == 2,
    latency_ms=_holds(p50=_is_amount, p90=_is_amount, p99=_is_amount),
    passes=_is_count,
    peak_memory=_maybe(_is_integer),
    compile_seconds=_maybe(_is_amount),
    peak_reserved=_maybe(_is_integer),
    joules_per_image=_maybe(_is_amount),
    contended=_maybe(_is_flag),
    graph_latency_ms=_maybe(_holds(p50=_is_amount, p90=_is_amount, p99=_is_amount)),
    agreement=_maybe(_holds(images=_is_count, same=_is_count)),
    not_compared=_maybe(_is_text),
)


def _is_structure(fact: Measurement) -> bool:
    value = fact.value
    return (
        _structure(value)
        and value["trainable"] <= value["parameters"] == sum(value["by_stage"].values())
        and fact.image_size is None
    )


def _is_flops(fact: Measurement) -> bool:
    if not _flops(fact.value) or fact.image_size is None:
        return False
    plain = {c["convention"]: c["value"] for c in fact.value["counts"] if not c["variation"]}
    operators = sum(fact.value["by_operator"].values())
    return "macs" in plain and isclose(plain.get("fvcore", -1), operators, rel_tol=1e-9)


def _is_fvcore(fact: Measurement) -> bool:
    whole = _holds(by_operator=_by_name(_is_amount))(fact.value)
    return whole and "fvcore" in fact.versions and fact.image_size is not None


def _is_profile(fact: Measurement) -> bool:
    value = fact.value
    return _profile(value) and bool(value["modules"]) and value["modules"][0]["path"] == ""


def _is_preprocess(fact: Measurement) -> bool:
    value = fact.value
    return _preprocess(value) and bool(value["settings"]) == (value["chosen"] is not None)


def _is_checkpoint(fact: Measurement) -> bool:
    value = fact.value
    if value.get("refused") is not None:
        return _refused(value) and ("fits" not in value or _opened(value))
    return (
        "refused" in value
        and _opened(value)
        and (value["fits"] or bool(value["misfit"] or value["holds"]))
    )


def _is_accuracy(fact: Measurement) -> bool:
    value = fact.value
    if fact.part is None or not _counted(value):
        return False
    if value.get("decoder") and not _compared(value["decoder"]):
        return False
    span, images = span_of(fact.part), int(value["images"])
    most = images - len(value["unreadable"])
    return images == span.end - span.begin and max(value["top1"], value["top5"]) <= most


def _is_speed(fact: Measurement) -> bool:
    timings = fact.value.get("timings")
    whole = _each(lambda one: _timing(one) and (_is_text(one.get("failed")) or _figures(one)))
    return bool(timings and whole(timings))


_KINDS: Mapping[str, Callable[[Measurement], bool]] = {
    "structure": _is_structure,
    "interface": lambda fact: _interface(fact.value),
    "runs": lambda fact: _runs(fact.value),
    "flops": _is_flops,
    "derived": _is_flops,
    "fvcore": _is_fvcore,
    "profile": _is_profile,
    "preprocess": _is_preprocess,
    "checkpoint": _is_checkpoint,
    "accuracy": _is_accuracy,
    "speed": _is_speed,
}
KINDS = tuple(_KINDS)
