"""Why a documented number of parameters is not that of the built model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import log10
from typing import Any

from harness.check.compare import agrees, digits
from zoo.index.types import Claim


@dataclass(frozen=True, slots=True)
class Reading:
    """A number that a page may give as the parameters of a model.

    Attributes:
        value: the number.
        words: what it counts, for a sentence.
        wrong: it is no count of anything; another way of counting is only unusual.
    """

    value: int | Decimal
    words: str
    wrong: bool = False


def explain_parameters(claim: Claim, structure: Mapping[str, Any]) -> Reading | None:
    """The simplest reading that equals the claim, None where none does or chance could.

    Args:
        claim: the documented number.
        structure: the value of a ``structure`` measurement.
    """
    readings = list(_readings(structure))
    if digits(claim) < 2 + log10(len(readings)):
        return None
    return next((r for r in readings if agrees(claim, r.value)), None)


def _readings(structure: Mapping[str, Any]) -> Iterator[Reading]:
    count, head = structure["parameters"], structure["head"]
    last = structure["by_stage"].get(head["name"], 0)
    # Those of norms hold a number of batches as well, an integer, which some leave out.
    for buffers in dict.fromkeys(
        (structure["buffers"], structure["state"]["float_elements"] - count)
    ):
        yield Reading(count + buffers, "the parameters and the buffers together")
    if 0 < last < count:
        yield Reading(count - last, f"the parameters without the last part, {head['name']}")
    if structure["trainable"] != count:
        yield Reading(structure["trainable"], "the trainable parameters")
    if 0 < structure["convolutions"] < count:
        # Some counters add up what they know, and know neither norms nor what makes the logits.
        yield Reading(structure["convolutions"], "the parameters of the convolutions alone")
    small = Decimal(count) / 10**3
    yield Reading(small, "a thousandth of the parameters: the unit is missing", wrong=True)
    yield Reading(4 * count, "the bytes that the parameters take in float32", wrong=True)
    for power, words in ((3, "a thousand"), (6, "a million")):
        yield Reading(count * 10**power, f"{words} times the parameters", wrong=True)
