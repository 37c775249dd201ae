"""What the reader found wrong in the index, and what can't be measured because of it.

A default in the place of a documented value would judge other claims by what is documented nowhere.
So whatever depends on such a claim is not measured, and its findings name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from harness.check.base import IndexCheck
from harness.types import Finding
from zoo._util.text import quoted
from zoo.index.schema import FIELDS
from zoo.index.speeds import SPEEDS
from zoo.index.types import SETTINGS, Claim, Index, Problem, Variant
from zoo.index.values import UNITS

UNREADABLE = "schema.unreadable-dependency"


def find(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One finding per problem, but for those of variants that the run is not about.

    An entry whose name can't be read is no variant, so that no run is about it: its problem bears
    another label, its ID for one, and is always reported.
    """
    names = {variant.name for variant in variants}
    others = {variant.name for variant in index.variants} - names
    for problem in index.problems:
        if problem.variant in others:
            continue
        finding = finding_of(problem)
        if index.unusable and problem.cause == "schema.unknown-collection":
            # What could not be read may have it.
            message = f"{problem.message} in what could be read; correct what could not be first"
            finding = replace(
                finding, status="unverified", severity=None, cause=UNREADABLE, message=message
            )
        yield finding


# What a group of checks reads: without it a check has nothing to say, and must not be silent.
_FIELDS = {
    "parameters": {"Parameters"},
    "layers": {"Layers"},
    "flops": {"FLOPs", "FLOPs Convention", "FLOPs Input", "Image Size"},
    "preprocess": {
        "Image Size",
        "Crop Pct",
        "Crop Mode",
        "Interpolation",
        "Mean",
        "Std",
        "License",
    },
    "weights": {"Weights", "Mirrors", "File Size", "SHA256"},
    "accuracy": {
        "Top 1 Accuracy",
        "Top 5 Accuracy",
        "Images",
        "Dataset",
        "Weights",
        "Image Size",
        "Crop Pct",
        "Crop Mode",
        "Interpolation",
        "Mean",
        "Std",
    },
    "speed": set(SPEEDS),
}


def groups_reading(field: str) -> tuple[str, ...]:
    """The groups of checks that read a field; that of its type and range comes first."""
    needed = {group: {n for k in kinds for n in _NEEDED[k]} for group, kinds in _MADE.items()}
    reading = (group for group in needed if field in needed[group] | _FIELDS.get(group, set()))
    return ("metadata", *reading)


def find_in_fields_of(
    groups: Sequence[str], index: Index, variants: Sequence[Variant]
) -> Iterable[Finding]:
    """The errors in the fields that these groups of checks read.

    For a run without the group ``metadata``: a value that can't be read is measured by none of
    the other checks, and that must be said.
    """
    read = {field for group in groups for field in _FIELDS.get(group, ())}
    for finding in find(index, variants):
        if finding.severity == "error" and finding.field in read:
            yield finding


def finding_of(problem: Problem) -> Finding:
    return Finding(
        variant=problem.variant,
        field=problem.field or "",
        check="schema",
        status="mismatch",
        severity=problem.severity,
        cause=problem.cause,
        documented=problem.documented,
        measured=None,
        message=f"{problem.message}; {problem.remedy}",
        location=problem.location,
    )


_BUILD = ("Builder", "Base", "Classes")
_INPUT = ("Image Size", "Crop Pct", "Crop Mode", "Interpolation", "Mean", "Std")
# Kind of fact -> the claims that say how it is made, or what it is held against.
_NEEDED: dict[str, tuple[str, ...]] = {
    "structure": _BUILD,
    "flops": (*_BUILD, "FLOPs Convention"),
    "derived": (*_BUILD, "FLOPs Convention"),
    "checkpoint": _BUILD,
    "preprocess": (*_BUILD, "Weights"),
    "accuracy": (*_BUILD, "Class Names", *_INPUT, "Weights"),
    "fvcore": _BUILD,
    "profile": _BUILD,
    "recipe": ("Base", "FLOPs Convention", *_INPUT),
    "speed": (*_BUILD, "Image Size"),
    "hash": ("Weights",),
}
# Group of checks -> the kinds of facts that it looks at.
_MADE = {
    "parameters": ("structure",),
    "layers": ("structure",),
    "flops": ("flops",),
    "preprocess": ("preprocess",),
    "weights": ("checkpoint", "hash"),
    "accuracy": ("accuracy",),
    "speed": ("speed",),
}
# What collections say of all their variants; a variant that names none may have it there.
_COLLECTION = "In Collection"
_INHERITED = frozenset({*_INPUT, "FLOPs Input"})
# What a result says of all its metrics.
_OF_A_RESULT = ("Images", "Dataset", *SETTINGS)


def is_unreadable(claim: Claim) -> bool:
    """Whether the value is none that the field can have, whatever the format does about that."""
    if claim.value is None:
        return True
    field = FIELDS.get(claim.field)
    return field is not None and claim.unit != UNITS[field.kind]


def missing_for(variant: Variant, kind: str, claim: Claim | None = None) -> str:
    """Why a kind of fact can't be made for lack of a claim that can be read; empty where it can.

    Args:
        variant: what is documented.
        kind: of the fact; ``hash`` for what is said of the file behind Weights, ``recipe`` for how
            a variant made after this one is built and fed.
        claim: of an accuracy, the metric that it is made for.
    """
    for needed in _claims(variant, kind, claim):
        if needed.field == _COLLECTION or is_unreadable(needed):
            why = "names none" if needed.field == _COLLECTION and needed.value else "can't be read"
            return (
                f"{needed.field} is {quoted(needed.raw)} ({needed.location}), which {why}, and no "
                f"default stands in for it; correct {needed.field} first"
            )
    return ""


def _claims(variant: Variant, kind: str, claim: Claim | None) -> Iterable[Claim]:
    """The claims that a fact depends on, the variant's own or its collection's."""
    names = _NEEDED.get(kind, ())
    if kind in ("flops", "derived", "fvcore", "profile", "recipe"):
        # The input that is counted: its own key, else the one of the model.
        has_input = variant.effective("FLOPs Input") is not None
        names = (*names, "FLOPs Input" if has_input else "Image Size")
    lost = variant.claim(_COLLECTION) if variant.collection is None else None
    for name in names:
        # A model's architecture is never its collection's.
        found = variant.claim(name) if name == "Base" else variant.effective(name)
        if found is not None:
            yield found
        elif lost is not None and name in _INHERITED:
            yield lost
    if claim is not None:
        yield from (c for c in variant.in_result_of(claim) if c.field in _OF_A_RESULT)


CHECK = IndexCheck("schema", "metadata", find)
