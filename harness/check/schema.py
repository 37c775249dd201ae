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
