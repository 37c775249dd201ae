"""The sentences that several formats share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.types import Finding, Report
from zoo._util.text import plural

# Fewer FLOPs claims than this are not summed up.
_FEW = 3

# How many messages are shown of findings that have one cause.
_MESSAGES = 4


def summary(report: Report) -> str:
    """The whole report in one line."""
    counts = report.summary()
    claims = f"{counts['match']} match, {counts['mismatch']} differ"
    if counts["unverified"]:
        claims += f", {counts['unverified']} could not be checked"
    severities = ", ".join(
        plural(counts[noun + "s"], noun) for noun in ("error", "warning", "note")
    )
    if "accepted" in counts:
        severities += f", {counts['accepted']} accepted"
    of_whom = f"{plural(len(report.variants), 'variant')}: " if report.variants else ""
    return f"{of_whom}{claims} ({severities})"


def explained(report: Report) -> str | None:
    """How many FLOPs hold, or are known to the digit to be something else.

    None where all hold, or where there are so few that the findings say it themselves.
    """
    found = [f for f in report.findings if f.field == "FLOPs" and f.check == "flops"]
    found = [f for f in found if f.status != "unverified"]
    held = sum(f.status == "match" for f in found)
    if held == len(found) or len(found) < _FEW:
        return None
    known = sum(f.status == "mismatch" and bool(f.rules) for f in found)
    share = 100 * (held + known) // len(found)
    return (
        f"FLOPs: of {len(found)} claims {held} hold, {known} are explained to the digit, and "
        f"{len(found) - held - known} are not: {share} % hold or are explained"
    )


def cut_short(report: Report) -> str | None:
    """What to say of a run that did not come to its end."""
    if report.cut_short is None:
        return None
    why = "was interrupted" if report.cut_short == "interrupted" else f"failed: {report.cut_short}"
    return f"The run {why}; what was measured before is reported."


def word(finding: Finding) -> str:
    """One word for how a finding stands with its reader: accepted, else severity or status."""
    return "accepted" if finding.accepted is not None else finding.severity or finding.status


def message(finding: Finding) -> str:
    """What a finding says, and why it is accepted where it is."""
    if finding.accepted is None:
        return finding.message
    return f"{finding.message} (accepted: {finding.accepted})"


def alike(findings: Sequence[Finding]) -> str:
    """Several findings of one cause in short: how many, on which fields, of how many variants."""
    fields = ", ".join(dict.fromkeys(finding.field for finding in findings))
    variants = {finding.variant for finding in findings} - {None}
    of_whom = f" of {plural(len(variants), 'variant')}" if variants else ""
    return f"{plural(len(findings), 'finding')} on {fields}{of_whom}"


def messages(findings: Sequence[Finding]) -> list[str]:
    """What findings of one cause say: each different message, those of most findings first.

    What one of them says is not said of another: where the messages differ, each has the number
    of its findings, and where there are more than a few, the rest is counted.
    """
    counts = Counter(map(message, findings))
    if len(counts) == 1:
        return [message(findings[0])]
    common = counts.most_common()
    # A line that says "and one more" would take the place of that one.
    kept = common if len(common) <= _MESSAGES else common[: _MESSAGES - 1]
    lines = [f"{plural(number, 'finding')}: {said}" for said, number in kept]
    rest = common[len(kept) :]
    if rest:
        number = sum(number for _, number in rest)
        lines.append(f"{plural(number, 'finding')} with {len(rest)} other messages")
    return lines


def place(finding: Finding) -> str:
    """Where the claim stands, as ``file:line:column``; a dash where it stands nowhere."""
    return "-" if finding.location is None else str(finding.location)


def value(something: float | str | None) -> str:
    """A documented or measured value as text; a dash where there is none."""
    return "-" if something is None else str(something)
