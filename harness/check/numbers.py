"""Parameters and Layers: whole numbers that the built model either has or has not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    unverified,
)
from harness.check.compare import agrees, grouped, number, precision, written
from harness.explain.parameters import explain_parameters
from harness.types import Finding, Size
from zoo.index.types import Claim, Severity

STRUCTURE = Need("structure")


def _needs(size: Size) -> tuple[Need, ...]:
    return (STRUCTURE,)


def find_parameters(evidence: Evidence) -> Iterable[Finding | Need]:
    """Parameters at the precision they were written with."""
    variant, check = evidence.variant, "parameters"
    for claim in variant.claims_of("Parameters"):
        if number(claim) is None:
            yield not_read(claim, variant, check)
            continue
        fact = evidence.measurement("structure")
        if fact is None:
            yield not_measured(evidence, claim, check, "structure")
            continue
        measured = int(fact.value["parameters"])
        if agrees(claim, measured):
            message = (
                f"the built model has {grouped(measured)} parameters, as documented "
                f"{precision(claim)}"
            )
            yield matched(claim, variant, check, measured, message)
        else:
            yield _other_parameters(evidence, claim, fact.value)


def _other_parameters(evidence: Evidence, claim: Claim, structure: Mapping[str, Any]) -> Finding:
    """The claim is another number: what it counts, where that is known."""
    measured = int(structure["parameters"])
    reading = explain_parameters(claim, structure)
    severity: Severity | None = None
    if reading is None:
        message = (
            f"the built model has {grouped(measured)} parameters, not {claim.raw}; "
            f"write {written(claim, measured)}, or correct the builder if {claim.raw} is what was "
            "meant"
        )
    else:
        # Another way of counting misleads; a number that counts nothing is wrong.
        severity = None if reading.wrong else "warning"
        message = (
            f"the built model has {grouped(measured)} parameters; {claim.raw} is {reading.words}; "
            f"write {written(claim, measured)}"
        )
    return mismatched(
        claim,
        evidence.variant,
        "parameters",
        "parameters.differs",
        measured,
        message,
        severity,
        edits=(replaced(claim, measured),),
        rules=() if reading is None else (reading.words,),
    )


def find_layers(evidence: Evidence) -> Iterable[Finding | Need]:
    """Layers against the depth of the built network, for families that define one."""
    variant, check = evidence.variant, "layers"
    for claim in variant.claims_of("Layers"):
        if number(claim) is None:
            yield not_read(claim, variant, check)
            continue
        fact = evidence.measurement("structure")
        if fact is None:
            yield not_measured(evidence, claim, check, "structure")
            continue
        measured = fact.value["layers"]
        if measured is None:
            message = (
                "this network is not built of residual stages, and no other rule is known that "
                "says what its depth counts"
            )
            yield unverified(claim, variant, check, "layers.not-defined", message)
        elif agrees(claim, measured):
            message = f"the built network is {measured} weighted layers deep, as documented"
            yield matched(claim, variant, check, measured, message)
        else:
            message = (
                f"the built network is {measured} weighted layers deep (stem, the convolutions "
                f"of its blocks and classifier), not {claim.raw}; write {measured}"
            )
            edits = (replaced(claim, measured),)
            yield mismatched(
                claim, variant, check, "layers.differs", measured, message, edits=edits
            )


PARAMETERS = VariantCheck("parameters", "parameters", _needs, find_parameters)
LAYERS = VariantCheck("layers", "layers", _needs, find_layers)
