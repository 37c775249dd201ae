"""The report as a folder: a page, tables, plots, and the document that scripts read."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.report import badge as badges
from harness.report import history_file
from harness.report.history import rows_of
from harness.report.history_file import History, HistoryError
from harness.report.reader import MOST_BYTES, UnusableReport, document_of
from harness.report.source import Linker, commit, no_link
from harness.types import Fact, Report, Unmeasured
from zoo._util.files import file_lock
from zoo._util.many_files import replace_files
from zoo._util.text import json_text, plural

DOCUMENT = "report.json"
PAGE = "index.html"

# Another run of the same folder may write its tables, plots and history first.
_WAIT_S = 600.0


class FolderError(Exception):
    """The folder can't be written to; the message says which, and why."""


class NotOurs(Exception):
    """The output is not a folder, or holds files of others that would be replaced or removed."""


def prepare(folder: Path, *, history: bool = False) -> None:
    """Make the folder, and see that it can be written to, before anything is measured.

    Raises:
        HistoryError: a run is to be added to a history that can't be read.
        NotOurs: a file is in the way that no report wrote; nothing is touched.
        FolderError: the folder can't be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        raise NotOurs(f"{folder}: is no folder; name one for the report")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A folder with a document is a report's; in others, files of its names belong to others.
        if not os.path.lexists(folder / DOCUMENT):
            for name in sorted({PAGE, *_names()}):
                if os.path.lexists(folder / name):
                    raise NotOurs(
                        f"{folder / name}: was not written by zoo, and a report would replace it; "
                        "move it away, or name another folder"
                    )
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _failed(folder, error) from error
    if history:
        history_file.check(folder)


def holds_report(folder: Path) -> bool:
    """Whether there is a report, which one of a run that was cut short would be no match for."""
    return os.path.lexists(folder / DOCUMENT)


def write(
    report: Report,
    folder: Path,
    say: Callable[[str], None],
    undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
    link: Linker = no_link,
    lacks: Callable[[str], None] | None = None,
    *,
    history: bool = False,
    badge: bool = False,
) -> Path:
    """Write everything once all of it is made: the folder holds this report, or what it held.

    The previous report's document is read first: the page shows what is new since. A folder is
    for others to read, and to be committed: it doesn't name the user's home, and holds no time and
    no machine, so that it changes where a number does, and nowhere else. Tables and plots of
    the previous report which this one has no data for are removed: they would contradict it.

    Args:
        report: what was found.
        folder: as `prepare` left it.
        say: called with a line for each thing that could not be made, and why.
        undisturbed: entered while files are replaced, once all of them are made.
        link: the address of an index's file, for the page.
        lacks: called with a line for a table that another package would have to be installed for.
        history: add the run to the history in the folder, while no other run does.
        badge: a badge is written as well; one that is there is brought up to date in any case.

    Returns:
        The page.

    Raises:
        FolderError: a file can't be written; the folder is as it was.
    """
    given = redact_home(_undated(report))
    try:
        with file_lock(folder / "history", _WAIT_S) if history else nullcontext():
            while True:
                seen = history_file.state(folder)
                past, kept = _history(report, folder) if history else (_past(folder, say), {})
                made = dict(_files(given, _document_in(folder), say, link, lacks, past)) | kept
                # The lock is of one user on one machine; another one's run may have come between.
                if history_file.state(folder) == seen:
                    break
            if badge or any(os.path.lexists(folder / name) for name in badges.NAMES):
                made |= badges.files(given)
            files = {folder / name: content for name, content in made.items()}
            with undisturbed():
                replace_files(files, [folder / name for name in sorted(_names() - made.keys())])
    except (OSError, HistoryError) as error:
        raise _failed(folder, error) from error
    if history:
        added = (
            f"run {past.runs:,} added, {plural(past.figures, 'figure')}" if past and kept else ""
        )
        name = next(iter(kept), "the history")
        say(f"{folder / name}: {added or 'nothing was measured, so no run is added'}")
    return folder / PAGE


def _history(report: Report, folder: Path) -> tuple[History, dict[str, bytes]]:
    """The history with this run, and the file that keeps it."""
    rows = rows_of(redact_home(report), commit(os.fspath(folder)))
    past, name, content = history_file.appended(folder, rows)
    return past, {name: content} if rows else {}


def _past(folder: Path, say: Callable[[str], None]) -> History | None:
    """The history that is in the folder, for the page; None where none can be read."""
    try:
        path = history_file.find(folder)
        return None if path is None else history_file.read(path)
    except HistoryError as error:
        say(f"the page shows no history: {error}")
        return None


def _files(
    report: Report,
    before: Mapping[str, Any] | str | None,
    say: Callable[[str], None],
    link: Linker,
    lacks: Callable[[str], None] | None,
    past: History | None,
) -> Iterator[tuple[str, bytes]]:
    from harness.report import comparison, html, plots
    from harness.report.document import document
    from harness.report.html.changes import compare, recorded
    from harness.report.rows import rows
    from harness.report.view import presentable

    yield from comparison.files(report, lacks)
    yield from plots.files(rows(report), say)
    found = document(presentable(report, names=False))
    changes = compare(report, before, found)
    yield PAGE, html.render(report, changes, link, past).encode("utf-8")
    text = json_text(found | recorded(changes), indent=1)
    yield DOCUMENT, f"{text}\n".encode("ascii")


def _undated(report: Report) -> Report:
    """The report without when, how long and on which machine it was made."""
    kept = {name: report.environment.get(name) for name in ("zoo", "torch", "python")}
    return replace(report, environment={k: v for k, v in kept.items() if v is not None})


def _names() -> set[str]:
    """Every file that a report may have besides the page and the document."""
    from harness.report import comparison, plots

    return {*comparison.NAMES, *plots.NAMES, *badges.NAMES}


def _document_in(folder: Path) -> Mapping[str, Any] | str | None:
    """The previous report's document; None where there is none, the reason where unreadable."""
    path = folder / DOCUMENT
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > MOST_BYTES:
            raise UnusableReport(f"it is larger than {MOST_BYTES:,} bytes")
        return document_of(path.read_bytes())
    except OSError as error:
        return f"{DOCUMENT} can't be read: {error.strerror or error}"
    except UnusableReport as error:
        return f"{DOCUMENT}{str(error).removeprefix('it')}"


