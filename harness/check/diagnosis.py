"""Why an accuracy is contradicted: another preprocessing that restores it, or wrong labels.

Each alternative changes one setting, and is tried on the images that the documented one was counted
on. Counts of a few hundred images leave a range, so one is named only where the documented one does
not agree with the claim on the same images: else chance would choose among alternatives that hardly
differ. Nor is one named that does worse than the documented one. Labels in another order than a
model's classes (counted from 1, the development kit's IDs, ranks of sorted names) give next to no
right answers, whatever the model is worth: then the images are at fault, and not the index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import exp, lgamma, log, log1p
from typing import Any

from harness.check.base import Evidence, Need
from harness.check.compare import number
from harness.check.decide import IMAGENET, Observation, looks, rule_for
from harness.check.evaluated import of_source
from harness.check.intervals import too_many
from harness.check.shards import shard_names
from harness.types import EvalImages
from zoo.index.types import Claim

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
_ALL_CLASSES = 0.001


def at_chance(look: Observation, chance: float, top: int) -> bool:
    """Whether so few are right as would be with labels that have nothing to do with the images.

    ``chance`` is the share that is right by chance by top-1; ``top`` answers count, 1 or 5.
    """
    share = min(0.5, top * (chance if chance <= _MOST_CHANCE else _ALL_CLASSES))
    drawn = look.drawn - look.unreadable
    tail = sum(exp(_log_binomial(n, drawn, share)) for n in range(look.correct, drawn + 1))
    return tail > _LEVEL


def _log_binomial(right: int, drawn: int, share: float) -> float:
    choose = lgamma(drawn + 1) - lgamma(right + 1) - lgamma(drawn - right + 1)
    return choose + right * log(share) + (drawn - right) * log1p(-share)


# A setting that costs a gross share shows on so many images. One that costs less is looked for on
# more, up to the second number: each way takes as long as the documented one.
FIRST = 500
MOST = 2600

# How probable it may be that the way a claim was made with is taken for one that does not fit.
_ERROR = 0.01

# How probable it may be, at a look, that the documented way seems not to fit on a few images.
_CHANCE = 0.001

# How probable it may be that a way does as much better than the documented one by chance.
_LUCK = 0.01

# So many ways at most may be named as those that restore a claim.
_MOST_WAYS = 2


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What trying other ways has shown.

    Attributes:
        named: a preprocessing restores the claim.
        clause: what was found, for a message.
        labels: the labels of the images seem to be at fault, and nothing is said of the claim.
    """

    named: bool
    clause: str
    labels: bool = False


def diagnose(
    evidence: Evidence,
    claim: Claim,
    key: str,
    images: EvalImages,
    population: int,
    seen: Sequence[Observation],
) -> Diagnosis | Need:
    """Tries the alternatives of a contradicted claim.

    Args:
        evidence: what was counted so far.
        claim: an accuracy.
        key: of its counts, ``top1`` or ``top5``.
        images: what they are counted on.
        population: how many images the claim speaks of.
        seen: what each look saw, prepared as documented.

    Returns:
        The diagnosis, or the counts that it needs first.
    """
    claimed = number(claim)
    assert claimed is not None
    if images.sample:
        clause = "a handful of images can't tell which other way to prepare them would restore it"
        return Diagnosis(False, clause)
    if seen[-1].correct * 100 > claimed * (seen[-1].drawn - seen[-1].unreadable):
        clause = "no other preprocessing is looked for where the documented one gives more right"
        return Diagnosis(False, clause)
    found = _tried(evidence, claim, claimed, key, images, population, seen)
    if isinstance(found, Need) or found.named or found.labels:
        return found
    chance = chance_of(evidence, key, images, population, seen)
    if isinstance(chance, Need):
        return chance
    return Diagnosis(False, AT_CHANCE, labels=True) if chance else found


def chance_of(
    evidence: Evidence,
    key: str,
    images: EvalImages,
    population: int,
    seen: Sequence[Observation],
) -> bool | Need:
    """Whether no more images are right than by chance, on enough of them to tell it from little.

    Arguments as for `diagnose`.
    """
    look, top = seen[-1], 1 if key == "top1" else 5
    if images.subset and (source := of_source(evidence)) is not None:
        return _source_at_chance(source)
    # Of 200 classes labels are synsets, and -A has the images that models get wrong.
    if images.own or images.sample or images.subset or not at_chance(look, images.chance, top):
        return False
    begin, spans = 0, list[str]()
    for end in looks(min(images.limit, images.count, population), population):
        spans += shard_names(begin, end, size=images.shard_size)
        begin = end
        if end >= FIRST:
            break
    if begin <= look.drawn:
        return True
    if any(("accuracy", shard) not in evidence.facts for shard in spans):
        return True if images.over else Need("accuracy", shards=tuple(spans))
    more = _count(evidence, key, spans)
    return True if more is None else at_chance(more, images.chance, top)


def _source_at_chance(evidence: Evidence) -> bool:
    """Whether the images that a subset's are some of, as far as they were counted, tell chance.

    Labels in another order make other images those of the subset, and of these few may tell.
    """
    images = evidence.images
    assert images is not None
    counted: list[Mapping[str, Any]] = []
    begin, total = 0, min(images.limit, images.count)
    for end in looks(total, max(total, IMAGENET)):
        for shard in shard_names(begin, end, size=images.shard_size):
            if (fact := evidence.measurement("accuracy", shard)) is None:
                break
            counted.append(fact.value)
        begin = end
    return bool(counted) and at_chance(Observation.of(counted, "top1"), images.chance, 1)


