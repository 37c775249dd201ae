"""The beginning of the page, and what a browser without script shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from harness.causes import CAUSES
from harness.report import Options
from harness.report.html.changes import Changes, key
from harness.report.sentences import cut_short, place, summary, value
from harness.report.view import STATUSES, RowStatus, arrange, standing
from harness.types import Finding, Report
from zoo._util.text import for_terminal, truncate

# Of the table for browsers without script, which is a second copy of what the script shows.
_PLAIN = 300
_LISTED = 8


@dataclass(frozen=True, slots=True)
class CountLine:
    """One line of a table of counts."""

    name: str
    link: str
    about: str
    variants: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding as plain text."""

    label: str
    variant: str
    field: str
    documented: str
    measured: str
    message: str
    cause: str
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class FindingList:
    """Some findings, and how many there are in all."""

    number: int
    lines: tuple[FindingLine, ...]

    @property
    def rest(self) -> int:
        """How many are not among the lines."""
        return self.number - len(self.lines)


@dataclass(frozen=True, slots=True)
class PageOverview:
    """All that the template shows; every text is safe to look at, and none is escaped yet."""

    sentence: str
    cut_short: str
    variants: int
    counts: dict[str, int]
    started: str
    environment: tuple[tuple[str, str], ...]
    causes: tuple[CountLine, ...]
    collections: tuple[CountLine, ...]
    changes: Changes
    since: str
    problem: str
    new: FindingList
    fixed: FindingList
    unseen: FindingList
    plain: FindingList


def overview(report: Report, changes: Changes) -> PageOverview:
    """The beginning of the page, as plain data for its template."""
    layout = arrange(report, Options())
    listed = [*layout.full, *(finding for alike in layout.alike for finding in alike)]
    listed.sort(key=lambda finding: STATUSES.index(standing(finding)))
    new = [finding for finding in listed if key(finding) in changes.new]
    # Where no baseline accepts anything, nothing on the page speaks of it.
    accepts = any(finding.accepted is not None for finding in report.findings)
    shown = [status for status in STATUSES if accepts or status != "accepted"]
    return PageOverview(
        sentence=summary(report),
        cut_short=for_terminal(cut_short(report) or ""),
        variants=len(report.variants),
        counts=_counts(report.findings, shown),
        started=_when(str(report.environment.get("started") or "")),
        environment=_environment(report),
        causes=_by_cause(report, shown),
        collections=_by_collection(report, shown),
        changes=changes,
        since=_when(changes.since or ""),
        problem=for_terminal(changes.problem or ""),
        new=_listed(new, _LISTED),
        fixed=_listed(changes.fixed, _LISTED),
        unseen=_listed(changes.unseen, 0),
        plain=_listed(listed, _PLAIN),
    )


def _environment(report: Report) -> tuple[tuple[str, str], ...]:
    names = {
        "started": "Started",
        "seconds": "Seconds",
        "zoo": "zoo",
        "torch": "torch",
        "python": "Python",
        "platform": "Platform",
        "device": "Device",
    }
    found = ((shown, report.environment.get(name)) for name, shown in names.items())
    return tuple((shown, for_terminal(str(value))) for shown, value in found if value is not None)


def _when(time: str) -> str:
    """A time as a person writes it, where it is one in UTC; else as it stands."""
    try:
        read = datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        return for_terminal(time)
    if read.utcoffset() != timedelta(0):
        return for_terminal(time)
    return read.strftime("%Y-%m-%d %H:%M UTC")


def _link(**filters: str) -> str:
    """The fragment that shows the findings with these filters."""
    return f"#findings?{urlencode(filters)}"


def _counts(findings: Iterable[Finding], shown: Iterable[RowStatus]) -> dict[str, int]:
    found = Counter(map(standing, findings))
    return {status: found[status] for status in shown}


def _by_cause(report: Report, statuses: Sequence[RowStatus]) -> tuple[CountLine, ...]:
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.cause is not None:
            groups.setdefault(finding.cause, []).append(finding)
    lines = []
    for cause, found in groups.items():
        about = CAUSES[cause].meaning.replace("`", "") if cause in CAUSES else ""
        variants = len({finding.variant for finding in found} - {None})
        shown = for_terminal(cause)
        where, counts = _link(cause=shown), _counts(found, statuses)
        lines.append(CountLine(shown, where, about, variants, counts))
    return tuple(sorted(lines, key=_gravity))


def _gravity(line: CountLine) -> tuple[int, int]:
    worst = next(i for i, count in enumerate(line.counts.values()) if count)
    return (worst, -sum(line.counts.values()))


def _by_collection(report: Report, statuses: Sequence[RowStatus]) -> tuple[CountLine, ...]:
    collections = {variant.name: variant.collection for variant in report.variants}
    variants = Counter(variant.collection for variant in report.variants)
    groups: dict[str | None, list[Finding]] = {name: [] for name in variants}
    for finding in report.findings:
        # A finding on the index itself belongs to no collection.
        if finding.variant in collections:
            groups[collections[finding.variant]].append(finding)
    lines = []
    for name, found in groups.items():
        shown = "no collection" if name is None else for_terminal(name)
        where = _link(collection="-" if name is None else shown)
        lines.append(CountLine(shown, where, "", variants[name], _counts(found, statuses)))
    return tuple(lines)


def _listed(findings: Iterable[Finding], most: int) -> FindingList:
    found = tuple(findings)
    return FindingList(len(found), tuple(_line(finding) for finding in found[:most]))


def _line(finding: Finding) -> FindingLine:
    texts = (
        finding.variant or "",
        finding.field,
        value(finding.documented),
        value(finding.measured),
        finding.message,
        finding.cause or "",
        place(finding),
        finding.accepted or "",
    )
    return FindingLine(standing(finding), *(for_terminal(truncate(text)) for text in texts))
