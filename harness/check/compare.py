"""When a documented number and a measured one are the same number."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import product
from math import floor, log10

from zoo.index.schema import FIELDS
from zoo.index.types import Claim, Value
from zoo.index.units import BYTE_UNITS, NotANumber, OutOfRange, parse_number

# The place of a prefix is the power of 1000, or of 1024.
_PREFIXES = " KMGT"


def number(claim: Claim) -> Decimal | None:
    """The claim's value as an exact number, None where it has none."""
    value = claim.value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return Decimal(str(value))


def agrees(claim: Claim, measured: int | float | Decimal) -> bool:
    """Whether the measured value is what was written, at the precision it was written with.

    Rounding up or down is the writer's freedom, so any difference under one unit of the last
    claimed digit is agreement; an integer with every digit written must be equal.
    """
    value = number(claim)
    if value is None:
        return False
    return abs(Decimal(str(measured)) - value) < (claim.step or Decimal(1))


def byte_unit(claim: Claim) -> str:
    """The unit that a size is written with; empty where it has none."""
    if claim.unit != "bytes":
        return ""
    try:
        return parse_number(claim.raw, BYTE_UNITS).unit
    except (NotANumber, OutOfRange):
        return ""


def senses(claim: Claim) -> tuple[Claim, ...]:
    """The claim as it is read, and, where its unit has two usual senses, in the other one.

    ``97.8 MB`` is of 10^6 bytes to some pages and of 2^20 to others, torchvision's for one.
    """
    unit, value = byte_unit(claim), number(claim)
    power = _PREFIXES.find(unit[0].upper()) if unit[1:] == "B" else 0
    if power < 1 or value is None:
        return (claim,)
    factor = Decimal(1024**power) / Decimal(1000**power)
    other = replace(claim, value=int(value * factor), step=(claim.step or Decimal(1)) * factor)
    return (claim, other)


_CROP, _CHANNEL = Decimal("0.001"), Decimal("0.005")


def alike(one: Claim, other: Claim) -> bool:
    """Whether one value can be meant by both, each at the precision it was written with."""
    if one.value == other.value or alike_values(one.field, one.value, other.value):
        return True
    return any(
        abs(x - y) < max(a.step or Decimal(1), b.step or Decimal(1))
        for a, b in product(senses(one), senses(other))
        if (x := number(a)) is not None and (y := number(b)) is not None
    )


def alike_values(field: str, one: Value, other: Value) -> bool:
    """Whether two values of a setting are the same one, written with more or fewer digits."""
    if isinstance(one, tuple) and isinstance(other, tuple) and field in ("Mean", "Std"):
        pairs = [*zip(one, other, strict=False)]
        return len(one) == len(other) and all(
            abs(Decimal(str(a)) - Decimal(str(b))) < _CHANNEL for a, b in pairs
        )
    if field == "Crop Pct" and one is not None and other is not None:
        return abs(Decimal(str(one)) - Decimal(str(other))) < _CROP
    return one == other


def digits(claim: Claim) -> int:
    value = number(claim)
    if not value:
        return 0
    return floor(log10(abs(value) / (claim.step or Decimal(1))) + 1e-9) + 1


def precision(claim: Claim) -> str:
    """How exactly a claim speaks, for a sentence: ``exactly``, ``at 4 digits``."""
    if (claim.step or 1) == 1:
        return "exactly"
    count = digits(claim)
    return f"at {count} digit{'s' if count > 1 else ''}"


def written(claim: Claim, value: float | Decimal) -> str:
    """How the value is to be written where the claim stands: in the unit that its key names."""
    if not claim.scale:
        return str(value)
    factor = FIELDS[claim.field].units.get(claim.scale, Decimal(1))
    step = (claim.step or factor) / factor
    whole = (Decimal(str(value)) / factor).quantize(min(step, Decimal(1)))
    return f"{whole:f} {claim.scale}"


def grouped(value: float | Decimal) -> str:
    """A count for a sentence, its digits in groups of three."""
    return f"{value:,}"
