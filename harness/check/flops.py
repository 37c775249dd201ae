"""FLOPs under the claimed convention and input, and, where they differ, why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from harness.check.base import (
    Evidence,
    Need,
    VariantCheck,
    matched,
    mismatched,
    not_measured,
    replaced,
    unverified,
)
from harness.check.compare import agrees, digits, grouped, number
from harness.explain.flops import Candidate, Explanation, candidates, explain
from harness.explain.geometry import Geometry, geometries
from harness.types import Edit, Finding, Size
from zoo.index.types import Claim, Severity, Variant

_ID = "flops"

# What a page means that names no convention: the field's reference counter, or plain products.
_DEFAULTS = ("fvcore", "macs")

# An explanation that leaves out more than this share of the model is one, but no excuse.
_MOST_LEFT_OUT = 0.1


def _needs(size: Size) -> tuple[Need, ...]:
    return (Need("flops", (size,)),)


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """The claim holds, or is explained, or differs; asks for more inputs before it says so."""
    variant = evidence.variant
    for claim in variant.claims_of("FLOPs"):
        if number(claim) is None:
            continue
        fact = evidence.measurement("flops", evidence.size)
        if fact is None:
            yield not_measured(evidence, claim, _ID, "flops", evidence.size)
            continue
        accepted = accepted_conventions(variant)
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
        # Where the figure stands a second time and is right there, that says what is meant.
        figures = list(variant.claims_of("FLOPs"))
        accepted = tuple(
            sorted(accepted, key=lambda n: not any(_agrees(c, n, fact.value) for c in figures))
        )
        yield _differing(evidence, claim, accepted, explain(claim, tries), len(tries))


def accepted_conventions(variant: Variant) -> tuple[str, ...]:
    """The conventions under which the variant's FLOPs may hold: the claimed one, or the usual."""
    claim = variant.effective("FLOPs Convention")
    if claim is not None and isinstance(claim.value, str):
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
) -> Finding:
    fact = evidence.measurement("flops", evidence.size)
    assert fact is not None
    known = {c["convention"] for c in fact.value["counts"]}
    reference = next((name for name in accepted if name in known), "fvcore")
    right = figure(fact.value, reference)
    edits = _replacing(evidence.variant, claim, exact_figure(fact.value, reference), reference)
    at = _x(evidence.size)
    if explanation is None or not explanation.certain:
        message = (
            f"at {at} the model takes {grouped(right)} as {reference} counts; "
            f"{_unexplained(claim, explanation, tried)}: write {_written(right, reference)} with "
            f"FLOPs Convention: {reference}"
        )
        return mismatched(
            claim, evidence.variant, _ID, "flops.differs", right, message, edits=edits
        )
    found = explanation.candidate
    cause = "flops.input-geometry" if found.geometry.size != evidence.size else "flops.convention"
    message = " ".join(_story(claim, explanation, at, reference, right, accepted))
    severity: Severity | None = "error" if found.left_out > _MOST_LEFT_OUT else None
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
    )


def _replacing(variant: Variant, claim: Claim, right: int, convention: str) -> tuple[Edit, ...]:
    """The figure at the claimed input, and its convention where none is claimed."""
    edits = [replaced(claim, right)]
    if variant.effective("FLOPs Convention") is None:
        edits.append(_said(variant, claim, "FLOPs Convention", convention))
    return tuple(edits)


def _keeping(evidence: Evidence, claim: Claim, found: Candidate) -> tuple[Edit, ...]:
    """The keys that make the number right as it stands; none where a counter was changed."""
    if found.variation:
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


def _unexplained(claim: Claim, explanation: Explanation | None, tried: int) -> str:
    if explanation is None:
        return (
            f"none of the {tried} combinations of convention and input that were tried gives "
            f"{claim.raw}"
        )
    found = explanation.candidate
    count = digits(claim)
    return (
        f"{claim.raw} would fit {found.name} at {found.geometry}, but {count} "
        f"digit{'s are' if count > 1 else ' is'} too few to tell that from chance"
    )


def _written(figure: float, convention: str) -> str:
    """How an index writes a figure: torchvision's are billions."""
    return f"{figure}G" if convention == "torchvision" else f"{figure}"


def _story(
    claim: Claim,
    explanation: Explanation,
    at: str,
    reference: str,
    right: int | float,
    accepted: tuple[str, ...],
) -> Iterator[str]:
    found = explanation.candidate
    where = f" at {found.geometry}" if str(found.geometry) != at else ""
    yield f"{claim.raw} is what {found.name} counts{where}"
    if where:
        yield f"({found.geometry.words});"
    if found.left_out > _MOST_LEFT_OUT:
        yield f"which leaves out {found.left_out:.0%} of the multiply-accumulates;"
    elif not where:
        yield "and not what a reader expects;"
    if explanation.also:
        others = [f"{c.name} at {c.geometry}" for c in explanation.also[:2]]
        more = len(explanation.also) - len(others)
        yield f"as written it is also {', '.join(others)}{f' and {more} more' if more else ''};"
    yield f"at {at} the model takes {grouped(right)} as {reference} counts:"
    keep = []
    if found.convention not in accepted or found.variation:
        keep.append(f"FLOPs Convention: {found.convention}")
    if where:
        keep.append(f"FLOPs Input: {found.geometry}")
    write = _written(right, reference)
    if found.variation or not keep:
        yield f"write {write}"
    else:
        yield f"write {write}, or keep the number with {' and '.join(keep)}"


def _x(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


CHECK = VariantCheck(_ID, "flops", _needs, find)
