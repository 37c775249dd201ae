"""What was measured of a variant, with its provenance, as blocks of text for the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.types import Fact, Measurement, Unmeasured

# A model of many top-level modules (a thousand, in some) would bury what is read.
_STAGES = 60


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, lines of a name and a value, a table, and their provenance.

    ``share`` is the column of the table that holds a percentage, to be drawn as a bar as well.
    """

    title: str
    lines: tuple[tuple[str, str], ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    share: int | None = None
    provenance: str = ""


def blocks(facts: Iterable[Fact]) -> Iterator[Block]:
    """Each fact as blocks. Shards of an accuracy are added up: there can be hundreds of them."""
    counted: dict[tuple[str, ...], list[Measurement]] = {}
    missing: dict[tuple[str, str], list[str]] = {}
    for fact in facts:
        if isinstance(fact, Unmeasured):
            # Why it could not be built is stated once, for all that was to be measured on it.
            missing.setdefault((fact.cause, fact.why), []).append(_title(fact.kind))
        elif fact.kind == "accuracy":
            way = (fact.part or "").rpartition("@")[0]
            counted.setdefault((way, fact.method, _where(fact)), []).append(fact)
        else:
            yield from _KINDS.get(fact.kind, _other)(fact)
    for (way, *_), shards in counted.items():
        yield _accuracy(way, shards)
    for (cause, why), kinds in missing.items():
        names = ", ".join(dict.fromkeys(kinds))
        yield Block(f"Not measured: {names}", (("Cause", cause), ("Why", why)))


def _structure(fact: Measurement) -> Iterator[Block]:
    value = fact.value
    state = _mapping(value.get("state"))
    lines = [
        ("Parameters", _number(value.get("parameters"))),
        ("Trainable", _number(value.get("trainable"))),
        ("Layers", _number(value.get("layers"))),
        ("State-dict tensors", _number(state.get("tensors"))),
        ("State-dict floats", _number(state.get("float_elements"))),
    ]
    stages = _mapping(value.get("by_stage"))
    total = sum(count for count in stages.values() if isinstance(count, int)) or 1
    shown = list(stages.items())[:_STAGES]
    yield Block("Structure", _known(lines), provenance=_provenance(fact))
    if shown:
        rest = len(stages) - len(shown)
        more = (("Further stages", _number(rest)),) if rest else ()
        yield Block(
            "Profile: parameters by stage",
            more,
            ("Stage", "Parameters", "Share"),
            tuple((name, _number(count), f"{100 * count / total:.1f}%") for name, count in shown),
            share=2,
        )


def _flops(fact: Measurement) -> Iterator[Block]:
    counts = [entry for entry in _sequence(fact.value.get("counts")) if isinstance(entry, Mapping)]
    whole = next((c["value"] for c in counts if _plain(c) == "macs"), None)
    size = f" at {fact.image_size[0]}x{fact.image_size[1]}" if fact.image_size else ""
    yield Block(
        f"Profile: operations by convention{size}",
        _known([("Activations", _number(fact.value.get("activations")))]),
        ("Convention", "Count", "MACs covered"),
        tuple(
            (
                " ".join(filter(None, (str(c.get("convention")), str(c.get("variation") or "")))),
                _number(c.get("value")),
                f"{100 * c['covered'] / whole:.1f}%" if whole and c.get("covered") else "-",
            )
            for c in counts
        ),
        share=2,
        provenance=_provenance(fact),
    )


def _plain(count: Mapping[str, Any]) -> Any:
    """The convention of a count that doesn't depart from it, else None."""
    return None if count.get("variation") else count.get("convention")


def _checkpoint(fact: Measurement) -> Iterator[Block]:
    value = fact.value
    fits = value.get("fits")
    lines = [
        ("Result", _text(value.get("sentence"))),
        ("Tensors", _number(value.get("tensors"))),
        ("Fits the model", "-" if fits is None else "yes" if fits else "no"),
        ("Refused", _text(value.get("refused"))),
        ("Misfit", _text(value.get("misfit"))),
        ("Notes", _text(value.get("notes"))),
        ("Why it is larger", _text(value.get("reasons"))),
        ("Also holds", _text(value.get("holds"))),
    ]
    yield Block("Checkpoint", _known(lines), provenance=_provenance(fact))


def _file(fact: Measurement) -> Iterator[Block]:
    # Its path is left out: it means something on the machine that measured alone.
    lines = [
        ("Bytes", _number(fact.value.get("size"))),
        ("SHA-256", _text(fact.value.get("sha256"))),
        ("Hash in its name", _text(fact.value.get("name_hash"))),
        ("Redirected to", _text(fact.value.get("final_url"))),
    ]
    yield Block("File", _known(lines), provenance=_provenance(fact))


def _accuracy(way: str, shards: Sequence[Measurement]) -> Block:
    images, top1, top5 = (
        sum(s.value.get(k) or 0 for s in shards) for k in ("images", "top1", "top5")
    )
    lines = [("Images counted", _number(images))]
    if images:
        lines += [
            ("Top-1", f"{_number(top1)} right, {100 * top1 / images:.3f}%"),
            ("Top-5", f"{_number(top5)} right, {100 * top5 / images:.3f}%"),
        ]
    title = f"Accuracy, preprocessed otherwise: {way}" if way else "Accuracy"
    last = max(shards, key=lambda shard: shard.made)
    return Block(title, tuple(lines), provenance=_provenance(last))


def _speed(fact: Measurement) -> Iterator[Block]:
    rows = []
    for timing in _sequence(fact.value.get("timings")):
        latency = _mapping(timing.get("latency_ms"))
        precision = timing.get("precision")
        compiled = ", compiled" if timing.get("compiled") else ""
        setting = f"{'float32' if precision == 'off' else precision}{compiled}"
        if timing.get("failed"):
            rows.append((_number(timing.get("batch")), setting, str(timing["failed"]), "-", "-"))
            continue
        memory = timing.get("peak_memory")
        rows.append(
            (
                _number(timing.get("batch")),
                setting,
                _number(timing.get("images_per_second"), 1),
                " / ".join(_number(latency.get(p), 2) for p in ("p50", "p90", "p99")),
                "-" if memory is None else f"{memory / 1e6:,.0f} MB",
            )
        )
    head = ("Batch", "Precision", "Images/s", "Latency p50 / p90 / p99, ms", "Peak memory")
    yield Block("Speed", (), head, tuple(rows), provenance=_provenance(fact))


def _other(fact: Measurement) -> Iterator[Block]:
    """A kind that a later version may add: its plain values, by their own names."""
    lines = [(str(name), _text(value)) for name, value in fact.value.items()]
    yield Block(_title(fact.kind), _known(lines), provenance=_provenance(fact))


_KINDS = {
    "structure": _structure,
    "flops": _flops,
    "checkpoint": _checkpoint,
    "file": _file,
    "speed": _speed,
}


def _title(kind: str) -> str:
    return {"flops": "operations"}.get(kind, kind)


def _provenance(fact: Measurement) -> str:
    return " · ".join(filter(None, (fact.method, _where(fact), fact.made)))


def _where(fact: Measurement) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in fact.versions.items())
    return " · ".join(filter(None, (versions, fact.device)))


def _known(lines: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(line for line in lines if line[1] != "-")


def _number(value: Any, digits: int = 0) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def _text(value: Any) -> str:
    if value is None or value in ("", [], ()):
        return "-"
    if isinstance(value, (list, tuple)):
        return "; ".join(map(str, value))
    return str(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else ()
