"""Sentences, numbers and places that several formats share."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Callable, Sequence
from urllib.parse import quote

from harness.report import Options
from harness.types import Finding, Report
from zoo._util.text import FOREIGN, plural, truncate
from zoo.index.types import Location

# Fewer FLOPs claims than this are not summed up.
_FEW = 3
# How many messages are shown of findings that have one cause.
_MESSAGES = 4
PERCENT = ("Top 1 Accuracy", "Top 5 Accuracy")
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


# -- the whole report -----------------------------------------------------------------------


# The states of findings, as a reader counts them: each finding has one.
STATES = {
    "error": "error",
    "mismatch": "error",
    "warning": "warning",
    "note": "note",
    "match": "held",
    "unverified": "not checked",
    "accepted": "accepted",
}
_COUNTED = ("error", "warning", "note")


def summary(report: Report) -> str:
    """The whole report in one line: every finding is counted, and none twice."""
    counts = Counter(STATES[label(finding)] for finding in report.findings)
    said = (
        plural(counts[state], state) if state in _COUNTED else f"{counts[state]} {state}"
        for state in dict.fromkeys(STATES.values())
    )
    subject = f"{plural(len(report.variants), 'variant')}: " if report.variants else ""
    return f"{subject}{', '.join(said)}"


def explained(report: Report) -> str | None:
    """How many FLOPs claims hold or are explained to the digit.

    None where all hold, or where there are so few that the findings suffice.
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


INTERRUPTED = "interrupted"
"""Of a report that an interrupt has cut short."""


def cut_short(report: Report) -> str | None:
    """Why a run did not come to its end; None where it did."""
    if report.cut_short is None:
        return None
    why = "was interrupted" if report.cut_short == INTERRUPTED else f"failed: {report.cut_short}"
    return f"The run {why}; what was measured before is reported."


# -- findings -------------------------------------------------------------------------------


def label(finding: Finding) -> str:
    """One word for how a finding stands: accepted, else its severity, else its status."""
    return "accepted" if finding.accepted is not None else finding.severity or finding.status


def about(finding: Finding) -> str:
    """Which claim of which variant: ``net: FLOPs``, or what of that is known."""
    return ": ".join(filter(None, (finding.variant, finding.field)))


def message(finding: Finding) -> str:
    """The message of a finding, with the reason where a baseline accepts it."""
    if finding.accepted is None:
        return finding.message
    return f"{finding.message} (accepted: {finding.accepted})"


def place(finding: Finding) -> str:
    """The claim's place as ``file:line:column``; a dash where it has none."""
    return position(finding.location)


def position(at: Location | None) -> str:
    """The place as ``file:line:column``; a dash where there is none."""
    return "-" if at is None else f"{truncate(at.file, FOREIGN)}:{at.line}:{at.column}"


def value(something: object) -> str:
    """A documented or measured value as text; a dash for None."""
    return "-" if something is None else str(something)


def values(finding: Finding) -> tuple[str, str]:
    """The documented value and the measured one, truncated."""
    return truncate(value(finding.documented), FOREIGN), measured(finding)


def measured(finding: Finding) -> str:
    """The measured value, truncated; of an accuracy with the unit that the documented one has."""
    is_percent = isinstance(finding.measured, int | float) and finding.field in PERCENT
    return truncate(value(finding.measured), FOREIGN) + "%" * is_percent


def both(finding: Finding) -> str:
    """``documented 5, measured 6``."""
    return "documented {}, measured {}".format(*values(finding))


def alike(findings: Sequence[Finding]) -> str:
    """Several findings of one cause in short: how many, on which fields, of how many variants."""
    return f"{plural(len(findings), 'finding')} on {of_whom(findings)}"


def alike_line(findings: Sequence[Finding]) -> str:
    """The same with its words: ``note: 3 findings on FLOPs of 3 variants: message [cause]``."""
    first, text = findings[0], "; ".join(messages(findings))
    return f"{label(first)}: {alike(findings)}: {text} [{first.cause}]"


def of_whom(findings: Sequence[Finding]) -> str:
    """Which fields of which variant, or of how many: ``FLOPs of 8 variants``."""
    fields = ", ".join(dict.fromkeys(finding.field for finding in findings if finding.field))
    variants = {finding.variant for finding in findings}
    named = variants - {None}
    whose = plural(len(named), "variant") if len(named) > 1 else "".join(map(str, named))
    if named != variants and named:  # A collection's key is no variant's.
        whose += " and of the index itself"
    return " of ".join(filter(None, (fields or "the index", whose)))


def messages(findings: Sequence[Finding]) -> list[str]:
    """The different messages of findings of one cause, the most common first.

    Where they differ, each has the number of its findings, and those beyond a few are counted.
    """
    counts = Counter(map(message, findings))
    if len(counts) == 1:
        return [message(findings[0])]
    common = counts.most_common()
    # A line that says "and one more" would take the place of that one.
    kept = common if len(common) <= _MESSAGES else common[: _MESSAGES - 1]
    lines = [f"{plural(number, 'finding')}: {text}" for text, number in kept]
    rest = common[len(kept) :]
    if rest:
        number = sum(number for _, number in rest)
        lines.append(f"{plural(number, 'finding')} with {len(rest)} other messages")
    return lines


# -- numbers --------------------------------------------------------------------------------


def quantity(number: float, unit: str = "", digits: int = 4, *, padded: bool = False) -> str:
    """The number at so many significant digits with an SI prefix: ``48.28 M``, ``9 MB``.

    Padded, it has all of them: ``9.000 MB``; as numbers of one column should.
    """
    number, step = float(f"{number:.{digits}g}"), 0
    while abs(number) >= 1000 and step < len(_PREFIXES) - 1:
        number, step = number / 1000, step + 1
    shown = f"{number:#.{digits}g}" if padded and step else f"{number:.{digits}g}"
    return f"{shown} {_PREFIXES[step]}{unit}".rstrip()


def span(low: float, high: float) -> str:
    """An interval of percent, rounded outwards so that it never promises more than it holds."""
    # A float such as 82.07 times 100 is a hair off: without the tolerance it would widen the span.
    down = int(low * 100 + 1e-6) / 100
    up = -int(-(high * 100 - 1e-6) // 1) / 100
    return f"{down:.2f} to {up:.2f} %"


# -- places ---------------------------------------------------------------------------------


def in_repository(file: str, options: Options) -> str:
    """A file named from the working folder, as named from the top of the repository.

    An absolute one stays as it is where it lies outside the repository.
    """
    if not posixpath.isabs(file) or not options.top:
        return posixpath.normpath(posixpath.join(options.folder, file))
    # As it is written, then as it is: a checkout may be named through a link, a file be one.
    folder = os.path.realpath(os.path.dirname(file))
    for path in (posixpath.normpath(file), posixpath.join(folder, posixpath.basename(file))):
        if path.startswith(options.top.rstrip("/") + "/"):
            return posixpath.relpath(path, options.top)
    return posixpath.normpath(file)


def uri(path: str) -> str:
    """The path as a URI (RFC 3986): relative, or ``file:`` where the path is absolute."""
    encoded = quote(path.encode("utf-8", "surrogatepass"), safe="/")
    return f"file://{encoded}" if path.startswith("/") else encoded


def locator(report: Report) -> Callable[[Finding], Location | None]:
    """For formats that insist on a place: the claim's, else the variant's, else the first one's."""
    known = {v.name: v.location for v in reversed(report.variants) if v.location is not None}
    first = next((v.location for v in report.variants if v.location is not None), None)
    return lambda finding: finding.location or known.get(finding.variant or "", first)
