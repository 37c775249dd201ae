"""The unit that a key names, put where a value has its unit."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from zoo._util.text import shown
from zoo.index.nodes import Node, Scalar
from zoo.index.numbers import BYTE_UNITS, OPERATION_UNITS
from zoo.index.scalars import kind_of
from zoo.index.schema import Field
from zoo.index.values import Wrong

_NUMBER = re.compile(r"[+-]?[0-9][0-9.,_]*(?:[eE][+-]?[0-9]+)?|[+-]?\.[0-9]+")


def factor_of(unit: str, field: Field) -> Decimal:
    """What a unit of a field's values stands for; 1 for an unknown one."""
    units = BYTE_UNITS if field.kind == "bytes" else OPERATION_UNITS
    return units.get(unit, Decimal(1))


def is_bare(text: str) -> bool:
    """Whether a value is a number that names no unit, so that a key's unit is its own."""
    return _NUMBER.fullmatch(text.strip()) is not None


def with_unit(node: Node, raw: str, scale: str, field: Field) -> tuple[Node, str]:
    """A value and its text with the unit of its key; as they are where the key names none.

    Raises:
        Wrong: the value names another unit than the key.
    """
    if not scale or not isinstance(node, Scalar) or kind_of(node) == "null":
        return node, raw
    text = node.text.strip()
    if is_bare(text):
        said = f"{text} {scale}"
        return replace(node, text=said, written=node.written or node.text), said
    number = _NUMBER.match(text)
    unit = text[number.end() :].strip() if number is not None else ""
    known = BYTE_UNITS if field.kind == "bytes" else OPERATION_UNITS
    if unit in known and known[unit] != factor_of(scale, field):
        raise Wrong(
            "schema.wrong-type",
            f"is {shown(text)!r}, and its key says {scale}",
            f"write the number in {scale}, or leave the unit out of the key",
            node,
        )
    return node, raw
