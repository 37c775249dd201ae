"""Which of several networks in one checkpoint was measured, and what the others give.

Training scripts save a moving average beside the weights, or a teacher beside its student. The
accuracy on the page may be of either, so a run says which one it took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.check.base import Evidence, Need
from harness.check.compare import number
from harness.check.decide import Observation, looks, rule_for
from harness.check.parts import parts, with_entry
from harness.types import EvalImages, Measurement
from zoo.index.types import Claim

# So many others are measured at most: each takes as long as the first did.
_MOST = 2

# A claim that a few images agree with is looked at on so many more.
_ENOUGH = 500


@dataclass(frozen=True, slots=True)
class Others:
    """What the other networks of the file say of a contradicted claim.

    Attributes:
        holds: it agrees with one of them.
        clause: which, and what each gives; empty where there are none.
    """

    holds: bool
    clause: str


def named(counted: Mapping[str, Any]) -> str:
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

    Args:
        evidence: what was counted so far.
        claim: an accuracy.
        names: of those networks.
        key: of its counts, ``top1`` or ``top5``.
        images: what they are counted on.
        population: how many images the claim speaks of.
        drawn: how many of them were looked at.
    """
    claimed = number(claim)
    assert claimed is not None
    rule = rule_for(claimed, population, step=claim.step)
    available = min(images.limit, images.count, population)
    needed: list[str] = []
    holding, clauses = [], []
    for name in names[:_MOST]:
        look = Observation(0, 0)
        for end in looks(available, population):
            spans = parts(look.drawn, end, with_entry(name), images.part)
            facts = [evidence.facts.get(("accuracy", part)) for part in spans]
            if None in facts and not images.over:
                needed += spans
                break
            values = [fact.value for fact in facts if isinstance(fact, Measurement)]
            if len(values) < len(spans):
                clauses.append(f"{name!r} could not be measured on as many")
                break
            look = Observation(
                look.drawn + sum(value["images"] for value in values),
                look.correct + sum(value[key] for value in values),
                look.unreadable + sum(len(value["unreadable"]) for value in values),
            )
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
        return Need("accuracy", parts=tuple(needed))
    clause = "; ".join(clauses)
    if holding:
        clause += f"; say on the page that it is of {_listed(holding)}, or publish that alone"
    return Others(bool(holding), clause)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(map(repr, names))
