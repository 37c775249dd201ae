"""File Size against the file itself, or, without it, what a checkpoint of the model can weigh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.check.base import (
    Evidence,
    Need,
    VariantCheck,
    matched,
    mismatched,
    not_measured,
    not_read,
    replaced,
)
from harness.check.compare import agrees, grouped, number
from harness.check.numbers import STRUCTURE
from harness.types import Finding, Size
from zoo.index.types import Claim

# A checkpoint spends this many bytes per tensor on names, headers and alignment.
OVERHEAD = (40, 400)


@dataclass(frozen=True, slots=True)
class Window:
    """The sizes, in bytes, that a checkpoint with this many bytes per value can have."""

    low: int
    high: int


def window(state: Mapping[str, int], bytes_per_value: int) -> Window:
    """What a state dict weighs: its values, its integer buffers, and the overhead per tensor.

    Files in half precision often keep norms and biases in float32, and torch writes the path of
    each module beside its version: the largest size has room for both.

    Args:
        state: as `harness.measure.structure.state_layout` gives it.
        bytes_per_value: 4 for float32, 2 for half precision.
    """
    low, high = OVERHEAD
    body = bytes_per_value * state["float_elements"] + state["other_bytes"]
    kept = (4 - bytes_per_value) * state["vector_elements"]
    return Window(
        body + low * state["tensors"], body + kept + high * state["tensors"] + state["path_bytes"]
    )


def _needs(size: Size) -> tuple[Need, ...]:
    return (STRUCTURE,)


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """Whether a checkpoint of this model, in float32 or half precision, can have that size."""
    variant, check = evidence.variant, "file-size"
    for claim in variant.claims_of("File Size"):
        documented = number(claim)
        if documented is None:
            yield not_read(claim, variant, check)
            continue
        file = evidence.measurement("file")
        if file is not None and file.value["size"] is not None:
            yield _against_the_file(evidence, claim, int(file.value["size"]))
            continue
        fact = evidence.measurement("structure")
        if fact is None:
            yield not_measured(evidence, claim, check, "structure")
            continue
        state = fact.value["state"]
        full, half = window(state, 4), window(state, 2)
        # A size in rounded units may stand for any size that rounds to it.
        slack = (claim.step or 1) - 1
        low, high = documented - slack, documented + slack
        if low <= full.high and high >= full.low:
            message = (
                f"a float32 checkpoint of this model takes {grouped(full.low)} to "
                f"{grouped(full.high)} bytes, and this is one of those sizes"
            )
            yield matched(claim, variant, check, None, message)
        elif low <= half.high and high >= half.low:
            message = (
                f"a half-precision checkpoint of this model takes {grouped(half.low)} to "
                f"{grouped(half.high)} bytes; say in the index that the weights are in half "
                "precision"
            )
            yield mismatched(claim, variant, check, "size.half-precision", None, message)
        elif (
            (headless := _without_head(fact.value))
            and low <= headless.high
            and (high >= headless.low)
        ):
            message = (
                f"a float32 checkpoint of this model without its last part, "
                f"{fact.value['head']['name']}, takes {grouped(headless.low)} to "
                f"{grouped(headless.high)} bytes, and with it at least {grouped(full.low)}: the "
                "file can't hold the classifier; write the size of this variant's own file"
            )
            yield mismatched(claim, variant, check, "size.impossible", None, message)
        elif documented < full.low:
            each = documented / max(1, fact.value["parameters"])
            message = (
                f"{grouped(documented)} bytes are {each:.2f} for each of the "
                f"{grouped(fact.value['parameters'])} parameters: a float32 checkpoint of this "
                f"model takes at least {grouped(full.low)} and a half-precision one at most "
                f"{grouped(half.high)}; write the size of this variant's own file"
            )
            yield mismatched(claim, variant, check, "size.impossible", None, message)
        else:
            more = grouped((int(documented) - full.high) // 4)
            message = (
                f"a float32 checkpoint of this model takes at most {grouped(full.high)} bytes; "
                f"the file holds some {more} values more than the model needs, or the size is "
                "another file's: open the file to tell"
            )
            yield mismatched(claim, variant, check, "size.larger", None, message)


def _without_head(value: Mapping[str, Any]) -> Window | None:
    """What a checkpoint weighs that ends before the model's last part."""
    state, head = value["state"], value["head"]
    if head["tensors"] in (0, state["tensors"]):
        return None
    return window({key: state[key] - head[key] for key in state}, 4)


def _against_the_file(evidence: Evidence, claim: Claim, size: int) -> Finding:
    variant, check = evidence.variant, "file-size"
    opened = evidence.measurement("checkpoint")
    reasons = list(opened.value.get("reasons", ())) if opened is not None else []
    # The reasons have parentheses of their own.
    why = f": {'; '.join(reasons)}" if reasons else ""
    if not agrees(claim, size):
        message = f"the file behind Weights has {grouped(size)} bytes{why}; write {size}"
        edits = (replaced(claim, size),)
        return mismatched(claim, variant, check, "size.differs", size, message, edits=edits)
    if not reasons:
        message = f"the file behind Weights has {grouped(size)} bytes, as documented"
        return matched(claim, variant, check, size, message)
    half = opened is not None and opened.value["half"] is not None
    cause = "size.half-precision" if half else "size.extra-tensors"
    # Half precision may be meant; anything else is what nobody who loads the model needs.
    remedy = "" if half else "; publish its state dict alone, such as the model.pth of zoo train"
    message = (
        f"the file has {grouped(size)} bytes, as documented, and holds something else than "
        f"the model in float32{why}{remedy}"
    )
    return mismatched(claim, variant, check, cause, size, message)


CHECK = VariantCheck("file-size", "weights", _needs, find)
