"""Apply a baseline to a report, and bring its file up to date.

A run that is given a baseline marks what it accepts and fails for what is new. What a person wrote
in the file stays, byte for byte.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from harness.causes import severity_of
from harness.config import GROUPS, UsageError
from harness.edit.baseline import TOP, AcceptedFinding, Baseline, accepted_node, parse_baseline
from harness.edit.yaml_edit import (
    EditRefused,
    Replacement,
    YamlFile,
    apply_replacements,
    is_comment,
    line_end,
    line_start,
    previous_line,
    with_comments,
)
from harness.types import Finding, Report, VariantReport
from zoo._util.files import replace_file
from zoo._util.text import for_terminal, shown, truncate
from zoo.index.nodes import Sequence, compose, kind_of_plain

_CHECK = "baseline"
_HEAD = f"""\
# Findings that are known and accepted: they are reported, and don't make a run fail. Each is one
# value of one field for one cause, so that another wrong value is new. `expires: YYYY-MM-DD` ends
# an entry. `zoo verify --write-baseline` adds what is new and takes away what no longer occurs.
{TOP}:
"""
_ITEM = re.compile(r"( *)- +")
_WIDE = 10**9

# The group of checks that finds each family of causes; any group may find
# what is in no family of ours, as third parties' causes.
_GROUP = {group: group for group in GROUPS} | {"schema": "metadata", "size": "weights"}
_OF_THE_INDEX = frozenset({
    "weights.shared-url", "weights.shared-checkpoint", "weights.name-mismatch", "size.shared",
    "weights.insecure-url",
})  # fmt: skip
# What is only seen in a file that is here.
_OF_THE_FILE = frozenset({
    "weights.hash-mismatch", "weights.tensors-differ", "size.differs", "size.extra-tensors",
    "size.half-precision",
})  # fmt: skip


class BaselineFileError(Exception):
    """The file can't be written; the message says which, and why."""


def apply_baseline(
    report: Report,
    baseline: Baseline,
    groups: Collection[str],
    today: date,
    files: Collection[str] | None = None,
) -> Report:
    """The report with its known findings marked, and what is wrong with the baseline added.

    Args:
        report: what a run found.
        baseline: what is known.
        groups: the groups of checks that ran: an entry of another one is not missed.
        today: the day that `AcceptedFinding.expires` is held against.
        files: those that the baseline is about, as the report names them; None for all.

    Returns:
        The report: a finding that an entry accepts has the entry's reason; one whose entry has
        expired is as it was, and followed by a ``baseline.expired``; an entry whose finding this
        run would have made, and did not, gives a ``baseline.stale``.
    """
    whole = report
    if files is not None:
        report = _of_files(report, files)
    used = occurring(report, baseline)
    entries = {id(finding): entry for finding, entry in used}
    findings = [_marked(finding, entries.get(id(finding)), today) for finding in whole.findings]
    seen = {id(entry) for entry in entries.values()}
    unseen = [entry for entry in baseline.entries if id(entry) not in seen]
    expired = [e for e in baseline.entries if id(e) in seen and is_expired(e, today)]
    findings += [_about(entry, "baseline.expired") for entry in expired]
    findings += [_about(entry, "baseline.stale") for entry in missed(unseen, report, groups)]
    return replace(whole, findings=tuple(findings))


def _of_files(report: Report, files: Collection[str]) -> Report:
    """What a report says of some of its files."""

    def of_them(it: Finding | VariantReport) -> bool:
        return it.location is not None and it.location.file in files

    variants = tuple(filter(of_them, report.variants))
    return replace(report, variants=variants, findings=tuple(filter(of_them, report.findings)))


def occurring(report: Report, baseline: Baseline) -> list[tuple[Finding, AcceptedFinding]]:
    """The findings that entries are about, be they expired or not, with their entries."""
    by_key: dict[object, AcceptedFinding] = {}
    for entry in baseline.entries:
        by_key.setdefault((entry.key, entry.file), entry)
    found: list[tuple[Finding, AcceptedFinding]] = []
    for finding in report.findings:
        key = (finding.variant, finding.field, finding.cause, finding.documented)
        file = None if finding.location is None else os.path.abspath(finding.location.file)
        # The one that names the file was written for it.
        accepted = by_key.get((key, file)) or by_key.get((key, None))
        if accepted is not None:
            found.append((finding, accepted))
    return found


def is_expired(entry: AcceptedFinding, today: date) -> bool:
    """Whether its last day has passed."""
    return entry.expires is not None and entry.expires < today


