"""What is new and what is fixed since the report before."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from harness.report.document import document
from harness.report.html.changes import compare
from harness.types import Finding, Report, VariantReport


def finding(variant: str | None = "net", check: str = "flops", **changes: Any) -> Finding:
    values = {
        "field": "FLOPs",
        "status": "mismatch",
        "severity": "error",
        "cause": "flops.differs",
        "documented": "1",
        "measured": 2,
        "message": "it differs",
        "location": None,
    }
    return Finding(variant=variant, check=check, **{**values, **changes})


MATCH = {"status": "match", "severity": None, "cause": None}


def report(*findings: Finding, names: tuple[str, ...] = ("net",), **changes: Any) -> Report:
    variants = tuple(VariantReport(name, None, "zoo", {}) for name in names)
    return Report({"started": "2025-01-02T03:04:05+00:00"}, variants, findings, **changes)


def before(*findings: Finding) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(document(report(*findings))))
    return read


def test_without_a_report_before_nothing_is_said():
    changes = compare(report(finding()), None)
    assert not changes.compared
    assert changes.problem is None
    assert not changes.new


def test_the_same_finding_in_other_words_is_not_new():
    moved = finding(message="said otherwise", measured=3)
    changes = compare(report(moved), before(finding()))
    assert changes.compared
    assert changes.since == "2025-01-02T03:04:05+00:00"
    assert (changes.new, changes.fixed, changes.unseen) == (frozenset(), (), ())


@pytest.mark.parametrize(
    "other",
    [
        {"variant": "other"},
        {"field": "Parameters"},
        {"check": "other"},
        {"cause": "flops.convention"},
        {"documented": "7"},
    ],
)
def test_each_part_of_a_findings_identity_counts(other):
    found = replace(finding(), **other)
    changes = compare(report(found, names=("net", "other")), before(finding()))
    assert len(changes.new) == 1


def test_what_matches_now_is_fixed():
    changes = compare(report(finding(**MATCH)), before(finding()))
    assert [f.message for f in changes.fixed] == ["it differs"]
    assert not changes.new


def test_what_is_wrong_in_another_way_now_is_not_fixed():
    now = finding(cause="flops.convention", severity="warning")
    changes = compare(report(now), before(finding()))
    assert changes.fixed == ()
    assert len(changes.new) == 1


def test_what_can_no_longer_be_checked_is_not_fixed():
    now = finding(status="unverified", severity=None, cause="weights.unreachable")
    assert compare(report(now), before(finding())).fixed == ()


@pytest.mark.parametrize("changes", [{"cut_short": "interrupted"}, {"names": ("other",)}])
def test_what_this_run_did_not_look_for_is_not_fixed(changes):
    found = compare(report(**changes), before(finding()))
    assert found.fixed == ()
    assert [f.message for f in found.unseen] == ["it differs"]


def test_a_check_that_was_not_asked_for_fixed_nothing():
    """It spoke of each claim before, and of none now."""
    earlier = before(finding(), finding("other", **MATCH))
    found = compare(report(finding(check="layers", **MATCH), names=("net", "other")), earlier)
    assert found.fixed == ()
    assert len(found.unseen) == 1


def test_a_problem_of_the_index_that_is_gone_is_fixed():
    problem = finding(None, "schema", cause="schema.unreadable")
    assert len(compare(report(finding(**MATCH)), before(problem)).fixed) == 1


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda d: d.update(schema=2), "another schema"),
        (lambda d: d.update(schema="1"), "another schema"),
        (lambda d: d.update(findings={}), "no list of findings"),
        (lambda d: d.pop("findings"), "no list of findings"),
        (lambda d: d["findings"].append(7), "finding 2 is not an object"),
        (lambda d: d["findings"][0].update(status="fine"), "status of its finding 1"),
        (lambda d: d["findings"][0].update(status=["match"]), "status of its finding 1"),
        (lambda d: d["findings"][0].update(severity={}), "severity of its finding 1"),
        (lambda d: d["findings"][0].update(variant=3), "variant of its finding 1"),
        (lambda d: d["findings"][0].update(measured=[1]), "measured of its finding 1"),
        (lambda d: d["findings"][0].pop("message"), "message of its finding 1"),
    ],
)
def test_a_damaged_document_is_named_and_not_used(damage, why):
    earlier = before(finding())
    damage(earlier)
    changes = compare(report(finding()), earlier)
    assert not changes.compared
    assert changes.problem is not None
    assert why in changes.problem
    assert not changes.new


@pytest.mark.parametrize("place", [None, 7, {"file": 1}, {"file": "a", "line": "2", "column": 3}])
def test_a_place_that_is_none_does_no_harm(place):
    earlier = before(finding())
    earlier["findings"][0]["location"] = place
    (fixed,) = compare(report(finding(**MATCH)), earlier).fixed
    assert fixed.location is None


def test_a_start_that_is_no_text_is_left_out():
    earlier = before(finding())
    earlier["environment"] = {"started": 7}
    assert compare(report(finding()), earlier).since is None
    earlier["environment"] = []
    assert compare(report(finding()), earlier).since is None
