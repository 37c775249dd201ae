"""Accuracies, as far as they can be checked without pictures: not at all, and that is said."""

from __future__ import annotations

from collections.abc import Iterable

from harness.check.base import Evidence, Need, VariantCheck, unverified
from harness.check.compare import number
from harness.types import Finding, Size

FIELDS = ("Top 1 Accuracy", "Top 5 Accuracy")


def _needs(size: Size) -> tuple[Need, ...]:
    return ()


def find(evidence: Evidence) -> Iterable[Finding | Need]:
    """One finding per accuracy: there are no pictures to measure it on."""
    for claim in evidence.variant.claims_of(*FIELDS):
        if number(claim) is not None:
            message = (
                f"accuracy on {claim.dataset or 'its data set'} is measured on pictures, and this "
                "run was given none"
            )
            yield unverified(claim, evidence.variant, "accuracy", "accuracy.no-data", message)


CHECK = VariantCheck("accuracy", "accuracy", _needs, find)