def missed(
    entries: Iterable[AcceptedFinding], report: Report, groups: Collection[str]
) -> list[AcceptedFinding]:
    """Those of these entries whose findings this run would have made, had they been there."""
    if report.cut_short is not None or report.unread:
        return []
    hashed = {v.name: v.measurements.get("sha256") is not None for v in report.variants}
    undecided = {(f.variant, f.field) for f in report.findings if f.status == "unverified"}
    places = [variant.location for variant in report.variants]
    places += [finding.location for finding in report.findings]
    files = {os.path.abspath(name) for name in {place.file for place in places if place}}

    crossed = {f.variant for f in report.findings if f.check == "flops-cross-check"}

    def is_missed(entry: AcceptedFinding) -> bool:
        if entry.cause == "flops.cross-check" and entry.variant not in crossed:
            return False
        if not _groups_of(entry) <= set(groups):
            return False
        if entry.variant is None:
            return entry.file in files
        if entry.variant not in hashed or (entry.variant, entry.field) in undecided:
            return False
        return hashed[entry.variant] or entry.cause not in _OF_THE_FILE

    return [entry for entry in entries if is_missed(entry)]


def _groups_of(entry: AcceptedFinding) -> set[str]:
    if entry.cause in _OF_THE_INDEX:
        return {"metadata"}
    group = _GROUP.get(entry.cause.partition(".")[0])
    # A file that can't be had leaves accuracies open as well, under the same cause.
    also = {"accuracy"} if entry.field.endswith("Accuracy") else set()
    return (set(GROUPS) if group is None else {group}) | also


def _marked(finding: Finding, entry: AcceptedFinding | None, today: date) -> Finding:
    if entry is None or is_expired(entry, today):
        return finding
    return replace(finding, accepted=entry.reason)


def _about(entry: AcceptedFinding, cause: str) -> Finding:
    return Finding(
        variant=entry.variant,
        field=entry.field,
        check=_CHECK,
        status="mismatch",
        severity=severity_of(cause),
        cause=cause,
        documented=entry.documented,
        measured=None,
        message=_MESSAGES[cause].format(entry=entry),
        location=entry.location,
    )


_MESSAGES = {
    "baseline.stale": "the baseline accepts {entry.cause} here, and it does not occur any more; "
    "delete the entry",
    "baseline.expired": "the baseline accepted {entry.cause} here up to {entry.expires} "
    "({entry.reason}); mend it, or look again and give the entry a new day",
}


@dataclass(frozen=True, slots=True)
class BaselineUpdate:
    """What became of the entries: how many were added, taken away, kept; of these, expired."""

    baseline: Baseline
    added: int
    removed: int
    kept: int
    expired: int


def write_baseline(
    report: Report, old: Baseline, groups: Collection[str], today: date
) -> BaselineUpdate:
    """Write the errors and warnings of a run to a baseline, whole or not at all.

    Entries that still occur stay as they are, byte for byte and with the comments above them, and
    so do those that the run can't speak for; those that no longer occur go. A new entry's reason
    says since when it is known: true at once, and for a person to replace.

    Raises:
        UsageError: the baseline is written in a way that can't be kept.
        BaselineFileError: it can't be written, or has changed since it was read.
    """
    known = {id(finding): entry for finding, entry in occurring(report, old)}
    used = {id(entry) for entry in known.values()}
    unused = [entry for entry in old.entries if id(entry) not in used]
    gone = {id(entry) for entry in missed(unused, report, groups)}
    kept = [entry for entry in old.entries if id(entry) not in gone]
    new = [f for f in report.findings if id(f) not in known and f.severity in ("error", "warning")]
    added = _entries(new, old.path, today)
    content = _content(old, [id(entry) not in gone for entry in old.entries], added)
    try:
        entries = parse_baseline(old.path, content)
    except UsageError as error:
        raise BaselineFileError(f"{shown(old.path)}: not written: {error.lines[0]}") from error
    same = [(e.key, e.reason) for e in entries[: len(kept)]] == [(e.key, e.reason) for e in kept]
    if not same or len(entries) != len(kept) + len(added):
        raise BaselineFileError(
            f"{shown(old.path)}: not written: its entries would not stay the same"
        )
    if content != old.content:
        _replace(old, content)
    return BaselineUpdate(
        Baseline(old.path, entries, content),
        added=len(added),
        removed=len(gone),
        kept=len(kept),
        expired=sum(is_expired(entry, today) for entry in kept),
    )


