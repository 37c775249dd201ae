"""Whether a wrong accuracy is the fault of the images' labels, and not of the index.

Labels in another order than a model's classes (counted from 1, the development kit's IDs, ranks of
sorted names) give next to no right answers, whatever the model is worth.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p

from harness.check.decide import Observation

PREFIX = "labels="
"""Ways to read an image set that differ in its labels alone have names that begin so."""

REMEDY = (
    "name the class folders by synsets (n01440764) or by class indices from 0 to 999, or give a "
    "labels.txt with lines NAME LABEL in that order"
)
AT_CHANCE = (
    "no more are right than by chance, so either the labels are not of these images or not in the "
    "order of the model's classes (folders or labels numbered from 1, by the development kit's IDs "
    "or by another sorting), or the weights are another model's: look at some images beside their "
    f"labels; {REMEDY}; --data sample shows whether the weights are at fault"
)

# How probable it may be that so many are right by chance and are not taken for it.
_LEVEL = 1e-3

# Of images of fewer classes than chance needs to show, it is taken for that of all classes.
_MOST_CHANCE = 0.15
_CHANCE = 0.001


def at_chance(look: Observation, chance: float, top: int) -> bool:
    """Whether so few are right as would be with labels that have nothing to do with the images.

    Args:
        look: what was seen.
        chance: the share that is right by chance by top-1.
        top: so many answers count, 1 or 5.
    """
    share = min(0.5, top * (chance if chance <= _MOST_CHANCE else _CHANCE))
    drawn = look.drawn - look.unreadable
    tail = sum(exp(_log_binomial(n, drawn, share)) for n in range(look.correct, drawn + 1))
    return tail > _LEVEL


def _log_binomial(right: int, drawn: int, share: float) -> float:
    choose = lgamma(drawn + 1) - lgamma(right + 1) - lgamma(drawn - right + 1)
    return choose + right * log(share) + (drawn - right) * log1p(-share)
