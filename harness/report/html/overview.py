"""The beginning of the page, and what a browser without script shows, as data for the template.

Every text in it is safe to look at, and none is escaped yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from harness.causes import CAUSES
from harness.report import Options
from harness.report.html.changes import Changes, key
from harness.report.sentences import cut_short, place, summary, value
from harness.report.view import STATUSES, arrange, standing
from harness.types import Finding, Report
from zoo._util.text import for_terminal, truncate

# Of the table for browsers without script, which is a second copy of what the script shows.
_PLAIN = 300
_LISTED = 8
_ENVIRONMENT = {
    "started": "Started",
    "seconds": "Seconds",
    "zoo": "zoo",
    "torch": "torch",
    "python": "Python",
    "platform": "Platform",
    "device": "Device",
}


def overview(report: Report, changes: Changes) -> dict[str, Any]:
    """The values that the template names."""
    layout = arrange(report, Options())
    listed = [*layout.full, *(finding for alike in layout.alike for finding in alike)]
    listed.sort(key=lambda finding: STATUSES.index(standing(finding)))
    # Where no baseline accepts anything, nothing on the page speaks of it.
    accepts = any(finding.accepted is not None for finding in report.findings)
    statuses = [status for status in STATUSES if accepts or status != "accepted"]
    environment = {name: report.environment.get(key) for key, name in _ENVIRONMENT.items()}
    return {
        "sentence": summary(report),
        "cut_short": for_terminal(cut_short(report) or ""),
        "variants": len(report.variants),
        "counts": _counts(report.findings, statuses),
        "started": _when(str(report.environment.get("started") or "")),
        "environment": [(n, for_terminal(str(v))) for n, v in environment.items() if v is not None],
        "causes": _by_cause(report, statuses),
        "collections": _by_collection(report, statuses),
        "compared": changes.compared,
        "since": _when(changes.since or ""),
        "problem": for_terminal(changes.problem or ""),
        "new": _listed([f for f in listed if key(f) in changes.new], _LISTED),
        "fixed": _listed(changes.fixed, _LISTED),
        "unseen": len(changes.unseen),
        "plain": _listed(listed, _PLAIN),
    }


def _when(time: str) -> str:
    """A time as a person writes it, where it is one in UTC; else as it stands."""
    try:
        read = datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        return for_terminal(time)
    if read.utcoffset() != timedelta(0):
        return for_terminal(time)
    return read.strftime("%Y-%m-%d %H:%M UTC")


def _counts(findings: Iterable[Finding], statuses: Iterable[str]) -> dict[str, int]:
    found = Counter[str](map(standing, findings))
    return {status: found[status] for status in statuses}


def _line(name: str, about: str, variants: int, counts: dict[str, int], **filters: str) -> Any:
    """A line of a table of counts, with a link to the findings under these filters."""
    link = f"#findings?{urlencode(filters)}"
    return {"name": name, "about": about, "variants": variants, "counts": counts, "link": link}


def _by_cause(report: Report, statuses: Sequence[str]) -> list[dict[str, Any]]:
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.cause is not None:
            groups.setdefault(finding.cause, []).append(finding)
    lines = []
    for cause, found in groups.items():
        about = CAUSES[cause].meaning.replace("`", "") if cause in CAUSES else ""
        variants = len({finding.variant for finding in found} - {None})
        shown = for_terminal(cause)
        lines.append(_line(shown, about, variants, _counts(found, statuses), cause=shown))
    return sorted(lines, key=_gravity)


def _gravity(line: dict[str, Any]) -> tuple[int, int]:
    worst = next(i for i, count in enumerate(line["counts"].values()) if count)
    return (worst, -sum(line["counts"].values()))


def _by_collection(report: Report, statuses: Sequence[str]) -> list[dict[str, Any]]:
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
        chosen = "-" if name is None else shown
        counts = _counts(found, statuses)
        lines.append(_line(shown, "", variants[name], counts, collection=chosen))
    return lines


def _listed(findings: Sequence[Finding], most: int) -> dict[str, Any]:
    """The first findings, how many there are in all, and how many are left out."""
    lines = [_finding(finding) for finding in findings[:most]]
    return {"number": len(findings), "lines": lines, "rest": len(findings) - len(lines)}


def _finding(finding: Finding) -> dict[str, str]:
    texts = {
        "variant": finding.variant or "",
        "field": finding.field,
        "documented": value(finding.documented),
        "measured": value(finding.measured),
        "message": finding.message,
        "cause": finding.cause or "",
        "place": place(finding),
        "reason": finding.accepted or "",
    }
    shown = {name: for_terminal(truncate(text)) for name, text in texts.items()}
    return {"label": standing(finding), **shown}
