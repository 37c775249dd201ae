"""Parameters and Layers against the built model; Parameters and FLOPs that were exchanged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from harness.explain.parameters import explain_parameters, near_up_to_its_unit, same_digits
from harness.types import WITH_PRODUCTS, WITH_UNKNOWN, Finding
from zoo.index.types import Claim, Severity

STRUCTURE = Need("structure")

# A stem is counted as one layer or as each of its convolutions.
_NEAR_LAYERS = 3
# The digits that two numbers need, together, to be each other's.
_ENOUGH_DIGITS = 5
# What a page prints as FLOPs: a counter as it is, and with the attention that it does not know.
_PRINTED = ("", WITH_PRODUCTS, WITH_UNKNOWN)

RULE = "FLOPs and Parameters exchanged"


def _judged(
    evidence: Evidence,
    field: str,
    judge: Callable[[Evidence, Claim, Mapping[str, Any]], Finding | Need],
) -> Iterator[Finding | Need]:
    """One finding per claim of a field; what can't be read or was not measured is not judged."""
    variant, check = evidence.variant, field.lower()
    for claim in variant.claims_of(field):
        fact = evidence.measurement("structure")
        if number(claim) is None:
            yield not_read(claim, variant, check)
        elif fact is None:
            yield not_measured(evidence, claim, check, "structure")
        else:
            yield judge(evidence, claim, fact.value)


def find_parameters(evidence: Evidence) -> Iterable[Finding | Need]:
    """Parameters at the precision they were written with."""
    return _judged(evidence, "Parameters", _parameters)


def _parameters(evidence: Evidence, claim: Claim, structure: Mapping[str, Any]) -> Finding | Need:
    measured = int(structure["parameters"])
    if agrees(claim, measured):
        message = (
            f"the built model has {grouped(measured)} parameters, as documented {precision(claim)}"
        )
        return matched(claim, evidence.variant, "parameters", measured, message)
    other = next((c for c in evidence.variant.claims_of("FLOPs") if same_digits(c, measured)), None)
    swapped = None if other is None else exchanged(evidence, claim, other)
    if isinstance(swapped, Need):
        return swapped
    if swapped is not None:
        message = f"{swapped}; write {written(claim, measured)}"
        return _differs(evidence, claim, measured, message, rules=(RULE,))
    return _other_parameters(evidence, claim, structure)


def _differs(
    evidence: Evidence,
    claim: Claim,
    measured: int,
    message: str,
    severity: Severity | None = None,
    rules: tuple[str, ...] = (),
    mend: bool = True,
) -> Finding:
    return mismatched(
        claim,
        evidence.variant,
        "parameters",
        "parameters.differs",
        measured,
        message,
        severity,
        edits=(replaced(claim, measured),) if mend else (),
        rules=rules,
    )


def _other_parameters(evidence: Evidence, claim: Claim, structure: Mapping[str, Any]) -> Finding:
    """The claim is another number: what it counts, where that is known."""
    measured = int(structure["parameters"])
    has, mend = f"the built model has {grouped(measured)} parameters", written(claim, measured)
    fit = explain_parameters(claim, structure)
    if (fit is None or not fit.certain) and structure["left_out"]:
        message = f"{has} without {structure['left_out']}, so that {claim.raw} was not compared"
        check = "parameters"
        return unverified(claim, evidence.variant, check, "build.failed", message, measured)
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
        return _differs(evidence, claim, measured, message)
    reading = fit.reading
    message = f"{has}; {claim.raw} is {reading.words}; write {mend}"
    if reading.form:
        # The number is right there: a note beside it mends it as well.
        message += ", or say beside the number what it is of"
    # Another way of counting misleads; a number that counts nothing is wrong.
    severity: Severity | None = None if reading.wrong else "warning"
    rules = (reading.words,)
    return _differs(evidence, claim, measured, message, severity, rules, mend=not reading.form)


def find_layers(evidence: Evidence) -> Iterable[Finding | Need]:
    """Layers against the depth of the built network, for families that define one."""
    return _judged(evidence, "Layers", _layers)


def _layers(evidence: Evidence, claim: Claim, structure: Mapping[str, Any]) -> Finding:
    variant, check, measured = evidence.variant, "layers", structure["layers"]
    if measured is None:
        message = (
            "this network is not built of residual stages alone, and no other rule is known "
            "that says what its depth counts"
        )
        return unverified(claim, variant, check, "layers.not-defined", message)
    if agrees(claim, measured):
        message = f"the built network is {measured} weighted layers deep, as documented"
        return matched(claim, variant, check, measured, message)
    rule = "stem, the convolutions of its blocks and classifier"
    if _named_by(evidence, claim, measured):
        message = (
            f"the name gives the network {claim.raw} layers and the usual rule {measured} "
            f"({rule}); how its authors count is not known"
        )
        return unverified(claim, variant, check, "layers.not-defined", message, measured)
    message = (
        f"the built network is {measured} weighted layers deep ({rule}), not {claim.raw}; write "
        f"{measured}"
    )
    edits = (replaced(claim, measured),)
    return mismatched(claim, variant, check, "layers.differs", measured, message, edits=edits)


def _named_by(evidence: Evidence, claim: Claim, measured: int) -> bool:
    """Whether the claim is the depth that the builder's own name says, and nearly the measured one.

    SENet-154 counts each convolution of its stem, ResNet-RS-420 has 419 layers by the usual rule.
    """
    value, near = number(claim), max(_NEAR_LAYERS, measured // 100)
    named = {int(n) for n in re.findall(r"[0-9]+", evidence.recipe.architecture)}
    return value is not None and value in named and abs(value - measured) <= near


def exchanged(evidence: Evidence, parameters: Claim, flops: Claim) -> str | Need | None:
    """Why these two were exchanged, None where they were not, or what has to be measured first."""
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


PARAMETERS = VariantCheck("parameters", "parameters", lambda size: (STRUCTURE,), find_parameters)
LAYERS = VariantCheck("layers", "layers", lambda size: (STRUCTURE,), find_layers)
