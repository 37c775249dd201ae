"""When a documented number and a measured one are the same number."""

from __future__ import annotations

from decimal import Decimal
from math import floor, log10

from zoo.index.types import Claim


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


def digits(claim: Claim) -> int:
    """How many significant digits the claim was written with."""
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


def grouped(value: float | Decimal) -> str:
    """A count for a sentence, its digits in groups of three."""
    return f"{value:,}"
