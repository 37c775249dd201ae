"""An entry put into an index's file; every other byte stays, and what results is read again."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from harness.add.entry import Entry
from harness.add.errors import NotAdded
from harness.add.spots import spots
from harness.fix.page import Page, Refused, applied
from harness.fix.proposal import Rewrite
from harness.fix.recheck import Expected, objection
from harness.fix.writing import write
from zoo._util.files import file_lock, replace_file

_LOCK_S = 60.0


class NotWritable(Refused):
    """The file may not be changed, whatever is in it."""


def rehearse(path: Path, entry: Entry) -> None:
    """Finds out what `insert` would say, and writes nothing.

    Raises:
        NotWritable: the file, or a new one in its folder, can't be written.
        Refused: it is written in a way that no entry can be put in.
        NotAdded: it has a variant of that name.
    """
    _drafted(path, entry)
    real = os.path.realpath(path)
    there = os.path.exists(real)
    # Its owner may replace a file that is write-protected; the protection says not to.
    if there and not (os.stat(real).st_mode & 0o222 and os.access(real, os.W_OK)):
        raise NotWritable(f"{path} is read-only")
    if not os.access(os.path.dirname(real), os.W_OK):
        raise NotWritable(f"{path} can't be written: its folder is read-only")


def insert(path: Path, entry: Entry, check: Callable[[], None] = lambda: None) -> None:
    """Puts an entry behind the last one of a file, or into a new file.

    Processes that do so at once wait for each other, so that no entry is lost.

    Args:
        path: the file.
        entry: what is put in.
        check: called right before the file is replaced; what it raises leaves the file as it was.

    Raises:
        Refused: the file can't be written, or is written in a way that no entry can be put in.
        NotAdded: it has a variant of that name.
    """
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(path, _LOCK_S))
        except TimeoutError as error:
            raise Refused(f"{path}: another process has been writing to it for a minute") from error
        is_new = not path.exists()
        rewrite = _drafted(path, entry)
        check()
        if is_new:
            _create(path, rewrite.data)
        else:
            write(rewrite)


def _drafted(path: Path, entry: Entry) -> Rewrite:
    """The file with the entry in it. A file that is not there is as good as an empty one."""
    page = Page.read(str(path)) if path.exists() else Page(str(path), b"")
    for variant in page.contents.variants:
        if variant.name == entry.name:
            raise NotAdded(
                f"{variant.location}: a variant called {entry.name!r} is there already; choose "
                "another name with --name"
            )
    why = ""
    for change in spots(page, entry):
        text = applied(page.text, (change,))
        try:
            why = _wrong(page, page.with_text(text), entry)
        except UnicodeEncodeError as error:
            raise Refused(f"{path}: the entry holds a character that is not UTF-8") from error
        if not why:
            return Rewrite(page, text, (change,), ())
    raise Refused(f"{path}: {why or 'it has no list of Models that an entry can be put behind'}")


def _create(path: Path, data: bytes) -> None:
    def check() -> None:
        if path.exists():
            raise Refused(f"{path} was made by somebody else meanwhile")

    try:
        replace_file(path, data, check)
    except OSError as error:
        raise Refused(f"{path} can't be written: {error.strerror or error}") from error


def _wrong(old: Page, new: Page, entry: Entry) -> str:
    """What the new text says that it should not; empty where it says the entry and no more."""
    before, after = old.contents, new.contents
    added = after.variants[len(before.variants) :]
    why = objection(
        before, replace(after, variants=after.variants[: len(before.variants)]), Expected()
    )
    if why or len(added) != 1:
        return why or "the page would list other entries"
    said = {claim.field: claim.value for claim in added[0].claims}
    wanted = entry.claims
    odd = next((key for key in {**said, **wanted} if said.get(key) != wanted.get(key)), None)
    return "" if odd is None else f"{odd} can't be written so that it is read as it was measured"
