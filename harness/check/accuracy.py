"""Accuracies against images: looks at a growing share of them until the claim is decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from harness.causes import WRITE_IMAGES, severity_of
from harness.check.base import (
    Evidence,
    Need,
    VariantCheck,
    matched,
    mismatched,
    not_read,
    replaced,
    unverified,
)
from harness.check.compare import number
from harness.check.decide import IMAGENET, Decision, Observation, decide, looks
from harness.check.diagnosis import AT_CHANCE, Diagnosis, chance_of, diagnose
from harness.check.evaluated import (
    NoImages,
    are_others,
    asked,
    is_unknown,
    names_several,
    remedy,
    setting_of,
    view,
    view_of,
    wanted,
)
from harness.check.intervals import plausible
from harness.check.schema import UNREADABLE, missing_for
from harness.check.shards import shard_names
from harness.check.slips import exchanged, find_slip, named_entry, try_others
from harness.check.weights import UNDECIDED
from harness.types import Edit, EvalImages, Finding, Unmeasured
from zoo._util.text import plural
from zoo.index.types import Claim
from zoo.known_datasets import ACCURACIES, IMAGENET_1K, KNOWN, known_dataset

FIELDS = dict(zip(ACCURACIES, ("top1", "top5"), strict=True))

# So many images that can't be read are named in a finding.
_SHOWN = 3

_ID = "accuracy"


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """One finding per accuracy: confirmed, contradicted (and why), or not decided.

    Images that are of no known set are evaluated beside others as they are alone.
    """
    for claim, seen in _held(evidence):
        if isinstance(seen, Finding):
            yield seen
            continue
        images = seen.images
        assert images is not None
        found = _judged(seen, claim, images)
        yield asked(found, images) if isinstance(found, Need) else found


def _held(evidence: Evidence) -> Iterator[tuple[Claim, Evidence | Finding]]:
    """The accuracies, each with its images, or with the finding that it can't be measured."""
    first: dict[str, Claim] = {}
    taken = set[str]()
    for claim in evidence.variant.claims_of(*FIELDS):
        if number(claim) is None:
            yield claim, not_read(claim, evidence.variant, _ID)
            continue
        seen = _seen_by(evidence, claim)
        if isinstance(seen, Evidence) and seen.images is not None:
            taken.add(seen.images.digest)
            if not claim.settings:
                first.setdefault(claim.field, claim)
        yield claim, seen
    given = [evidence.images, *evidence.more_images] if evidence.more_images else []
    for images in given:
        if images is None or images.dataset or images.own or images.digest in taken:
            continue
        for claim in first.values():
            yield claim, view_of(evidence, claim, images)


def _judged(evidence: Evidence, claim: Claim, images: EvalImages) -> Finding | Need:
    outcome = _look(evidence, claim, images)
    if isinstance(outcome, Need):
        return outcome
    if isinstance(outcome, Unmeasured):
        message = f"not measured: {outcome.why}"
        return unverified(claim, evidence.variant, _ID, outcome.cause, message)
    if are_others(claim, images):
        return _of_unknown(evidence, claim, images, outcome, "")
    if outcome.decision.verdict == "contradicted":
        return _contradicted(evidence, claim, images, outcome)
    return _decided(evidence, claim, images, outcome)


def _seen_by(evidence: Evidence, claim: Claim) -> Evidence | Finding:
    """The evidence with the images of a claim, or the finding that it can't be measured."""
    variant = evidence.variant
    why = missing_for(variant, "accuracy", claim)
    if why:
        return unverified(claim, variant, _ID, UNREADABLE, f"not measured: {why}")
    seen = view(evidence, claim)
    if isinstance(seen, NoImages):
        return unverified(claim, variant, _ID, seen.cause, seen.message)
    assert seen.images is not None
    message = _misses(evidence, claim, seen.images)
    if message:
        return unverified(claim, variant, _ID, "accuracy.no-data", message)
    return _without_weights(evidence, claim) or seen


def _misses(evidence: Evidence, claim: Claim, images: EvalImages) -> str:
    """Why the claim can't be held against its images, empty where it can."""
    if not images.limit:
        return f"none of the images evaluated is one of {KNOWN[images.dataset].title}; give more"
    other = _not_of_own(evidence, claim, images) if images.own else ""
    population = population_of(claim, images)
    if not other and images.count > population:
        return (
            f"{images.count:,} images were given, and the claim is about {population:,}: give those"
        )
    return other


