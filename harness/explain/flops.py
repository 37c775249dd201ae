"""Why a documented FLOP count is not the measured one: another convention, another input.

The search goes over the figures that every known counter would print at every likely input,
simplest first, and takes the first that is equal to the claim at the claim's own precision. With
many candidates a short number fits one of them by chance, so a claim must carry at least two
digits more than the logarithm of the candidates tried; with fewer the fit is told as what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import log10
from typing import Any

from harness.check.compare import agrees, digits
from harness.explain.geometry import Geometry
from harness.types import Size
from zoo.index.types import Claim

# How far a convention is from what most tables print.
_CONVENTION_RANK = {"macs": 0, "fvcore": 0, "flops": 1, "thop-2020": 2}
# A counter as it is comes before one that somebody changed.
_VARIATION_RANK = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """One figure that a counter would print at one input.

    Attributes:
        value: the count.
        covered: multiply-accumulates of the operators it counted.
        macs: multiply-accumulates of all operators at that input.
    """

    convention: str
    variation: str
    geometry: Geometry
    value: int
    covered: int
    macs: int

    @property
    def rank(self) -> tuple[int, int, int]:
        """Simpler candidates first; of equally simple ones, the nearer input."""
        how = _CONVENTION_RANK.get(self.convention, 3) + _VARIATION_RANK * bool(self.variation)
        return (how + self.geometry.rank, self.geometry.rank, how)

    @property
    def left_out(self) -> float:
        """The share of the multiply-accumulates that the count left out."""
        return 1 - self.covered / self.macs if self.macs else 0.0

    @property
    def name(self) -> str:
        """The convention with its variation, for a sentence."""
        return f"{self.convention} {self.variation}" if self.variation else self.convention


@dataclass(frozen=True, slots=True)
class Explanation:
    """A candidate that is the claim.

    Attributes:
        candidate: the simplest one.
        also: others that are the claim too, at the claim's precision.
        tried: how many figures were tried to find it that the claim's precision tells apart.
        certain: the claim has digits enough to rule out that it fits by chance.
    """

    candidate: Candidate
    also: tuple[Candidate, ...]
    tried: int
    certain: bool


def candidates(
    geometries: Sequence[Geometry], counts: Mapping[Size, Mapping[str, Any]]
) -> list[Candidate]:
    """Every figure at every input that was measured, simplest first.

    Args:
        geometries: the inputs.
        counts: size -> value of the ``flops`` measurement there; a missing one is passed over.
    """
    return sorted(_all(geometries, counts), key=lambda c: c.rank)


def _all(
    geometries: Sequence[Geometry], counts: Mapping[Size, Mapping[str, Any]]
) -> Iterator[Candidate]:
    for geometry in geometries:
        value = counts.get(geometry.size)
        if value is None:
            continue
        macs = next(c["value"] for c in value["counts"] if c["convention"] == "macs")
        for c in value["counts"]:
            if c["convention"] in _CONVENTION_RANK:
                yield Candidate(
                    c["convention"], c["variation"], geometry, c["value"], c["covered"], macs
                )


def explain(claim: Claim, tries: Sequence[Candidate]) -> Explanation | None:
    """The first candidate that equals the claim, None where none does."""
    step = claim.step or Decimal(1)
    distinct: set[Decimal] = set()
    for place, candidate in enumerate(tries):
        distinct.add(candidate.value // step)
        if agrees(claim, candidate.value):
            also = tuple(
                other
                for other in tries[place + 1 :]
                if agrees(claim, other.value) and other.value != candidate.value
            )
            certain = digits(claim) >= 2 + log10(len(distinct))
            return Explanation(candidate, also, len(distinct), certain)
    return None
