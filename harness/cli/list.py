"""`zoo list`."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Annotated, Any

from harness.cli.options import command, variant
from harness.cli.output import aligned, emit, is_terminal
from harness.cli.selection import look_up
from harness.config import RunConfig
from zoo.index.types import Variant

_COLUMNS = ("variant", "collection", "parameters", "image size", "top-1")
_FIELDS = {"parameters": "Parameters", "image_size": "Image Size", "top1": "Top 1 Accuracy"}


@command("index", name="list")
def list_variants(
    config: RunConfig,
    pattern: Annotated[
        str | None, variant("A name, a glob or a collection.", metavar="PATTERN")
    ] = None,
    *,
    format: str,
) -> None:
    """A claim is shown as it is written, with a dash where there is none; in JSON it is the
    normalised value, or null.
    """
    chosen = look_up(config, *([pattern] if pattern else ()), announce=True).variants
    if format == "json":
        emit(json.dumps([_entry(each) for each in chosen], indent=2, allow_nan=False) + "\n")
        return
    rows = [_COLUMNS] if is_terminal(sys.stdout) else []
    emit("".join(f"{line}\n" for line in aligned([*rows, *map(_row, chosen)])))


def _row(variant: Variant) -> tuple[str, ...]:
    claims = [variant.effective(field) for field in _FIELDS.values()]
    written = ("-" if claim is None else claim.raw for claim in claims)
    return (variant.name, _collection(variant) or "-", *written)


def _entry(variant: Variant) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": variant.name, "collection": _collection(variant)}
    for key, field in _FIELDS.items():
        claim = variant.effective(field)
        entry[key] = None if claim is None else _plain(claim.value)
    return entry


def _collection(variant: Variant) -> str | None:
    return None if variant.collection is None else variant.collection.name


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else None
    return value
