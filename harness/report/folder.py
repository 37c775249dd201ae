"""The report as a folder: a page, tables, plots, and the document that scripts read."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.report.home import without_home
from harness.types import Report

DOCUMENT = "report.json"
PAGE = "index.html"

# A document that is larger was not written by this module for any index that it reads.
_MOST_BYTES = 256 << 20


class FolderError(Exception):
    """The folder can't be written to; the message says which, and why."""


def prepare(folder: Path) -> None:
    """Makes the folder, and sees that it can be written to, before anything is measured.

    Raises:
        FolderError: it can't.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _failed(folder, error) from error


def write(report: Report, folder: Path, say: Callable[[str], None]) -> Path:
    """Writes everything, each file whole or not at all, and the document last.

    The document of the report before is read first: the page shows what is new since. A folder is
    for others to read: it doesn't name the home of whoever ran this. Tables and
    plots of that report which this one has no data for are removed, because they would contradict
    it.

    Args:
        report: what was found.
        folder: as `prepare` left it.
        say: is told, in a line each, what could not be made, and why.

    Returns:
        The page.

    Raises:
        FolderError: a file can't be written; those before it are.
    """
    before = _document_in(folder)
    try:
        made = set()
        for name, content in _files(without_home(report), before, say):
            _replace(folder / name, content)
            made.add(name)
        for name in _names() - made:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise _failed(folder, error) from error
    return folder / PAGE


def _files(
    report: Report, before: Mapping[str, Any] | str | None, say: Callable[[str], None]
) -> Iterator[tuple[str, bytes]]:
    from harness.report import comparison, page, plots
    from harness.report.document import document

    yield from comparison.files(report, say)
    yield from plots.files(comparison.rows(report), say)
    yield PAGE, page.render(report, before).encode("utf-8")
    text = json.dumps(document(report), indent=1, allow_nan=False)
    yield DOCUMENT, f"{text}\n".encode("ascii")


def _names() -> set[str]:
    """Every file that a report may have besides the page and the document."""
    from harness.report import comparison, plots

    return {*comparison.NAMES, *plots.NAMES}


def _document_in(folder: Path) -> Mapping[str, Any] | str | None:
    """The document of the report before: None where there is none, why where it can't be read."""
    path = folder / DOCUMENT
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _MOST_BYTES:
            return f"{DOCUMENT} is larger than {_MOST_BYTES:,} bytes"
        document = json.loads(path.read_bytes())
    except OSError as error:
        return f"{DOCUMENT} can't be read: {error.strerror or error}"
    except (ValueError, RecursionError):
        return f"{DOCUMENT} is not JSON"
    return document if isinstance(document, dict) else f"{DOCUMENT} is not a JSON object"


def _replace(path: Path, content: bytes) -> None:
    handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp keeps others out; a report is for everyone who may read the folder.
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _failed(folder: Path, error: OSError) -> FolderError:
    return FolderError(f"{folder}: can't write the report: {error.strerror or error}")
