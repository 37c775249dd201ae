"""What is new and what is fixed since the previous report."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from loops import each

from harness.report.document import document
from harness.report.html.changes import compare, recorded
from harness.types import Finding, Report, VariantReport


def finding(variant: str | None = "net", check: str = "flops", **changes: Any) -> Finding:
    values = {
        **{"field": "FLOPs", "status": "mismatch", "severity": "error", "cause": "flops.differs"},
        **{"documented": "1", "measured": 2, "message": "it differs", "location": None},
    }
    return Finding(variant=variant, check=check, **{**values, **changes})


MATCH = {"status": "match", "severity": None, "cause": None}


def report(*findings: Finding, names: tuple[str, ...] = ("net",), **changes: Any) -> Report:
    variants = tuple(VariantReport(name, None, "zoo", {}) for name in names)
    return Report({"started": "2025-01-02T03:04:05+00:00"}, variants, findings, **changes)


def before(*findings: Finding) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(document(report(*findings))))
    return read


def test_the_same_finding_in_other_words_is_not_new():
    moved = finding(message="worded otherwise", measured=3)
    changes = compare(report(moved), before(finding()))
    assert (changes.new, changes.fixed, changes.unseen) == (frozenset(), (), ())
    changes = compare(report(finding()), None)
    assert (changes.problem, changes.new) == (None, frozenset())


def test_each_part_of_a_findings_identity_counts():
    parts = {"variant": "other", "field": "Parameters", "check": "other", "documented": "7"}
    for name, value in {**parts, "cause": "flops.convention"}.items():
        found = replace(finding(), **{name: value})
        changes = compare(report(found, names=("net", "other")), before(finding()))
        assert len(changes.new) == 1, name


def test_what_matches_now_is_fixed_and_what_is_wrong_in_another_way_is_not():
    changes = compare(report(finding(**MATCH)), before(finding()))
    assert [f.message for f in changes.fixed] == ["it differs"]
    assert not changes.new
    now = finding(cause="flops.convention", severity="warning")
    changes = compare(report(now), before(finding()))
    assert (changes.fixed, len(changes.new)) == ((), 1)
    now = finding(status="unverified", severity=None, cause="weights.unreachable")
    assert compare(report(now), before(finding())).fixed == ()
    problem = finding(None, "schema", cause="schema.unreadable")
    assert len(compare(report(finding(**MATCH)), before(problem)).fixed) == 1


def test_what_this_run_did_not_look_for_is_not_fixed():
    for changes in ({"cut_short": "interrupted"}, {"names": ("other",)}):
        found = compare(report(**changes), before(finding()))
        assert found.fixed == ()
        assert [f.message for f in found.unseen] == ["it differs"]
    # A check that was not asked for: it spoke of each claim before, and of none now.
    earlier = before(finding(), finding("other", **MATCH))
    found = compare(report(finding(check="layers", **MATCH), names=("net", "other")), earlier)
    assert (found.fixed, len(found.unseen)) == ((), 1)


def test_counts_of_other_images_are_compared_with_none():
    """They are no change of the model: nothing is new by them, and nothing is fixed."""

    def counted(*found, **digests):
        evaluations = [{"dataset": name, "digest": digest} for name, digest in digests.items()]
        variant = VariantReport("net", None, "zoo", {"evaluations": evaluations})
        return replace(report(*found), variants=(variant,))

    wrong = finding(check="accuracy", cause="accuracy.contradicted")
    right, other = finding(check="accuracy", **MATCH), finding()
    for now, then, compared in (
        ({"val": "1"}, {"val": "1"}, True),
        ({"val": "1"}, {"val": "2"}, False),
        ({"v2": "1"}, {"val": "1"}, False),
        ({"val": "1", "v2": "2"}, {"val": "1"}, True),
        ({}, {"val": "1"}, True),
    ):
        earlier = json.loads(json.dumps(document(counted(wrong, **then))))
        changes = compare(counted(right, other, **now), earlier)
        assert (len(changes.fixed), len(changes.unseen)) == ((1, 0) if compared else (0, 1))
        assert len(changes.new) == 1  # that of another check
        earlier = json.loads(json.dumps(document(counted(right, **then))))
        assert len(compare(counted(wrong, **now), earlier).new) == compared


@each(
    "damage, why",
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
    assert changes.new == frozenset()
    assert why in (changes.problem or "")


def test_a_malformed_place_does_no_harm():
    for place in (None, 7, {"file": 1}, {"file": "a", "line": "2", "column": 3}):
        earlier = before(finding())
        earlier["findings"][0]["location"] = place
        (fixed,) = compare(report(finding(**MATCH)), earlier).fixed
        assert fixed.location is None


def test_a_report_of_the_same_keeps_what_changed_before():
    """A malformed record of it is none, and what was found otherwise is compared anew."""
    old, now = before(finding(), finding("net", "layers")), report(finding(cause="size.shared"))
    first = compare(now, old, document(now))
    assert (len(first.new), len(first.fixed)) == (1, 1)
    written = json.loads(json.dumps(document(now) | recorded(first)))
    assert recorded(compare(now, written, document(now))) == recorded(first)
    for record in (None, 7, {"new": 7}, {"new": [[1, 2], "x"], "fixed": [], "unseen": []}):
        found = compare(now, written | {"changes": record}, document(now))
        assert (found.new, found.fixed, found.problem) == (frozenset(), (), None)
    moved = report(finding(cause="size.shared", measured=3))
    assert recorded(compare(moved, written, document(moved))) == {}
