"""Accuracies against pictures: looks at a growing share of them until the claim is decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from harness.causes import severity_of
from harness.check.base import (
    Evidence,
    Need,
    VariantCheck,
    matched,
    mismatched,
    replaced,
    unverified,
)
from harness.check.compare import number
from harness.check.decide import IMAGENET, Decision, Observation, decide, looks
from harness.types import Edit, Finding, Measurement, Pictures, Size
from zoo.index.types import Claim

FIELDS = {"Top 1 Accuracy": "top1", "Top 5 Accuracy": "top5"}

# Pictures in one part: small enough to lose little to a kill, large enough to cost little.
PART = 500

# A wrong preprocessing that costs a gross share shows on so many pictures.
DIAGNOSED_ON = 500

# So many ways at most may be named as the one that restores a claim.
_MOST_WAYS = 2

_ID = "accuracy"


def _needs(size: Size) -> tuple[Need, ...]:
    return ()


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """One finding per accuracy: confirmed, contradicted (and why), or not decided."""
    claims = [c for c in evidence.variant.claims_of(*FIELDS) if number(c) is not None]
    for claim in claims:
        missing = _missing(evidence, claim)
        if missing is not None:
            yield missing
            continue
        pictures = evidence.pictures
        assert pictures is not None
        outcome = _look(evidence, claim, pictures)
        if isinstance(outcome, Need):
            yield outcome
        elif isinstance(outcome, str):
            yield unverified(claim, evidence.variant, _ID, "accuracy.undecided", outcome)
        elif outcome.verdict == "contradicted":
            yield from _contradicted(evidence, claim, pictures, outcome)
        else:
            yield _decided(evidence, claim, pictures, outcome)


def _missing(evidence: Evidence, claim: Claim) -> Finding | None:
    """The finding that the accuracy can't be measured, None where it can."""
    variant = evidence.variant
    if evidence.pictures is None:
        message = (
            f"accuracy on {claim.dataset or 'its data set'} is measured on pictures, and this "
            "run was given none"
        )
        return unverified(claim, variant, _ID, "accuracy.no-data", message)
    if evidence.pictures.limit < 1:
        message = "the time was over before a picture was looked at"
        return unverified(claim, variant, _ID, "accuracy.undecided", message)
    if not _is_imagenet(claim.dataset):
        message = f"the pictures given are ImageNet's, and the claim is about {claim.dataset}"
        return unverified(claim, variant, _ID, "accuracy.no-data", message)
    file = evidence.measurement("file")
    if file is None or file.value["path"] is None:
        failure = evidence.unmeasured("file")
        cause = "accuracy.no-data" if failure is None else failure.cause
        if severity_of(cause) is not None:
            cause = "accuracy.no-data"
        why = "the index names none" if failure is None else failure.why
        if file is not None:
            why = "they were not downloaded"
        return unverified(claim, variant, _ID, cause, f"no weights to evaluate: {why}")
    opened = evidence.measurement("checkpoint")
    if opened is not None and (opened.value["refused"] or not opened.value["fits"]):
        message = "no weights to evaluate: the file does not hold this variant's tensors"
        return unverified(claim, variant, _ID, "accuracy.no-data", message)
    return None


def _is_imagenet(dataset: str | None) -> bool:
    """Whether a result speaks of ImageNet's 1,000 classes; one that says nothing may."""
    name = (dataset or "imagenet").lower().replace("-", "").replace(" ", "")
    return name in ("imagenet", "imagenet1k", "ilsvrc2012", "imagenetilsvrc2012")


def _look(evidence: Evidence, claim: Claim, pictures: Pictures) -> Decision | Need | str:
    """The decision as far as the counts go, what to count next, or why nothing was counted."""
    population = claim.images or IMAGENET
    total = min(pictures.limit, pictures.count, population)
    claimed = number(claim)
    assert claimed is not None
    seen: list[Observation] = []
    begin = drawn = correct = unreadable = 0
    for end in looks(total, population):
        spans = parts(begin, end)
        if any(("accuracy", part) not in evidence.facts for part in spans):
            return Need("accuracy", parts=spans)
        for part in spans:
            fact = evidence.measurement("accuracy", part)
            if fact is None:
                failure = evidence.unmeasured("accuracy", part)
                why = failure.why if failure is not None else "nothing was counted"
                return f"not measured: {why}"
            drawn += fact.value["images"]
            correct += fact.value[FIELDS[claim.field]]
            unreadable += len(fact.value["unreadable"])
        seen.append(Observation(drawn, correct, unreadable))
        decision = decide(claimed, seen, population, step=claim.step)
        if decision.verdict != "undecided":
            return decision
        begin = end
    return decision


def counted_so_far(evidence: Evidence, claim: Claim) -> Decision | None:
    """What the pictures counted so far say of a claim; None where none were."""
    if number(claim) is None or evidence.pictures is None or _missing(evidence, claim) is not None:
        return None
    outcome = _look(evidence, claim, evidence.pictures)
    return outcome if isinstance(outcome, Decision) else None