def _not_of_own(evidence: Evidence, claim: Claim, images: EvalImages) -> str:
    """Why the claim is not about images of the variant's own classes, empty where it may be."""
    if claim.images is None:
        return (
            f"the claim does not say how many images of {claim.dataset or 'its data set'} it is "
            f"about; {WRITE_IMAGES}: {images.count} beside its Dataset, if it is about all of these"
        )
    if claim.dataset is not None and known_dataset(claim.dataset):
        return "the images given are of the variant's own classes, and the claim is about ImageNet"
    if images.count != claim.images and names_several(evidence.variant):
        return (
            f"{images.count:,} images were given, and the claim is about {claim.images:,} of "
            f"{claim.dataset}, one of several data sets: give those"
        )
    return ""


def _without_weights(evidence: Evidence, claim: Claim) -> Finding | None:
    """The finding that there is nothing to run, None where there are weights."""
    variant = evidence.variant
    file = evidence.measurement("file")
    if file is None or file.value["path"] is None:
        failure = evidence.unmeasured("file")
        cause = "accuracy.no-data" if failure is None else failure.cause
        if severity_of(cause) is not None:
            cause = "accuracy.no-data"
        several = len(list(variant.claims_of("Weights"))) > 1
        none = UNDECIDED if several else "the index names none"
        why = none if failure is None else failure.why
        if file is not None:
            why = "the file was not downloaded"
        return unverified(claim, variant, _ID, cause, f"no weights to evaluate: {why}")
    opened = evidence.measurement("checkpoint")
    if opened is not None and (opened.value["refused"] or not opened.value["fits"]):
        message = "no weights to evaluate: the file does not hold this variant's tensors"
        return unverified(claim, variant, _ID, "accuracy.no-data", message)
    return None


@dataclass(frozen=True, slots=True)
class _Looks:
    """What the looks saw, the verdict by them, and how the images were run.

    ``last`` is what the last look saw of each field, ``beside`` has the networks of the file that
    were not run, ``unread`` the names of the images that can't be read, ``how`` completes "are
    right".
    """

    decision: Decision
    seen: tuple[Observation, ...]
    last: Mapping[str, Observation]
    beside: tuple[str, ...]
    unread: tuple[str, ...]
    how: str
    dataset: str


def _look(evidence: Evidence, claim: Claim, images: EvalImages) -> _Looks | Need | Unmeasured:
    """The verdict as far as the counts go, what to count next, or why it can't be counted."""
    population = population_of(claim, images)
    claimed = number(claim)
    assert claimed is not None
    seen: list[Observation] = []
    counted: list[Mapping[str, Any]] = []
    begin = 0
    for end in looks(min(images.limit, images.count, population), population):
        spans = shard_names(begin, end, size=images.shard_size)
        if any(("accuracy", shard) not in evidence.facts for shard in spans):
            return Need("accuracy", shards=spans)
        for shard in spans:
            failure = evidence.unmeasured("accuracy", shard)
            if failure is not None:
                return failure
        facts = (evidence.measurement("accuracy", shard) for shard in spans)
        counted += [fact.value for fact in facts if fact is not None]
        seen.append(Observation.of(counted, FIELDS[claim.field]))
        decision = decide(claimed, seen, population, step=claim.step)
        if decision.verdict != "undecided":
            break
        begin = end
    unread = tuple(name for value in counted for name, _ in value["unreadable"])
    last = {field: Observation.of(counted, key) for field, key in FIELDS.items()}
    beside = tuple(counted[0].get("others") or ())
    return _Looks(decision, tuple(seen), last, beside, unread, _how(counted), images.dataset)


def _how(counted: Sequence[Mapping[str, Any]]) -> str:
    """In what the run differed from the plain one, so that no count is read as that one's."""
    precision = counted[0].get("precision", "off")
    words = "" if precision == "off" else f" in {precision}"
    compared = [value["decoder"] for value in counted if value.get("decoder")]
    if compared:
        images, differ = (sum(each[key] for each in compared) for key in ("images", "differ"))
        name = compared[0].get("name", "fast")  # Older counts say none.
        words += (
            f" with the {name} decoder, which changes the answer to {differ:,} of {images:,} of "
            "them"
        )
    without = sum(value["not_finite"] for value in counted)
    if without:
        words += f" (for {without:,} the model gives what is no finite number, which is wrong)"
    return words + named_entry(counted[0])


