"""Numbers, sizes and units as people write them, beside a value or in its key.

Numbers are read from the text itself, never from what YAML makes of it: ``82.90`` claims two
decimals, ``1:30`` is not ninety, ``0224`` is not one hundred and forty-eight. A unit in a key
(``Params (M)``, ``GMACs``) belongs to its value; a key that says something else beside its field
(``FLOPs(Backbone)``) speaks of another quantity, and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

_MAX_DIGITS = 40
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
    prefix: Decimal(10**power)
    for prefix, power in {"K": 3, "k": 3, "M": 6, "G": 9, "B": 9, "T": 12}.items()
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
    **{f"{p}B": Decimal(10**n) for p, n in {"k": 3, "K": 3, "M": 6, "G": 9, "T": 12}.items()},
    **{f"{p}iB": Decimal(2**n) for p, n in {"K": 10, "M": 20, "G": 30, "T": 40}.items()},
}

RATE_UNITS = {f"{noun}/s": Decimal(1) for noun in ("images", "img", "imgs", "im", "samples")} | {
    "fps": Decimal(1), "FPS": Decimal(1)
}  # fmt: skip
TIME_UNITS = {"ms": Decimal(1), "s": Decimal(1000), "us": Decimal("0.001")}


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
    if len(written) > _MAX_DIGITS:
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


PIXEL_UNITS = {unit: Decimal(1) for unit in ("px", "pixel", "pixels")}

_CHANNELS = ("1", "2", "3", "4")
_LAST = "3"  # Other numbers behind two sides are hardly ever channels.
_MAX_SIZE = 200  # characters of a size in pixels
_BRACKETS = {"(": ")", "[": "]"}
_SEPARATOR = re.compile(r"\s*[xX×*;]\s*|\s*,\s+")
# ``256,256`` is a pair; ``1,024`` is a number with its thousands set apart.
_TIGHT = re.compile(r"(?:[1-4],)?[0-9]{3},[0-9]{3}")
_UNIT = re.compile(r"(?<=[0-9)\]])\s*(?:px|pixels?)", re.IGNORECASE)


def sides(text: str) -> list[str] | None:
    """The text's one side or its height and width, without units; None where it has others.

    A number of channels may stand before the sides, and before it a batch of one, as tensors are
    printed: ``1x3x224x224``.
    """
    text = text.strip()
    if len(text) > _MAX_SIZE:
        return None
    if text.casefold().endswith(tuple(PIXEL_UNITS)):
        # A unit behind the last side is that of all.
        text = _UNIT.sub("", text)
    if text and _BRACKETS.get(text[0]) == text[-1:]:
        text = text[1:-1].strip().removesuffix(",").rstrip()
    if _TIGHT.fullmatch(text):
        return spatial(text.split(","))
    return spatial([part.strip() for part in _SEPARATOR.split(text)])


def spatial(parts: Sequence[str]) -> list[str] | None:
    """The sides among the dimensions of an input; None where these are none of an image."""
    parts = list(parts)
    if len(parts) == 4 and parts[0] == "1":
        parts = parts[1:]
    if len(parts) == 3 and parts[0] in _CHANNELS:
        parts = parts[1:]
    elif len(parts) == 3 and parts[2] == _LAST:
        parts = parts[:2]
    return parts if len(parts) in (1, 2) and all(parts) else None


_OPERATION_NOUN = r"(?:flops?|macs?|m(?:ult(?:iply)?)?adds?|multiplyaccumulates?)"
_COUNT = r"(?:params?|parameters?)"
_NOUNS = {
    "FLOPs": re.compile(rf"([kmgbt]?)({_OPERATION_NOUN})"),
    "Parameters": re.compile(rf"([kmgbt]?)(?:(?:num(?:berof)?|n|total){_COUNT}|{_COUNT})"),
    "Activations": re.compile(r"([kmgbt]?)(?:activations|acts)"),
    "File Size": re.compile(r"()(?:file|checkpoint|weightsfile)size"),
}
# Without a unit they are counts as well, however they are called.
_PLAIN = re.compile(rf"{_OPERATION_NOUN}|(?:num(?:berof)?|total)?param(?:eter)?s?")
_TAIL = re.compile(
    r"(?P<noun>.+?)\s*(?:[(\[]\s*(?:in\s+|[x\u00d7]\s*)?(?P<in>[^()\[\]]*?)\s*[)\]]"
    r"|[,/]\s*(?P<after>[^,/()]+)|\s+in\s+(?P<said>[^()]+)|[_ ](?P<short>[a-z]{1,2}))"
)
_PREFIXES = {"k": "K", "m": "M", "g": "G", "b": "B", "t": "T"}
_COUNT_WORDS = {
    "thousand": "K", "thousands": "K", "mio": "M", "mil": "M", "million": "M", "millions": "M",
    "mega": "M", "giga": "G", "bn": "B", "billion": "B", "billions": "B", "trillion": "T",
    "mio.": "M", "10\u00b3": "K", "10\u2076": "M", "10\u2079": "G",
    "10^3": "K", "10^6": "M", "10^9": "G", "10^12": "T", "10**6": "M", "10**9": "G",
    "1e3": "K", "1e6": "M", "1e9": "G", "1e12": "T", "#": "", "count": "",
} | _PREFIXES  # fmt: skip
_BYTE_WORDS = {
    "b": "B", "byte": "B", "bytes": "B", "kb": "kB", "mb": "MB", "gb": "GB", "kib": "KiB",
    "mib": "MiB", "gib": "GiB", "k": "kB", "m": "MB", "g": "GB", "megabytes": "MB",
}  # fmt: skip
_UNIT_OF_NOUN = re.compile(rf"([kmgbt]?)\s*(?:{_OPERATION_NOUN}|{_COUNT}|activations|acts)")


@dataclass(frozen=True, slots=True)
class MeasuredKey:
    """A key that speaks of FLOPs, Parameters, a File Size or an Image Size.

    Attributes:
        field: the known key.
        scale: the unit that the key gives to its value, as a value writes it; empty for none.
        macs: it calls operations multiply-accumulates.
        beside: what else it says, so that it can't be read as that field; empty where it can.
    """

    field: str
    scale: str = ""
    macs: bool = False
    beside: str = ""


@lru_cache(maxsize=4096)
def measured_key(key: str) -> MeasuredKey | None:
    """What a key with a unit says, or one with another usual noun; None for any other key."""
    text = " ".join(key[:200].split()).lower()
    whole = _noun(text)
    if whole is not None:
        field, prefix, macs = whole
        if prefix or _PLAIN.fullmatch(_squeezed(text)):
            return MeasuredKey(field, _PREFIXES.get(prefix, ""), macs)
        return MeasuredKey(field, beside="no unit") if field != "File Size" else MeasuredKey(field)
    found = _TAIL.fullmatch(text)
    if found is not None:
        tail = next(part for part in found.groups()[1:] if part is not None)
        read = _parted(found["noun"], tail, key)
        if read is not None:
            return read
    nouns = filter(None, map(_noun, re.split(r"[^a-z]+", text)))
    return next((MeasuredKey(noun[0], beside=key.strip()) for noun in nouns), None)


def _parted(noun: str, tail: str, key: str) -> MeasuredKey | None:
    """What a key says that is a noun with something in parentheses or the like behind it."""
    inner, word = _noun(noun), _squeezed(noun)
    if inner is not None:
        return _with_tail(*inner, tail)
    if word == "imagesize" and tail in PIXEL_UNITS:
        return MeasuredKey("Image Size")
    if word in ("size", "modelsize", "weights") and tail in _BYTE_WORDS:
        return MeasuredKey("File Size", beside=key.strip())
    return None


def _with_tail(field: str, prefix: str, macs: bool, tail: str) -> MeasuredKey:
    unit: str | None
    if field == "File Size":
        unit = _BYTE_WORDS.get(tail)
    else:
        named = _UNIT_OF_NOUN.fullmatch(tail)
        unit = _PREFIXES.get(named[1], "") if named else _COUNT_WORDS.get(tail)
        macs = macs or (named is not None and "mac" in tail)
    if unit is None or (prefix and unit not in ("", _PREFIXES[prefix])):
        return MeasuredKey(field, beside=tail or "nothing")
    return MeasuredKey(field, unit or _PREFIXES.get(prefix, ""), macs)


def _noun(text: str) -> tuple[str, str, bool] | None:
    """The field that a noun means, the prefix before it, and whether it says MACs."""
    word = _squeezed(text)
    for field, pattern in _NOUNS.items():
        found = pattern.fullmatch(word)
        if found is not None:
            return field, found[1], field == "FLOPs" and "flop" not in word
    return None


def _squeezed(text: str) -> str:
    return re.sub(r"[\s_#.\-]+", "", text)
