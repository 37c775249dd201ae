"""A measured value as the page spells such values: its unit, its decimals, its separators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

from harness.types import Edit, Size
from zoo.index.numbers import BYTE_UNITS, COUNT_UNITS
from zoo.index.schema import Field

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9][0-9,_]*|)(?P<fraction>\.[0-9]*)?"
    r"(?P<exponent>[eE][+-]?[0-9]+)?(?P<unit> *[^\s0-9.]*)"
)
_EXPONENT = re.compile(r"([eE])([+-]?)([0-9]+)")
_SIDES = re.compile(r"([^x×]*?)([0-9]+)([^x×]*[x×][^x×]*?)([0-9]+)([^x×]*)", re.IGNORECASE)
# A page that rounds a number to nothing (0.0 GB) is given more decimals, up to so many.
_MOST_DECIMALS = 12


def spellings(old: str, field: Field, edit: Edit, step: Decimal | None) -> Iterator[str]:
    """Ways to write the edit's value in place of the old text, the page's own precision first.

    Args:
        old: the text that stands there, without quotes; spaces around it are kept.
        field: the row of the schema for the key.
        edit: what is to be written.
        step: for an integer written as digits alone: one unit of the last digit that such numbers
            are rounded to on this page.
    """
    text = old.strip()
    lead, trail = old[: old.index(text)], old[old.index(text) + len(text) :]
    for new in _texts(text, field, edit.value, step):
        yield f"{lead}{new}{trail}"


def _texts(
    text: str, field: Field, value: float | Decimal | str | Size, step: Decimal | None
) -> Iterator[str]:
    if isinstance(value, tuple):
        yield _pixels(text, value)
    elif isinstance(value, str):
        yield value.upper() if field.kind == "hash" and text.isupper() else value
    elif (written := _NUMBER.fullmatch(text)) is not None:
        units = BYTE_UNITS if field.kind == "bytes" else COUNT_UNITS
        factor = units.get(written["unit"].strip(" "), Decimal(1))
        yield from _numbers(written, factor, Decimal(str(value)), step)


def _pixels(text: str, size: Size) -> str:
    """``HxW``, with the page's own sign between them; one number where one is written and is so."""
    pair = _SIDES.fullmatch(text)
    if pair is not None:
        return f"{pair[1]}{size[0]}{pair[3]}{size[1]}{pair[5]}"
    return str(size[0]) if text.isdigit() and size[0] == size[1] else f"{size[0]}x{size[1]}"


def _numbers(
    written: re.Match[str], factor: Decimal, value: Decimal, step: Decimal | None
) -> Iterator[str]:
    decimals = len(written["fraction"] or ".") - 1
    exponent = _exponent(written, value / factor)
    scale = factor.scaleb(exponent)
    plain = (
        not written["unit"].strip() and written["fraction"] is None and written["exponent"] is None
    )
    step = step if plain and step is not None else scale.scaleb(-decimals)
    for _ in range(_MOST_DECIMALS):
        rounded = (value / step).quantize(Decimal(1), ROUND_HALF_EVEN) * step
        if rounded:
            yield _written(written, rounded / scale, decimals, exponent)
        step = step.scaleb(-1)
        decimals += not plain


def _exponent(written: re.Match[str], value: Decimal) -> int:
    """The power of ten that leaves as many digits before the point as the page has there."""
    if written["exponent"] is None:
        return 0
    mantissa = Decimal(_digits(written["whole"]) + (written["fraction"] or "") or 0)
    return value.adjusted() - mantissa.adjusted()


def _written(written: re.Match[str], mantissa: Decimal, decimals: int, exponent: int) -> str:
    whole, point, fraction = f"{mantissa:.{decimals}f}".partition(".")
    separator = next((c for c in ",_" if c in written["whole"]), "")
    if separator:
        whole = f"{int(whole):,}".replace(",", separator)
    if not written["whole"] and whole == "0":
        whole = ""
    elif written["fraction"] == "." and not point:
        point = "."
    power = ""
    if written["exponent"] is not None:
        found = _EXPONENT.fullmatch(written["exponent"])
        assert found is not None
        sign = "-" if exponent < 0 else found[2].replace("-", "")
        power = f"{found[1]}{sign}{abs(exponent):0{len(found[3])}d}"
    return f"{written['sign']}{whole}{point}{fraction}{power}{written['unit']}"


def _digits(whole: str) -> str:
    return whole.replace(",", "").replace("_", "")
