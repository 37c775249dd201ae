"""Numbers as people write them: what they say, and how precisely they say it.

Numbers are read from the text itself, never from what YAML makes of it: ``82.90`` claims two
decimals, ``1:30`` is not ninety, ``0224`` is not one hundred and forty-eight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

MAX_DIGITS = 40
_MAX_EXPONENT = 60

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)"
    r"(?P<whole>0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?:_[0-9]{3})+|[1-9][0-9]*|)"
    r"(?P<fraction>\.[0-9]*)?"
    r"(?P<exponent>[eE][+-]?[0-9]+)?"
)
_WHOLE = re.compile(r"0|[1-9][0-9]{0,30}")
_SPECIAL = re.compile(r"[+-]?\.?(?:nan|inf|infinity)", re.IGNORECASE)
_LOOKS_NUMERIC = re.compile(r"[+-]?\.?[0-9]")

COUNT_UNITS = {
    "K": Decimal(10**3),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "B": Decimal(10**9),
    "T": Decimal(10**12),
}
# Cards and papers write the noun after the prefix: ``4.1 GFLOPs``, ``300 MMac``.
_OPERATIONS = ("FLOPs", "FLOPS", "FLOP", "Flops", "MACs", "MACS", "MAC", "Macs", "Mac")
OPERATION_UNITS = COUNT_UNITS | {
    f"{prefix}{noun}": factor
    for prefix, factor in {"": Decimal(1), **COUNT_UNITS}.items()
    for noun in _OPERATIONS
}
BYTE_UNITS = {
    "B": Decimal(1),
    "kB": Decimal(10**3),
    "KB": Decimal(10**3),
    "MB": Decimal(10**6),
    "GB": Decimal(10**9),
    "TB": Decimal(10**12),
    "KiB": Decimal(2**10),
    "MiB": Decimal(2**20),
    "GiB": Decimal(2**30),
    "TiB": Decimal(2**40),
}


class NotANumber(ValueError):
    """The text is not such a number; the message says why, in a few words."""


class OutOfRange(ValueError):
    """The text is a number that no field can have (NaN, infinite, endless)."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number, one unit of the last digit that its text claims, and its unit's factor."""

    value: Decimal
    step: Decimal
    unit: str = ""
    digits: str = ""

    @property
    def is_plain_integer(self) -> bool:
        """Written as digits alone, without fraction, exponent or unit."""
        return not self.unit and self.digits.isdigit()


def parse_number(text: str, units: dict[str, Decimal] | None = None) -> Number:
    """Read a decimal number with an optional unit.

    Args:
        text: e.g. ``0.875``, ``25.6M``, ``1e9``, ``25,600,000``.
        units: the units that may follow, with their factors.

    Raises:
        NotANumber: the text is something else, or has another unit.
        OutOfRange: NaN, an infinity, or more digits than any quantity has.
    """
    text = text.strip(" ")
    if _WHOLE.fullmatch(text):  # nearly all of them
        return Number(Decimal(text), Decimal(1), "", text)
    if _SPECIAL.fullmatch(text):
        raise OutOfRange("is not a finite number")
    found = _NUMBER.match(text)
    if found is None or not _LOOKS_NUMERIC.match(text):
        raise NotANumber("is not a number")
    written = found[0]
    unit = text[found.end() :].strip(" ")
    if len(written) > MAX_DIGITS:
        raise OutOfRange("has more digits than any such quantity")
    if unit and unit not in (units or {}):
        raise NotANumber(_why(text, unit))
    mantissa = (found["whole"] + (found["fraction"] or "")).replace(",", "").replace("_", "")
    exponent = int((found["exponent"] or "e0")[1:])
    if abs(exponent) > _MAX_EXPONENT:
        raise OutOfRange("has more digits than any such quantity")
    factor = (units or {})[unit] if unit else Decimal(1)
    decimals = len((found["fraction"] or ".")[1:])
    scale = factor * Decimal(10) ** exponent
    value = Decimal(found["sign"] + mantissa) * scale
    return Number(value, Decimal(1).scaleb(-decimals) * scale, unit, written.lstrip("+-"))


def _why(text: str, unit: str) -> str:
    if re.match(r"[+-]?0[0-9]", text):
        return "has a leading zero, which some readers take for octal"
    if re.fullmatch(r"%|[^\W\d_][\w/ .%-]*", unit):
        return f"has the unit {unit[:20]!a}, which does not belong here"
    return "is not a number"


def whole(number: Number) -> tuple[int, Decimal]:
    """The number as a whole one, with a step of at least 1.

    Raises:
        NotANumber: it has a fraction.
    """
    if number.value != number.value.to_integral_value():
        raise NotANumber("is not a whole number")
    return int(number.value), max(Decimal(1), number.step)


def rounded_count(number: Number) -> tuple[int, Decimal]:
    """A count whose trailing zeros claim nothing, as Parameters and FLOPs are written.

    ``48280000`` claims four digits (step 10000); ``25.60M`` claims four too (step 10000);
    ``8199999`` is ``int(8.2 * 1e6)`` and is read as 8200000.

    Raises:
        NotANumber: it has a fraction.
    """
    value, step = whole(number)
    if number.is_plain_integer:
        value = _untruncated(value)
    zeros = len(str(value)) - len(str(value).rstrip("0")) if value else 0
    if "." not in number.digits:
        step = max(step, Decimal(10**zeros))
    return value, step


def _untruncated(value: int) -> int:
    """``value`` + 1 where ``value`` is what int() leaves of a rounded float, else ``value``.

    Both must hold: at least four trailing nines, and a short decimal whose product with 1e3, 1e6
    or 1e9 is truncated to exactly this integer. So 1279999 stays: int(1.28 * 1e6) is 1280000.
    """
    if not str(value).endswith("9999"):
        return value
    for scale in (3, 6, 9):
        short = float(Decimal(value + 1).scaleb(-scale))
        if int(short * 10.0**scale) == value:
            return value + 1
    return value
