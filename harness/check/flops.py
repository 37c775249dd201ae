"""FLOPs under the claimed convention and input, and, where they differ, why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
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
from harness.check.compare import agrees, grouped, number
from harness.explain.flops import PLAIN, Candidate, Explanation, candidates, explain
from harness.explain.flops_words import MOST_LEFT_OUT, Wording
from harness.explain.geometry import Geometry, geometries, usual_geometries
from harness.types import Edit, Finding, Size
from zoo.index.types import Claim, Severity, Variant

_ID = "flops"

# What a page means that names no convention: the field's reference counter, or plain products.
_DEFAULTS = ("fvcore", "macs")
# Those that count a multiply-accumulate as two.
_DOUBLED = ("flops", "deepspeed")


def _needs(size: Size) -> tuple[Need, ...]:
    return (Need("flops", (size,)),)


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """The claim holds, or is explained, or differs; asks for more inputs before it says so."""
    variant = evidence.variant
    for claim in variant.claims_of("FLOPs"):
        if number(claim) is None:
            yield not_read(claim, variant, _ID)
            continue
        fact = evidence.measurement("flops", evidence.size)
        if fact is None:
            yield not_measured(evidence, claim, _ID, "flops", evidence.size)
            continue
        accepted = accepted_conventions(variant, claim)
        known = {c["convention"] for c in fact.value["counts"]}
        if not known.intersection(accepted):
            message = (
                f"the claimed convention {accepted[0]} is not among those measured here "
                f"({', '.join(sorted(known))})"
            )
            yield unverified(claim, variant, _ID, "flops.convention", message)
            continue
        held = next((n for n in accepted if _agrees(claim, n, fact.value)), None)
        if held is not None:
            value = figure(fact.value, held)
            message = (
                f"the model takes {grouped(value)} at {_x(evidence.size)} as {held} counts, "
                "as documented"
            )
            yield matched(claim, variant, _ID, value, message)
            continue
        asked = geometries(evidence.size, evidence.recipe.crop_pct, evidence.recipe.image_size)
        sizes = tuple(g.size for g in asked)
        if any(("flops", size) not in evidence.facts for size in sizes):
            yield Need("flops", sizes)
            continue
        tries = candidates(asked, measured_counts(evidence, asked))
        rule = evidence.preferred.get(claim.field)
        explanation = explain(claim, tries, rule)
        if explanation is None or not explanation.certain:
            further = usual_geometries(asked)
            sizes = tuple(g.size for g in further)
            if any(("flops", size) not in evidence.facts for size in sizes):
                yield Need("flops", sizes)
                continue
            asked = [*asked, *further]
            tries = candidates(asked, measured_counts(evidence, asked))
            explanation = explain(claim, tries, rule) or explanation
        # Where the figure stands a second time and is right there, that says what is meant.
        figures = list(variant.claims_of("FLOPs"))
        accepted = tuple(
            sorted(accepted, key=lambda n: not any(_agrees(c, n, fact.value) for c in figures))
        )
        yield _differing(
            evidence, claim, accepted, explanation, len(tries), _refused(evidence, asked)
        )


def accepted_conventions(variant: Variant, figure: Claim) -> tuple[str, ...]:
    """The conventions under which a figure may hold: the claimed one, or the usual.

    A key such as ``GMACs`` says itself that multiply-accumulates are one: where the entry's FLOPs
    are said to be twice as many, that is not about this figure.
    """
    claim = variant.effective("FLOPs Convention")
    doubled = claim is not None and claim.value in _DOUBLED
    if claim is not None and isinstance(claim.value, str) and not (figure.macs and doubled):
        return (claim.value,)
    return _DEFAULTS


def figure(value: Mapping[str, Any], convention: str) -> int | float:
    """A measured count under a convention as named; torchvision's in billions, as it prints it.

    Raises:
        KeyError: the convention is not among the measured ones.
    """
    count = exact_figure(value, convention)
    return round(count / 1e9, 3) if convention == "torchvision" else count


def exact_figure(value: Mapping[str, Any], convention: str) -> int:
    """The same count with every digit.

    Raises:
        KeyError: the convention is not among the measured ones.
    """
    for count in value["counts"]:
        if count["convention"] == convention and not count["variation"]:
            return int(count["value"])
    raise KeyError(convention)


def measured_counts(evidence: Evidence, asked: Iterable[Geometry]) -> dict[Size, Mapping[str, Any]]:
    """Size -> the ``flops`` measurement's value, for the inputs at which the model could run."""
    found = {}
    for geometry in asked:
        fact = evidence.measurement("flops", geometry.size)
        if fact is not None:
            found[geometry.size] = fact.value
    return found


