"""Writes a baseline, or brings one up to date, and leaves alone what a person wrote in it."""

from __future__ import annotations

import codecs
import os
import re
import textwrap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from harness.baseline.apply import is_expired, missed, occurring
from harness.baseline.read import TOP, accepted_node, parse
from harness.baseline.types import Baseline, Entry
from harness.run.request import UsageError
from harness.types import Finding, Report
from zoo._util.files import replace_file
from zoo._util.text import for_terminal, shown, truncate
from zoo.index.nodes import Sequence, compose
from zoo.index.source import Source

_HEAD = f"""\
# Findings that are known and accepted: they are reported, and don't make a run fail. Each is one
# value of one field for one cause, so that another wrong value is new. `expires: YYYY-MM-DD` ends
# an entry. `zoo verify --write-baseline` adds what is new and takes away what no longer occurs.
{TOP}:
"""
_ITEM = re.compile(r"( *)- +")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_WIDE = 10**9


class BaselineFileError(Exception):
    """The file can't be written; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the entries: how many were added, taken away, kept; of these, expired."""

    baseline: Baseline
    added: int
    removed: int
    kept: int
    expired: int


def write(report: Report, old: Baseline, groups: Collection[str], today: date) -> Written:
    """Writes the errors and warnings of a run to a baseline, whole or not at all.

    Entries that still occur stay as they are, byte for byte and with the comments above them, and
    so do those that the run can't speak for; those that no longer occur go. A new entry's reason
    says since when it is known: true at once, and for a person to replace.

    Args:
        report: the run, not cut short.
        old: the baseline as it was read before the run.
        groups: the groups of checks that ran.
        today: the day that new entries are dated.

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
    keep = [id(entry) not in gone for entry in old.entries]
    content = _content(old, keep, added)
    entries = _read_back(old.path, content, kept, len(added))
    if content != old.content:
        _replace(old, content)
    return Written(
        Baseline(old.path, entries, content),
        added=len(added),
        removed=len(gone),
        kept=len(kept),
        expired=sum(is_expired(entry, today) for entry in kept),
    )


def _read_back(path: str, content: bytes, kept: list[Entry], added: int) -> tuple[Entry, ...]:
    """The entries of what is to be written, once it is sure that it says what it should."""
    try:
        entries = parse(path, content)
    except UsageError as error:
        raise BaselineFileError(f"{shown(path)}: not written: {error.lines[0]}") from error
    same = [(e.key, e.reason) for e in entries[: len(kept)]] == [(e.key, e.reason) for e in kept]
    if not same or len(entries) != len(kept) + added:
        raise BaselineFileError(f"{shown(path)}: not written: its entries would not stay the same")
    return entries


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
        made.setdefault("\n  ".join(lines), _comment(finding.message))
    return [f"{about}\n- {text}" for text, about in made.items()]


def _comment(message: str) -> str:
    about = for_terminal(truncate(message))
    return textwrap.fill(about, 98, initial_indent="# ", subsequent_indent="# ")


def _scalar(text: str | None) -> str:
    """The text as a YAML scalar of one line, which reads back as the same text."""
    if text is None:
        return "null"
    plain = text.isprintable()
    style: Any = None if plain else '"'
    dumped: str = yaml.safe_dump(text, default_style=style, allow_unicode=True, width=_WIDE)
    return dumped.removesuffix("...\n").rstrip("\n")


def _content(old: Baseline, keep: list[bool], added: list[str]) -> bytes:
    """The file's new content: the segments of the kept entries, then the new ones."""
    if old.content is None:
        return _encoded(_HEAD + _block(added, "", "\n"))
    mark = codecs.BOM_UTF8 if old.content.startswith(codecs.BOM_UTF8) else b""
    text = old.content.decode("utf-8-sig")
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    node = accepted_node(compose(text)[0])
    if not isinstance(node, Sequence) or not node.items:
        assert node is not None
        head = text[: node.start].rstrip(" ") + end_of_line
        tail = text[node.end :].lstrip(" ").removeprefix(end_of_line)
        return (
            mark + _encoded(head + _block(added, "", end_of_line) + tail) if added else old.content
        )
    source = Source(old.path, text)
    lines = _LINE.findall(text)
    first = [source.locate(item.start).line - 1 for item in node.items]
    indent = _indent(old, source, node, lines)
    bounds = [*(_with_comments(lines, number) for number in first), _end(lines, first[-1], indent)]
    kept = [lines[a:b] for a, b, keeps in zip(bounds[:-1], bounds[1:], keep, strict=True) if keeps]
    body = "".join(["".join(part) for part in (lines[: bounds[0]], *kept)])
    if not body.endswith(("\n", "\r")):
        body += end_of_line
    return mark + _encoded(body + _block(added, indent, end_of_line) + "".join(lines[bounds[-1] :]))


def _block(entries: Iterable[str], indent: str, end_of_line: str) -> str:
    lines = [line for entry in entries for line in entry.split("\n")]
    return "".join(f"{indent}{line}{end_of_line}" for line in lines)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _indent(old: Baseline, source: Source, items: Sequence, lines: list[str]) -> str:
    """What stands before the dash of every entry."""
    found: set[str] = set()
    for item in items.items:
        where = source.locate(item.start)
        match = _ITEM.fullmatch(lines[where.line - 1][: where.column - 1])
        if match is None:
            raise UsageError(
                f"{where}: the entries can't be kept as they are written; write each as a block "
                "that begins with a dash on a line of its own, or write to another file"
            )
        found.add(match[1])
    return max(found)


def _with_comments(lines: list[str], number: int) -> int:
    """The first of the comment lines right above that line; they belong to the entry."""
    while number and lines[number - 1].lstrip(" ").startswith("#"):
        number -= 1
    return number


def _end(lines: list[str], last: int, indent: str) -> int:
    """Where the last entry ends: what follows it, blank or a comment, stays with the file."""
    end = len(lines)
    while end > last + 1:
        line = lines[end - 1]
        text = line.strip(" \r\n")
        is_below = text.startswith("#") and not line.startswith(f"{indent} ")
        if text and not is_below and not text.startswith("..."):
            break
        end -= 1
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
