"""Which findings of a report a baseline accepts, and which of its entries are no longer right."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date

from harness.baseline.types import Baseline, Entry
from harness.causes import severity_of
from harness.run.request import GROUPS
from harness.types import Finding, Report

_CHECK = "baseline"

# The groups of checks that can find each family of causes. Of what is not listed, other people's
# checks for one, it is not known, and all groups have to have run.
_GROUPS = {
    "schema": {"metadata"},
    "parameters": {"parameters"},
    "layers": {"layers"},
    "preprocess": {"preprocess"},
    "flops": {"flops"},
    "weights": {"weights"},
    "size": {"weights"},
    "accuracy": {"accuracy"},
}
_OF_THE_INDEX = frozenset(
    {
        "weights.shared-url",
        "weights.shared-checkpoint",
        "weights.name-mismatch",
        "size.shared",
        "weights.insecure-url",
    }
)
# What is only seen in a file that is here.
_OF_THE_FILE = frozenset(
    {
        "weights.hash-mismatch",
        "weights.tensors-differ",
        "size.differs",
        "size.extra-tensors",
        "size.half-precision",
    }
)


def apply(report: Report, baseline: Baseline, groups: Collection[str], today: date) -> Report:
    """The report with its known findings marked, and what is wrong with the baseline added.

    Args:
        report: what a run found.
        baseline: what is known.
        groups: the groups of checks that ran: an entry of another one is not missed.
        today: the day that `Entry.expires` is held against.

    Returns:
        The report: a finding that an entry accepts has the entry's reason; one whose entry has
        expired is as it was, and followed by a ``baseline.expired``; an entry whose finding this
        run would have made, and did not, gives a ``baseline.stale``.
    """
    used = occurring(report, baseline)
    entries = {id(finding): entry for finding, entry in used}
    findings = [_marked(finding, entries.get(id(finding)), today) for finding in report.findings]
    seen = {id(entry) for entry in entries.values()}
    unseen = [entry for entry in baseline.entries if id(entry) not in seen]
    expired = [e for e in baseline.entries if id(e) in seen and is_expired(e, today)]
    findings += [_about(entry, "baseline.expired") for entry in expired]
    findings += [_about(entry, "baseline.stale") for entry in missed(unseen, report, groups)]
    return replace(report, findings=tuple(findings))


def occurring(report: Report, baseline: Baseline) -> list[tuple[Finding, Entry]]:
    """The findings that entries are about, be they expired or not, with their entries."""
    by_key: dict[object, list[Entry]] = {}
    for entry in baseline.entries:
        by_key.setdefault(entry.key, []).append(entry)
    found: list[tuple[Finding, Entry]] = []
    for finding in report.findings:
        key = (finding.variant, finding.field, finding.cause, finding.documented)
        entries = [entry for entry in by_key.get(key, ()) if entry.accepts(finding)]
        if entries:
            # The one that names the file was written for it.
            found.append((finding, max(entries, key=lambda entry: entry.file is not None)))
    return found


def is_expired(entry: Entry, today: date) -> bool:
    """Whether its last day has passed."""
    return entry.expires is not None and entry.expires < today


def missed(entries: Iterable[Entry], report: Report, groups: Collection[str]) -> list[Entry]:
    """Those of these entries whose findings this run would have made, had they been there."""
    if report.cut_short is not None:
        return []
    hashed = {v.name: v.measurements.get("sha256") is not None for v in report.variants}
    undecided = {(f.variant, f.field) for f in report.findings if f.status == "unverified"}
    places = [variant.location for variant in report.variants]
    places += [finding.location for finding in report.findings]
    files = {os.path.abspath(name) for name in {place.file for place in places if place}}

    def is_missed(entry: Entry) -> bool:
        if not _groups_of(entry) <= set(groups):
            return False
        if entry.variant is None:
            return entry.file in files
        if entry.variant not in hashed or (entry.variant, entry.field) in undecided:
            return False
        return hashed[entry.variant] or entry.cause not in _OF_THE_FILE

    return [entry for entry in entries if is_missed(entry)]


def _groups_of(entry: Entry) -> set[str]:
    if entry.cause in _OF_THE_INDEX:
        return {"metadata"}
    known = _GROUPS.get(entry.cause.partition(".")[0], set(GROUPS))
    # A file that can't be had leaves accuracies open as well, under the same cause.
    return known | {"accuracy"} if entry.field.endswith("Accuracy") else known


def _marked(finding: Finding, entry: Entry | None, today: date) -> Finding:
    if entry is None or is_expired(entry, today):
        return finding
    return replace(finding, accepted=entry.reason)


def _about(entry: Entry, cause: str) -> Finding:
    return Finding(
        variant=entry.variant,
        field=entry.field,
        check=_CHECK,
        status="mismatch",
        severity=severity_of(cause),
        cause=cause,
        documented=entry.documented,
        measured=None,
        message=_MESSAGES[cause].format(entry=entry),
        location=entry.location,
    )


_MESSAGES = {
    "baseline.stale": "the baseline accepts {entry.cause} here, and it does not occur any more; "
    "delete the entry",
    "baseline.expired": "the baseline accepted {entry.cause} here up to {entry.expires} "
    "({entry.reason}); mend it, or look again and give the entry a new day",
}
