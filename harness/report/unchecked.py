"""What could not be checked: for which reasons, and the command that would check it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.causes import CAUSES
from harness.report import Options, sentences
from harness.types import Finding, Report
from zoo._util.text import plural

# How a message begins that says why a fact is missing.
_BEGINNING = re.compile(r"(?:no weights to evaluate|not \w+): ")
# What a message says -> the options that are in the way, and those that would help.
_WEIGHTS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("--offline", ("offline",), ()),
    ("was not downloaded", ("no-download",), ()),
    ("--max-bytes", ("max-bytes",), ("--max-bytes", "N")),
    ("--allow-http", (), ("--allow-http",)),
    ("--any-host", ("public-hosts-only",), ("--any-host",)),
    ("--allow-local", (), ("--allow-local",)),
)
# Of images: the options in the way, those that would help, and with what.
_CLAIMED = "where DIR holds images of the dataset that is claimed"
_IMAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "accuracy.no-data": (("data", "samples", "budget"), ("--data", "DIR"), _CLAIMED),
    "accuracy.other-dataset": ((), ("--data", "DIR"), _CLAIMED),
    "accuracy.undecided": (
        ("data", "samples", "budget"),
        ("--data", "DIR"),
        "where DIR holds the whole validation set",
    ),
    "accuracy.unknown-dataset": (("dataset",), ("--dataset", "NAME"), "if the images are of it"),
}
# The options that a message says to state a dataset by, one for each --data.
_STATED = re.compile(r"\bsay ((?:--dataset [\w.-]+ ?)+)if ")


@dataclass(frozen=True, slots=True)
class Reason:
    """Claims that could not be checked for one reason.

    Attributes:
        findings: theirs.
        why: what was missing, in the words of most of them.
        remedy: the command that would check them, or else what would.
    """

    findings: tuple[Finding, ...]
    why: str
    remedy: str

    @property
    def about(self) -> str:
        """Which claims, of how many variants, and the cause."""
        causes = dict.fromkeys(f.cause for f in self.findings if f.cause)
        return f"{sentences.of_whom(self.findings)} ({', '.join(causes)})"


def reasons(report: Report, options: Options) -> list[Reason]:
    """Why claims could not be checked, the reason of most claims first."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in report.findings:
        if finding.status == "unverified" and finding.accepted is None and not finding.severity:
            groups.setdefault(_kind(finding), []).append(finding)
    # Where files can't be had either, images alone would not do.
    missing = {way: None for kind in groups for way in _in_the_way(kind)}
    made = [_reason(found, options, tuple(missing)) for found in groups.values()]
    return sorted(made, key=lambda reason: -len(reason.findings))


def in_a_line(report: Report, options: Options) -> str | None:
    """All of them in one line; None where all was checked."""
    found = reasons(report, options)
    if not found:
        return None
    each = (f"{len(r.findings)} {r.about}: {r.why}; {r.remedy}" for r in found)
    return f"{sum(len(r.findings) for r in found)} not checked: {'. '.join(each)}"


def _kind(finding: Finding) -> tuple[str, ...]:
    """What findings of one reason have in common."""
    cause = finding.cause or finding.check
    if _is_of_files(cause):
        return (cause, next((w for w, *_ in _WEIGHTS if w in finding.message), ""))
    return (cause,)


def _is_of_files(cause: str) -> bool:
    """Whether it says why a file could not be had."""
    return cause in ("weights.unreachable", "weights.insecure-url")


def _in_the_way(kind: Sequence[str]) -> tuple[str, ...]:
    """The options that keep files away, for one reason why they could not be had."""
    if not _is_of_files(kind[0]):
        return ()
    return next((without for word, without, _ in _WEIGHTS if word in kind[1:]), ())


def _reason(findings: Sequence[Finding], options: Options, missing: tuple[str, ...]) -> Reason:
    counts = Counter(_BEGINNING.sub("", finding.message, count=1) for finding in findings)
    (common, _), *others = counts.most_common()
    more = f" (and {plural(len(others), 'other reason')})" if others else ""
    return Reason(tuple(findings), common + more, _remedy(findings, options, missing))


def _remedy(findings: Sequence[Finding], options: Options, missing: tuple[str, ...]) -> str:
    finding = findings[0]
    cause = finding.cause or ""
    if cause in _IMAGES:
        without, more, where = _IMAGES[cause]
        stated = list(dict.fromkeys(each for f in findings for each in _STATED.findall(f.message)))
        if stated:
            more = tuple(stated[0].split())
            where += ", and others with --dataset of theirs" * bool(stated[1:])
        return f"to check: {options.again((*without, *missing), more)}, {where}"
    if _is_of_files(cause):
        found = ((without, more) for word, without, more in _WEIGHTS if word in finding.message)
        without, more = next(found, ((), ()))
        later = "" if without or more else ", once it can be reached"
        return f"to check: {options.again(without, more)}{later}"
    again = options.again((), ())
    if cause == "weights.not-installed":
        return f"to check: install what is named, then {again}"
    if cause == "layers.not-defined":
        return "nothing can check it: the claim stays as it is"
    known = CAUSES.get(cause)
    remedy = "mend what is named" if known is None else known.remedy.rstrip(".")
    return f"to check: {remedy[0].lower()}{remedy[1:]}, then {again}"
