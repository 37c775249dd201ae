"""How often the accuracy rule is wrong and how soon it stops, by simulation.

    python tests/benchmarks/accuracy_rule.py [PATHS [SEED]] [--paired]

A path is one validation run: the images of a population, in a random order, of which a known
number is answered right. Each path is judged by the rule's own verdicts; nothing is approximated
but the probabilities, by the share of the paths. The tables are those of docs/accuracy.md;
``--paired`` gives the one of two variants on the same images, for which 1,000 paths will do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.check.decide import IMAGENET, Observation, Rule, Verdict, looks, rule_for
from harness.check.paired import difference

CLAIM = Decimal("80.00")
OFFSETS = tuple(map(Decimal, ("0", "0.05", "0.1", "0.2", "0.5", "1", "2", "5", "20", "40")))
PATHS, SEED = 100_000, 2012
PAIRED = tuple(
    (apart, points)
    for apart in (0.5, 1.5, 4.0)
    for points in (0, 0.1, 0.2, 0.5, 1)
    if points <= apart
)
"""Percent of the images that one of two variants alone answers right, and points between them."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """What the rule said on each path: after how many images it stopped, and with what."""

    stopped: Counts
    contradicted: NDArray[np.bool_]
    confirmed: NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """What a look says of each number of right answers: it is judged by where the number falls.

    Up to ``too_few`` and from ``too_many`` on the claim is contradicted, from ``low`` to ``high``
    confirmed. An empty range has its ends crossed.
    """

    drawn: int
    too_few: int
    low: int
    high: int
    too_many: int


def limits(rule: Rule, drawn: int) -> Limits:
    """The numbers of right answers at which the verdict of a look changes, found by bisection.

    The more right answers, the higher the interval: the verdict changes at most four times.
    """

    def verdict(correct: int) -> Verdict:
        return rule.verdict(Observation(drawn, correct))

    # The number that agrees best with the claim is never contradicted while others are not.
    best = min(drawn, max(0, round(rule.claimed * drawn / 100)))
    too_few = _last(-1, best, lambda k: verdict(k) == "contradicted")
    too_many = _last(best, drawn, lambda k: verdict(k) != "contradicted") + 1
    # Where few numbers confirm, the one that rounding gives need not be among them.
    near = [k for k in (best, best - 1, best + 1) if 0 <= k <= drawn and verdict(k) == "confirmed"]
    if not near:
        return Limits(drawn, too_few, best + 1, best, too_many)
    low = _last(-1, near[0], lambda k: verdict(k) != "confirmed") + 1
    high = _last(near[0], drawn, lambda k: verdict(k) == "confirmed")
    return Limits(drawn, too_few, low, high, too_many)


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The last number from ``low`` to ``high`` for which ``holds``, given that ``low`` does."""
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low


def simulate(
    table: Sequence[Limits], population: int, right: int, paths: int, rng: np.random.Generator
) -> Outcome:
    """Run so many validations of a model that answers ``right`` images of the population."""
    drawn = 0
    seen = np.zeros(paths, dtype=np.int64)
    stopped = np.full(paths, table[-1].drawn, dtype=np.int64)
    contradicted, confirmed = np.zeros((2, paths), dtype=bool)
    for look in table:
        left = right - seen
        seen = seen + rng.hypergeometric(left, population - drawn - left, look.drawn - drawn)
        drawn = look.drawn
        running = ~(contradicted | confirmed)
        against = running & ((seen <= look.too_few) | (seen >= look.too_many))
        in_favour = running & (seen >= look.low) & (seen <= look.high)
        stopped[against | in_favour] = drawn
        contradicted |= against
        confirmed |= in_favour
    return Outcome(stopped, contradicted, confirmed)


def table_of(rule: Rule) -> list[Limits]:
    """The limits of every look of the plan for the rule's population."""
    return [limits(rule, drawn) for drawn in looks(rule.population, rule.population)]


