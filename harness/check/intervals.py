"""Exact intervals for how many of a finite population are right, from a sample of it.

Images are drawn without replacement from a population of known size, so the number of right
answers among the drawn is hypergeometric. The interval holds every number of right answers in the
population that neither one-sided test at alpha / 2 rejects: the method of Clopper and Pearson
(Biometrika 26, 1934), for a finite population as in Buonaccorsi (The American Statistician 41,
1987). Whatever the truth, the interval contains it with probability 1 - alpha or more; no
approximation is involved.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers of right answers, of ``population`` in all, that a sample leaves possible.

    ``low`` and ``high`` are counts, both inside. ``str()`` is in percent, rounded outwards, so
    that what is shown holds whenever the interval does.
    """

    low: int
    high: int
    population: int

    @property
    def percent(self) -> tuple[float, float]:
        return 100 * self.low / self.population, 100 * self.high / self.population

    def __str__(self) -> str:
        # In whole numbers: a quotient of floats may lie just beside the hundredth that it equals.
        low = 10_000 * self.low // self.population / 100
        high = -(-10_000 * self.high // self.population) / 100
        return f"{low:.2f} to {high:.2f} %"


def interval(population: int, drawn: int, correct: int, alpha: float) -> Interval:
    """The exact two-sided interval for the number of right answers in the whole population.

    Args:
        population: how many images there are.
        drawn: how many of them were drawn, without replacement.
        correct: how many of the drawn were answered right.
        alpha: the greatest probability, 0 to 1, that the interval misses the truth.

    Returns:
        Counts within 0 and ``population``. All drawn: the one count. None drawn: every count.

    Raises:
        ValueError: not 0 <= correct <= drawn <= population, population 0, or alpha not within
            0 and 1.
    """
    if not 0 <= correct <= drawn <= population or population == 0:
        raise ValueError(
            f"{correct} right of {drawn} drawn of {population}: "
            "each of these numbers can be at most the next, and the last is at least 1"
        )
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}: a probability between 0 and 1 is needed")
    # The fewest right answers are the most wrong ones, counted from the other end.
    return Interval(
        low=population - _most(population, drawn, drawn - correct, alpha / 2),
        high=_most(population, drawn, correct, alpha / 2),
        population=population,
    )


def too_many(population: int, drawn: int, seen: int, right: int, level: float) -> bool:
    """Whether with ``right`` right answers a sample would hardly show as few as were seen.

    True exactly where ``right`` is above the high end of `interval` at twice the level. Called
    with wrong answers in place of right ones it says the same of the low end.

    Args:
        population: how many images there are.
        drawn: how many were drawn, without replacement.
        seen: how many of these were answered right.
        right: how many of the population might be.
        level: the probability that ``seen`` or fewer has to exceed.

    Returns:
        False also where rounding leaves it open, so that nothing possible is excluded.
    """
    if right > population - (drawn - seen):
        return True
    # Up to the sample's own proportion no count is too many, however large the level.
    if right * drawn <= seen * population:
        return False
    log_first = (
        _log_choose(right, seen)
        + _log_choose(population - right, drawn - seen)
        - _log_choose(population, drawn)
    )
    # Nine logarithms of factorials are each wrong by some units in the last place.
    slack = 1.5e-14 * (1 + lgamma(population + 1))
    gap = log(level) - log_first - slack
    if gap > 700:  # exp would overflow; the whole tail is at most drawn + 1 times its first term
        return True
    # The tail from `seen` down, in units of its first term. Below the mode each term is a smaller
    # fraction of the one before, so a geometric series bounds all that is still to come.
    needed, term, total = exp(gap), 1.0, 1.0
    for x in range(seen, 0, -1):
        ratio = x * (population - right - drawn + x) / ((right - x + 1) * (drawn - x + 1))
        if total > needed:
            return False
        if total + term * ratio / (1 - ratio) <= needed:
            return True
        term *= ratio
        total += term
    return total <= needed


def plausible(classes: int, drawn: int, population: int, *, of: int = 1000) -> bool:
    """Whether so many images can be a random draw and yet be of so few classes.

    All classes are as large. By the union bound the probability of at most that many classes is
    at most the number of choices of them times that of a draw from those alone.

    Args:
        classes: how many the drawn images are of.
        drawn: how many were drawn, without replacement.
        population: how many images there are.
        of: how many classes these are of.

    Returns:
        False where that probability is under one in a billion.
    """
    inside = population * classes // of
    if classes >= of:
        return True
    if drawn > inside:
        return False
    bound = _log_choose(of, classes) + _log_choose(inside, drawn) - _log_choose(population, drawn)
    return bound > log(1e-9)


def _most(population: int, drawn: int, seen: int, level: float) -> int:
    """The most right answers in the population that are not too many for the sample."""
    high = population - (drawn - seen)
    low = min(seen * population // drawn, high) if drawn else population
    while low < high:
        middle = (low + high + 1) // 2
        if too_many(population, drawn, seen, middle, level):
            high = middle - 1
        else:
            low = middle
    return low


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
