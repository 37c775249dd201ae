"""The report as SARIF 2.1.0 (OASIS, errata 01), for code scanning and editors.

Readers differ in how much of SARIF they heed. Some show every result as an alert, whatever its
``kind`` and its ``suppressions``: for those, ``quiet`` leaves errors and warnings that no baseline
accepts. Matches are written where ``verbose`` asks for them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, TextIO

from harness.causes import CAUSES
from harness.report import Options, sentences
from harness.report.document import plain
from harness.report.view import is_wanted, rank
from harness.types import Finding, Report
from zoo._util.text import for_terminal, json_text
from zoo.index.types import Location

VERSION = "2.1.0"
SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

# GitHub refuses a run of more.
MOST_RESULTS = 25_000
# The name by which GitHub and Azure know the top of the checkout.
_ROOT = "%SRCROOT%"
_LINK = re.compile(r"\[(?=[^\[\]]*\]\()")
_PLACEHOLDER = re.compile(r"\{(\d+)\}")


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write the log; it holds ASCII alone, so any encoding carries it."""
    out.write(f"{json_text(log(report, options))}\n")


def log(report: Report, options: Options) -> dict[str, Any]:
    locate = sentences.locator(report)
    findings, left_out = kept(report, options)
    rules = list(CAUSES)
    rules += dict.fromkeys(f.cause for f in findings if f.cause and f.cause not in CAUSES)
    return {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "zoo",
                        "fullName": "zoo, the auditor of model zoos",
                        "version": str(report.environment.get("zoo") or "unknown"),
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "invocations": [_invocation(report, left_out)],
                "originalUriBaseIds": {
                    _ROOT: {"description": {"text": "The top of the repository."}}
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(f, locate(f), rules, options) for f in findings],
                "properties": {
                    "environment": plain(report.environment),
                    "summary": report.summary(),
                },
            }
        ],
    }


def kept(report: Report, options: Options) -> tuple[list[Finding], str | None]:
    """The findings that become results, and a sentence on those that there is no room for.

    The gravest are kept, in the order in which they were found.
    """
    wanted = [finding for finding in report.findings if is_wanted(finding, options)]
    if len(wanted) <= MOST_RESULTS:
        return wanted, None
    gravest = sorted(range(len(wanted)), key=lambda n: rank(wanted[n]))[:MOST_RESULTS]
    left_out = (
        f"{len(wanted):,} findings, of which the gravest {MOST_RESULTS:,} are written: GitHub "
        "takes no more in a run; the JSON document has all of them"
    )
    return [wanted[n] for n in sorted(gravest)], left_out


def _rule(name: str) -> dict[str, Any]:
    cause = CAUSES.get(name)
    if cause is None:  # of a check that another package adds
        return {"id": for_terminal(name)}
    about = {"Example": cause.example, "What to do": cause.remedy}
    plain_help = [cause.meaning, *(f"{head}: {text}" for head, text in about.items())]
    help_ = [f"**{head}**: {text}" for head, text in ({cause.id: cause.meaning} | about).items()]
    return {
        "id": cause.id,
        "shortDescription": {"text": cause.meaning},
        "fullDescription": {"text": cause.meaning},
        "help": {"text": "\n\n".join(plain_help), "markdown": "\n\n".join(help_) + "\n"},
        "defaultConfiguration": {"level": cause.severity or "none"},
        "properties": {"tags": [cause.id.partition(".")[0]]},
    }


def _invocation(report: Report, left_out: str | None) -> dict[str, Any]:
    invocation: dict[str, Any] = {"executionSuccessful": not (report.cut_short or report.unread)}
    started = _moment(report.environment.get("started"))
    if started is not None:
        invocation["startTimeUtc"] = _utc(started)
        seconds = report.environment.get("seconds")
        if isinstance(seconds, int | float):
            invocation["endTimeUtc"] = _utc(started + timedelta(seconds=seconds))
    notices = {"error": sentences.cut_short(report), "warning": left_out}
    notifications = [
        {"level": level, "message": _message(text)} for level, text in notices.items() if text
    ]
    if notifications:
        invocation["toolExecutionNotifications"] = notifications
    return invocation


def _moment(text: object) -> datetime | None:
    try:
        # Python 3.10 does not read a Z.
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _result(
    finding: Finding, place: Location | None, rules: Sequence[str], options: Options
) -> dict[str, Any]:
    rule = finding.cause or finding.check
    result: dict[str, Any] = {
        "ruleId": for_terminal(rule),
        "kind": _kind(finding),
        "level": finding.severity or "none",
        "message": _message(_sentence(finding)),
        "locations": [_location(finding, place, options)],
        "partialFingerprints": {"zooClaim/v1": _fingerprint(finding, options)},
        "properties": {
            "variant": finding.variant,
            "field": finding.field,
            "check": finding.check,
            "documented": finding.documented,
            "measured": plain(finding.measured),
            "fix": finding.fix,
        },
    }
    if rule in rules:
        result["ruleIndex"] = rules.index(rule)
    if finding.accepted is not None:
        why = for_terminal(finding.accepted)
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    return result


def _kind(finding: Finding) -> str:
    if finding.severity is not None:
        return "fail"
    return "pass" if finding.status == "match" else "open"


def _sentence(finding: Finding) -> str:
    text = ": ".join(filter(None, (sentences.about(finding), finding.message)))
    return f"{text} ({sentences.both(finding)})"


def _message(text: str) -> dict[str, str]:
    """A message without the links and placeholders that SARIF would see in its text."""
    safe = for_terminal(text)
    return {"text": _PLACEHOLDER.sub(r"{{\1}}", _LINK.sub(r"\\[", safe))}


def _location(finding: Finding, place: Location | None, options: Options) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if place is not None:
        path = sentences.in_repository(place.file, options)
        base = {} if path.startswith("/") else {"uriBaseId": _ROOT}
        region = {"startLine": place.line, "startColumn": place.column}
        artifact = {"uri": sentences.uri(path), **base}
        location["physicalLocation"] = {"artifactLocation": artifact, "region": region}
    if finding.variant is not None:
        location["logicalLocations"] = [
            {"fullyQualifiedName": for_terminal(finding.variant), "kind": "resource"}
        ]
    return location


def _fingerprint(finding: Finding, options: Options) -> str:
    """The same for the same wrong claim, wherever in its file it stands and whatever its words."""
    file = sentences.in_repository(finding.location.file, options) if finding.location else None
    parts = (file, finding.variant, finding.field, finding.check, finding.cause, finding.documented)
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()
