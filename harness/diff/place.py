"""Where a report is: a report.json, a folder that holds one, or ``@REV`` of a committed one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.config import UsageError
from harness.report.folder import DOCUMENT
from harness.report.reader import MOST_BYTES, document_of, report_of
from harness.types import Report
from zoo._util.git import GitError, run_git

_USUAL = "reports"  # Where zoo report writes.
_ANSWERS = ("", "predictions/")
_ENDINGS = (".parquet", ".csv")


class PlaceFailed(Exception):
    """What is named may be right, and can't be read here; the message says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """A report that was read.

    Attributes:
        name: as the command line has it.
        document: whole.
        report: its variants and findings.
        answers: the files beside it, and in ``predictions/``, that may say what was answered, by
            their names, each with what reads it.
    """

    name: str
    document: Mapping[str, object]
    report: Report
    answers: Mapping[str, Callable[[], bytes]]


def open_place(word: str, other: str) -> Place:
    """The report that a word names, beside the other one that is compared with it.

    Raises:
        UsageError: there is none, or it is no report; one line.
        PlaceFailed: it can't be read, or git can't be run.
    """
    if not word:
        raise UsageError("a report is named by an empty word; name a report.json or a folder")
    data, answers = _committed(word, other) if word.startswith("@") else _local(word)
    try:
        document = document_of(data)
        report = report_of(document)
    except ValueError as error:
        raise UsageError(
            f"{word}: is no report to compare: {error}; name a report.json, or a folder that zoo "
            "report has written"
        ) from error
    return Place(word, document, report, answers)


def _local(word: str) -> tuple[bytes, Mapping[str, Callable[[], bytes]]]:
    path = Path(word)
    try:
        path = path / DOCUMENT if path.is_dir() else path
        if not path.exists():
            where = f"there is no {DOCUMENT} in it" if path != Path(word) else "is not there"
            raise UsageError(
                f"{word}: {where}; name a {DOCUMENT}, a folder with one, or @REV of a committed one"
            )
        if not path.is_file():
            raise UsageError(f"{word}: is no file; name a {DOCUMENT}, or a folder with one")
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{word}: is larger than {MOST_BYTES:,} bytes; name a {DOCUMENT}")
        found = {
            each.name: partial(_read, each)
            for folder in _ANSWERS
            for each in sorted((path.parent / folder).glob("*"))
            if each.suffix in _ENDINGS
        }
        return path.read_bytes(), found
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise PlaceFailed(f"{word}: can't be read: {why}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PlaceFailed(f"{path}: can't be read: {error.strerror or error}") from error


def _committed(word: str, other: str) -> tuple[bytes, Mapping[str, Callable[[], bytes]]]:
    """The report of ``@REV``, or ``@REV:PATH``; without a path, that of the other report."""
    revision, _, path = word[1:].partition(":")
    if not revision or revision.startswith("-") or not revision.isprintable():
        raise UsageError(f"{word}: names no revision; write one after the @, such as @HEAD~1")
    top = _git("rev-parse", "--show-toplevel")
    if top is None:
        raise UsageError(f"{word}: no git repository is here; run this in one, or name a folder")
    commit = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise UsageError(
            f"{word}: git knows no revision {revision!r} here; name a commit, a branch or a tag "
            "(a shallow clone lacks earlier ones)"
        )
    root = os.path.realpath(os.fsdecode(top.rstrip(b"\n")))
    beside = _USUAL if other.startswith("@") else other
    # A path of a revision begins at the top, as git has it, or else here.
    tried = (os.path.join(root, path), path) if path else (beside, os.path.join(root, _USUAL))
    for named in tried:
        within = os.path.relpath(os.path.realpath(named), root).replace(os.sep, "/")
        found = None if within.startswith("..") else _object(commit.decode().strip(), within)
        if found is not None:
            return found
    raise UsageError(
        f"{word}: there is no report {path or beside} in that revision; name its file or folder: "
        f"@{revision}:PATH"
    )


def _object(commit: str, path: str) -> tuple[bytes, Mapping[str, Callable[[], bytes]]] | None:
    """The document at a path of a commit, a file's or a folder's, and the files beside it."""
    place = f"{commit}:{'' if path == '.' else path}"
    kind = _git("cat-file", "-t", place)
    if kind is None:
        return None
    if kind.strip() == b"tree":
        folder, document = place, f"{place.rstrip('/')}{'' if path == '.' else '/'}{DOCUMENT}"
    else:
        parent = path.rpartition("/")[0]
        folder, document = f"{commit}:{parent}", place
    size = _git("cat-file", "-s", document)
    if size is None:
        return None
    data = _git("cat-file", "blob", document) if int(size) <= MOST_BYTES else b""
    found: dict[str, Callable[[], bytes]] = {}
    for inside in _ANSWERS:
        tree = f"{folder}{'' if folder.endswith(':') else '/'}{inside}".rstrip("/")
        for name in (_git("ls-tree", "-z", "--name-only", tree) or b"").split(b"\0"):
            called = os.fsdecode(name)
            if called.endswith(_ENDINGS):
                at = f"{tree}{'' if tree.endswith(':') else '/'}{called}"
                found[called] = partial(_blob, at)
    return data or b"", found


def _blob(place: str) -> bytes:
    data = _git("cat-file", "blob", place)
    if data is None:
        raise PlaceFailed(f"{place}: git can't read it")
    return data


def _git(*words: str) -> bytes | None:
    """What git prints; None where it fails."""
    try:
        return run_git(*words)
    except GitError as error:
        raise PlaceFailed(f"{error}; install it, or name a folder") from error
