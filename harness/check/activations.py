"""Activations: the numbers that convolutions and products of matrices put out."""

from __future__ import annotations

from collections.abc import Iterable

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
from harness.check.compare import agrees, grouped, number, written
from harness.check.flops import at_stated_input
from harness.types import Finding

_ID = "activations"


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """The claim is what fvcore counts, or the RegNet paper; or it is the deployed form's."""
    placed = at_stated_input(evidence, "Activations")
    if isinstance(placed, Need):
        yield placed
        return
    evidence = placed
    variant, (height, width) = evidence.variant, evidence.size
    for claim in variant.claims_of("Activations"):
        fact = evidence.measurement("flops", evidence.size)
        if number(claim) is None:
            yield not_read(claim, variant, _ID)
            continue
        if fact is None:
            if evidence.unmeasured("flops", evidence.size) is None:
                yield Need("flops", (evidence.size,))
            else:
                yield not_measured(evidence, claim, _ID, "flops", evidence.size)
            continue
        counted = {"layers": fact.value["activations"], **fact.value["put_out"]}
        held = next((r for r, n in counted.items() if n is not None and agrees(claim, n)), None)
        best = counted["with_products"]
        has = f"the model puts out {{}} activations at {height}x{width}"
        if held is not None and not held.startswith("deployed"):
            message = f"{has.format(grouped(counted[held]))}, as documented"
            yield matched(claim, variant, _ID, counted[held], message)
            continue
        message = f"{has.format(grouped(best))}, not {claim.raw}"
        if held is not None:
            message += f", which its deployed form does; write {written(claim, best)}, or say so"
        else:
            message += f"; write {written(claim, best)}"
        yield mismatched(
            claim,
            variant,
            _ID,
            "activations.differs",
            best,
            message,
            "warning" if held else None,
            edits=() if held else (replaced(claim, best),),
        )


# It needs nothing to start from: most variants claim no such thing.
CHECK = VariantCheck(_ID, "flops", lambda size: (), find)