def parts(begin: int, end: int, alternative: str = "") -> tuple[str, ...]:
    """The names of the parts that these pictures of the fixed order are counted in."""
    head = f"{alternative}@" if alternative else ""
    return tuple(f"{head}{a}-{min(a + PART, end)}" for a in range(begin, end, PART))


@dataclass(frozen=True, slots=True)
class Span:
    """What a part's name says: pictures of the fixed order, and the way they are prepared."""

    alternative: str
    begin: int
    end: int


def span_of(part: str) -> Span:
    """The pictures that a part of that name counts."""
    head, _, numbers = part.rpartition("@")
    begin, _, end = numbers.partition("-")
    return Span(head, int(begin), int(end))


def _decided(evidence: Evidence, claim: Claim, pictures: Pictures, decision: Decision) -> Finding:
    variant = evidence.variant
    seen = _seen(claim, decision)
    if decision.verdict == "confirmed":
        message = f"{seen}: the whole set has {decision.interval}, as documented"
        return matched(claim, variant, _ID, _percent(decision), message)
    if pictures.sample:
        advice = "a handful of pictures can neither confirm nor refute it; give a validation set"
    elif decision.needed:
        advice = f"about {decision.needed:,} more pictures would decide"
    else:
        advice = "no number of further pictures is sure to decide"
    message = f"{seen}: the whole set has {decision.interval}; {advice}"
    measured = _percent(decision)
    return unverified(claim, variant, _ID, "accuracy.undecided", message, measured)


def _contradicted(
    evidence: Evidence, claim: Claim, pictures: Pictures, decision: Decision
) -> Iterator[Finding | Need]:
    """Names the preprocessing that restores the claim, once the alternatives are counted."""
    variant = evidence.variant
    measured = _percent(decision)
    end = min(decision.drawn, DIAGNOSED_ON)
    tried = evidence.alternatives
    needed = [part for name in tried for part in parts(0, end, name)]
    if any(("accuracy", part) not in evidence.facts for part in needed):
        yield Need("accuracy", parts=tuple(needed))
        return
    seen = _seen(claim, decision)
    best = _restoring(evidence, claim, end, list(tried))
    if not best:
        message = (
            f"{seen}: the whole set has {decision.interval}, which excludes {claim.raw}; none of "
            f"the {len(tried)} other ways to prepare a picture restores it"
        )
        edits = _counted_out(claim, pictures, decision)
        yield mismatched(
            claim, variant, _ID, "accuracy.contradicted", measured, message, edits=edits
        )
        return
    ways = " or ".join(tried[name] for name, _ in best)
    if len(best) > _MOST_WAYS:
        message = (
            f"{seen}: the whole set has {decision.interval}, which excludes {claim.raw}; "
            f"{len(best)} other ways to prepare a picture restore it equally, so none can be named"
        )
        yield mismatched(claim, variant, _ID, "accuracy.contradicted", measured, message)
        return
    message = (
        f"{seen}, which excludes {claim.raw}; prepared with {ways} the first {end:,} give "
        f"{best[0][1]:,} right, which agrees with it: document that preprocessing"
    )
    yield mismatched(claim, variant, _ID, "accuracy.preprocessing", measured, message)


def _counted_out(claim: Claim, pictures: Pictures, decision: Decision) -> tuple[Edit, ...]:
    """The accuracy to be written; none unless every picture that the claim speaks of was seen."""
    population = claim.images or IMAGENET
    all_seen = pictures.count == decision.drawn == population and not decision.unreadable
    if pictures.sample or not all_seen:
        return ()
    return (replaced(claim, Decimal(100) * decision.correct / population),)


def _restoring(
    evidence: Evidence, claim: Claim, end: int, names: Sequence[str]
) -> list[tuple[str, int]]:
    """The alternatives with the most right answers, if the claim agrees with these; else none."""
    claimed = number(claim)
    assert claimed is not None
    population = claim.images or IMAGENET
    right: dict[str, int] = {}
    for name in names:
        facts = [evidence.measurement("accuracy", part) for part in parts(0, end, name)]
        if all(isinstance(f, Measurement) for f in facts):
            right[name] = sum(f.value[FIELDS[claim.field]] for f in facts if f is not None)
    most = max(right.values(), default=0)
    best = [(name, count) for name, count in right.items() if count == most]
    if not best:
        return []
    decision = decide(claimed, [Observation(end, most)], population, step=claim.step)
    return [] if decision.verdict == "contradicted" else best


def _seen(claim: Claim, decision: Decision) -> str:
    unread = f" ({decision.unreadable:,} could not be read)" if decision.unreadable else ""
    kind = "top-1" if FIELDS[claim.field] == "top1" else "top-5"
    return f"{decision.correct:,} of {decision.drawn:,} pictures are right by {kind}{unread}"


def _percent(decision: Decision) -> float:
    return float(round(Decimal(100) * decision.correct / decision.drawn, 4))


CHECK = VariantCheck(_ID, "accuracy", _needs, find)