def _failed(folder: Path, error: Exception) -> FolderError:
    why = (isinstance(error, OSError) and error.strerror) or error
    return FolderError(f"{folder}: can't write the report: {why}")


def redact_home(report: Report) -> Report:
    """The report with ``~`` for the user's home folder in what this program writes.

    That is messages, methods, and why something was not measured or came to its end early, such as
    the place of a cached checkpoint. What an index says is quoted as it stands.
    """
    shorten = _shortener(os.path.expanduser("~"))

    def fact(each: Fact) -> Fact:
        if isinstance(each, Unmeasured):
            return replace(each, why=shorten(each.why))
        return replace(each, method=shorten(each.method))

    return replace(
        report,
        variants=tuple(replace(v, facts=tuple(map(fact, v.facts))) for v in report.variants),
        findings=tuple(replace(f, message=shorten(f.message)) for f in report.findings),
        cut_short=None if report.cut_short is None else shorten(report.cut_short),
    )


def _shortener(home: str) -> Callable[[str], str]:
    folder = home.rstrip("/\\")
    if not os.path.isabs(folder):  # there is none, or it is the root
        return lambda text: text
    # The whole path, not the middle of another, nor the beginning of a longer name.
    pattern = re.compile(rf"(?<![\w./\\-]){re.escape(folder)}(?!\.?[\w-])")
    return lambda text: pattern.sub("~", text)
