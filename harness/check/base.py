"""The protocol of checks: a rule that holds claims against facts, and names the facts it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from shlex import quote

from harness.causes import severity_of
from harness.types import (
    Edit,
    EvalImages,
    Fact,
    Finding,
    Measurement,
    Recipe,
    Size,
    Slot,
    Status,
    Unmeasured,
)
from zoo.index.types import Claim, Index, Severity, Variant

Number = int | float | str | None


@dataclass(frozen=True, slots=True)
class Need:
    """Facts that a check has to see: one per kind, and per size or part where these matter."""

    kind: str
    sizes: tuple[Size, ...] = ()
    shards: tuple[str, ...] = ()

    @property
    def slots(self) -> tuple[Slot, ...]:
        slots: list[Slot] = [(self.kind, size) for size in self.sizes]
        slots += [(self.kind, shard) for shard in self.shards]
        return tuple(slots) or ((self.kind, None),)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a check sees of one variant: its claims, its recipe, and the facts made so far.

    Attributes:
        size: the geometry (height, width) that its FLOPs claim speaks of.
        facts: which fact (kind, with size or part where these matter) -> fact.
        images: what accuracies may be measured on, None where there is nothing.
        more_images: those of the run's further datasets.
        no_images: why images that were given are none for this variant, empty where they are or
            where none were given.
        alternatives: other ways to prepare an image, by name, each with its words.
        ways: the same for each setting that results have of their own, by its text.
        precisions: those that are compared with the run's.
        preferred: field -> the rule that explains most of the collection's claims of it.
    """

    variant: Variant
    recipe: Recipe
    size: Size
    facts: Mapping[Slot, Fact]
    images: EvalImages | None = None
    alternatives: Mapping[str, str] = field(default_factory=dict)
    preferred: Mapping[str, str] = field(default_factory=dict)
    no_images: str = ""
    more_images: tuple[EvalImages, ...] = ()
    ways: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    precisions: tuple[str, ...] = ()

    def measurement(self, kind: str, which: Size | str | None = None) -> Measurement | None:
        """The measured fact, or None where it is missing or could not be made."""
        fact = self.facts.get((kind, which))
        return fact if isinstance(fact, Measurement) else None

    def unmeasured(self, kind: str, which: Size | str | None = None) -> Unmeasured | None:
        """Why the fact could not be made, or None where it was made or not asked for."""
        fact = self.facts.get((kind, which))
        return fact if isinstance(fact, Unmeasured) else None


@dataclass(frozen=True, slots=True)
class VariantCheck:
    """A rule about one variant.

    Attributes:
        id: the check's name in findings.
        group: the group that ``--checks`` switches.
        needs: the facts it starts from, given the geometry of the FLOPs claim.
        find: its findings; where a `Need` is among them the run makes those facts and asks again.
    """

    id: str
    group: str
    needs: Callable[[Size], tuple[Need, ...]]
    find: Callable[[Evidence], Iterable[Finding | Need]]


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """A rule about the index as a whole, from its text alone.

    Attributes:
        id, group: as of a `VariantCheck`.
        find: given the index and the variants that the run is about, it speaks of those only.
        find_measured: the same after a run, which is given what was measured as well: the facts
            by the identity of their variant. Without it, ``find`` says all there is to say.
    """

    id: str
    group: str
    find: Callable[[Index, Sequence[Variant]], Iterable[Finding]]
    find_measured: (
        Callable[[Index, Sequence[Variant], Mapping[int, Mapping[Slot, Fact]]], Iterable[Finding]]
        | None
    ) = None


def matched(claim: Claim, variant: Variant, check: str, measured: Number, message: str) -> Finding:
    return _finding(claim, variant, check, "match", None, None, measured, message)


def mismatched(
    claim: Claim,
    variant: Variant,
    check: str,
    cause: str,
    measured: Number,
    message: str,
    severity: Severity | None = None,
    edits: tuple[Edit, ...] = (),
    annotate_edits: tuple[Edit, ...] = (),
    rules: tuple[str, ...] = (),
) -> Finding:
    """The finding that a claim does not hold; its severity is the cause's unless one is given.

    ``edits`` and ``annotate_edits`` would mend it, and ``rules`` is what it follows: see `Finding`.
    """
    severity = severity or severity_of(cause) or "error"
    found = _finding(claim, variant, check, "mismatch", severity, cause, measured, message)
    return replace(found, edits=edits, annotate_edits=annotate_edits, rules=rules)


def unverified(
    claim: Claim,
    variant: Variant,
    check: str,
    cause: str,
    missing: str,
    measured: Number = None,
) -> Finding:
    """The finding that a claim could not be checked, and what was missing for it.

    ``measured`` is what was seen where that was too little to decide.
    """
    return _finding(claim, variant, check, "unverified", None, cause, measured, missing)


def _finding(
    claim: Claim,
    variant: Variant,
    check: str,
    status: Status,
    severity: Severity | None,
    cause: str | None,
    measured: Number,
    message: str,
) -> Finding:
    return Finding(
        variant=variant.name,
        field=claim.field,
        check=check,
        status=status,
        severity=severity,
        cause=cause,
        documented=claim.raw,
        measured=measured,
        message=message,
        location=claim.location,
    )


def replaced(claim: Claim, value: int | float | Decimal | str | Size) -> Edit:
    """The edit that writes the measured value where the claim stands."""
    return Edit(claim.field, value, claim.location)


def not_read(claim: Claim, variant: Variant, check: str) -> Finding:
    """The finding that a claim could not be checked because its own value can't be read."""
    audit = f"zoo audit --index {quote(claim.location.file)}"
    message = f"not checked: its value can't be read; {audit} says what would be right"
    return unverified(claim, variant, check, "schema.unreadable-dependency", message)


def not_measured(
    evidence: Evidence,
    claim: Claim,
    check: str,
    kind: str,
    size: Size | None = None,
    verb: str = "measured",
) -> Finding:
    """The finding that a claim could not be checked because its fact could not be made."""
    failure = evidence.unmeasured(kind, size)
    why = failure.why if failure is not None else "the model was not built"
    cause = failure.cause if failure is not None else "build.failed"
    return unverified(claim, evidence.variant, check, cause, f"not {verb}: {why}")
