"""FLOPs under the claimed convention and input, and, where they differ, why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from harness.check.numbers import RULE, exchanged
from harness.explain.flops import (
    PLAIN,
    Candidate,
    Explanation,
    Geometry,
    candidates,
    explain,
    geometries,
    stated_geometries,
    usual_geometries,
)
from harness.explain.flops_messages import MOST_LEFT_OUT, FlopsMessages, leaves_out
from harness.types import (
    WITH_PRODUCTS,
    WITH_UNKNOWN,
    Edit,
    Fact,
    Finding,
    Measurement,
    Size,
    Unmeasured,
)
from zoo.index.types import Claim, Severity, Variant

_ID = "flops"

# What a page means that names no convention: the field's reference counter, or plain products.
_DEFAULTS = ("fvcore", "macs")
# Those that count a multiply-accumulate as two.
_DOUBLED = ("flops", "deepspeed")
# fvcore prints other figures of a model whose attention is not one operator: they are its own.
_COMPLETED = (WITH_PRODUCTS, WITH_UNKNOWN)
# A counter that leaves out more than this share of the model is recommended to nobody.
_LEFT_OUT = 0.01
# So many sizes that a library states for a model are tried where an index says none.
_MOST_STATED = 4


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """The claim holds, or is explained, or differs; asks for more inputs before it says so."""
    placed = at_stated_input(evidence, "FLOPs")
    if isinstance(placed, Need):
        yield placed
        return
    for claim in evidence.variant.claims_of("FLOPs"):
        yield _judged(placed, claim)


def _judged(evidence: Evidence, claim: Claim) -> Finding | Need:
    variant = evidence.variant
    if number(claim) is None:
        return not_read(claim, variant, _ID)
    fact = evidence.measurement("flops", evidence.size)
    if fact is None:
        return not_measured(evidence, claim, _ID, "flops", evidence.size)
    accepted = accepted_conventions(variant, claim)
    known = {c["convention"] for c in fact.value["counts"]}
    if not known.intersection(accepted):
        message = (
            f"the claimed convention {accepted[0]} is not among those measured here "
            f"({', '.join(sorted(known))})"
        )
        return unverified(claim, variant, _ID, "flops.convention", message)
    held = next((r for r in _figures_under(fact.value, accepted) if r.is_in(claim)), None)
    if held is not None:
        value = figure(fact.value, held.convention) if not held.variation else held.exact
        message = (
            f"the model takes {grouped(value)} at {_x(evidence.size)} as {held.words}, "
            "as documented"
        )
        return matched(claim, variant, _ID, value, message)
    return _explained(evidence, claim, accepted)


def _explained(evidence: Evidence, claim: Claim, accepted: tuple[str, ...]) -> Finding | Need:
    """The finding on a claim that does not hold, once the inputs that may explain it are tried."""
    recipe = evidence.recipe
    asked = geometries(evidence.size, recipe.crop_pct, recipe.image_size)
    if need := _lacking(evidence, asked):
        return need
    tries = candidates(asked, measured_counts(evidence, asked))
    rule = evidence.preferred.get(claim.field)
    explanation = explain(claim, tries, rule)
    swapped = None
    if explanation is None or not explanation.certain:
        sizes = stated_sizes(evidence)
        if isinstance(sizes, Need):
            return sizes
        known = {geometry.size for geometry in asked}
        stated = stated_geometries(recipe.builder, [size for size in sizes if size not in known])
        further = [*stated, *usual_geometries([*asked, *stated])]
        if need := _lacking(evidence, further, "derived"):
            return need
        asked = [*asked, *further]
        tries = candidates(asked, measured_counts(evidence, asked))
        explanation = explain(claim, tries, rule) or explanation
        if explanation is None or not explanation.certain:
            swapped = _exchanged(evidence, claim)
    if isinstance(swapped, Need):
        return swapped
    # What was derived finds an input; what is said of it is counted there.
    if explanation and (need := _lacking(evidence, [explanation.candidate.geometry])):
        return need
    refused = [g.size for g in asked if isinstance(_counted(evidence, g.size), Unmeasured)]
    return _differing(evidence, claim, accepted, explanation, len(tries), refused, swapped)


def _lacking(evidence: Evidence, asked: Sequence[Geometry], kind: str = "flops") -> Need | None:
    """What has to be measured before these inputs can explain anything."""
    known = {size for made, size in evidence.facts if made in ("flops", kind)}
    sizes = tuple(g.size for g in asked if g.size not in known)
    return Need(kind, sizes) if sizes else None


def at_stated_input(evidence: Evidence, field: str) -> Evidence | Need:
    """The evidence at the input that the builder's library states, where the index states none.

    No usual input stands in for it: published tables leave out the size of each row. What has to
    be measured for it comes in its place.
    """
    variant, recipe = evidence.variant, evidence.recipe
    claims = [claim for claim in variant.claims_of(field) if number(claim) is not None]
    is_stated = any(variant.effective(key) for key in ("FLOPs Input", "Image Size"))
    if not claims or is_stated or recipe.builder == "zoo":
        return evidence
    sizes = stated_sizes(evidence)
    if isinstance(sizes, Need):
        return sizes
    if not sizes:
        return evidence
    missing = tuple(size for size in sizes if ("flops", size) not in evidence.facts)
    if missing:
        return Need("flops", missing)
    fitting = (
        size
        for size in sizes
        if (found := evidence.measurement("flops", size)) is not None
        and any(_holds(variant, claim, found.value) for claim in claims)
    )
    return replace(evidence, size=next(fitting, sizes[0]))


def stated_sizes(evidence: Evidence) -> list[Size] | Need:
    """The inputs that the builder's library states for the model, or what has to be measured."""
    if evidence.recipe.builder == "zoo":
        return []
    if ("preprocess", None) not in evidence.facts:
        return Need("preprocess")
    fact = evidence.measurement("preprocess")
    settings = () if fact is None else (*fact.value["settings"], *fact.value["others"])
    sizes = [(int(s[0]), int(s[1])) for each in settings if (s := each["image_size"])]
    return list(dict.fromkeys(sizes))[:_MOST_STATED]


