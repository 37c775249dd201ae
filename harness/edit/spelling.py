"""Spell values: as a page writes such ones (unit, decimals, separators), and as plain YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from harness.types import Edit, Size
from zoo.index.cells import plain_number
from zoo.index.schema import Field

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9][0-9,_]*|)(?P<fraction>\.[0-9]*)?"
    r"(?P<exponent>[eE][+-]?[0-9]+)?(?P<unit> *[^\s0-9.]*)"
)
# The number among what stands around it in a table, and the marks between its thousands.
_DIGITS = re.compile(r"\d(?:(?:[.,' \u00a0\u2009\u202f\u2019]|\{,\}|\\,)?\d)*")
_GROUPED = re.compile(r"\d{1,3}(?P<mark>\D{1,3})\d{3}(?:(?P=mark)\d{3})*(?!\d)")
_EXPONENT = re.compile(r"([eE])([+-]?)([0-9]+)")
_SIDE = re.compile(r"[0-9]+")
# A page that rounds a number to nothing (0.0 GB) is given more decimals, up to so many.
_MOST_DECIMALS = 12
# Read as text however YAML is read, and free of what ends a value.
_PLAIN = re.compile(r"[A-Za-z_][\w./+()-]*(?: [\w./+()-]+)*", re.ASCII)
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"})
_HASH = re.compile(r"(?![0-9]+(?:e[0-9]+)?\Z)[0-9a-f]{64}")  # 12e34 would be a number


def in_place_of(written: str, old: str, new: str) -> str:
    """The new number as a table writes the old one: within its LaTeX, its thousands set apart.

    Args:
        written: what stands there.
        old: the number that it is read as.
        new: what it shall be read as.
    """
    digits, number = _DIGITS.search(written), re.match(r"(\d[\d,]*)(\.\d+)?", new)
    if digits is None or number is None:
        return new
    grouped, whole = _GROUPED.match(digits[0]), number[1].replace(",", "")
    mark = grouped["mark"] if grouped else ""
    parted = f"{int(whole):,}".replace(",", mark)
    for comma in (False, True):
        decimals = (number[2] or "").replace(".", "," if comma else ".")
        # Twice, a point parts thousands; once, it stands before decimals.
        for each in (parted, whole):
            text = f"{written[: digits.start()]}{each}{decimals}{written[digits.end() :]}"
            readings = [plain_number(one, comma=comma) for one in (written, text)]
            if [r.replace(",", "") for r in readings] == [r.replace(",", "") for r in (old, new)]:
                return text
    return new


def spellings(
    old: str, field: Field, edit: Edit, step: Decimal | None, scale: str = ""
) -> Iterator[str]:
    """Ways to write the edit's value in place of the old text, the page's own precision first.

    Args:
        old: the text that stands there, without quotes; spaces around it are kept.
        field: the row of the schema for the key.
        edit: what is to be written.
        step: for an integer written as digits alone: one unit of the last digit that such numbers
            are rounded to on this page.
        scale: the unit that the key gives to the value, which has to stay in it.
    """
    text = old.strip()
    lead, trail = old[: old.index(text)], old[old.index(text) + len(text) :]
    suffix = f" {scale}" if scale else ""
    for new in _texts(text + suffix, field, edit.value, step, scale):
        yield f"{lead}{new.removesuffix(suffix)}{trail}"


def _texts(
    text: str, field: Field, value: float | Decimal | str | Size, step: Decimal | None, scale: str
) -> Iterator[str]:
    if isinstance(value, tuple):
        yield _pixels(text, value)
    elif isinstance(value, str):
        yield value.upper() if field.kind == "hash" and text.isupper() else value
    elif (written := _NUMBER.fullmatch(text)) is not None:
        # Beside a key that names a unit no other can be written.
        units = {scale: field.units[scale]} if scale else field.units
        is_count = field.kind in ("bytes", "rounded-count")
        yield from _numbers(written, units, Decimal(str(value)), step, is_count)


def _pixels(text: str, size: Size) -> str:
    """The last two numbers of the text replaced, or its only one, as far as one says it."""
    found = list(_SIDE.finditer(text))
    if len(found) == 1 and size[0] == size[1]:
        return f"{text[: found[0].start()]}{size[0]}{text[found[0].end() :]}"
    if len(found) < 2:
        return f"{size[0]}x{size[1]}"
    (height, width) = found[-2:]
    between = text[height.end() : width.start()]
    return f"{text[: height.start()]}{size[0]}{between}{size[1]}{text[width.end() :]}"


def _numbers(
    written: re.Match[str],
    units: Mapping[str, Decimal],
    value: Decimal,
    step: Decimal | None,
    keeps_digits: bool,
) -> Iterator[str]:
    """The value with the decimals of the old text, and more until it has its digits.

    ``keeps_digits`` says that the old text is as precise as it has digits, not decimals: a count
    may be of another order of magnitude than the one that it replaces.
    """
    unit = written["unit"].strip(" ")
    mantissa = Decimal(_digits(written["whole"]) + (written["fraction"] or "") or 0)
    if keeps_digits and mantissa >= 1:
        unit = _readable(unit, units, value)
    factor = units.get(unit, Decimal(1))
    suffix = written["unit"][: len(written["unit"]) - len(written["unit"].strip(" "))] + unit
    decimals = len(written["fraction"] or ".") - 1
    exponent = _exponent(written, value / factor)
    scale = factor.scaleb(exponent)
    plain = not unit and written["fraction"] is None and written["exponent"] is None
    old_step = Decimal(1).scaleb(-decimals)
    step = step if plain and step is not None else scale * old_step
    digits = _significant(mantissa, old_step)
    if plain and step:
        digits = _significant(mantissa, step)
    while keeps_digits and step > (1 if plain else 0) and _significant(value, step) < digits:
        step = step.scaleb(-1)
        decimals += not plain
    for _ in range(_MOST_DECIMALS):
        rounded = (value / step).quantize(Decimal(1), ROUND_HALF_EVEN) * step
        if rounded:
            yield _written(written, rounded / scale, decimals, exponent, suffix)
        step = step.scaleb(-1)
        decimals += not plain


def _significant(value: Decimal, step: Decimal) -> int:
    """How many digits a number has down to one unit of its last one; none below that."""
    return value.adjusted() - step.adjusted() + 1 if value else 1


def _readable(unit: str, units: Mapping[str, Decimal], value: Decimal) -> str:
    """The unit, or, where less than one of it is left, the largest alike that leaves more."""
    if not unit or value >= units.get(unit, Decimal(1)):
        return unit
    for prefix in "TGMK":
        for alike in (prefix + unit[1:], prefix.lower() + unit[1:]):
            # ``B`` alone is a billion of parameters, and a byte of a file.
            known = alike if unit != "B" else prefix
            if known in units and units[known] < units[unit] and value >= units[known]:
                return known
    return unit


def _exponent(written: re.Match[str], value: Decimal) -> int:
    """The power of ten that leaves as many digits before the point as the page has there."""
    if written["exponent"] is None:
        return 0
    mantissa = Decimal(_digits(written["whole"]) + (written["fraction"] or "") or 0)
    return value.adjusted() - mantissa.adjusted()


def _written(
    written: re.Match[str], mantissa: Decimal, decimals: int, exponent: int, unit: str
) -> str:
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
    return f"{written['sign']}{whole}{point}{fraction}{power}{unit}"


def _digits(whole: str) -> str:
    return whole.replace(",", "").replace("_", "")


def as_yaml(text: str) -> str:
    """A text as YAML: as it is where no reader could take it for anything else, else in quotes."""
    if (_PLAIN.fullmatch(text) and text.lower() not in _WORDS) or _HASH.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False)
