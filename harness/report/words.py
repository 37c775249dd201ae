"""The sentences that several formats share."""

from __future__ import annotations

from collections.abc import Sequence

from harness.causes import CAUSES
from harness.types import Finding, Report


def counted(number: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def summary(report: Report) -> str:
    """The whole report in one line."""
    counts = report.summary()
    claims = f"{counts['match']} match, {counts['mismatch']} differ"
    if counts["unverified"]:
        claims += f", {counts['unverified']} could not be checked"
    severities = ", ".join(
        counted(counts[noun + "s"], noun) for noun in ("error", "warning", "note")
    )
    of_whom = f"{counted(len(report.variants), 'variant')}: " if report.variants else ""
    return f"{of_whom}{claims} ({severities})"


def cut_short(report: Report) -> str | None:
    """What to say of a run that did not come to its end."""
    if report.cut_short is None:
        return None
    why = "was interrupted" if report.cut_short == "interrupted" else f"failed: {report.cut_short}"
    return f"The run {why}; what was measured before is reported."


def alike(findings: Sequence[Finding]) -> str:
    """Several findings of one cause in short: how many, on which fields, of how many variants."""
    fields = ", ".join(dict.fromkeys(finding.field for finding in findings))
    variants = {finding.variant for finding in findings} - {None}
    of_whom = f" of {counted(len(variants), 'variant')}" if variants else ""
    return f"{counted(len(findings), 'finding')} on {fields}{of_whom}"


def shared_message(findings: Sequence[Finding]) -> str:
    """The message of findings of one cause: their own where they agree, else what the cause means.

    Without a known cause it is the first finding's message, as an example.
    """
    cause = CAUSES.get(findings[0].cause or "")
    if cause is None or len({finding.message for finding in findings}) == 1:
        return findings[0].message
    return cause.meaning


def place(finding: Finding) -> str:
    """Where the claim stands, as ``file:line:column``; a dash where it stands nowhere."""
    return "-" if finding.location is None else str(finding.location)


def value(something: float | str | None) -> str:
    """A documented or measured value as text; a dash where there is none."""
    return "-" if something is None else str(something)
