"""FLOPs and Parameters that stand in each other's place, at whatever unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.check.base import Evidence, Need
from harness.check.compare import digits, grouped
from harness.explain.parameters import near_up_to_its_unit, same_digits
from harness.types import WITH_PRODUCTS, WITH_UNKNOWN
from zoo.index.types import Claim

# The digits that two numbers need, together, to be each other's.
_ENOUGH_DIGITS = 5
# What a page prints as FLOPs: a counter as it is, and with the attention that it does not know.
_PRINTED = ("", WITH_PRODUCTS, WITH_UNKNOWN)

RULE = "FLOPs and Parameters exchanged"


def exchanged(evidence: Evidence, parameters: Claim, flops: Claim) -> str | Need | None:
    """Why these two were exchanged, None where they were not, or what has to be measured first.

    Args:
        evidence: the variant's.
        parameters: the claim under Parameters.
        flops: the claim under FLOPs.
    """
    if digits(parameters) + digits(flops) < _ENOUGH_DIGITS:
        return None
    if ("flops", evidence.size) not in evidence.facts:
        return Need("flops", (evidence.size,))
    count = evidence.measurement("flops", evidence.size)
    takes = None if count is None else _taken(parameters, count.value["counts"])
    if takes is None:
        return None
    if ("structure", None) not in evidence.facts:
        return Need("structure")
    structure = evidence.measurement("structure")
    built = 0 if structure is None else int(structure.value["parameters"])
    if not same_digits(flops, built):
        return None
    return (
        f"the built model has {grouped(built)} parameters and takes {takes}; {parameters.raw} has "
        f"the digits of these, and {flops.raw} under FLOPs those of the parameters: the two were "
        "exchanged"
    )


def _taken(parameters: Claim, counts: Sequence[Mapping[str, Any]]) -> str | None:
    """The FLOPs whose digits stand under Parameters, None where none do.

    Counters differ from the multiply-accumulates by a little; what one prints has the very digits.
    """
    macs = next(int(c["value"]) for c in counts if c["convention"] == "macs")
    if any(near_up_to_its_unit(parameters, figure) for figure in (macs, 2 * macs)):
        return f"{grouped(macs)} multiply-accumulates"
    for count in counts:
        value = int(count["value"])
        if count["variation"] in _PRINTED and same_digits(parameters, value):
            return f"{grouped(value)} FLOPs as {count['convention']} counts"
    return None
