"""What is new and what is fixed since the report before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from harness.types import Finding, Report, Status
from zoo.index.types import Location, Severity

Key = tuple[str | None, str, str, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Changes:
    """Two reports side by side; findings that match are not listed.

    Attributes:
        since: when the previous report was made, ISO 8601; None where there is none, or where it
            doesn't say.
        problem: why the previous report could not be used; None where it was, or there is none.
        compared: there was a previous report to compare with.
        new: keys of the findings of this report that the previous one doesn't have.
        fixed: findings of the previous report that were looked for again and are gone.
        unseen: findings of the previous report that this run did not look for: their variant is
            not in it, their check was not asked for, or it was cut short.
    """

    since: str | None = None
    problem: str | None = None
    compared: bool = False
    new: frozenset[Key] = frozenset()
    fixed: tuple[Finding, ...] = ()
    unseen: tuple[Finding, ...] = ()


class _UnusableError(ValueError):
    """The previous document is not a report of this kind; the text says why."""


def key(finding: Finding) -> Key:
    """What makes two findings the same one: never the message, whose words may change."""
    return (finding.variant, finding.field, finding.check, finding.cause, finding.documented)


def compare(report: Report, previous: Mapping[str, Any] | str | None) -> Changes:
    """Holds a report against the JSON document of the one before; a text says why it is unknown.

    A finding is fixed where its check ran again on its variant and no longer complains of that
    field. One whose cause is another now is new under that cause, and not fixed.
    """
    if previous is None:
        return Changes()
    if isinstance(previous, str):
        return Changes(problem=previous)
    try:
        before = _findings(previous)
    except _UnusableError as error:
        return Changes(problem=str(error))
    environment = previous.get("environment")
    since = environment.get("started") if isinstance(environment, Mapping) else None
    open_before = [f for f in before if f.status != "match"]
    open_now = [f for f in report.findings if f.status != "match"]
    known, here = {key(f) for f in open_before}, {key(f) for f in open_now}
    gone = [f for f in _unique(open_before) if key(f) not in here]
    was_checked = _Checked(report, before)
    complained = {_about(f) for f in open_now}
    return Changes(
        since=since if isinstance(since, str) else None,
        compared=True,
        new=frozenset(here - known),
        fixed=tuple(f for f in gone if was_checked(f) and _about(f) not in complained),
        unseen=tuple(f for f in gone if not was_checked(f)),
    )


class _Checked:
    """Whether this run looked again for a finding of the previous one."""

    def __init__(self, report: Report, before: Iterable[Finding]) -> None:
        self._whole = report.cut_short is None
        self._variants = {variant.name for variant in report.variants}
        # A check that says of each claim how it stands has run only where it says something.
        outspoken = {f.check for f in before if f.status == "match"}
        self._silent = outspoken - {f.check for f in report.findings}

    def __call__(self, finding: Finding) -> bool:
        here = finding.variant is None or finding.variant in self._variants
        return self._whole and here and finding.check not in self._silent


def _about(finding: Finding) -> tuple[str | None, str, str]:
    return (finding.variant, finding.field, finding.check)


def _unique(findings: Iterable[Finding]) -> Iterable[Finding]:
    return {key(finding): finding for finding in findings}.values()


def _findings(document: Mapping[str, Any]) -> list[Finding]:
    """The findings of a JSON document, whoever wrote it.

    Raises:
        _UnusableError: it is no report, one of another schema, or one of its findings is malformed.
    """
    if not isinstance(document, Mapping):
        raise _UnusableError("it is not a JSON object")
    if document.get("schema") != 1:
        raise _UnusableError("it has another schema than 1")
    entries = document.get("findings")
    if not isinstance(entries, list):
        raise _UnusableError("it has no list of findings")
    return [_finding(number, entry) for number, entry in enumerate(entries, 1)]


def _finding(number: int, entry: object) -> Finding:
    def wrong(name: str) -> _UnusableError:
        return _UnusableError(f"{name} of its finding {number} is not what schema 1 says")

    if not isinstance(entry, Mapping):
        raise _UnusableError(f"its finding {number} is not an object")
    for name in ("field", "check", "message"):
        if not isinstance(entry.get(name), str):
            raise wrong(name)
    for name in ("variant", "cause", "documented", "fix", "accepted"):
        if not isinstance(entry.get(name), str | None):
            raise wrong(name)
    if entry.get("status") not in get_args(Status):
        raise wrong("status")
    if entry.get("severity") not in (*get_args(Severity), None):
        raise wrong("severity")
    measured = entry.get("measured")
    if not isinstance(measured, int | float | str | None):
        raise wrong("measured")
    return Finding(
        variant=entry.get("variant"),
        field=entry["field"],
        check=entry["check"],
        status=cast(Status, entry["status"]),
        severity=cast("Severity | None", entry.get("severity")),
        cause=entry.get("cause"),
        documented=entry.get("documented"),
        measured=measured,
        message=entry["message"],
        location=_location(entry.get("location")),
        fix=entry.get("fix"),
        accepted=entry.get("accepted"),
    )


def _location(entry: object) -> Location | None:
    """The place, or None where it is not one: a list of changes can do without."""
    if not isinstance(entry, Mapping):
        return None
    file, line, column = (entry.get(name) for name in ("file", "line", "column"))
    if isinstance(file, str) and isinstance(line, int) and isinstance(column, int):
        return Location(file, line, column)
    return None
