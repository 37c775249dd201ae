"""What the page says at its beginning, and to a browser that runs no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from harness.causes import CAUSES
from harness.report import words
from harness.report.grouping import arrange
from harness.report.options import Options
from harness.report.page.changes import Changes, key
from harness.report.rows import STATUSES, RowStatus, standing
from harness.types import Finding, Report
from zoo._util.text import for_terminal, truncate

# Of the table for browsers without script, which is a second copy of what the script shows.
_PLAIN = 300
_LISTED = 8


@dataclass(frozen=True, slots=True)
class Tally:
    """One line of a table of counts."""

    name: str
    link: str
    about: str
    findings: int
    variants: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Line:
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
class Listed:
    """Some findings, and how many there are in all."""

    number: int
    lines: tuple[Line, ...]

    @property
    def rest(self) -> int:
        """How many are not among the lines."""
        return self.number - len(self.lines)


@dataclass(frozen=True, slots=True)
class Overview:
    """All that the template shows; every text is safe to look at, and none is escaped yet."""

    sentence: str
    cut_short: str | None
    variants: int
    counts: dict[str, int]
    started: str
    environment: tuple[tuple[str, str], ...]
    causes: tuple[Tally, ...]
    collections: tuple[Tally, ...]
    changes: Changes
    since: str
    problem: str
    new: Listed
    fixed: Listed
    unseen: Listed
    plain: Listed


def link(view: str, **chosen: str) -> str:
    """The fragment that shows a view with these filters."""
    query = urlencode(chosen)
    return f"#{view}?{query}" if query else f"#{view}"


def overview(report: Report, changes: Changes) -> Overview:
    """The beginning of the page, as plain data for its template."""
    layout = arrange(report, Options())
    told = [finding for group in layout.groups for finding in group.findings]
    told += [finding for alike in layout.alike for finding in alike]
    told.sort(key=lambda finding: STATUSES.index(standing(finding)))
    new = [finding for finding in told if key(finding) in changes.new]
    # A project without a baseline need not read of one.
    accepts = any(finding.accepted is not None for finding in report.findings)
    shown = [status for status in STATUSES if accepts or status != "accepted"]
    return Overview(
        sentence=words.summary(report),
        cut_short=_safe(words.cut_short(report)),
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
        plain=_listed(told, _PLAIN),
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


def _counts(findings: Iterable[Finding], shown: Iterable[RowStatus]) -> dict[str, int]:
    found = Counter(map(standing, findings))
    return {status: found[status] for status in shown}


def _by_cause(report: Report, statuses: Sequence[RowStatus]) -> tuple[Tally, ...]:
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.cause is not None:
            groups.setdefault(finding.cause, []).append(finding)
    tallies = []
    for cause, found in groups.items():
        about = CAUSES[cause].meaning.replace("`", "") if cause in CAUSES else ""
        variants = len({finding.variant for finding in found} - {None})
        shown = for_terminal(cause)
        tallies.append(
            Tally(
                shown,
                link("findings", cause=shown),
                about,
                len(found),
                variants,
                _counts(found, statuses),
            )
        )
    return tuple(sorted(tallies, key=_gravity))


def _gravity(tally: Tally) -> tuple[int, int]:
    worst = next(i for i, count in enumerate(tally.counts.values()) if count)
    return (worst, -tally.findings)


def _by_collection(report: Report, statuses: Sequence[RowStatus]) -> tuple[Tally, ...]:
    collections = {variant.name: variant.collection for variant in report.variants}
    variants = Counter(variant.collection for variant in report.variants)
    groups: dict[str | None, list[Finding]] = {name: [] for name in variants}
    for finding in report.findings:
        # What is said of the index itself belongs to no collection.
        if finding.variant in collections:
            groups[collections[finding.variant]].append(finding)
    tallies = []
    for name, found in groups.items():
        shown = "no collection" if name is None else for_terminal(name)
        where = link("findings", collection="-" if name is None else shown)
        tallies.append(
            Tally(shown, where, "", len(found), variants[name], _counts(found, statuses))
        )
    return tuple(tallies)


def _listed(findings: Iterable[Finding], most: int) -> Listed:
    found = tuple(findings)
    return Listed(len(found), tuple(_line(finding) for finding in found[:most]))


def _line(finding: Finding) -> Line:
    texts = (
        finding.variant or "",
        finding.field,
        words.value(finding.documented),
        words.value(finding.measured),
        finding.message,
        finding.cause or "",
        words.place(finding),
        finding.accepted or "",
    )
    return Line(standing(finding), *(for_terminal(truncate(text)) for text in texts))


def _safe(text: str | None) -> str | None:
    return None if text is None else for_terminal(text)
