"""Parameters and Layers: whole numbers that the built model either has or has not."""

from __future__ import annotations

import re
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
from harness.check.compare import agrees, digits, grouped, number, precision, written
from harness.check.exchange import RULE, exchanged
from harness.explain.parameters import explain_parameters, same_digits
from harness.types import Edit, Finding, Size
from zoo.index.types import Claim, Severity

STRUCTURE = Need("structure")

# A stem is counted as one layer or as each of its convolutions.
_NEAR_LAYERS = 3


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
            swapped = _exchanged(evidence, claim, fact.value)
            yield swapped or _other_parameters(evidence, claim, fact.value)


def _other_parameters(evidence: Evidence, claim: Claim, structure: Mapping[str, Any]) -> Finding:
    """The claim is another number: what it counts, where that is known."""
    measured = int(structure["parameters"])
    has, mend = f"the built model has {grouped(measured)} parameters", written(claim, measured)
    fit = explain_parameters(claim, structure)
    severity: Severity | None = None
    edits: tuple[Edit, ...] = (replaced(claim, measured),)
    rules: tuple[str, ...] = ()
    if fit is None or not fit.certain:
        count = digits(claim)
        chance = f"{count} digit{'s are' if count > 1 else ' is'} too few to tell that from chance"
        doubt = "" if fit is None else f" ({claim.raw} would be {fit.reading.words}, but {chance})"
        if structure["no_forms"]:
            doubt += f" (its deployed form could not be made: {structure['no_forms']})"
        message = (
            f"{has}, not {claim.raw}{doubt}; write {mend}, or correct the builder if "
            f"{claim.raw} is what was meant"
        )
    else:
        reading = fit.reading
        rules = (reading.words,)
        # Another way of counting misleads; a number that counts nothing is wrong.
        severity = None if reading.wrong else "warning"
        message = f"{has}; {claim.raw} is {reading.words}; write {mend}"
        if reading.form:
            # The number is right there: a note beside it mends it as well.
            message += ", or say beside the number what it is of"
            edits = ()
    return mismatched(
        claim,
        evidence.variant,
        "parameters",
        "parameters.differs",
        measured,
        message,
        severity,
        edits=edits,
        rules=rules,
    )


def _exchanged(
    evidence: Evidence, claim: Claim, structure: Mapping[str, Any]
) -> Finding | Need | None:
    """The finding that FLOPs and Parameters stand in each other's place, None where they don't."""
    measured = int(structure["parameters"])
    other = next((c for c in evidence.variant.claims_of("FLOPs") if same_digits(c, measured)), None)
    why = None if other is None else exchanged(evidence, claim, other)
    if why is None or isinstance(why, Need):
        return why
    message = f"{why}; write {written(claim, measured)}"
    return mismatched(
        claim,
        evidence.variant,
        "parameters",
        "parameters.differs",
        measured,
        message,
        edits=(replaced(claim, measured),),
        rules=(RULE,),
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
                "this network is not built of residual stages alone, and no other rule is known "
                "that says what its depth counts"
            )
            yield unverified(claim, variant, check, "layers.not-defined", message)
        elif not agrees(claim, measured) and _named_by(evidence, claim, measured):
            message = (
                f"the name gives the network {claim.raw} layers and the usual rule {measured} "
                "(stem, the convolutions of its blocks and classifier); how its authors count is "
                "not known"
            )
            yield unverified(claim, variant, check, "layers.not-defined", message, measured)
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


def _named_by(evidence: Evidence, claim: Claim, measured: int) -> bool:
    """Whether the claim is the depth that the builder's own name says, and nearly the measured one.

    SENet-154 counts each convolution of its stem, ResNet-RS-420 has 419 layers by the usual rule.
    """
    value, near = number(claim), max(_NEAR_LAYERS, measured // 100)
    named = {int(n) for n in re.findall(r"[0-9]+", evidence.recipe.architecture)}
    return value is not None and value in named and abs(value - measured) <= near


PARAMETERS = VariantCheck("parameters", "parameters", _needs, find_parameters)
LAYERS = VariantCheck("layers", "layers", _needs, find_layers)
