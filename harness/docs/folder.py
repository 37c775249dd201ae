"""Writes pages to a folder, and compares a folder with the pages that it should hold."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.docs.pages import SIGNATURE, CollectionPage
from harness.report.folder import FolderError, NotOurs
from zoo._util.files import replace_file

_MOST_LINES = 12
_MOST_COMPARED = 500
_PLACE = re.compile(r"([-+])(\d+)")


def write(pages: Sequence[CollectionPage], folder: Path) -> Iterator[Path]:
    """Write the pages that differ from what is there, each whole or not at all; yield these.

    Raises:
        NotOurs: a file of that name was not written by `zoo docs`; nothing is written.
        FolderError: a page can't be written; those before it are.
    """
    for page in pages:
        old = read(folder / page.name)
        if old is not None and not old.startswith(SIGNATURE):
            raise NotOurs(
                f"{folder / page.name}: was not written by zoo docs, and is left as it is; "
                "move it away, or choose another --output"
            )
    for page in pages:
        path = folder / page.name
        if differs(page.text, read(path)):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                replace_file(path, page.text.encode("utf-8"))
            except OSError as error:
                raise FolderError(f"{path}: can't be written: {error.strerror or error}") from error
            yield path


def check(pages: Sequence[CollectionPage], folder: Path, writer: str = "zoo docs") -> Iterator[str]:
    """Lines on the pages that are missing, outdated or left over, and how they differ.

    ``writer`` is the command that writes them there.

    Raises:
        FolderError: a page can't be read.
    """
    for page in pages:
        path = folder / page.name
        old = read(path)
        if old is None:
            yield f"{path}: is missing; run {writer}"
        elif differs(page.text, old):
            yield f"{path}: differs from what the index says; run {writer}"
            yield from difference(old, page.text, path.name)
    for path in stale(pages, folder):
        yield f"{path}: no collection of the index has this page; remove it"


def stale(pages: Sequence[CollectionPage], folder: Path) -> list[Path]:
    """The pages in the folder that `zoo docs` wrote, and writes no more."""
    wanted = {page.name for page in pages}
    found = sorted(path for path in folder.glob("*.md") if path.name not in wanted)
    return [path for path in found if (read(path) or "").startswith(SIGNATURE)]


def differs(new: str, old: str | None) -> bool:
    """Whether the text differs in more than its line ends, which a checkout may change."""
    return old is None or new.replace("\r\n", "\n") != old.replace("\r\n", "\n")


def difference(old: str, new: str, name: str) -> Iterator[str]:
    """The beginning of the unified diff of two texts.

    Of long texts only some lines from the first that differs are compared: all of them would take
    the square of their number.
    """
    before, after = old.splitlines(), new.splitlines()
    pairs = enumerate(zip(before, after, strict=False))
    start = next((n for n, (a, b) in pairs if a != b), min(len(before), len(after)))
    start = max(0, start - 1)  # a line of context
    end = start + _MOST_COMPARED
    before, after, cut = before[start:end], after[start:end], max(len(before), len(after)) > end
    lines = list(
        difflib.unified_diff(before, after, name, f"{name} (as it should be)", "", "", 1, "")
    )
    hunks = [n for n, line in enumerate(lines) if line.startswith("@@ ")]
    if cut and len(hunks) > 1:  # The last one is where the texts were cut.
        lines = lines[: hunks.pop()]
    for n in hunks:
        lines[n] = _PLACE.sub(lambda m: f"{m[1]}{int(m[2]) + start}", lines[n])
    yield from lines[:_MOST_LINES]
    left = len(lines) - _MOST_LINES
    if left > 0:
        yield f"... and {left} more lines"


def read(path: Path) -> str | None:
    """The text of a file, None where there is none; bytes that are not UTF-8 are replaced.

    Raises:
        FolderError: it can't be read.
    """
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FolderError(f"{path}: can't be read: {error.strerror or error}") from error