def _refused(evidence: Evidence, asked: Iterable[Geometry]) -> list[Size]:
    """The inputs of these that the model refused."""
    return [g.size for g in asked if evidence.unmeasured("flops", g.size) is not None]


def _agrees(claim: Claim, convention: str, value: Mapping[str, Any]) -> bool:
    try:
        measured = figure(value, convention)
    except KeyError:
        return False
    if convention == "torchvision":
        # Its pages write billions, to three decimals.
        exact = exact_figure(value, convention)
        return agrees(claim, Decimal(exact) / 10**9) or agrees(claim, exact)
    return agrees(claim, measured)


def _differing(
    evidence: Evidence,
    claim: Claim,
    accepted: tuple[str, ...],
    explanation: Explanation | None,
    tried: int,
    refused: Sequence[Size],
) -> Finding:
    fact = evidence.measurement("flops", evidence.size)
    assert fact is not None
    known = {c["convention"] for c in fact.value["counts"]}
    reference = next((name for name in accepted if name in known), "fvcore")
    right = figure(fact.value, reference)
    edits = _replacing(evidence.variant, claim, exact_figure(fact.value, reference), reference)
    words = Wording(claim, _x(evidence.size), reference, right)
    if explanation is None or not explanation.certain:
        message = words.unexplained(explanation, tried, [_x(size) for size in refused])
        return mismatched(
            claim, evidence.variant, _ID, "flops.differs", right, message, edits=edits
        )
    found = explanation.candidate
    cause = "flops.input-geometry" if found.geometry.size != evidence.size else "flops.convention"
    message = words.explained(explanation, accepted)
    excused = found.left_out <= MOST_LEFT_OUT and not found.scale.wrong
    severity: Severity | None = None if excused else "error"
    return mismatched(
        claim,
        evidence.variant,
        _ID,
        cause,
        right,
        message,
        severity,
        edits=edits,
        keeping=_keeping(evidence, claim, found),
        rules=explanation.rules,
    )


def _replacing(variant: Variant, claim: Claim, right: int, convention: str) -> tuple[Edit, ...]:
    """The figure at the claimed input, and its convention where none is claimed."""
    edits = [replaced(claim, right)]
    if variant.effective("FLOPs Convention") is None:
        edits.append(_said(variant, claim, "FLOPs Convention", convention))
    return tuple(edits)


def _keeping(evidence: Evidence, claim: Claim, found: Candidate) -> tuple[Edit, ...]:
    """The keys that make the number right as it stands; none where a counter was changed."""
    if found.variation or found.scale is not PLAIN:
        return ()
    variant, edits = evidence.variant, []
    claimed = variant.effective("FLOPs Convention")
    if claimed is None or claimed.value != found.convention:
        edits.append(_said(variant, claim, "FLOPs Convention", found.convention))
    if found.geometry.size != evidence.size:
        edits.append(_said(variant, claim, "FLOPs Input", found.geometry.size))
    return tuple(edits)


def _said(variant: Variant, claim: Claim, field: str, value: str | Size) -> Edit:
    """The edit of a key that explains the number: the variant's own, or a new one below it."""
    own = variant.claim(field)
    return Edit(field, value, claim.location, added=True) if own is None else replaced(own, value)


def _x(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


CHECK = VariantCheck(_ID, "flops", _needs, find)
