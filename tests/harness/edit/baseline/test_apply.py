"""Which findings are accepted, and which entries are reported."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from loops import each

from harness.config import GROUPS
from harness.edit.baseline import AcceptedFinding, Baseline
from harness.edit.baseline_apply import apply_baseline
from harness.types import VariantReport
from zoo.index.types import Location

TODAY = date(2026, 11, 23)
HERE = Location("known-findings.yml", 4, 3)
ENTRY = AcceptedFinding("net50", "FLOPs", "flops.differs", "6973972864", "asked upstream", HERE)


def applied(report, *entries, groups=GROUPS):
    return apply_baseline(report, Baseline("known-findings.yml", entries), groups, TODAY)


def causes(report):
    return [finding.cause for finding in report.findings]


def test_an_accepted_finding_stays_in_the_report(finding, report):
    seen = applied(report(finding()), ENTRY)
    assert seen.findings == (finding(accepted="asked upstream"),)
    assert seen.summary() == {
        "match": 0,
        "mismatch": 1,
        "unverified": 0,
        "errors": 0,
        "warnings": 0,
        "notes": 0,
        "accepted": 1,
    }


@each(
    "changes",
    [
        {"documented": "6973972865"},
        {"documented": None},
        {"cause": "flops.convention"},
        {"field": "Parameters"},
        {"variant": "net101"},
        {"variant": None},
    ],
)
def test_anything_else_is_new(changes, finding, report):
    seen = applied(report(finding(**changes)), ENTRY)
    assert seen.findings[0].accepted is None
    assert seen.summary()["errors"] == 1


def test_another_place_or_other_words_are_the_same_finding(finding, report):
    moved = finding(location=Location("model-index/net.yml", 99, 1), message="x", measured=1)
    assert applied(report(moved), ENTRY).findings[0].accepted == "asked upstream"


def test_an_entry_of_a_file_is_for_that_file(finding, report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = replace(ENTRY, file=str(tmp_path / "model-index" / "net.yml"))
    here = finding()
    other = finding(location=Location("other/net.yml", 12, 7))
    nowhere = finding(location=None)
    seen = applied(report(here, other, nowhere), entry)
    assert [f.accepted for f in seen.findings] == ["asked upstream", None, None]
    # Of two entries, the one that names the file was written for it.
    seen = applied(report(here, other), ENTRY, replace(entry, reason="this one"))
    assert [f.accepted for f in seen.findings] == ["this one", "asked upstream"]


@each("day, accepted", [(23, True), (22, False)])
def test_an_entry_ends_after_its_last_day(day, accepted, finding, report):
    entry = replace(ENTRY, expires=date(2026, 11, day))
    seen = applied(report(finding()), entry)
    if accepted:
        assert causes(seen) == ["flops.differs"]
        assert seen.findings[0].accepted
        return
    first, second = seen.findings
    assert first == finding()
    assert (second.cause, second.severity, second.location) == ("baseline.expired", "warning", HERE)
    assert "up to 2026-11-22 (asked upstream)" in second.message


def test_an_entry_that_no_longer_occurs_is_a_note_on_its_line(report):
    (finding,) = applied(report(), ENTRY).findings
    assert (finding.cause, finding.severity, finding.location) == ("baseline.stale", "note", HERE)
    assert (finding.variant, finding.field) == ("net50", "FLOPs")
    # An expired one that is of no use any more is told once.
    expired = replace(ENTRY, expires=date(2020, 1, 1))
    assert causes(applied(report(), expired)) == ["baseline.stale"]


def test_a_run_that_could_not_have_seen_it_says_nothing(finding, report):
    assert applied(report(), ENTRY, groups=("metadata", "layers")).findings == ()
    assert applied(report(cut_short="interrupted"), ENTRY).findings == ()
    assert applied(report(variants=()), ENTRY).findings == ()
    open_claim = finding(status="unverified", severity=None, cause="build.failed")
    assert applied(report(open_claim), ENTRY).findings == (open_claim,)


@each(
    "cause, field, groups, stale",
    [
        ("schema.unknown-key", "Flops", ("metadata",), True),
        ("weights.shared-url", "Weights", ("metadata",), True),
        ("size.shared", "File Size", ("metadata",), True),
        ("size.impossible", "File Size", ("metadata",), False),
        ("size.impossible", "File Size", ("weights",), True),
        ("weights.missing", "Weights", ("weights",), True),
        ("weights.unreachable", "Top 1 Accuracy", ("weights",), False),
        ("weights.unreachable", "Top 1 Accuracy", ("weights", "accuracy"), True),
        ("build.unknown", "Name", ("parameters", "layers"), False),
        ("build.unknown", "Name", GROUPS, True),
        ("theirs.own", "Name", ("metadata",), False),
    ],
)
def test_the_checks_that_could_have_seen_it(cause, field, groups, stale, report):
    entry = replace(ENTRY, cause=cause, field=field)
    assert causes(applied(report(), entry, groups=groups)) == ["baseline.stale"] * stale


@each("sha256, stale", [(None, False), ("9f0c", True)])
def test_what_only_the_file_shows_needs_the_file(sha256, stale, report):
    variants = (VariantReport("net50", "Net", "zoo", {"sha256": sha256}),)
    entry = replace(ENTRY, cause="size.differs", field="File Size")
    assert causes(applied(report(variants=variants), entry)) == ["baseline.stale"] * stale


def test_an_entry_of_the_index_itself(finding, report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = AcceptedFinding(
        None, "", "schema.unreadable", None, "theirs", HERE, file=str(tmp_path / "bad.yml")
    )
    broken = finding(
        variant=None,
        field="",
        cause="schema.unreadable",
        documented=None,
        location=Location("bad.yml", 1, 1),
    )
    assert applied(report(broken), entry).findings[0].accepted == "theirs"
    other = replace(broken, location=Location("worse.yml", 1, 1))
    assert applied(report(other), entry).findings == (other,)
    fine = finding(status="match", severity=None, cause=None, location=Location("bad.yml", 2, 1))
    assert causes(applied(report(fine), entry)) == [None, "baseline.stale"]


def test_thousands_of_entries_take_no_time(finding, report):
    """Ten times the entries and findings would take a hundred times as long, were it a product."""
    import time

    entries = [replace(ENTRY, variant=f"net{n}") for n in range(20_000)]
    found = [finding(variant=f"net{n}") for n in range(0, 40_000, 2)]
    variants = tuple(VariantReport(f"net{n}", None, "zoo", {}) for n in range(40_000))
    begun = time.process_time()
    seen = applied(report(*found, variants=variants), *entries)
    assert time.process_time() - begun < 10
    assert seen.summary()["accepted"] == 10_000
    assert causes(seen).count("baseline.stale") == 10_000
