"""What the reader found wrong in the index itself, as findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.check.base import IndexCheck
from harness.types import Finding
from zoo.index.types import Index, Problem, Variant


def find(index: Index, variants: Sequence[Variant]) -> Iterable[Finding]:
    """One finding per problem, but for those of variants that the run is not about.

    An entry whose name can't be read is no variant, so that no run is about it: its problem bears
    another label, its ID for one, and is always reported.
    """
    names = {variant.name for variant in variants}
    others = {variant.name for variant in index.variants} - names
    for problem in index.problems:
        if problem.variant not in others:
            yield finding_of(problem)


# What a group of checks reads: without it a check has nothing to say, and must not be silent.
_FIELDS = {
    "parameters": {"Parameters"},
    "layers": {"Layers"},
    "flops": {"FLOPs", "FLOPs Convention", "FLOPs Input", "Image Size"},
    "preprocess": {"Image Size", "Crop Pct", "Interpolation", "Mean", "Std"},
    "weights": {"Weights", "File Size", "SHA256"},
    "accuracy": {
        "Top 1 Accuracy",
        "Top 5 Accuracy",
        "Images",
        "Dataset",
        "Weights",
        "Image Size",
        "Crop Pct",
        "Interpolation",
        "Mean",
        "Std",
    },
}


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
    """The finding that stands for a problem."""
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


CHECK = IndexCheck("schema", "metadata", find)
