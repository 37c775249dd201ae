"""Why an accuracy is contradicted: which other way to prepare the pictures restores the claim.

Each way changes one setting, and is tried on the pictures that the documented one was counted on.
Counts of a few hundred pictures leave a range, so a way is named only where the documented one does
not agree with the claim on the same pictures: else chance would choose among ways that hardly
differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.check.base import Evidence, Need
from harness.check.compare import number
from harness.check.decide import Observation, rule_for
from harness.check.parts import parts
from harness.types import Pictures
from zoo.index.types import Claim

# A setting that costs a gross share shows on so many pictures. One that costs less is looked for on
# more, up to the second number: each way takes as long as the documented one.
FIRST = 500
MOST = 2600

# How probable it may be that the way a claim was made with is taken for one that does not fit.
_ERROR = 0.01

# How probable it may be, at a look, that the documented way seems not to fit on a few pictures.
_CHANCE = 0.001

# So many ways at most may be named as those that restore a claim.
_MOST_WAYS = 2


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What trying other ways has shown: ``named`` if one restores the claim, and a clause on it."""

    named: bool
    clause: str


def diagnose(
    evidence: Evidence,
    claim: Claim,
    key: str,
    pictures: Pictures,
    population: int,
    seen: Sequence[Observation],
) -> Diagnosis | Need:
    """Tries the alternatives of a contradicted claim.

    Args:
        evidence: what was counted so far.
        claim: an accuracy.
        key: of its counts, ``top1`` or ``top5``.
        pictures: what they are counted on.
        population: how many pictures the claim speaks of.
        seen: what each look saw, prepared as documented.

    Returns:
        The diagnosis, or the counts that it needs first.
    """
    claimed = number(claim)
    assert claimed is not None
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
    begin = 0
    for end in _stages(sight.drawn, min(pictures.limit, pictures.count, population)):
        if end > sight.drawn and len(left) <= 1:
            break
        for name in left:
            spans[name] += parts(begin, end, name, pictures.part)
        needed = tuple(part for name in left for part in spans[name])
        if not pictures.over and any(("accuracy", part) not in evidence.facts for part in needed):
            return Need("accuracy", parts=needed)
        counts = {name: o for name in left if (o := _count(evidence, key, spans[name]))}
        if len(counts) < len(left):
            return Diagnosis(False, _unfinished(tried, len(tried) - len(left) + len(counts)))
        left = [name for name in left if rule.verdict(counts[name]) != "contradicted"]
        begin = end
    return _named(tried, {name: counts[name] for name in left})


def _stages(sight: int, available: int) -> list[int]:
    """After how many pictures ways that do not fit are left out.

    Up to ``sight`` the documented way was seen to fail; where several ways fit as well on those,
    some more pictures tell them apart.
    """
    return sorted({min(FIRST, sight), sight, max(sight, min(FIRST, available))})


def _count(evidence: Evidence, key: str, spans: Sequence[str]) -> Observation | None:
    """What these parts count in all; None where one of them could not be counted."""
    values = [fact.value for part in spans if (fact := evidence.measurement("accuracy", part))]
    if len(values) < len(spans):
        return None
    return Observation(
        sum(value["images"] for value in values),
        sum(value[key] for value in values),
        sum(len(value["unreadable"]) for value in values),
    )


def _unfinished(tried: Mapping[str, str], done: int) -> str:
    return (
        f"{done} of {len(tried)} other ways to prepare a picture could be tried, too few to name "
        "the one that restores it"
    )


def _named(tried: Mapping[str, str], counts: Mapping[str, Observation]) -> Diagnosis:
    """The ways with the most right answers, and how many others agree with the claim as well."""
    if not counts:
        clause = f"none of the {len(tried)} other ways to prepare a picture restores it by itself"
        return Diagnosis(False, clause)
    settings = {name.partition("=")[0].partition("_")[0] for name in counts}
    if len(counts) > _MOST_WAYS and len(settings) > 1:
        clause = (
            f"{len(counts)} other ways to prepare a picture restore it, which differ in "
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