def _holds(variant: Variant, claim: Claim, value: Mapping[str, Any]) -> bool:
    if claim.field != "FLOPs":
        counts = (*value["put_out"].values(), value["activations"])
        return any(n is not None and agrees(claim, n) for n in counts)
    return any(r.is_in(claim) for r in _figures_under(value, accepted_conventions(variant, claim)))


def _exchanged(evidence: Evidence, claim: Claim) -> str | Need | None:
    """Why the claim and the Parameters were exchanged, or what has to be measured to tell."""
    pairs = (exchanged(evidence, p, claim) for p in evidence.variant.claims_of("Parameters"))
    return next((pair for pair in pairs if pair is not None), None)


@dataclass(frozen=True, slots=True)
class _Figure:
    """A measured figure that a claim may mean without another word."""

    convention: str
    variation: str
    exact: int
    left_out: float

    @property
    def words(self) -> str:
        """As whom it counts, for a sentence: ``macs counts``."""
        if self.variation:
            return f"{self.convention} counts {self.variation}"
        if self.convention == "fvcore" and self.left_out > _LEFT_OUT:
            return f"fvcore counts, which {leaves_out(self.convention, self.left_out)}"
        return f"{self.convention} counts"

    def is_in(self, claim: Claim) -> bool:
        """Whether the claim says this, at its precision; torchvision's pages write billions."""
        billions = self.convention == "torchvision" and agrees(claim, Decimal(self.exact) / 10**9)
        return billions or agrees(claim, self.exact)


def _figures_under(value: Mapping[str, Any], accepted: Sequence[str]) -> list[_Figure]:
    """The figures that hold under these conventions, those without a variation first."""
    total = exact_figure(value, "macs")
    found = [
        _Figure(
            count["convention"],
            count["variation"],
            int(count["value"]),
            1 - count["covered"] / total if total else 0.0,
        )
        for count in value["counts"]
        if count["convention"] in accepted
        and (not count["variation"] or _is_completed(count["convention"], count["variation"]))
    ]
    return sorted(found, key=lambda r: (bool(r.variation), accepted.index(r.convention)))


def _is_completed(convention: str, variation: str) -> bool:
    return convention == "fvcore" and variation in _COMPLETED


def recommended(value: Mapping[str, Any], accepted: Sequence[str]) -> str:
    """The first of these conventions whose counter sees the whole model, else ``macs``."""
    plain = (r for r in _figures_under(value, accepted) if not r.variation)
    return next((r.convention for r in plain if r.left_out <= _LEFT_OUT), "macs")


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
        fact = _counted(evidence, geometry.size)
        if isinstance(fact, Measurement):
            found[geometry.size] = fact.value
    return found


