"""The table of causes, and the page that is made of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.causes import CAUSES, severity_of
from harness.docs.reference import causes_page

ROOT = Path(__file__).parents[3]

# What other people's scripts may rely on, written down a second time on purpose.
PUBLISHED = {
    "error": """
        schema.unreadable schema.duplicate-key schema.duplicate-name schema.wrong-type
        schema.out-of-range
        schema.missing-name schema.unknown-collection schema.unknown-interpolation
        weights.shared-url weights.hash-mismatch weights.missing weights.unreadable weights.unsafe
        weights.tensors-differ size.shared size.impossible size.differs parameters.differs
        parameters.alias layers.differs flops.differs flops.cross-check accuracy.contradicted
        accuracy.preprocessing build.failed build.unknown""",
    "warning": """
        flops.input-geometry flops.convention weights.insecure-url weights.name-mismatch
        size.larger preprocess.differs baseline.expired""",
    "note": """
        schema.quoted-number schema.unknown-key parameters.rounded size.half-precision
        size.binary-unit size.extra-tensors weights.shared-checkpoint baseline.stale""",
    None: """
        schema.unreadable-dependency
        weights.unreachable weights.not-installed layers.not-defined accuracy.no-data
        accuracy.undecided accuracy.unknown-dataset""",
}


@pytest.mark.parametrize("severity", PUBLISHED)
def test_published_ids_and_severities(severity):
    assert {id for id in CAUSES if severity_of(id) == severity} >= set(PUBLISHED[severity].split())


def test_every_cause_is_explained():
    for id, cause in CAUSES.items():
        assert id == cause.id
        assert re.fullmatch(r"[a-z]+(\.[a-z-]+)", id)
        assert cause.meaning.endswith(".")
        assert cause.remedy.endswith(".")
        assert cause.example


def test_an_unknown_cause_is_an_error():
    with pytest.raises(KeyError):
        severity_of("flops.odd")


def test_the_committed_page_is_current():
    committed = (ROOT / "docs" / "causes.md").read_text(encoding="utf-8")
    assert committed == causes_page(), "python -m harness.docs.reference"
    for id in CAUSES:
        assert committed.count(f"| `{id}` |") == 1