def rows(paths: int, seed: int) -> list[str]:
    """The table in Markdown, one row per distance of the true accuracy from the claim."""
    table = table_of(rule_for(CLAIM))
    rng = np.random.default_rng(seed)
    lines = [
        "| true accuracy is off by | contradicted | confirmed | median stop | 90 % stop by |",
        "|---|---|---|---|---|",
    ]
    for offset in OFFSETS:
        right = int((CLAIM - offset) * IMAGENET / 100)
        outcome = simulate(table, IMAGENET, right, paths, rng)
        half, most = np.quantile(outcome.stopped, (0.5, 0.9), method="inverted_cdf")
        lines.append(
            f"| {offset} points | {100 * outcome.contradicted.mean():.3f} % "
            f"| {100 * outcome.confirmed.mean():.3f} % | {half:,} | {most:,} |"
        )
    return lines


def paired_rows(paths: int, seed: int) -> list[str]:
    """How soon the paired difference of two variants is decided, and how often wrongly.

    Args:
        paths: runs to simulate a row.
        seed: of the draws.
    """
    found = [
        "| one alone is right on | points apart | different | alike | median stop | 90 % stop by "
        "| missed at any look |",
        "|---|---|---|---|---|---|---|",
    ]
    for apart, points in PAIRED:
        gap = round(IMAGENET * points / 100)
        first = (round(IMAGENET * apart / 100) + gap) // 2
        outcome = simulate_pairs(first, first - gap, paths, np.random.default_rng(seed))
        half, most = np.quantile(outcome.stopped, (0.5, 0.9), method="inverted_cdf")
        shares = (
            f"{100 * flags.mean():.1f} %"
            for flags in (outcome.verdicts == "different", outcome.verdicts == "alike")
        )
        found.append(
            f"| {apart:g} % | {points:g} | {' | '.join(shares)} | {half:,} | {most:,} "
            f"| {100 * outcome.missed.mean():.1f} % |"
        )
    return found


@dataclass(frozen=True)
class PairedOutcome:
    """What was said on each path, after how many images, and whether an interval was wrong."""

    stopped: Counts
    verdicts: NDArray[np.str_]
    missed: NDArray[np.bool_]


def simulate_pairs(first: int, second: int, paths: int, rng: np.random.Generator) -> PairedOutcome:
    """Compare two variants so many times, of which one alone is right on so many images.

    Each look sees what `harness.check.paired` makes of it, whatever was said before.
    """
    at = cache(lambda *counts: difference(IMAGENET, *counts))
    seen, drawn = np.zeros((2, paths), dtype=np.int64), 0
    stopped = np.full(paths, IMAGENET)
    verdicts, missed = np.full(paths, "open", dtype="<U9"), np.zeros(paths, dtype=bool)
    for look in looks(IMAGENET, IMAGENET):
        new = look - drawn
        left = np.array([[first], [second]]) - seen
        ones = rng.hypergeometric(left[0], IMAGENET - drawn - left[0], new)
        others = rng.hypergeometric(left[1], IMAGENET - drawn - left[0] - left[1], new - ones)
        seen, drawn = seen + np.stack([ones, others]), look
        pairs, which = np.unique(seen, axis=1, return_inverse=True)
        now = [at(drawn, int(one), int(other)) for one, other in pairs.T]
        here = np.array([each.verdict for each in now], dtype="<U9")[which]
        wrong = [not each.low <= first - second <= each.high for each in now]
        missed |= np.array(wrong)[which]
        ends = (verdicts == "open") & (here != "open")
        stopped[ends] = drawn
        verdicts[ends] = here[ends]
    return PairedOutcome(stopped, verdicts, missed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="?", type=int, default=PATHS)
    parser.add_argument("seed", nargs="?", type=int, default=SEED)
    parser.add_argument("--paired", action="store_true", help="the difference of two variants")
    options = parser.parse_args()
    table = paired_rows if options.paired else rows
    print("\n".join(table(options.paths, options.seed)))


if __name__ == "__main__":
    main()
