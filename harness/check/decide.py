"""When a measured accuracy confirms a claim, when it contradicts it, and when neither.

The images are answered in one random order, and the count of right answers is looked at a few
times on the way. A look decides only if the exact interval at that look leaves no doubt. Every look
is a chance to be wrong, so the looks share the error that is allowed in all (Bonferroni): the
shares add up, whatever the looks have to do with one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Any, Literal, NamedTuple

from harness.check.intervals import Interval, interval, too_many

Verdict = Literal["confirmed", "contradicted", "undecided"]

IMAGENET = 50_000
"""Images in ImageNet's validation set: what an accuracy speaks of unless it says otherwise."""

TOLERANCE = Decimal("0.1")
"""How many points a measurement may differ from a claim without contradicting it."""

FIRST_LOOK = 50
"""Looks come after multiples of this many images, the first after as many."""

GROWTH = 5
"""A look adds one part in so many to the images that the look before it had seen."""


class Observation(NamedTuple):
    """What a look sees: images drawn, those answered right, and those that could not be read.

    Unreadable images count as drawn, and not as right.
    """

    drawn: int
    correct: int
    unreadable: int = 0

    @classmethod
    def of(cls, counts: Sequence[Mapping[str, Any]], key: str) -> Observation:
        """What ``accuracy`` facts count together; the key is ``top1`` or ``top5``."""
        return cls(
            sum(count["images"] for count in counts),
            sum(count[key] for count in counts),
            sum(len(count["unreadable"]) for count in counts),
        )


@dataclass(frozen=True, slots=True)
class Errors:
    """The probability of a wrong verdict of each kind, over all looks of a plan together."""

    contradiction: float = 1e-4
    confirmation: float = 1e-2


