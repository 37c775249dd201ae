"""How two variants, or two precisions, differ on the same images: those only one answers right.

Such images of either kind are drawn from the population without replacement, so each kind has an
exact interval (`harness.check.intervals`). The two intervals together miss with the error of a
confirmation at most, at all looks of a run together: each look has its share, and each kind half.
A run that compares precisions looks on until the difference is certain, or certainly none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

from harness.check.accuracy import population_of, seen_images
from harness.check.base import Evidence, Need, VariantCheck, unverified
from harness.check.decide import ERRORS, TOLERANCE, looks
from harness.check.intervals import interval
from harness.check.shards import shard_names, tagged, with_precision
from harness.types import EvalImages, Finding, Measurement, Unmeasured
from zoo.index.types import Claim

AGREEMENT = "agreement"
"""The kind of fact that says how often two precisions are right on the same images."""

_ID = "precision"


def mcnemar(first: int, second: int) -> float:
    """The exact probability of a split as uneven as this, if both were equally often right.

    Of the images that only one answers right, so many are the first's, and so many the second's.
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
        return 100 * self.low / self.population, 100 * self.high / self.population

    @property
    def is_certain(self) -> bool:
        """Whether one of them is certainly right more often than the other."""
        return self.low > 0 or self.high < 0

    @property
    def is_none(self) -> bool:
        """Whether it is certainly no more than a measurement may differ from a claim."""
        most = float(TOLERANCE)
        return -most <= self.points[0] and self.points[1] <= most

    @property
    def verdict(self) -> str:
        """``different``, ``alike`` or, where that takes more images, ``open``."""
        return "different" if self.is_certain else "alike" if self.is_none else "open"


def difference(population: int, drawn: int, first: int, second: int, unread: int = 0) -> Difference:
    """What a sample leaves possible, at any of the looks of a run.

    Of the drawn images, answered by both, ``first`` are those that only the first one answers
    right, and ``unread`` those that could not be read, and may be of any kind.
    """
    alpha = ERRORS.confirmation / len(looks(population, population)) / 2
    (low, high), (other_low, other_high) = (
        (
            interval(population, drawn, count, alpha).low,
            interval(population, drawn, count + unread, alpha).high,
        )
        for count in (first, second)
    )
    return Difference(low - other_high, high - other_low, population)


@dataclass(frozen=True, slots=True)
class PrecisionCompared:
    """What the images of a claim say of a precision beside that of the run.

    Attributes:
        drawn: images that both have answered.
        counts: sums over these: ``both``, ``first``, ``second``, ``neither``, ``top1``, ``top5``,
            ``first5``, that of the run's, and ``changed``, those whose first class is another one.
        flipped: the images that only one answers right.
    """

    images: EvalImages
    precision: str
    drawn: int
    counts: Mapping[str, int]
    difference: Difference
    flipped: tuple[str, ...]

    def against(self, precision: str) -> dict[str, Any]:
        """The comparison as a report has it, with the precision of the run."""
        first, second = self.counts["first"], self.counts["second"]
        return {
            "precision": precision,
            "both": self.counts["both"],
            "only_other": first,
            "only_this": second,
            "neither": self.counts["neither"],
            "changed": self.counts["changed"],
            "points": round(100 * (second - first) / self.drawn, 4),
            "interval": [round(-each, 4) + 0.0 for each in reversed(self.difference.points)],
            "mcnemar": mcnemar(first, second),
            "verdict": self.difference.verdict,
            "flipped": list(self.flipped),
        }


_COUNTS = ("both", "first", "second", "neither", "changed", "top1", "top5", "first5")


def compared(
    evidence: Evidence, claim: Claim, images: EvalImages, precision: str
) -> PrecisionCompared | Need | Unmeasured:
    """Another precision beside that of the run on the images of a claim, as far as both have
    answered them; what is to be answered next; or why it can't be.
    """
    population = population_of(claim, images)
    found: list[Mapping[str, Any]] = []
    begin = 0
    way, result = with_precision(precision), None
    for end in looks(min(images.limit, images.count, population), population):
        names = shard_names(begin, end, way, images.shard_size)
        parts = tuple(tagged(name, images.tag) for name in names)
        facts = [evidence.facts.get((AGREEMENT, part)) for part in parts]
        failure = next((each for each in facts if isinstance(each, Unmeasured)), None)
        if failure is not None:
            return result or failure
        if None in facts:
            return Need(AGREEMENT, shards=parts)
        found += [fact.value for fact in facts if isinstance(fact, Measurement)]
        counts = {name: sum(value[name] for value in found) for name in _COUNTS}
        unread = sum(value["unreadable"] for value in found)
        apart = difference(population, end, counts["first"], counts["second"], unread)
        flipped = tuple(name for value in found for name in value["flipped"])
        result = PrecisionCompared(images, precision, end, counts, apart, flipped)
        if apart.verdict != "open":
            break
        begin = end
    assert result is not None
    return result


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """What is to be answered in further precisions, and why it can't be."""
    said: set[str] = set()  # Of several datasets once.
    for claim, images in _claims(evidence):
        for precision in evidence.precisions:
            found = compared(evidence, claim, images, precision)
            if isinstance(found, Need):
                yield found
            elif isinstance(found, Unmeasured):
                message = f"not compared in {precision}: {found.why}"
                if message not in said:
                    yield unverified(claim, evidence.variant, _ID, found.cause, message)
                said.add(message)


def compared_precisions(evidence: Evidence) -> list[PrecisionCompared]:
    """What is known of further precisions, by the images of each dataset."""
    found = (
        compared(evidence, claim, images, precision)
        for claim, images in _claims(evidence)
        for precision in evidence.precisions
    )
    return [each for each in found if isinstance(each, PrecisionCompared)]


def _claims(evidence: Evidence) -> list[tuple[Claim, EvalImages]]:
    """The first claim on the images of each dataset."""
    found: dict[str, tuple[Claim, EvalImages]] = {}
    if evidence.precisions:
        for claim, images in seen_images(evidence):
            found.setdefault(images.tag, (claim, images))
    return list(found.values())


CHECK = VariantCheck(_ID, "accuracy", lambda size: (), find)
