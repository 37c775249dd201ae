"""Puts findings in the order in which a maintainer reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from harness.report.options import Options
from harness.report.words import word
from harness.types import Finding, Report

# Fewer findings than this are shown one by one.
_WORTH_JOINING = 3

_RANK = {"error": 0, "warning": 1, "note": 2, None: 3}


@dataclass(frozen=True, slots=True)
class Group:
    """Findings that belong under one heading; no variant means the index itself."""

    collection: str | None
    variant: str | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Joint:
    """Findings of one field and cause, of one collection, whose numbers follow one rule.

    ``all`` says that these are all the collection's numbers of that field.
    """

    collection: str
    findings: tuple[Finding, ...]
    all: bool

    @property
    def sentence(self) -> str:
        """What they have in common."""
        first, number = self.findings[0], len(self.findings)
        of = "" if self.all else " of the"
        return (
            f"{'all ' if self.all else ''}{number}{of} {first.field} of this collection are "
            f"{first.rules[0]}"
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """What a reader is shown in full, and what is told in a line each.

    ``groups`` hold the findings in full, by variant. ``joint`` holds those of a collection that
    follow one rule, which is then said once. ``alike`` holds the others by cause: sixteen
    accuracies without pictures are one line, and do not drown an error. What none of them holds
    is counted in the summary alone.
    """

    groups: tuple[Group, ...]
    alike: tuple[tuple[Finding, ...], ...]
    joint: tuple[Joint, ...] = ()

    def causes(self) -> tuple[str, ...]:
        """The causes of the findings in full that ask for an act, in order of appearance."""
        shown = [*(g.findings for g in self.groups), *(j.findings for j in self.joint)]
        found = (f.cause for findings in shown for f in findings if f.accepted is None)
        return tuple(dict.fromkeys(cause for cause in found if cause is not None))


def label(finding: Finding) -> str:
    """One word for how a finding stands: its severity, else its status."""
    return finding.severity or finding.status


def arrange(report: Report, options: Options, *, join: bool = False) -> Layout:
    """Sort the report's findings for a reader, those that matter most first.

    Args:
        report: what to show.
        options: how much of it.
        join: say once what the numbers of a collection have in common, unless all is asked for.
    """
    full = [f for f in report.findings if _is_shown_in_full(f, options)]
    rest: list[Finding] = []
    if not options.verbose and not options.quiet:
        rest = [
            f
            for f in report.findings
            if label(f) in ("note", "unverified") and not _is_shown_in_full(f, options)
        ]
    joint = _joined(report, full) if join and not options.verbose else ()
    told = {id(finding) for each in joint for finding in each.findings}
    single = [finding for finding in full if id(finding) not in told]
    return Layout(_by_variant(report, single), _by_cause(rest), joint)


def _joined(report: Report, findings: Iterable[Finding]) -> tuple[Joint, ...]:
    collections = {variant.name: variant.collection for variant in report.variants}
    groups: dict[tuple[str, str, str | None, str, str], list[Finding]] = {}
    for finding in findings:
        collection = collections.get(finding.variant or "")
        if collection is not None and finding.rules:
            key = (collection, finding.field, finding.cause, word(finding), finding.rules[0])
            groups.setdefault(key, []).append(finding)
    total = Counter((collections.get(f.variant or ""), f.field) for f in report.findings)
    return tuple(
        Joint(key[0], tuple(found), all=len(found) == total[key[0], key[1]])
        for key, found in groups.items()
        if len(found) >= _WORTH_JOINING
    )


def _is_shown_in_full(finding: Finding, options: Options) -> bool:
    if options.verbose:
        return True
    if finding.severity in ("error", "warning"):
        return finding.accepted is None or not options.quiet
    # What was measured and not decided has a number of its own to show.
    return finding.status == "unverified" and finding.measured is not None and not options.quiet


def _by_variant(report: Report, findings: Iterable[Finding]) -> tuple[Group, ...]:
    """Groups in the order of the index, the index itself first; the worst first in each."""
    collections = {variant.name: variant.collection for variant in report.variants}
    groups: dict[str | None, list[Finding]] = {None: [], **{name: [] for name in collections}}
    for finding in findings:
        groups.setdefault(finding.variant, []).append(finding)
    return tuple(
        Group(collections.get(name or ""), name, tuple(sorted(found, key=rank)))
        for name, found in groups.items()
        if found
    )


def _by_cause(findings: Iterable[Finding]) -> tuple[tuple[Finding, ...], ...]:
    groups: dict[tuple[str, str | None], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((word(finding), finding.cause), []).append(finding)
    return tuple(tuple(found) for found in groups.values())


def rank(finding: Finding) -> int:
    """The worst first, then what is accepted, then what matches."""
    if finding.accepted is not None:
        return len(_RANK)
    return _RANK[finding.severity] + 2 * (finding.status == "match")