ERRORS = Errors()


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and what it rests on.

    Attributes:
        verdict: what the claim is by the look that decided, or by the last one.
        interval: the counts that this look leaves possible in the whole population, at ``alpha``.
        drawn, correct, unreadable: what this look saw.
        alpha: this look's share of the error: that of a contradiction for ``contradicted``, that
            of a confirmation for the others.
        margin: how many points beside the claim still agree with it.
        needed: how many more images decide if they are answered as those before them; 0 after
            a decision, None where unreadable images leave it open to the end.
    """

    verdict: Verdict
    interval: Interval
    drawn: int
    correct: int
    unreadable: int
    alpha: float
    margin: Decimal
    needed: int | None


def looks(total: int, population: int = IMAGENET) -> tuple[int, ...]:
    """After how many images a run that can see ``total`` of a population's looks.

    Each look sees a fifth more than the one before, and near the end half of what was left, in
    multiples of `FIRST_LOOK`: a gross error shows early, and no more than a few images are spent
    in vain at any point. The plan depends on the population alone; a smaller ``total`` cuts it
    short and makes its own end the last look.

    Raises:
        ValueError: ``total`` or ``population`` under 1, or more images than the population has.
    """
    if not 1 <= total <= population:
        raise ValueError(f"{total} images of a population of {population}")
    return (*(n for n in _plan(population) if n < total), total)


def decide(
    claimed: Decimal,
    observations: Sequence[tuple[int, int] | tuple[int, int, int]],
    population: int = IMAGENET,
    *,
    step: Decimal | None = None,
    errors: Errors = ERRORS,
) -> Decision:
    """Hold a claimed accuracy against what the looks have seen so far.

    The first look that decides stands, since a run stops there.

    Args:
        claimed: the claim, in percent.
        observations: what each look of the plan saw, as `Observation` or a plain tuple
            (drawn, correct) or (drawn, correct, unreadable), counted from the first image on.
        population: how many images the claim speaks of.
        step: one unit of the last digit that the claim is written with, in points. Rounding up or
            down is the writer's freedom: a claim of 83 % agrees with all that is within a point.
        errors: the probabilities of a wrong verdict, shared equally by the looks of the plan.

    Raises:
        ValueError: no observation, counts that can't be or don't grow from look to look, or more
            looks than the plan for this population has.
    """
    seen = tuple(Observation(*each) for each in observations)
    rule = rule_for(claimed, population, step=step, errors=errors)
    return _decide(seen, rule)


# A check is asked again whenever facts came in, and goes through the same looks each time.
@lru_cache(maxsize=1024)
def _decide(seen: tuple[Observation, ...], rule: Rule) -> Decision:
    population = rule.population
    _check(seen, population)
    look = next((each for each in seen if rule.verdict(each) != "undecided"), seen[-1])
    verdict = rule.verdict(look)
    alpha = rule.contradiction if verdict == "contradicted" else rule.confirmation
    return Decision(
        verdict=verdict,
        interval=Interval(
            low=interval(population, look.drawn, look.correct, alpha).low,
            high=interval(population, look.drawn, look.correct + look.unreadable, alpha).high,
            population=population,
        ),
        drawn=look.drawn,
        correct=look.correct,
        unreadable=look.unreadable,
        alpha=alpha,
        margin=rule.margin,
        needed=_needed(look, rule) if verdict == "undecided" else 0,
    )


def interim(drawn: int, correct: int, population: int) -> Interval:
    """What so many right answers leave possible, as the finding at the next look would say it."""
    alpha = ERRORS.confirmation / len(_plan(population))
    return interval(population, drawn, correct, alpha)


def rule_for(
    claimed: Decimal,
    population: int = IMAGENET,
    *,
    step: Decimal | None = None,
    tolerance: Decimal = TOLERANCE,
    errors: Errors = ERRORS,
) -> Rule:
    """The rule for each look of the plan for a population; arguments as for `decide`.

    So many points of difference agree with any claim: ``tolerance``.
    """
    shares = len(_plan(population))
    return Rule(
        claimed=claimed,
        margin=max(tolerance, step or Decimal(0)),
        population=population,
        contradiction=errors.contradiction / shares,
        confirmation=errors.confirmation / shares,
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """How one look at one claim is judged.

    ``claimed`` and ``margin`` are in percent and points; ``contradiction`` and ``confirmation``
    are the look's shares of the errors.
    """

    claimed: Decimal
    margin: Decimal
    population: int
    contradiction: float
    confirmation: float

    def verdict(self, look: Observation) -> Verdict:
        """What the exact interval at this look says of the claim.

        ``contradicted``: it has nothing in common with the claim plus or minus the margin.
        ``confirmed``: it lies inside. Images that can't be read are taken as wrong for its low
        end and as right for its high end.
        """
        claimed, margin = Fraction(self.claimed), Fraction(self.margin)
        fewest = ceil((claimed - margin) * self.population / 100)
        most = floor((claimed + margin) * self.population / 100)
        # Either end is asked whether it excludes a count: the ends themselves cost more to find.
        if self._above_high(look, fewest, self.contradiction) or self._below_low(
            look, most, self.contradiction
        ):
            return "contradicted"
        if self._above_high(look, most + 1, self.confirmation) and self._below_low(
            look, fewest - 1, self.confirmation
        ):
            return "confirmed"
        return "undecided"

    def _above_high(self, look: Observation, right: int, alpha: float) -> bool:
        most_seen = look.correct + look.unreadable
        return too_many(self.population, look.drawn, most_seen, right, alpha / 2)

    def _below_low(self, look: Observation, right: int, alpha: float) -> bool:
        wrong, most_wrong = self.population - right, look.drawn - look.correct
        return too_many(self.population, look.drawn, most_wrong, wrong, alpha / 2)


def _needed(look: Observation, rule: Rule) -> int | None:
    """After how many more images a look decides if right answers go on at the same rate."""
    readable = look.drawn - look.unreadable
    if not readable:
        return None
    for drawn in _plan(rule.population):
        more = drawn - look.drawn
        if more > 0:
            correct = look.correct + (2 * more * look.correct + readable) // (2 * readable)
            if rule.verdict(Observation(drawn, correct, look.unreadable)) != "undecided":
                return more
    return None


@lru_cache(maxsize=64)
def _plan(population: int) -> tuple[int, ...]:
    """Every look at a population, the last one at all of it.

    That one makes no error, so its share is free for the last look of a run that is cut short.
    """
    if population < 1:
        raise ValueError(f"a population of {population}: at least 1 image is needed")
    plan = [min(FIRST_LOOK, population)]
    while plan[-1] < population:
        wanted = min(plan[-1] // GROWTH, (population - plan[-1]) // 2)
        rounded = (plan[-1] + wanted) // FIRST_LOOK * FIRST_LOOK
        plan.append(min(max(rounded, plan[-1] + FIRST_LOOK), population))
    return tuple(plan)


def _check(seen: Sequence[Observation], population: int) -> None:
    shares = len(_plan(population))
    if not 1 <= len(seen) <= shares:
        raise ValueError(
            f"{len(seen)} looks at {population} images: the error is shared by 1 to {shares}"
        )
    before = Observation(0, 0)
    for look in seen:
        fresh = Observation(*(new - old for new, old in zip(look, before, strict=True)))
        if (
            fresh.drawn < 1
            or min(fresh) < 0
            or fresh.correct + fresh.unreadable > fresh.drawn
            or look.drawn > population
        ):
            raise ValueError(f"{look} after {before}, of {population} images, can't be")
        before = look
