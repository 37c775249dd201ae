"""Whether the builder has the variant at all, and could build it."""

from __future__ import annotations

from collections.abc import Iterable

from harness.check import unreadable
from harness.check.base import Evidence, Need, mismatched
from harness.types import Fact, Finding, Measurement, Unmeasured


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """One finding, on the variant's Name, where no fact could be made of it."""
    name = evidence.variant.claim("Name")
    if name is None:
        return
    made = [fact for (kind, _), fact in evidence.facts.items() if not _beside(kind, fact)]
    failures = [f for f in made if isinstance(f, Unmeasured)]
    if any(f.cause == unreadable.CAUSE for f in failures):
        return  # Nothing was built, for a reason that is not the builder's.
    if failures and len(failures) == len(made):
        first = failures[0]
        yield mismatched(name, evidence.variant, "build", first.cause, None, first.why)


def _beside(kind: str, fact: Fact) -> bool:
    """Whether the fact is known without building: a file, or what a library says of weights."""
    return kind == "file" or (kind == "preprocess" and isinstance(fact, Measurement))
