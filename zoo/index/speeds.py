"""Speeds: a number, or several, each with the conditions that it was measured under.

    Throughput: {value: 1250, device: NVIDIA A40, batch size: 32, precision: bf16}

OpenMMLab's metafiles write a list of such mappings, with words of their own for the conditions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from zoo._util.text import shown
from zoo.index.claims import ClaimReader, Pair, raw_of
from zoo.index.nodes import Mapping, Node, Scalar, Sequence
from zoo.index.schema import FIELDS
from zoo.index.types import Claim, Value
from zoo.index.values import UNITS, Wrong

SPEEDS = frozenset(key for key, field in FIELDS.items() if field.kind == "speed")
_VALUE = "value"
# What zoo calls a condition, and what others do.
_SPELLINGS = {
    _VALUE: (_VALUE,),
    "device": ("device", "hardware", "gpu", "cpu"),
    "batch size": ("batch size", "batch"),
    "precision": ("precision", "dtype"),
    "amp": ("amp",),
    "mode": ("mode",),
    "tf32": ("tf32",),
    "layout": ("layout", "memory format"),
    "image size": ("image size", "resolution", "input size"),
    "compile": ("compile", "compiled"),
    "threads": ("threads",),
    "backend": ("backend",),
    "reference": ("reference",),
}
CONDITIONS = tuple(name for name in _SPELLINGS if name != _VALUE)
_NAMED = {spelling: name for name, all_of_it in _SPELLINGS.items() for spelling in all_of_it}
_WHOLE = frozenset({"batch size", "threads"})
_MANY = re.compile(r"[1-9][0-9]{0,8}")
_SIZE = re.compile(r"[(\[]?\s*([1-9][0-9]{0,4})(?:\s*[x×*,]\s*([1-9][0-9]{0,4}))?\s*[)\]]?")
# As zoo bench calls them; what else people write for it.
_WORDS = {
    "precision": {
        **dict.fromkeys(("float32", "fp32", "32", "full"), "float32"),
        **dict.fromkeys(("bf16", "bfloat16"), "bf16"),
        **dict.fromkeys(("fp16", "float16", "half"), "fp16"),
        **dict.fromkeys(("amp", "mixed"), "amp"),
    },
    "amp": {
        **dict.fromkeys(("off", "false", "no", "none"), "off"),
        **dict.fromkeys(("bf16", "bfloat16"), "bf16"),
        **dict.fromkeys(("fp16", "float16"), "fp16"),
        **dict.fromkeys(("on", "true", "yes"), "amp"),
    },
    "layout": {
        **dict.fromkeys(("channels_last", "channels last", "nhwc"), "channels_last"),
        **dict.fromkeys(("contiguous", "contiguous_format", "nchw"), "contiguous"),
    },
    "tf32": {
        **dict.fromkeys(("on", "true", "yes"), "on"),
        **dict.fromkeys(("off", "false", "no"), "off"),
    },
    "compile": {
        **dict.fromkeys(("on", "true", "yes", "default"), "default"),
        **dict.fromkeys(("off", "false", "no", "none", "eager"), "off"),
        **{
            mode: mode for mode in ("reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
        },
    },
}
_MAX_TEXT = 200


def conditions_of(claim: Claim, names: Iterable[str] = CONDITIONS) -> str:
    """What a speed was measured under, in words; empty for another claim, or where none is said."""
    if claim.field not in SPEEDS:
        return ""
    stated = dict(claim.settings)
    return ", ".join(
        f"{name} {'x'.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name in names
        if (value := stated.get(name)) is not None
    )


def speed_claims(reader: ClaimReader, pair: Pair) -> list[Claim]:
    """The claims of a key: one for each number."""
    node = pair.value
    items = node.items if isinstance(node, Sequence) and node.tag is None else [node]
    return [_claim(reader, replace(pair, value=item)) for item in items]


def _claim(reader: ClaimReader, pair: Pair) -> Claim:
    field, node = FIELDS[pair.key], pair.value
    if not isinstance(node, Mapping) or node.tag is not None:
        return reader.claim(pair, field)
    stated: dict[str, Value] = {}
    found: Claim | None = None
    is_readable = True
    for inner in reader.pairs(node):
        name = _NAMED.get(" ".join(inner.written.lower().replace("_", " ").split()), "")
        if name == _VALUE:
            found = reader.claim(replace(pair, value=inner.value), field)
        elif name:
            value, expected = _condition(name, inner.value, reader.source.text)
            stated[name] = value
            if expected and not reader.foreign:
                is_readable = False
                what = f"has {inner.written} {shown(str(value))!r}"
                wrong = Wrong("schema.wrong-type", what, f"write {expected}", inner.value)
                reader.report(wrong, pair.written)
        elif not reader.foreign:
            what = f"has {shown(inner.written)!r}, by which no speed is compared"
            remedy = f"write value, {', '.join(CONDITIONS)}; others are not read"
            reader.report(Wrong("schema.unknown-key", what, remedy, inner.value), pair.written)
    if found is None:
        raw, where = raw_of(node, reader.source.text), reader.source.locate(node.start)
        if reader.foreign:
            return Claim(field.key, raw, raw, "text", None, where)
        remedy = f"add value: {field.example}"
        reader.report(Wrong("schema.wrong-type", "has no value", remedy, node), pair.written)
        return Claim(field.key, raw, None, UNITS[field.kind], None, where)
    value = found.value if is_readable else None
    return replace(found, value=value, settings=tuple(sorted(stated.items())))


def _condition(name: str, node: Node, text: str) -> tuple[Value, str]:
    """What a condition says, and what would be right where it can't be read."""
    raw = raw_of(node, text).strip()[:_MAX_TEXT]
    if name in _WHOLE:
        is_whole = _MANY.fullmatch(raw) is not None
        return (int(raw), "") if is_whole else (raw, "a whole number, 1 to 999,999,999")
    if name == "image size":
        found = _SIZE.fullmatch(raw)
        if found is None:
            return raw, "a size in pixels (height x width), 1 to 99,999"
        return (int(found[1]), int(found[2] or found[1])), ""
    words = _WORDS.get(name)
    if words is None:
        is_text = isinstance(node, Scalar) and bool(raw)
        return raw, "" if is_text else "a text"
    known = words.get(raw.lower().rpartition(".")[2])
    return (
        (raw, f"one of {', '.join(dict.fromkeys(words.values()))}")
        if known is None
        else (known, "")
    )