def population_of(claim: Claim, images: EvalImages) -> int:
    """How many images the claim speaks of; of the sample images alone no claim can speak."""
    known = KNOWN[images.dataset] if are_others(claim, images) and images.dataset else wanted(claim)
    if claim.images is None or images.sample or are_others(claim, images):
        return IMAGENET if known is None else known.images
    return claim.images


def seen_images(evidence: Evidence) -> Iterator[tuple[Claim, EvalImages]]:
    """The accuracies that images can be held against, each with these."""
    for claim, seen in _held(evidence):
        if isinstance(seen, Evidence) and seen.images is not None:
            yield claim, seen.images


def to_evaluate(evidence: Evidence) -> dict[str, tuple[str, int, int]]:
    """The images that claims may ask for, by their tag: of which dataset, how many, of how many."""
    found: dict[str, tuple[str, int, int]] = {}
    for claim, images in seen_images(evidence):
        run, of = images.made_of or images, population_of(claim, images)
        of = max(of if run is images else IMAGENET, found.get(run.tag, ("", 0, 0))[2])
        found[run.tag] = run.dataset, min(run.limit, run.count, of), of
    return found


def counted_so_far(evidence: Evidence, claim: Claim, tag: str) -> Decision | None:
    """What the images of that tag that were counted say of a claim; None where none were."""
    seen = None if number(claim) is None else _seen_by(evidence, claim)
    if not isinstance(seen, Evidence) or seen.images is None or seen.images.tag != tag:
        return None
    outcome = _look(seen, claim, seen.images)
    return outcome.decision if isinstance(outcome, _Looks) else None


def _decided(evidence: Evidence, claim: Claim, images: EvalImages, looked: _Looks) -> Finding:
    variant, decision = evidence.variant, looked.decision
    seen = _seen(claim, looked)
    if decision.verdict == "confirmed":
        doubt = f"; the images {images.identity}" if is_unknown(claim, images) else ""
        message = (
            f"{seen}: the whole set has {decision.interval}, as documented{doubt}{_named(looked)}"
        )
        return matched(claim, variant, _ID, _percent(decision), message)
    if images.sample:
        advice = "a handful of images can neither confirm nor refute it; give a validation set"
    elif is_unknown(claim, images):
        advice = remedy(claim, images)
    elif decision.needed:
        advice = f"about {decision.needed:,} more images would decide"
    else:
        advice = "no number of further images is sure to decide"
    advice += exchanged(evidence, claim)
    if _lies_outside(claim, decision):
        # The interval has the confidence of a confirmation, and an accusation asks for more.
        advice = f"{claim.raw} lies outside, and this is not yet enough to call it wrong: {advice}"
    message = f"{seen}: the whole set has {decision.interval}; {advice}{_named(looked)}"
    measured = _percent(decision)
    return unverified(claim, variant, _ID, "accuracy.undecided", message, measured)


def _lies_outside(claim: Claim, decision: Decision) -> bool:
    """Whether the interval shown leaves the claim out, by more than the margin."""
    claimed, margin = number(claim), float(decision.margin)
    low, high = decision.interval.percent
    return claimed is not None and not low - margin <= float(claimed) <= high + margin


