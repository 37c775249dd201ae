"""Why a documented FLOP count is not the measured one: another convention, another input.

The search goes over the figures that every known counter would print at every likely input, plain
and as slips of the pen change them, and takes the simplest that equals the claim at the claim's own
precision. With many candidates a short number fits one by chance, so a claim must carry at least
two digits more than the logarithm of all candidates that would have been taken; with fewer the fit
is reported as uncertain. Few compete with the plainest ones: see `Candidate.tier`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from math import floor, log10
from typing import Any, NamedTuple

from harness.check.compare import agrees, digits, number
from harness.types import DEPLOYED, WITH_PRODUCTS, WITH_UNKNOWN, Size
from zoo.index.types import Claim

# A photograph that tutorials load, height and width in pixels: resized on its short side and
# never cropped, it is the input behind the FLOPs of several public zoos.
SAMPLE_PHOTOGRAPH: Size = (1213, 1546)

# Pixels on a side that published image models are made for.
USUAL_SIZES = (192, 224, 240, 256, 288, 299, 300, 320, 331, 384, 448, 480, 512)


@dataclass(frozen=True, slots=True)
class Geometry:
    """An input that a count may have been made at.

    Attributes:
        size: (height, width) in pixels.
        rank: how far it is from the plain reading of the claim.
        words: what it is.
        rule: the same without its numbers, where other variants have others; else ``words``.
        stated: the builder's library states it for the model.
    """

    size: Size
    rank: int
    words: str
    rule: str = ""
    stated: bool = False

    @property
    def general(self) -> str:
        """What it is, in words that hold for other variants, too."""
        return self.rule or self.words

    def __str__(self) -> str:
        return f"{self.size[0]}x{self.size[1]}"


def geometries(
    claimed: Size, crop_pct: float | None, image_size: Size | None = None
) -> list[Geometry]:
    """The inputs that an explanation tries, the claimed one first, each size once.

    ``crop_pct`` is the share of the resized image that is cropped, where the index says one, and
    ``image_size`` the variant's own, which may be another than the claim's input.
    """
    found = [Geometry(claimed, 0, "the documented input")]
    if image_size is not None:
        found.append(Geometry(image_size, 1, "the documented Image Size"))
    for rank, (height, width) in enumerate(dict.fromkeys((claimed, image_size or claimed))):
        found.append(_uncropped(height, 2 + rank, "the documented size"))
        if crop_pct:
            resized = (floor(height / crop_pct), floor(width / crop_pct))
            words = "the image as resized, before its centre is cropped"
            wide = _uncropped(resized[0], 3 + rank, "the size before the crop")
            found += [Geometry(resized, 1 + rank, words), wide]
    unique: dict[Size, Geometry] = {}
    for geometry in sorted(found, key=lambda g: g.rank):
        unique.setdefault(geometry.size, geometry)
    return list(unique.values())


def usual_geometries(known: Sequence[Geometry]) -> list[Geometry]:
    """The inputs that other variants have, tried where those known explain nothing."""
    tried = {geometry.size for geometry in known}
    squares = [
        Geometry((n, n), 4, "an input that other models have", f"{n}x{n}") for n in USUAL_SIZES
    ]
    wide = [_uncropped(n, 5, str(n)) for n in USUAL_SIZES]
    return [geometry for geometry in (*squares, *wide) if geometry.size not in tried]


def stated_geometries(builder: str, sizes: Sequence[Size]) -> list[Geometry]:
    """The inputs that a builder's library states for a model's weights."""
    words = f"the input that {builder} states"
    return [Geometry(size, 3, words, stated=True) for size in dict.fromkeys(sizes)]


def _uncropped(short: int, rank: int, meaning: str) -> Geometry:
    """The sample photograph, resized on its short side alone; ``meaning`` names that length."""
    height, width = SAMPLE_PHOTOGRAPH
    words, rule = (
        f"a photograph of {width}x{height} pixels resized to {size} on its short side and never "
        "cropped"
        for size in (short, meaning)
    )
    return Geometry((short, int(short * width / height)), rank, words, rule)


# How far a convention is from what most tables print; any other counter is 2 away.
_CONVENTION_RANK = {"macs": 0, "fvcore": 0, "flops": 1}
# A counter as it is comes before a changed one.
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

    factor: int | Decimal
    rank: int
    words: str
    wrong: bool


PLAIN = Scale(1, 0, "what {} counts", False)
# A multiply and an add are two operations where FLOPs means operations.
_TWICE = Scale(2, 2, "twice what {} counts", False)
# Counters that hook modules keep their sums on them, and go on adding with every pass.
_PASSES = tuple(Scale(n, 4, f"what {{}} counts in {n} passes added up", True) for n in (3, 4))
# What the training costs, as it is estimated, where that of one pass is asked for.
_TRAINED = Scale(3, 4, "three times what {} counts, as a forward and a backward pass take", True)
_UNITS = tuple(
    Scale(factor, 5, f"{words} what {{}} counts", True)
    for factor, words in (
        (Decimal("1e-3"), "a thousandth of"),
        (Decimal("1e-6"), "a millionth of"),
        (Decimal("1e-9"), "a billionth of"),
        (10**3, "a thousand times"),
        (10**6, "a million times"),
    )
)
_TRAINABLE = frozenset({"macs", "flops", "fvcore", "deepspeed"})
_DOUBLED = frozenset({"fvcore", "thop-2020", "thop", "ptflops", "torchinfo"})
_ADDING = frozenset({"thop-2020", "thop", "ptflops"})


class Candidate(NamedTuple):
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
        how = _CONVENTION_RANK.get(self.convention, 2) + self.scale.rank
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
        tried: how many figures would have been taken that are distinct at the claim's precision.
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
    """Every figure at every input that was measured, by its ``flops`` value."""
    found = []
    for geometry in geometries:
        value = counts.get(geometry.size)
        if value is None:
            continue
        macs = next(c["value"] for c in value["counts"] if c["convention"] == "macs")
        for c in value["counts"]:
            name, variation, plain = c["convention"], c["variation"], c["value"]
            if name != "torchvision":  # The same count as macs, under another name.
                found += [
                    Candidate(name, variation, geometry, plain * s.factor, c["covered"], macs, s)
                    for s in _scales(name, variation)
                ]
    return found


@cache
def _scales(convention: str, variation: str) -> tuple[Scale, ...]:
    found = [PLAIN]
    if convention in _DOUBLED:
        found.append(_TWICE)
    if convention in _ADDING:
        found += _PASSES
    if not variation or variation in (WITH_PRODUCTS, WITH_UNKNOWN):
        found += _UNITS
        if convention in _TRAINABLE:
            found.append(_TRAINED)
    return tuple(found)


def explain(
    claim: Claim, tries: Sequence[Candidate], preferred: str | None = None
) -> Explanation | None:
    """The simplest candidate that equals the claim, None where none does.

    Where the claim is too short for that one, and not for another that fewer compete with, it is
    the other one.

    Args:
        claim: the documented count.
        tries: the candidates.
        preferred: a rule that explains other variants of the collection: where several candidates
            equal the claim, as they can a rounded one, the one that follows it is taken.
    """
    fits = sorted(_fitting(claim, tries), key=lambda c: c.rank)
    if not fits:
        return None
    length = digits(claim)
    tried = {tier: _distinct(claim, tries, tier) for tier in {c.tier for c in fits}}
    certain = [c for c in fits if length >= 2 + log10(tried[c.tier])]
    chosen = (certain or fits)[0]
    also = tuple(c for c in fits if c.value != chosen.value)
    found = Explanation(chosen, also, tried[chosen.tier], bool(certain))
    return found if preferred is None else _preferring(found, preferred, length)


def _fitting(claim: Claim, tries: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that equal the claim; floats sort out the many that are far away."""
    value = float(number(claim) or 0)
    slack = float(claim.step or 1) + 1e-9 * abs(value)
    low, high = value - slack, value + slack
    return [c for c in tries if low <= c.value <= high and agrees(claim, c.value)]


def _distinct(claim: Claim, tries: Sequence[Candidate], tier: int) -> int:
    """How many figures of a tier, and of those before it, are distinct at the claim's precision.

    All that equal the claim are one.
    """
    step = claim.step or Decimal(1)
    unit = int(step) if step == int(step) else step
    others = {c.value // unit for c in tries if c.tier <= tier and not agrees(claim, c.value)}
    return 1 + len(others)


def _preferring(found: Explanation, rule: str, length: int) -> Explanation:
    """The fit that follows the rule; nothing competes with what explains the others."""
    fitting = (found.candidate, *found.also)
    chosen = next((c for c in fitting if c.rule == rule), None)
    if chosen is None:
        return found
    also = tuple(c for c in fitting if c is not chosen)
    return replace(found, candidate=chosen, also=also, certain=found.certain or length >= 2)
