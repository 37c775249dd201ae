"""Why a documented FLOP count is not the measured one: another convention, another input.

The search goes over the figures that every known counter would print at every likely input, plain
and as slips of the pen change them, simplest first, and takes the first that is equal to the claim
at the claim's own precision. With many candidates a short number fits one of them by chance, so a
claim must carry at least two digits more than the logarithm of all candidates that would have been
taken; with fewer the fit is told as what it is. Few are taken at their word: see `Candidate.tier`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import log10
from typing import Any

from harness.check.compare import agrees, digits
from harness.explain.geometry import Geometry
from harness.types import DEPLOYED, WITH_PRODUCTS, WITH_UNKNOWN, Size
from zoo.index.types import Claim

# How far a convention is from what most tables print.
_CONVENTION_RANK = {
    "macs": 0,
    "fvcore": 0,
    "flops": 1,
    "thop-2020": 2,
    "thop": 2,
    "ptflops": 2,
    "deepspeed": 2,
    "torchinfo": 2,
}
# A counter as it is comes before one that somebody changed.
_VARIATION_RANK = 3
# Neither is a change: what the usual counters print of attention, and of another usual form.
_USUAL_RANK = {WITH_PRODUCTS: 0, WITH_UNKNOWN: 0, DEPLOYED: 1, f"{DEPLOYED} {WITH_UNKNOWN}": 1}


@dataclass(frozen=True, slots=True)
class Scale:
    """What became of a count between the counter and the page.

    Attributes:
        factor: the page shows so many times the count.
        rank: how far that is from plain.
        words: for a sentence, with a place for the name of the count.
        wrong: the number is false whatever it counts; another way of counting is only unusual.
    """

    factor: Decimal
    rank: int
    words: str
    wrong: bool


PLAIN = Scale(Decimal(1), 0, "what {} counts", False)
# A multiply and an add are two operations to whoever says FLOPs and means it.
_TWICE = Scale(Decimal(2), 2, "twice what {} counts", False)
# Counters that hook modules keep their sums on them, and go on adding with every pass.
_PASSES = tuple(
    Scale(Decimal(n), 4, f"what {{}} counts in {n} passes added up", True) for n in (3, 4)
)
# What the training costs, as it is estimated, where that of one pass is asked for.
_TRAINED = Scale(
    Decimal(3), 4, "three times what {} counts, as a forward and a backward pass take", True
)
_UNITS = tuple(
    Scale(Decimal(10) ** power, 5, f"{words} what {{}} counts", True)
    for power, words in (
        (-3, "a thousandth of"),
        (-6, "a millionth of"),
        (-9, "a billionth of"),
        (3, "a thousand times"),
        (6, "a million times"),
    )
)
_TRAINABLE = frozenset({"macs", "flops", "fvcore", "deepspeed"})
_DOUBLED = frozenset({"fvcore", "thop-2020", "thop", "ptflops", "torchinfo"})
_ADDING = frozenset({"thop-2020", "thop", "ptflops"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One figure that a page may show: a counter's at one input, plain or changed.

    Attributes:
        value: the figure.
        covered: multiply-accumulates of the operators that were counted.
        macs: multiply-accumulates of all operators at that input.
        scale: what became of the count.
    """

    convention: str
    variation: str
    geometry: Geometry
    value: int | Decimal
    covered: int
    macs: int
    scale: Scale = PLAIN

    @property
    def rank(self) -> tuple[int, int, int]:
        """Simpler candidates first; of equally simple ones, the nearer input."""
        how = _CONVENTION_RANK.get(self.convention, 3) + self.scale.rank
        if self.variation:
            how += _USUAL_RANK.get(self.variation, _VARIATION_RANK)
        return (how + self.geometry.rank, self.geometry.rank, how)

    @property
    def tier(self) -> int:
        """How many others compete: what is nearer to the plain reading has fewer beside it.

        0 is the deployed form under the conventions that need no name, 1 every convention as it
        is named at the claimed input, 2 the wide search.
        """
        if self.geometry.rank or self.scale is not PLAIN:
            return 2
        if not self.variation:
            return 1
        if self.variation not in _USUAL_RANK:
            return 2
        return 0 if self.convention in ("macs", "fvcore") else 1

    @property
    def left_out(self) -> float:
        """The share of the multiply-accumulates that the count left out."""
        return 1 - self.covered / self.macs if self.macs else 0.0

    @property
    def words(self) -> str:
        """What the figure is, for a sentence: ``what fvcore without the classifier counts``."""
        name = f"{self.convention} {self.variation}" if self.variation else self.convention
        return self.scale.words.format(name)

    @property
    def rule(self) -> str:
        """What the figure follows, in words that hold for other variants, too."""
        return f"{self.words} on {self.geometry.general}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """A candidate that is the claim.

    Attributes:
        candidate: the simplest one.
        also: others that are the claim too, at the claim's precision.
        tried: how many figures would have been taken that the claim's precision tells apart.
        certain: the claim has digits enough to rule out that it fits by chance.
    """

    candidate: Candidate
    also: tuple[Candidate, ...]
    tried: int
    certain: bool

    @property
    def rules(self) -> tuple[str, ...]:
        """What every fitting candidate follows, the simplest first."""
        return tuple(dict.fromkeys(c.rule for c in (self.candidate, *self.also)))


def candidates(
    geometries: Sequence[Geometry], counts: Mapping[Size, Mapping[str, Any]]
) -> list[Candidate]:
    """Every figure at every input that was measured, simplest first.

    Args:
        geometries: the inputs.
        counts: size -> value of the ``flops`` measurement there; a missing one is passed over.
    """
    return sorted(_all(geometries, counts), key=lambda c: c.rank)


def _all(
    geometries: Sequence[Geometry], counts: Mapping[Size, Mapping[str, Any]]
) -> Iterator[Candidate]:
    for geometry in geometries:
        value = counts.get(geometry.size)
        if value is None:
            continue
        macs = next(c["value"] for c in value["counts"] if c["convention"] == "macs")
        for c in value["counts"]:
            if c["convention"] not in _CONVENTION_RANK:
                continue
            for scale in _scales(c["convention"], c["variation"]):
                yield Candidate(
                    c["convention"],
                    c["variation"],
                    geometry,
                    c["value"] if scale is PLAIN else c["value"] * scale.factor,
                    c["covered"],
                    macs,
                    scale,
                )


def _scales(convention: str, variation: str) -> Iterator[Scale]:
    yield PLAIN
    if convention in _DOUBLED:
        yield _TWICE
    if convention in _ADDING:
        yield from _PASSES
    if not variation or variation in (WITH_PRODUCTS, WITH_UNKNOWN):
        yield from _UNITS
        if convention in _TRAINABLE:
            yield _TRAINED


def explain(
    claim: Claim, tries: Sequence[Candidate], preferred: str | None = None
) -> Explanation | None:
    """The first candidate that equals the claim, None where none does.

    Where the claim is too short for the first one, and not for another that fewer compete with,
    it is that one.

    Args:
        claim: the documented count.
        tries: the candidates, simplest first.
        preferred: a rule that explains other variants of the collection: where several candidates
            equal the claim, as they can a rounded one, the one that follows it is taken.
    """
    fits = [candidate for candidate in tries if agrees(claim, candidate.value)]
    if not fits:
        return None
    length = digits(claim)
    tried = {tier: _told_apart(claim, tries, tier) for tier in {c.tier for c in fits}}
    certain = [c for c in fits if length >= 2 + log10(tried[c.tier])]
    chosen = (certain or fits)[0]
    also = tuple(c for c in fits if c.value != chosen.value)
    found = Explanation(chosen, also, tried[chosen.tier], bool(certain))
    return found if preferred is None else _preferring(found, preferred)


def _told_apart(claim: Claim, tries: Sequence[Candidate], tier: int) -> int:
    """How many figures of a tier, and of those before it, the claim's precision tells apart.

    All that equal the claim are one.
    """
    step = claim.step or Decimal(1)
    others = {c.value // step for c in tries if c.tier <= tier and not agrees(claim, c.value)}
    return 1 + len(others)


def _preferring(found: Explanation, rule: str) -> Explanation:
    fitting = (found.candidate, *found.also)
    chosen = next((c for c in fitting if c.rule == rule), found.candidate)
    return replace(found, candidate=chosen, also=tuple(c for c in fitting if c is not chosen))
