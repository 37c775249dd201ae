"""What else explains a wrong accuracy: a slip of the pen, or another network in the checkpoint.

An accuracy written as a fraction, an error rate in its place, top-1 and top-5 exchanged: each is
undone by arithmetic alone. One is named only where what it restores agrees with what was counted,
and how surely depends on how many other numbers would agree as well. Training scripts save a moving
average beside the weights, or a teacher beside its student: the accuracy on the page may be of
either, so a run says which one it measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from harness.check.base import Evidence, Need
from harness.check.compare import number
from harness.check.decide import Decision, Observation, looks, rule_for
from harness.check.evaluated import wanted
from harness.check.shards import shard_names, with_entry
from harness.types import EvalImages, Measurement
from zoo.index.types import Claim

_OTHER = {"Top 1 Accuracy": "Top 5 Accuracy", "Top 5 Accuracy": "Top 1 Accuracy"}

# A number between these ends that agrees by chance would be one in so many.
_NARROW = 10


@dataclass(frozen=True, slots=True)
class Slip:
    """A slip that explains a claim.

    Attributes:
        text: what to write in its place, at the precision that the claim was written with.
        clause: what was written, what agrees, and what to write.
        certain: nothing else than this slip is likely.
    """

    text: str
    clause: str
    certain: bool


def find_slip(
    evidence: Evidence,
    claim: Claim,
    seen: Mapping[str, Observation],
    decision: Decision,
    population: int,
) -> Slip | None:
    """The slip that restores a contradicted claim, None where none does.

    ``seen`` has what the last look saw of each accuracy, ``decision`` is that on the claim.
    """
    claimed = number(claim)
    assert claimed is not None
    own, step = seen[claim.field], claim.step or Decimal(0)
    low, high = decision.interval.percent
    exact = high - low <= 100 / _NARROW

    def agrees(value: Decimal, look: Observation, unit: Decimal) -> bool:
        return rule_for(value, population, step=unit).verdict(look) != "contradicted"

    value = claimed.scaleb(2)  # As many digits as were written.
    known = wanted(claim)
    # ImageNet-A's images were chosen as wrong answers: a small number is a usual one there.
    unusual = exact or known is None or known.name != "imagenet-a"
    if 0 < claimed <= 1 and agrees(value, own, step * 100):
        maybe, condition = ("is", "") if unusual else ("may be", " if so")
        clause = (
            f"{claim.raw} {maybe} a fraction of 1: as a percentage it is {_plain(value)}, which "
            f"agrees with it; write {_as(claim, value)}{condition}"
        )
        return Slip(_as(claim, value), clause, unusual)
    other = _beside(evidence, claim)
    if other is not None:
        value = number(other) or Decimal(0)
        here = agrees(value, own, other.step or Decimal(0))
        if here and agrees(claimed, seen[other.field], step):
            clause = (
                f"it agrees with {other.raw}, which stands for {other.field}, and what is counted "
                f"for that agrees with {claim.raw}: the two are exchanged; write "
                f"{_as(claim, value)} here"
            )
            return Slip(_as(claim, value), clause, True)
    value = 100 - claimed.scaleb(2)
    if 0 < claimed <= 1 and agrees(value, own, step * 100):
        other_way = 100 - claimed
        certain = not agrees(other_way, own, step)
        clause = (
            f"{claim.raw} is the fraction of wrong answers: the percentage of right ones is "
            f"{_plain(value)}, which agrees with it; write {_as(claim, value)}"
            if certain
            else f"an error rate may have been written in place of an accuracy: write "
            f"{_as(claim, value)} if {claim.raw} is the fraction of wrong answers, or "
            f"{_as(claim, other_way)} if it is their percentage; both agree with it"
        )
        return Slip(_as(claim, value), clause, certain)
    # Top-1 above top-5 can't be, and error rates are: then both were written so.
    rates = False
    if other is not None and _impossible(claim, other):
        theirs = 100 - (number(other) or Decimal(0))
        rates = agrees(theirs, seen[other.field], other.step or step)
    value = claimed.scaleb(1)
    if unusual and 1 < claimed < _NARROW and not rates and agrees(value, own, step * 10):
        rate = 100 - claimed
        choice = f"write {_as(claim, value)} if so"
        if agrees(rate, own, step):
            choice += f", or {_as(claim, rate)} if {claim.raw} is an error rate; both agree with it"
        clause = f"{claim.raw} may be {_as(claim, value)} with its point one place too far left"
        return Slip(_as(claim, value), f"{clause}: {choice}", False)
    value = 100 - claimed
    # Few right answers are rather the fault of the images or their preprocessing: a high claim that
    # they contradict is no error rate.
    if value > claimed and agrees(value, own, step):
        clause = f"100 - {_plain(claimed)} = {_plain(value)} agrees with it: "
        exact = exact or rates
        clause += (
            "an error rate was written in place of an accuracy"
            if exact
            else "an error rate may have been written in place of an accuracy (so few images leave "
            f"{high - low:.0f} of 100 points possible)"
        )
        condition = "" if exact else "if so, "
        clause += f"; {condition}write {_as(claim, value)}"
        return Slip(_as(claim, value), clause, exact)
    return None


def exchanged(evidence: Evidence, claim: Claim) -> str:
    """A clause on top-1 and top-5 that can't both be right as they stand, empty otherwise.

    For claims that too few images leave open; where they do not, `find_slip` says more.
    """
    other = _beside(evidence, claim)
    value = number(other) if other is not None else None
    if other is None or value is None or not _impossible(claim, other):
        return ""
    return (
        f"; top-1 can't be above top-5, and {claim.field} and {other.field} may be exchanged: if "
        f"so, write {_as(claim, value)} here"
    )


def _impossible(claim: Claim, other: Claim) -> bool:
    one, five = sorted((claim, other), key=lambda each: each.field)
    return (number(one) or 0) > (number(five) or 0)


def _beside(evidence: Evidence, claim: Claim) -> Claim | None:
    """The other accuracy of the same result, None where it has none."""
    same = [
        other
        for other in evidence.variant.claims_of(_OTHER[claim.field])
        if other.result == claim.result and number(other) is not None
    ]
    return same[0] if len(same) == 1 else None


def _as(claim: Claim, value: Decimal) -> str:
    """The value as the page writes its percentages: with the sign where the claim has it."""
    return f"{_plain(value)}%" if "%" in claim.raw else _plain(value)


def _plain(value: Decimal) -> str:
    return f"{value:f}"


# So many others are measured at most: each takes as long as the first did.
_MOST = 2

# A claim that a few images agree with is looked at on so many more.
_ENOUGH = 500


@dataclass(frozen=True, slots=True)
class Others:
    """What the file's other networks say of a contradicted claim: whether it holds for one of them.

    ``clause`` says what each gives; it is empty where there are none.
    """

    holds: bool
    clause: str


def named_entry(counted: Mapping[str, Any]) -> str:
    """A clause that names what was measured of a file with several networks, empty for one."""
    others = counted.get("others") or ()
    if not others:
        return ""
    return (
        f" with the entry {counted['entry']!r} of the file (it holds {_listed(others)}, too, which "
        f"{'was' if len(others) == 1 else 'were'} not)"
    )


def try_others(
    evidence: Evidence,
    claim: Claim,
    names: Sequence[str],
    key: str,
    images: EvalImages,
    population: int,
    drawn: int,
) -> Others | Need:
    """What the file's other networks give on the images that contradicted a claim.

    ``drawn`` of the images were looked at; other arguments as for `diagnosis.diagnose`.
    """
    claimed = number(claim)
    assert claimed is not None
    rule = rule_for(claimed, population, step=claim.step)
    available = min(images.limit, images.count, population)
    needed: list[str] = []
    holding, clauses = [], []
    for name in names[:_MOST]:
        look, counted = Observation(0, 0), list[Mapping[str, Any]]()
        for end in looks(available, population):
            spans = shard_names(look.drawn, end, with_entry(name), images.shard_size)
            facts = [evidence.facts.get(("accuracy", shard)) for shard in spans]
            if None in facts and not images.over:
                needed += spans
                break
            values = [fact.value for fact in facts if isinstance(fact, Measurement)]
            if len(values) < len(spans):
                clauses.append(f"{name!r} could not be measured on as many")
                break
            counted += values
            look = Observation.of(counted, key)
            fails = rule.verdict(look) == "contradicted"
            if fails or end >= min(available, max(drawn, _ENOUGH)):
                verdict = "does not hold there either" if fails else "holds there"
                clauses.append(
                    f"with {name!r} {look.correct:,} of {look.drawn:,} are right: the claim "
                    f"{verdict}"
                )
                holding += [] if fails else [name]
                break
    if needed:
        return Need("accuracy", shards=tuple(needed))
    clause = "; ".join(clauses)
    if holding:
        clause += f"; say on the page that it is of {_listed(holding)}, or publish that alone"
    return Others(bool(holding), clause)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names))