def _counted(evidence: Evidence, size: Size) -> Fact | None:
    return evidence.facts.get(("flops", size)) or evidence.facts.get(("derived", size))


def _differing(
    evidence: Evidence,
    claim: Claim,
    accepted: tuple[str, ...],
    explanation: Explanation | None,
    tried: int,
    refused: Sequence[Size],
    swapped: str | None,
) -> Finding:
    fact = evidence.measurement("flops", evidence.size)
    assert fact is not None
    expected = _figures_under(fact.value, accepted)
    # Where the figure stands a second time and is right there, that says what is meant.
    figures = list(evidence.variant.claims_of("FLOPs"))
    meant = [r for r in expected if any(r.is_in(other) for other in figures)]
    whole = [r for r in (*meant, *expected) if r.left_out <= _LEFT_OUT]
    best = whole[0] if whole else _Figure("macs", "", exact_figure(fact.value, "macs"), 0.0)
    right = best.exact if best.variation else figure(fact.value, best.convention)
    blind = next((r for r in expected if not r.variation and r.left_out > _LEFT_OUT), None)
    edits = _replacing(evidence.variant, claim, best.exact, best.convention)
    words = FlopsMessages(
        claim,
        _x(evidence.size),
        best.convention,
        right,
        best.variation,
        f"{blind.convention} {leaves_out(blind.convention, blind.left_out)}" if blind else "",
        evidence.variant.in_table and evidence.variant.claim("FLOPs Convention") is None,
    )
    if explanation is None or not explanation.certain:
        if swapped is not None:
            message = words.exchanged(swapped)
        else:
            message = words.unexplained(explanation, tried, [_x(size) for size in refused])
        rules = () if swapped is None else (RULE,)
        return mismatched(
            claim, evidence.variant, _ID, "flops.differs", right, message, edits=edits, rules=rules
        )
    found = explanation.candidate
    cause = "flops.input-geometry" if found.geometry.size != evidence.size else "flops.convention"
    message = words.explained(explanation, accepted)
    excused = found.left_out <= MOST_LEFT_OUT and not found.scale.wrong
    severity: Severity | None = None if excused else "error"
    kept = _annotate_edits(evidence, claim, found)
    # Nor is one at the input of the weights themselves: it is the Image Size that is another's.
    if excused and (found.geometry.size == evidence.size or found.geometry.stated):
        # What a published counter prints for this model at this input is not wrong: it wants the
        # name of the counter where the index has one for it, and no other number.
        edits = kept
    return mismatched(
        claim,
        evidence.variant,
        _ID,
        cause,
        right,
        message,
        severity,
        edits=edits,
        annotate_edits=kept,
        rules=explanation.rules,
    )


def _replacing(variant: Variant, claim: Claim, right: int, convention: str) -> tuple[Edit, ...]:
    """The figure at the claimed input, and its convention where it is not the claimed one."""
    edits = [replaced(claim, right)]
    claimed = variant.effective("FLOPs Convention")
    if claimed is None or claimed.value != convention:
        edits.append(_keyed(variant, claim, "FLOPs Convention", convention))
    return tuple(edits)


def _annotate_edits(evidence: Evidence, claim: Claim, found: Candidate) -> tuple[Edit, ...]:
    """The keys that make the number right as it stands; none where a counter was changed."""
    if found.scale is not PLAIN or (
        found.variation and not _is_completed(found.convention, found.variation)
    ):
        return ()
    variant, edits = evidence.variant, []
    claimed = variant.effective("FLOPs Convention")
    if claimed is None or claimed.value != found.convention:
        edits.append(_keyed(variant, claim, "FLOPs Convention", found.convention))
    if found.geometry.size != evidence.size:
        edits.append(_keyed(variant, claim, "FLOPs Input", found.geometry.size))
    return tuple(edits)


def _keyed(variant: Variant, claim: Claim, field: str, value: str | Size) -> Edit:
    """The edit of a key that explains the number: the variant's own, or a new one below it."""
    own = variant.claim(field)
    return Edit(field, value, claim.location, added=True) if own is None else replaced(own, value)


def _x(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


CHECK = VariantCheck(_ID, "flops", lambda size: (Need("flops", (size,)),), find)