def _entries(findings: Iterable[Finding], path: str, today: date) -> list[str]:
    """The new entries as text, each once, not indented, without a line break at the end."""
    folder = os.path.dirname(os.path.abspath(path))
    made: dict[str, str] = {}
    for finding in findings:
        values: dict[str, str | None] = {"variant": finding.variant} if finding.variant else {}
        if finding.field:
            values["field"] = finding.field
        values["cause"] = finding.cause
        values["documented"] = finding.documented
        values["reason"] = f"known when this entry was written, {today}"
        if finding.variant is None:
            if finding.location is None:
                continue
            values["file"] = os.path.relpath(finding.location.file, folder)
        lines = [f"{key}: {_scalar(value)}" for key, value in values.items()]
        about = for_terminal(truncate(finding.message))
        comment = textwrap.fill(about, 98, initial_indent="# ", subsequent_indent="# ")
        made.setdefault("\n  ".join(lines), comment)
    return [f"{about}\n- {text}" for text, about in made.items()]


def _scalar(text: str | None) -> str:
    """The text as a YAML scalar of one line, which reads back as the same text."""
    if text is None:
        return "null"
    plain = text == "" or kind_of_plain(text) == "text"
    style: Any = (None if plain else "'") if text.isprintable() else '"'
    dumped: str = yaml.safe_dump(text, default_style=style, allow_unicode=True, width=_WIDE)
    return dumped.removesuffix("...\n").rstrip("\n")


def _content(old: Baseline, keep: list[bool], added: list[str]) -> bytes:
    """The file's new content: the segments of the kept entries, then the new ones."""
    try:
        return _edited(old, keep, added).data
    except EditRefused as error:
        raise BaselineFileError(f"{shown(old.path)}: not written: {error}") from error


def _edited(old: Baseline, keep: list[bool], added: list[str]) -> YamlFile:
    if old.content is None:
        return YamlFile(old.path, b"").with_text(_HEAD + _block(added, "", "\n"))
    file = YamlFile(old.path, old.content)
    text = file.text
    ending = "\r\n" if "\r\n" in text else "\n"
    node = accepted_node(compose(text)[0])
    assert node is not None
    if isinstance(node, Sequence) and node.items:
        starts = [with_comments(text, item.start) for item in node.items]
        indent = _indent(file, node)
        bounds = [*starts, _end(text, node.items[-1].start, indent)]
        segments = list(zip(bounds[:-1], bounds[1:], keep, strict=True))
        changes = [Replacement(start, end, "") for start, end, kept in segments if not kept]
        last = next((end for _, end, kept in reversed(segments) if kept), starts[0])
        broken = "" if text[:last].endswith(("\n", "\r")) else ending
        new = broken + _block(added, indent, ending)
        changes.append(Replacement(bounds[-1], bounds[-1], new))
    else:
        start, end = len(text[: node.start].rstrip(" ")), node.end
        end += len(text[end:]) - len(text[end:].lstrip(" ").removeprefix(ending))
        changes = [Replacement(start, end, ending + _block(added, "", ending))] if added else []
    return file.with_text(apply_replacements(text, changes))


def _block(entries: Iterable[str], indent: str, ending: str) -> str:
    lines = [line for entry in entries for line in entry.split("\n")]
    return "".join(f"{indent}{line}{ending}" for line in lines)


def _indent(file: YamlFile, items: Sequence) -> str:
    """What stands before the dash of every entry."""
    found: set[str] = set()
    for item in items.items:
        match = _ITEM.fullmatch(file.text[line_start(file.text, item.start) : item.start])
        if match is None:
            raise UsageError(
                f"{file.source.locate(item.start)}: the entries can't be kept as they are written; "
                "write each as a block that begins with a dash on a line of its own, or write to "
                "another file"
            )
        found.add(match[1])
    return max(found)


def _end(text: str, last: int, indent: str) -> int:
    """Where the last entry ends: what follows it, blank or a comment, stays with the file."""
    end, first = len(text), line_end(text, last)
    while end > first:
        start = previous_line(text, end)
        line = text[start:end]
        is_below = is_comment(line) and not line.startswith(f"{indent} ")
        if line.strip(" \r\n") and not is_below and not line.strip(" ").startswith("..."):
            break
        end = start
    return end


def _replace(old: Baseline, content: bytes) -> None:
    def unchanged() -> None:
        path = Path(old.path)
        if (path.read_bytes() if path.exists() else None) != old.content:
            raise BaselineFileError(
                f"{shown(old.path)}: not written: it has changed since this run began; run it again"
            )

    try:
        replace_file(old.path, content, unchanged)
    except OSError as error:
        reason = error.strerror or error
        raise BaselineFileError(f"{shown(old.path)}: can't be written: {reason}") from error
