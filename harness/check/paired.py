"""How two variants differ on the same images: the images that only one of them answers right.

Such images of either kind are drawn from the population without replacement, so each kind has an
exact interval (`harness.check.intervals`). The two intervals together miss with the error of a
confirmation at most, at all looks of a run together: each look has its share, and each kind half.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

from harness.check.decide import ERRORS, looks
from harness.check.intervals import interval


def mcnemar(first: int, second: int) -> float:
    """The exact probability of a split as uneven as this, if both were equally often right.

    Args:
        first: images that only the first one answers right.
        second: those that only the second one does.
    """
    total = first + second
    return min(1.0, 2 * sum(comb(total, k) for k in range(min(first, second) + 1)) / (1 << total))


@dataclass(frozen=True, slots=True)
class Difference:
    """By how many images of the population the first one is right more often: the possible ones."""

    low: int
    high: int
    population: int

    @property
    def points(self) -> tuple[float, float]:
        """Both ends in percentage points."""
        return 100 * self.low / self.population, 100 * self.high / self.population

    @property
    def is_certain(self) -> bool:
        """Whether one of them is certainly right more often than the other."""
        return self.low > 0 or self.high < 0


def difference(population: int, drawn: int, first: int, second: int) -> Difference:
    """What a sample leaves possible, at any of the looks of a run.

    Args:
        population: how many images there are.
        drawn: how many of them were answered by both.
        first: of these, how many only the first one answers right.
        second: how many only the second one does.
    """
    alpha = ERRORS.confirmation / len(looks(population, population)) / 2
    one, other = (interval(population, drawn, count, alpha) for count in (first, second))
    return Difference(one.low - other.high, one.high - other.low, population)
