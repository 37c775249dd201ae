"""The report as JUnit XML, in the form that Jenkins, GitLab and GitHub's readers of it share.

A suite per collection and a case per finding. Errors and warnings are failures; what could not be
checked, and what a baseline accepts, is skipped, with the reason; a note is a case that passes and
has its text as output. No claim has a time of its own: the time of the run stands at the top.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TextIO
from xml.etree import ElementTree as ET

from harness.causes import CAUSES
from harness.report import Options, sentences
from harness.types import Finding, Report
from zoo._util.text import for_terminal, foreign, plural
from zoo.index.types import Claim, Location

_INDEX = "model-index"
# What XML 1.0 can't hold even as a reference, and is left by `for_terminal`: noncharacters.
_ILLEGAL = re.compile("[\ufffe\uffff]")


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write the document; it holds ASCII alone, so any encoding carries it."""
    top = ET.Element("testsuites", name="zoo", time=_seconds(report))
    locate = sentences.locator(report)
    apart = _apart(report)
    for name, findings in _by_collection(report).items():
        suite = _element(top, "testsuite", name=name, timestamp=_started(report))
        seen: Counter[tuple[str, str]] = Counter()
        for finding in findings:
            words = apart.get((finding.variant, finding.location, finding.field), "")
            _add_case(suite, finding, words, seen, locate(finding), options)
        _count(suite)
    if report.cut_short is not None:
        _add_broken_run(top, report)
    for count in ("tests", "failures", "errors", "skipped"):
        top.set(count, str(sum(int(suite.get(count, "0")) for suite in top)))
    ET.indent(top)
    text = ET.tostring(top, encoding="us-ascii", xml_declaration=True).decode("ascii")
    out.writelines(f"{_commanding_nothing(line)}\n" for line in text.splitlines())


def _commanding_nothing(line: str) -> str:
    """The same XML, spelt so that a log that it is printed to reads no command in it."""
    start = len(line) - len(line.lstrip())
    if line.startswith("::", start):
        line = f"{line[:start]}&#58;{line[start + 1 :]}"
    return re.sub("#(?=#)", "&#35;", line)


def _by_collection(report: Report) -> dict[str, list[Finding]]:
    """Findings by the name of their suite: the index's own first, then in the index's order."""
    collections = {variant.name: variant.collection for variant in report.variants}
    suites: dict[str, list[Finding]] = {}
    for finding in sorted(report.findings, key=lambda f: f.variant is not None):
        suites.setdefault(collections.get(finding.variant or "") or _INDEX, []).append(finding)
    return suites


def _apart(report: Report) -> dict[tuple[str | None, Location | None, str], str]:
    """What tells claims of one field apart, by the words that not all of them have: their dataset,
    task and settings, or the conditions of a speed.
    """
    found: dict[tuple[str | None, Location | None, str], str] = {}
    for variant in report.variants:
        fields: dict[str, list[Claim]] = {}
        for claim in variant.claims:
            fields.setdefault(claim.field, []).append(claim)
        for field, claims in fields.items():
            said = [_words(claim) for claim in claims]
            shared = Counter(word for words in said for word in words)
            for claim, words in zip(claims, said, strict=True):
                own = [foreign(word) for word in words if shared[word] < len(claims)]
                found[variant.name, claim.location, field] = ", ".join(own)
    return found


def _words(claim: Claim) -> list[str]:
    """What a claim says of its result or its speed, each once."""
    said = [
        f"{name} {'x'.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in claim.settings
    ]
    if claim.images is not None:
        said.insert(0, plural(claim.images, "image", ","))
    return list(dict.fromkeys(filter(None, (claim.dataset, claim.task, *said))))


def _add_case(
    suite: ET.Element,
    finding: Finding,
    apart: str,
    seen: Counter[tuple[str, str]],
    place: Location | None,
    options: Options,
) -> None:
    # Readers follow a case from run to run by these two names: no value is in them, and no two
    # cases share both.
    whose = finding.variant or _INDEX
    name = f"{finding.field}: {finding.check}" if finding.field else finding.check
    name += f" ({apart})" if apart else ""
    seen[whose, name] += 1
    if seen[whose, name] > 1:
        name += f" #{seen[whose, name]}"
    case = _element(suite, "testcase", classname=whose, name=name, time="0")
    if place is not None:
        case.set("file", _legal(sentences.in_repository(place.file, options)))
        case.set("line", str(place.line))
    _add_outcome(case, finding)


def _add_outcome(case: ET.Element, finding: Finding) -> None:
    message = sentences.message(finding)
    if finding.accepted is not None or (finding.severity is None and finding.status != "match"):
        cause = f" [{finding.cause}]" if finding.cause else ""
        _element(case, "skipped", message=message + cause)
    elif finding.severity in ("error", "warning"):
        kind = f"{finding.severity}: {finding.cause}"
        failure = _element(case, "failure", message=message, type=kind)
        failure.text = _details(finding)
    else:
        _element(case, "system-out").text = _details(finding)


def _details(finding: Finding) -> str:
    documented, measured = sentences.values(finding)
    lines = [
        finding.message,
        f"documented: {documented}",
        f"measured: {measured}",
        f"where: {sentences.place(finding)}",
    ]
    if finding.cause is not None:
        lines.insert(0, f"{sentences.label(finding)}: {finding.cause}")
        if finding.cause in CAUSES:
            lines.append(f"what to do: {CAUSES[finding.cause].remedy}")
    return "\n".join(map(_legal, lines))


def _add_broken_run(top: ET.Element, report: Report) -> None:
    """A case of its own that ended in an error: a run that was cut short must not look whole."""
    suite = _element(top, "testsuite", name="zoo", timestamp=_started(report))
    case = _element(suite, "testcase", classname="zoo", name="run", time=_seconds(report))
    _element(case, "error", message=sentences.cut_short(report) or "", type="cut-short")
    _count(suite)


def _count(suite: ET.Element) -> None:
    counts = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error"}
    for name, path in (counts | {"skipped": "testcase/skipped"}).items():
        suite.set(name, str(len(suite.findall(path))))
    suite.set("time", str(sum(float(case.get("time", "0")) for case in suite)))


def _element(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, tag, {key: _legal(text) for key, text in attributes.items()})


def _legal(text: str) -> str:
    """One line of characters that XML can hold."""
    return _ILLEGAL.sub(lambda found: f"\\u{ord(found[0]):04x}", for_terminal(text))


def _seconds(report: Report) -> str:
    seconds = report.environment.get("seconds")
    return f"{seconds:.3f}" if isinstance(seconds, int | float) else "0"


def _started(report: Report) -> str:
    """ISO 8601 without a zone, in UTC, as the common schema has it."""
    return str(report.environment.get("started") or "")[:19]
