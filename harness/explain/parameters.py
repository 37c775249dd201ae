"""Why a documented number of parameters is not that of the built model.

A page may count another form of the model, leave a part of it out, or have made a slip. With many
readings a short number fits one of them by chance, so a claim must carry at least two digits more
than the logarithm of all readings that would have been taken; the plainer ones are few, and are
tried by themselves first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import isqrt, log10
from typing import Any

from harness.check.compare import agrees, digits, number
from harness.explain.flops import USUAL_SIZES
from zoo.index.types import Claim

# What the usual classifiers tell apart: the classes of CIFAR's two sets, of ImageNet, and of its
# larger sets, whole and as papers cleaned them.
_OTHER_CLASSES = (10, 100, 1000, 11221, 21841, 21843)
_MEBI = 2**20
_SLACK = 0.02
# Other forms that builders have, see `harness.measure.builders.forms_of`.
_FORMS = {"backbone": "its backbone alone, without what only its pretraining uses"}
# The sizes of images that tables of positions are made for; a patch of 14 pixels divides the last.
_SIZES = (*USUAL_SIZES, 336)
# What comes after the body of a model: a head of so many parts.
_MOST_ENDS = 3


@dataclass(frozen=True, slots=True)
class ParameterReading:
    """A number that a page may give as the parameters of a model.

    Attributes:
        value: the number.
        words: what it counts, for a sentence.
        wrong: it is no count of anything; another way of counting is only unusual.
        form: the number is right for the model that the words name.
    """

    value: int | Decimal
    words: str
    wrong: bool = False
    form: bool = False


@dataclass(frozen=True, slots=True)
class ParameterFit:
    """The simplest reading that equals the claim; certain where its digits rule out chance."""

    reading: ParameterReading
    certain: bool


def explain_parameters(claim: Claim, structure: Mapping[str, Any]) -> ParameterFit | None:
    """The simplest reading that equals the claim, None where none does."""
    step = claim.step or Decimal(1)
    accepted: set[Decimal] = set()
    uncertain: ParameterFit | None = None
    for place, readings in enumerate(_tiers(claim, structure)):
        for reading in readings:
            below, rest = divmod(Decimal(reading.value), step)
            accepted.update({below, below + 1} if rest else {below})
        found = next((r for r in readings if agrees(claim, r.value)), None)
        if found is None:
            continue
        # The deployed form is no guess: the builder itself has a second model of that name.
        tried = len(accepted) if place else 1
        if digits(claim) >= 2 + log10(tried):
            return ParameterFit(found, certain=True)
        uncertain = uncertain or ParameterFit(found, certain=False)
    return uncertain


def _tiers(claim: Claim, structure: Mapping[str, Any]) -> Iterator[list[ParameterReading]]:
    """The readings that tell something else than the built count, the plainest ones first."""
    built = structure["parameters"]
    for tier in (
        _deployed(structure),
        _other_models(structure),
        _other_counts(structure, claim.step or Decimal(1)),
        (*_units(structure), *_exchanged_digits(claim, structure)),
    ):
        yield [r for r in tier if r.value != built and r.value > 0]


def _deployed(structure: Mapping[str, Any]) -> Iterator[ParameterReading]:
    deployed = structure["forms"].get("deployed")
    if deployed is not None:
        words = "the deployed form, whose branches for training are put together"
        yield ParameterReading(deployed["parameters"], words, form=True)


def _other_models(structure: Mapping[str, Any]) -> Iterator[ParameterReading]:
    """The model with a part that it lacks, or without one that it has."""
    count, kinds, forms = structure["parameters"], structure["kinds"], structure["forms"]
    if "auxiliary" in forms:
        words = "the model with its auxiliary classifiers, which only training uses"
        yield ParameterReading(forms["auxiliary"]["parameters"], words, form=True)
    if kinds["auxiliary"]:
        words = "the model without its auxiliary classifiers, which only training uses"
        yield ParameterReading(count - kinds["auxiliary"], words, form=True)
    if kinds["distillation"]:
        words = "the parameters without the head for distillation"
        yield ParameterReading(count - kinds["distillation"], words)
        if kinds["distillation_token"]:
            left = count - kinds["distillation"] - kinds["distillation_token"]
            yield ParameterReading(left, f"{words} and its token")
    for form, other in forms.items():
        if form not in ("auxiliary", "deployed"):
            words = _FORMS.get(form, form)
            yield ParameterReading(other["parameters"], words, form=True)
    for left, names in _without_ends(structure["by_stage"]):
        last = f"last part, {names[0]}" if len(names) == 1 else f"last parts, {' and '.join(names)}"
        yield ParameterReading(left, f"the parameters without the {last}")
    yield ParameterReading(count - kinds["classifier"], "the parameters without the classifier")
    if "deployed" in forms:
        deployed = forms["deployed"]
        left = deployed["parameters"] - deployed["kinds"]["classifier"]
        yield ParameterReading(left, "the deployed form without its classifier", form=True)


def _without_ends(by_stage: Mapping[str, int]) -> Iterator[tuple[int, list[str]]]:
    """The parameters left without the last parts, and these; the largest part is the body."""
    names = list(by_stage)
    body = names.index(max(names, key=lambda name: by_stage[name])) if names else 0
    for place in range(len(names) - 1, max(body, len(names) - 1 - _MOST_ENDS), -1):
        yield sum(by_stage[name] for name in names[:place]), names[place:]


def _other_counts(structure: Mapping[str, Any], step: Decimal) -> Iterator[ParameterReading]:
    """All that the model has, counted in another way."""
    count, kinds = structure["parameters"], structure["kinds"]
    # Those of norms hold a number of batches as well, an integer, which some leave out.
    for buffers in dict.fromkeys(
        (structure["buffers"], structure["state"]["float_elements"] - count)
    ):
        yield ParameterReading(count + buffers, "the parameters and the buffers together")
    for names, words in (
        (("norms",), "without those of norms"),
        (("norms", "scales"), "without those of norms and layer scales"),
        (("scales",), "without layer scales"),
        (("folded",), "with its batch norms folded into the layers before them"),
        (("positions",), "without tables of positions and tokens"),
        (("loose",), "of its layers alone, without those that stand beside layers"),
    ):
        yield ParameterReading(count - sum(kinds[n] for n in names), f"the parameters {words}")
    # Releases of a library differ in the norms that a network ends with, and in its tokens. They
    # are small: a claim has to show them in its digits, as it has to show rows of a table.
    changes = (
        (-1, "without its last norm"),
        (1, "with one more norm like its last"),
        (2, "with two more norms like its last"),
    )
    for norms, words in changes if kinds["last_norm"] >= step else ():
        more = count + norms * kinds["last_norm"]
        yield ParameterReading(more, f"the parameters of the model {words}")
    # Some counters add up what they know, and know neither norms nor what makes the logits.
    yield ParameterReading(kinds["convolutions"], "the parameters of the convolutions alone")
    both = kinds["convolutions"] + kinds["linear"]
    yield ParameterReading(both, "the parameters of the convolutions and linear layers alone")
    yield ParameterReading(structure["trainable"], "the trainable parameters")
    if kinds["classes"] and kinds["classifier"] % kinds["classes"] == 0:
        each = kinds["classifier"] // kinds["classes"]
        for classes in _OTHER_CLASSES:
            other = count + each * (classes - kinds["classes"])
            words = f"the model with {classes} classes in place of {kinds['classes']}"
            yield ParameterReading(other, words, form=True)
    for rows, words in _other_tables(kinds) if kinds["width"] >= step else ():
        yield ParameterReading(count + rows * kinds["width"], words, form=True)
    in_mebi = Decimal(count) * 10**6 / _MEBI
    yield ParameterReading(
        in_mebi, "the parameters in units of 2^20, which a reader takes for millions"
    )


def _other_tables(kinds: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """How many rows more a table of positions has for other images, and beside which tokens."""
    side = isqrt(kinds["rows"])
    tokens = kinds["rows"] - side**2
    if not kinds["patch"] or tokens > 2:
        return
    for size in _SIZES:
        other, rest = divmod(size, kinds["patch"])
        if not rest and other != side:
            words = f"the model for images of {size}x{size}, with {other}x{other} positions"
            yield other**2 - side**2, f"{words} in place of {side}x{side}"
    # A token is a row of its own, and has one in the table.
    if not tokens:
        yield 2, "the model with a token for the class, and its position"


def _units(structure: Mapping[str, Any]) -> Iterator[ParameterReading]:
    count = Decimal(structure["parameters"])
    yield ParameterReading(
        count / 10**3, "a thousandth of the parameters: the unit is missing", wrong=True
    )
    yield ParameterReading(4 * count, "the bytes that the parameters take in float32", wrong=True)
    for power, words in ((3, "a thousand"), (6, "a million"), (1, "ten")):
        yield ParameterReading(count * 10**power, f"{words} times the parameters", wrong=True)
    yield ParameterReading(count / 10, "a tenth of the parameters", wrong=True)
    yield ParameterReading(2 * count, "twice the parameters", wrong=True)
    yield ParameterReading(count / 2, "half of the parameters", wrong=True)


def _exchanged_digits(claim: Claim, structure: Mapping[str, Any]) -> Iterator[ParameterReading]:
    """The count at the claim's precision, with two neighbouring digits in each other's place."""
    step = claim.step or Decimal(1)
    whole, rest = divmod(Decimal(structure["parameters"]), step)
    for rounded in (whole, whole + 1) if rest else (whole,):
        text = str(int(rounded))
        for place, (one, other) in enumerate(pairwise(text)):
            if one != other and not (place == 0 and other == "0"):
                swapped = text[:place] + other + one + text[place + 2 :]
                words = f"the parameters with two digits exchanged, {one}{other} as {other}{one}"
                yield ParameterReading(int(swapped) * step, words, wrong=True)


def same_digits(claim: Claim, value: int) -> bool:
    """Whether a claim is a number up to its unit: 3.21 M for 3,210,000,000."""
    written = number(claim)
    if not written or not value:
        return False
    power = round(log10(written / Decimal(value)))
    scaled = (Decimal(value).scaleb(power + shift) for shift in (-1, 0, 1))
    return any(agrees(claim, other) for other in scaled)


def near_up_to_its_unit(claim: Claim, value: int) -> bool:
    """Whether a claim is a number up to a fiftieth and its unit: counters differ by so much."""
    written = number(claim)
    if not written or written < 0 or not value:
        return False
    power = log10(written / Decimal(value))
    return abs(power - round(power)) <= log10(1 + _SLACK)