def _tried(
    evidence: Evidence,
    claim: Claim,
    claimed: Decimal,
    key: str,
    images: EvalImages,
    population: int,
    seen: Sequence[Observation],
) -> Diagnosis | Need:
    """What the other ways give; arguments as for `diagnose`."""
    rule = replace(rule_for(claimed, population, step=claim.step), contradiction=_ERROR)
    strict = replace(rule, contradiction=_CHANCE)
    enough = [look for look in seen if look.drawn >= FIRST] or seen[-1:]
    telling = [look for look in enough if look.drawn <= max(MOST, enough[0].drawn)]
    sight = next((look for look in telling if strict.verdict(look) == "contradicted"), None)
    if sight is None:
        clause = (
            f"the first {telling[-1].drawn:,} alone agree with it, so they can't tell which other "
            "way to prepare them would restore it"
        )
        return Diagnosis(False, clause)
    tried = evidence.alternatives
    left = list(tried)
    spans: dict[str, tuple[str, ...]] = dict.fromkeys(left, ())
    counts: dict[str, Observation] = {}
    documented = {look.drawn: look for look in seen}
    better: list[str] = []
    begin, usual = 0, max(sight.drawn, min(FIRST, images.limit, images.count, population))
    for end in sorted({min(FIRST, sight.drawn), sight.drawn, usual, telling[-1].drawn}):
        # Where several ways fit as well, some more images tell them apart; where one may do better
        # than the documented way by chance, so many as that was counted on show whether it does.
        clear = len(better) == len(left) and (len(left) <= 1 or end > usual)
        if end > sight.drawn and (clear or not left):
            break
        for name in left:
            spans[name] += shard_names(begin, end, name, images.shard_size)
        needed = tuple(shard for name in left for shard in spans[name])
        if not images.over and any(("accuracy", shard) not in evidence.facts for shard in needed):
            return Need("accuracy", shards=needed)
        counts = {name: o for name in left if (o := _count(evidence, key, spans[name]))}
        if len(counts) < len(left):
            done = len(tried) - len(left) + len(counts)
            why = (
                f"{done} of {len(tried)} other ways to prepare an image could be tried, too few to "
                "name the one that restores it"
            )
            return Diagnosis(False, why)
        left = [name for name in left if rule.verdict(counts[name]) != "contradicted"]
        if end in documented:
            better = [name for name in left if _is_better(counts[name], documented[end])]
        better = [name for name in better if name in left]
        begin = end
    if left and not better:
        words = " and ".join(tried[name] for name in left[:_MOST_WAYS])
        clause = (
            f"with {words} the images agree with it, too, but do not do so much better than as "
            "documented that chance is excluded"
        )
        return Diagnosis(False, clause)
    return _named(tried, {name: counts[name] for name in better})


def _is_better(way: Observation, documented: Observation) -> bool:
    """Whether a way does better than the documented one on the same images, and not by chance.

    By Fisher's exact test, which takes no account of that they are the same, and so asks for more.
    """
    drawn, right = documented.drawn, way.correct + documented.correct
    return too_many(2 * drawn, drawn, documented.correct, right, _LUCK)


def _count(evidence: Evidence, key: str, spans: Sequence[str]) -> Observation | None:
    """What these parts count in all; None where one of them could not be counted."""
    values = [fact.value for shard in spans if (fact := evidence.measurement("accuracy", shard))]
    return Observation.of(values, key) if len(values) == len(spans) else None


def _named(tried: Mapping[str, str], counts: Mapping[str, Observation]) -> Diagnosis:
    """The ways with the most right answers, and how many others agree with the claim as well."""
    if not counts:
        clause = f"none of the {len(tried)} other ways to prepare an image restores it by itself"
        return Diagnosis(False, clause)
    orders = [name for name in counts if name.startswith(PREFIX)]
    if orders:
        best_order = max(orders, key=lambda name: counts[name].correct)
        look = counts[best_order]
        clause = (
            f"with {tried[best_order]}, {look.correct:,} of the first {look.drawn:,} are right, "
            "which agrees with it: the labels of the images seem to be at fault, and nothing is "
            f"said of the index; {REMEDY}"
        )
        return Diagnosis(False, clause, labels=True)
    settings = {name.partition("=")[0].partition("_")[0] for name in counts}
    if len(counts) > _MOST_WAYS and len(settings) > 1:
        clause = (
            f"{len(counts)} other ways to prepare an image restore it, which differ in "
            f"{len(settings)} settings, so none can be named"
        )
        return Diagnosis(False, clause)
    most = max(look.correct for look in counts.values())
    best = [name for name, look in counts.items() if look.correct == most]
    end = counts[best[0]].drawn
    others = [tried[name] for name in counts if name not in best]
    also = ""
    if others:
        shown = " and ".join(others) if len(others) <= _MOST_WAYS else f"{len(others)} other ways"
        also = f" (with {shown} fewer are right, but they agree with it, too)"
    clause = (
        f"prepared with {' or '.join(tried[name] for name in best)} the first {end:,} give "
        f"{most:,} right, which agrees with it{also}: document that preprocessing"
    )
    return Diagnosis(True, clause)