def _contradicted(
    evidence: Evidence, claim: Claim, images: EvalImages, looked: _Looks
) -> Finding | Need:
    """Names the preprocessing that restores the claim, once the alternatives are counted."""
    decision = looked.decision
    population = population_of(claim, images)
    slip = find_slip(evidence, claim, looked.last, decision, population)
    if is_unknown(claim, images):
        clause = "" if slip is None else f"{slip.clause}; "
        return _of_unknown(evidence, claim, images, looked, clause)
    key = FIELDS[claim.field]
    other = try_others(evidence, claim, looked.beside, key, images, population, decision.drawn)
    if isinstance(other, Need):
        return other
    if other.holds:
        message = f"{_excluded(claim, looked)}; {other.clause}{_named(looked)}"
        cause, measured = "accuracy.contradicted", _percent(decision)
        # The page does not say which network it is about, and is right of one of them.
        return mismatched(
            claim, evidence.variant, _ID, cause, measured, message, severity="warning"
        )
    found: Diagnosis | Need
    if slip is not None:
        found = Diagnosis(False, slip.clause)
    else:
        found = diagnose(evidence, claim, key, images, population, looked.seen)
    if isinstance(found, Need):
        return found
    if found.labels:
        message = f"{_excluded(claim, looked)}; {found.clause}{_named(looked)}"
        cause, measured = "accuracy.undecided", _percent(decision)
        return unverified(claim, evidence.variant, _ID, cause, message, measured)
    doubt = ""
    known = wanted(claim)
    of = len(known.classes) if known is not None else 1000
    if claim.images is None and not plausible(images.classes, decision.drawn, population, of=of):
        doubt = (
            f"; a random draw of {'ImageNet' if known is None else known.title} has more than "
            f"{plural(images.classes, 'class')}, so this tells of images like these alone"
        )
    elsewhere = f"; {other.clause}" if other.clause else ""
    message = f"{_excluded(claim, looked)}; {found.clause}{elsewhere}{doubt}{_named(looked)}"
    cause = "accuracy.preprocessing" if found.named else "accuracy.contradicted"
    edits = () if found.named else _counted_out(claim, images, looked)
    if slip is not None and slip.certain and not edits:
        edits = (replaced(claim, slip.text),)
    return mismatched(claim, evidence.variant, _ID, cause, _percent(decision), message, edits=edits)


def _excluded(claim: Claim, looked: _Looks) -> str:
    return (
        f"{_seen(claim, looked)}: the whole set has {looked.decision.interval}, which excludes "
        f"{claim.raw}"
    )


def _of_unknown(
    evidence: Evidence, claim: Claim, images: EvalImages, looked: _Looks, clause: str
) -> Finding | Need:
    """What is said where images that may be of another data set exclude a claim."""
    population, key = population_of(claim, images), FIELDS[claim.field]
    # Hard images of another set may well be answered no better than by chance.
    hard = are_others(claim, images)
    chance = not hard and chance_of(evidence, key, images, population, looked.seen)
    if isinstance(chance, Need):
        return chance
    labels = f"; {AT_CHANCE}" if chance else ""
    message = f"{_seen(claim, looked)}: {clause}{remedy(claim, images)}{labels}{_named(looked)}"
    cause = "accuracy.other-dataset" if images.dataset else "accuracy.unknown-dataset"
    measured = _percent(looked.decision)
    return unverified(claim, evidence.variant, _ID, cause, message, measured)


def _counted_out(claim: Claim, images: EvalImages, looked: _Looks) -> tuple[Edit, ...]:
    """The accuracy to be written; none unless every image that the claim speaks of was seen."""
    decision = looked.decision
    population = population_of(claim, images)
    all_seen = images.count == decision.drawn == population and not decision.unreadable
    # Of own images nobody can tell which data set they are.
    if images.sample or images.own or not all_seen or looked.how:
        return ()
    return (replaced(claim, Decimal(100) * decision.correct / population),)


def _seen(claim: Claim, looked: _Looks) -> str:
    decision = looked.decision
    unread = f" ({decision.unreadable:,} could not be read)" if decision.unreadable else ""
    images, known = "images", KNOWN.get(looked.dataset)
    if known is not None and known.name != IMAGENET_1K:
        images += f" of {known.title}"
    kind = "top-1" if FIELDS[claim.field] == "top1" else "top-5"
    right = f"{decision.correct:,} of {decision.drawn:,} {images} are right by {kind}"
    setting = setting_of(claim)
    return f"{right}{f' with {setting}' if setting else ''}{looked.how}{unread}"


def _named(looked: _Looks) -> str:
    """A clause that names images that can't be read, the first of them."""
    if not looked.unread:
        return ""
    more = ", ..." if len(looked.unread) > _SHOWN else ""
    return f"; not readable: {', '.join(looked.unread[:_SHOWN])}{more}"


def _percent(decision: Decision) -> float:
    return float(round(Decimal(100) * decision.correct / decision.drawn, 4))


CHECK = VariantCheck(_ID, "accuracy", lambda size: (), find)
