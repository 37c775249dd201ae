"""Tables inside pages that people write: the text between two comments is the table.

    <!-- zoo:table columns=variant,parameters,top1 variants=ResNeSt -->
    <!-- /zoo:table -->

All else on a page stays as it is, to the byte.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.config.rules import COLUMNS, suggestion
from harness.docs.folder import difference
from harness.report.folder import FolderError
from zoo._util.files import replace_file

MARK = "zoo:table"
_END = f"<!-- /{MARK} -->"
_BEGINS = re.compile(rf" {{0,3}}<!--[ \t]*{MARK}(?![\w:])(.*)-->[ \t]*")
_OPENS = re.compile(rf" {{0,3}}<!--[ \t]*{MARK}(?![\w:])")
_ENDS = re.compile(rf" {{0,3}}<!--[ \t]*/{MARK}[ \t]*-->[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_KEYS = ("columns", "variants", "format", "report")
# What a page can show.
FORMATS = ("markdown", "html")


class BadBlock(Exception):
    """A page has a block that can't be written; the message says where, why, and what to do."""


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A block of a page.

    Attributes:
        line: of its first comment, from 1.
        start, end: where the text between its comments begins and ends.
        columns: as `--columns` has them; empty for the usual ones.
        variants: names, globs or collections; empty for all.
        format: one of `FORMATS`.
        report: the folder of the report with the measurements; empty for the usual one.
    """

    line: int
    start: int
    end: int
    columns: tuple[str, ...]
    variants: tuple[str, ...]
    format: str
    report: str


def blocks_of(name: str, text: str) -> Iterator[TableBlock]:
    """The blocks of a page, in their order; what a fence shows is an example, and none.

    Raises:
        BadBlock: one of them has no end, or says what is not understood.
    """
    fence, at, open_at = "", 0, None
    for number, line in enumerate(_LINE.findall(text), start=1):
        at += len(line)
        bare = line.rstrip("\r\n")
        found = _FENCE.fullmatch(bare)
        if fence:
            if found and found[1].startswith(fence) and not found[2].strip():
                fence = ""
        elif found and open_at is None:
            fence = found[1]
        elif _ENDS.fullmatch(bare):
            if open_at is None:
                raise BadBlock(f"{name}:{number}: {_END} ends nothing; remove it")
            first, start, words = open_at
            yield TableBlock(first, start, at - len(line), *_settings(f"{name}:{first}", words))
            open_at = None
        elif _OPENS.match(bare):
            begun = _BEGINS.fullmatch(bare)
            if open_at is not None:
                raise BadBlock(
                    f"{name}:{open_at[0]}: this {MARK} has no end; write {_END} below it"
                )
            if begun is None:
                raise BadBlock(f"{name}:{number}: this {MARK} is not closed; end its line with -->")
            open_at = number, at, begun[1]
    if open_at is not None:
        raise BadBlock(f"{name}:{open_at[0]}: this {MARK} has no end; write {_END} below it")


def _settings(where: str, words: str) -> tuple[tuple[str, ...], tuple[str, ...], str, str]:
    try:
        pairs = [word.partition("=") for word in shlex.split(words)]
    except ValueError as error:
        raise BadBlock(f"{where}: {MARK}: a quote is not closed; close it") from error
    given: dict[str, str] = {}
    for key, equals, value in pairs:
        if key not in _KEYS or not equals or not value:
            fault = f"is no key; {suggestion(key, _KEYS)}"
            if key in _KEYS:
                fault = "has no value; write it as columns=variant,top1"
            raise BadBlock(f"{where}: {MARK}: {key!r} {fault}")
        if key in given:
            raise BadBlock(f"{where}: {MARK}: {key!r} is there twice; keep one of them")
        given[key] = value
    form = given.get("format", FORMATS[0])
    if form not in FORMATS:
        raise BadBlock(
            f"{where}: {MARK}: {form!r} is no format of a page; {suggestion(form, FORMATS)}"
        )
    try:
        columns = tuple(COLUMNS.check(given["columns"])) if "columns" in given else ()
    except ValueError as error:
        raise BadBlock(f"{where}: {MARK}: columns: {error}") from error
    return columns, tuple(_listed(given.get("variants", ""))), form, given.get("report", "")


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


@dataclass(frozen=True, slots=True)
class PageTables:
    """A page with its tables as they should be.

    Attributes:
        path: of the page.
        before, after: its text, as it is and as it should be.
        changed: the lines of the blocks that differ.
    """

    path: Path
    before: str
    after: str
    changed: tuple[int, ...]

    def differences(self, writer: str) -> Iterator[str]:
        """Lines on the tables that are not up to date, and how the page differs.

        ``writer`` is the command that writes it.
        """
        for line in self.changed:
            yield f"{self.path}:{line}: the table is not up to date; run {writer}"
        if self.changed:
            yield from difference(self.before, self.after, self.path.name)

    def written(self) -> bool:
        """Write the page where a table of it changed; whether it was.

        Raises:
            FolderError: it can't be written.
        """
        if self.changed:
            try:
                replace_file(self.path, self.after.encode("utf-8"))
            except OSError as error:
                why = error.strerror or error
                raise FolderError(f"{self.path}: can't be written: {why}") from error
        return bool(self.changed)


def page_tables(path: Path, make: Callable[[TableBlock], str]) -> PageTables | None:
    """A page with its tables as they should be; None where it has no block.

    Args:
        path: of the page.
        make: the table of a block, in whole lines.

    Raises:
        BadBlock: a block can't be written, or the page can't be read.
    """
    try:
        data = path.read_bytes()
        if MARK.encode() not in data:
            return None
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise BadBlock(f"{path}: can't be read: {why}") from error
    parts, done, changed = [], 0, []
    line_end = "\r\n" if "\r\n" in text else "\n"
    for block in blocks_of(str(path), text):
        made = f"\n{make(block)}\n".replace("\n", line_end)
        parts += [text[done : block.start], made]
        done = block.end
        if made != text[block.start : block.end]:
            changed.append(block.line)
    after = "".join([*parts, text[done:]])
    return PageTables(path, text, after, tuple(changed)) if done else None


def usual_pages(output: Path) -> list[Path]:
    """The pages of the working folder that may have blocks; those below ``output`` are ours."""
    pages = [Path("README.md"), *sorted(Path("docs").rglob("*.md"))]
    return [each for each in pages if os.access(each, os.R_OK) and output not in each.parents]
