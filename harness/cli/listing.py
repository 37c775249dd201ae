"""What an index documents, as text: all variants in a line each, or one with every claim."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from zoo._util.text import for_terminal, truncate
from zoo.index.types import Claim, Variant

_COLUMNS = ("variant", "collection", "parameters", "image size", "top-1")
_FIELDS = {"parameters": "Parameters", "image_size": "Image Size", "top1": "Top 1 Accuracy"}


def table(variants: Sequence[Variant], *, heading: bool) -> str:
    """One line for each variant, with its claims as they are written; a dash where it has none."""
    rows: list[Sequence[str]] = [_COLUMNS] if heading else []
    for variant in variants:
        claims = [variant.effective(field) for field in _FIELDS.values()]
        written = ["-" if claim is None else claim.raw for claim in claims]
        rows.append((variant.name, _collection(variant) or "-", *written))
    return _aligned(rows)


def document(variants: Sequence[Variant]) -> str:
    """The same as a JSON array, with normalised values; null where there is no claim."""
    entries = []
    for variant in variants:
        entry: dict[str, Any] = {"name": variant.name, "collection": _collection(variant)}
        for key, field in _FIELDS.items():
            claim = variant.effective(field)
            entry[key] = None if claim is None else _plain(claim.value)
        entries.append(entry)
    return json.dumps(entries, indent=2, allow_nan=False) + "\n"


def claims(variant: Variant) -> str:
    """Everything that the index claims of a variant, and where each claim stands."""
    own = [(_name(claim), _in_a_line(claim.raw), str(claim.location)) for claim in variant.claims]
    text = f"{for_terminal(variant.name)}  {for_terminal(str(variant.location))}\n"
    text += _indented(own)
    collection = variant.collection
    if collection is not None:
        taken = {claim.field for claim in variant.claims}
        inherited = [claim for claim in collection.claims if claim.field not in taken]
        rows = [(_name(c), _in_a_line(c.raw), str(c.location)) for c in inherited]
        text += f"\nof the collection {for_terminal(collection.name)}  "
        text += for_terminal(str(collection.location)) + "\n" + _indented(rows)
    return text


def _in_a_line(raw: str) -> str:
    """A text as written, or the beginning of one that has several lines."""
    first, *rest = raw.strip().splitlines() or [""]
    return raw if not rest else truncate(first, 60).removesuffix("…") + "…"


def facts(values: Mapping[str, object]) -> str:
    """Names and values, one pair a line; what is counted by kind is indented below."""
    text = ""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            text += f"{name}:\n" + _indented((str(key), str(each)) for key, each in value.items())
        else:
            text += f"{name}: {for_terminal(str(value or 0))}\n"
    return text


def _name(claim: Claim) -> str:
    return f"{claim.field} ({claim.dataset})" if claim.dataset else claim.field


def _collection(variant: Variant) -> str | None:
    return None if variant.collection is None else variant.collection.name


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else None
    return value


def _indented(rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"  {line}\n" for line in _aligned(rows).splitlines())


def _aligned(rows: Iterable[Sequence[str]]) -> str:
    """Columns two spaces apart; a cell of many characters pushes its own line alone."""
    safe = [[for_terminal(cell) for cell in row] for row in rows]
    if not safe:
        return ""
    widths = [min(max(map(len, column)), 40) for column in zip(*safe, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in safe)
    return "".join(line + "\n" for line in lines)
