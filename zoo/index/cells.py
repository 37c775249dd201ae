"""The cells of a table, CSV or Markdown, each with its place in the text; within bounds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from zoo.index.nodes import UnreadableIndex

MAX_ROWS = 30_000  # of one file; the longest that is published has 1,600
MAX_COLUMNS = 200
_BREAK = re.compile(r"\r\n|\n|\r")
_QUOTED = re.compile(r' *"([^"]*(?:""[^"]*)*)" *')
_OPEN = re.compile(r' *"')
_SEPARATORS = ",;\t"
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*)")
_PIPE = re.compile(r"(?<!\\)\|")

# What Markdown puts around a word, and the notes of footnotes behind it.
LINK = re.compile(r"\[((?:[^\[\]\\]|\\.)*)\]\(([^()\s]*)\)")
_AROUND = re.compile(r"(?:[*_`~\s]|\\\*)*")
_BEHIND = re.compile(r"(?:[*`~\s\u2020\u2021]|\\\*|_(?=\W|$))+$")
# Marks of footnotes behind a text, as both kinds of table have them: `[^1]`, `[2]`, a dagger.
_NOTED = re.compile(
    r"(?:\s*(?:\[\^\w{1,20}\]|\[\d{1,2}\]|<sup>[^<>]{0,20}</sup>"
    r"|\\?[*\u2020\u2021\u00a7\u00b6\u00b9\u00b2\u00b3]))+\s*$"
)
FOOTNOTE = re.compile(
    r"\[\^?\w{1,20}\](?!\()|<sup>[^<>]*</sup>|\\\*|[\u2020\u2021\u00a7\u00b6\u00b9\u00b2\u00b3]"
)
# A mean with its deviation, a range, a bound, two numbers: more than one number can be checked for.
UNCERTAIN = re.compile(
    r"[<>~\u2248\u2264\u2265]\s*\d.*"
    r"|\d[\d.,]*\s*[%A-Za-z]{0,9}\s*(?:\u00b1|\+/?-|-|\u2013|~|\bto\b|/|\()\s*[+-]?\.?\d.*"
    r"|\d[\d.,]*\s*[%KMGB]?\s*(?:@|\(?\s*at\b)\s*\d.*"
)
_MAX_MARKED = 1_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, and where that stands; quotes of CSV are part of the place alone."""

    text: str
    start: int
    end: int


@dataclass(slots=True)
class CellTable:
    """A header and its rows; ``title`` is the nearest heading above it, if any."""

    header: list[Cell]
    rows: list[list[Cell]] = field(default_factory=list)
    title: str = ""

    def add(self, row: list[Cell], rows: int) -> None:
        """Add a row where the file has not too many of them yet."""
        if rows >= MAX_ROWS:
            raise UnreadableIndex(
                f"has more than {MAX_ROWS:,} rows", "split the table", row[0].start
            )
        self.rows.append(row)


def csv_table(text: str) -> CellTable | None:
    """The table of a CSV text; None where it is empty.

    Raises:
        UnreadableIndex: a quote is not closed, or the table is too large.
    """
    table: CellTable | None = None
    separator = _separator(text)
    for row in _csv_rows(text, separator):
        if table is None:
            table = CellTable(row)
        else:
            table.add(row, len(table.rows))
    return table


def _separator(text: str) -> str:
    """What stands between the cells of the first line that is not blank."""
    for line in _BREAK.split(text[:20_000]):
        if line.strip():
            bare = re.sub(r'"[^"]*"', "", line)
            found = Counter(sign for sign in bare if sign in _SEPARATORS)
            return max(_SEPARATORS, key=lambda sign: found[sign])
    return ","


def _csv_rows(text: str, separator: str) -> Iterator[list[Cell]]:
    """The rows that are not blank, the header first."""
    plain = re.compile(rf"[^{separator}\r\n]*")
    row: list[Cell] = []
    position = 0
    while position < len(text):
        opened = _OPEN.match(text, position)
        quoted = _QUOTED.match(text, position) if opened else None
        if opened and quoted is None:
            raise UnreadableIndex("a quote is not closed", "close it", opened.end() - 1)
        if quoted is not None:
            end = quoted.end()
            row.append(Cell(quoted[1].replace('""', '"'), quoted.start(1) - 1, quoted.end(1) + 1))
            if end < len(text) and text[end] not in (separator, "\r", "\n"):
                what = "text stands behind a closing quote"
                raise UnreadableIndex(what, "double a quote that is part of a value", end)
        else:
            end = plain.match(text, position).end()  # type: ignore[union-attr]
            row.append(_stripped(text, position, end))
        if len(row) > MAX_COLUMNS:
            what = f"a row has more than {MAX_COLUMNS} cells"
            raise UnreadableIndex(what, "leave out columns", row[0].start)
        if text[end : end + 1] == separator:
            position = end + 1
            if position == len(text):
                row.append(Cell("", position, position))
            continue
        if len(row) > 1 or row[0].text:
            yield row
        row = []
        found = _BREAK.match(text, end)
        position = end if found is None else found.end()
    if row:
        yield row


def _stripped(text: str, start: int, end: int) -> Cell:
    whole = text[start:end]
    left = len(whole) - len(whole.lstrip())
    inner = whole.strip()
    return Cell(inner, start + left, start + left + len(inner))


def markdown_tables(text: str) -> Iterator[CellTable]:
    """The tables of a Markdown page; those in fences and comments are examples.

    Raises:
        UnreadableIndex: they are too large.
    """
    table: CellTable | None = None
    before: tuple[int, int] | None = None  # the line above, which may be a header
    title, fence, hidden, rows = "", "", False, 0
    for start, end in _lines(text):
        line = text[start:end]
        opened = _FENCE.match(line)
        if fence or (opened and not hidden):
            closes = opened is not None and opened[1].startswith(fence) and bool(fence)
            fence = "" if closes else fence or opened[1]  # type: ignore[index]
            line = ""
        elif hidden or line.lstrip().startswith("<!--"):
            hidden = "-->" not in line
            line = ""
        if heading := _HEADING.fullmatch(line):
            title = heading[1].strip(" #")
        if table is not None and "|" in line:
            table.add(_pipe_row(text, start, end), rows)
            rows += 1
            continue
        if table is not None:
            yield table
            table = None
        if before is not None and "-" in line and "|" in line and _RULE.fullmatch(line):
            header = _pipe_row(text, *before)
            if len(header) == len(_pipe_row(text, start, end)):
                table = CellTable(header, title=title)
        before = (start, end) if "|" in line else None
    if table is not None:
        yield table


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for found in _BREAK.finditer(text):
        yield start, found.start()
        start = found.end()
    if start < len(text):
        yield start, len(text)


def _pipe_row(text: str, start: int, end: int) -> list[Cell]:
    """The cells of a line; bars at its ends are no cells' borders."""
    inner = _stripped(text, start, end)
    first = inner.start + inner.text.startswith("|")
    last = inner.end
    if inner.text.endswith("|") and not inner.text.endswith("\\|") and last > first:
        last -= 1
    borders = [found.start() for found in _PIPE.finditer(text, first, last)]
    if len(borders) >= MAX_COLUMNS:
        what = f"a row has more than {MAX_COLUMNS} cells"
        raise UnreadableIndex(what, "leave out columns", start)
    begins, ends = [first, *(at + 1 for at in borders)], [*borders, last]
    return [_stripped(text, *place) for place in zip(begins, ends, strict=True)]


def unmarked(text: str) -> str:
    """The text before its footnotes' marks; as it is where it is nothing else."""
    found = _NOTED.search(text) if len(text) <= _MAX_MARKED else None
    return text[: found.start()] if found is not None and found.start() else text


def inner(cell: Cell) -> tuple[str, int]:
    """What a cell says without emphasis, code ticks and links, and how far in that stands."""
    text, begin = cell.text, 0
    if link := LINK.match(text, _AROUND.match(text).end()):  # type: ignore[union-attr]
        text, begin = link[1], link.start(1)
    text = unmarked(text)
    front = _AROUND.match(text).end()  # type: ignore[union-attr]
    behind = _BEHIND.search(text, front)
    end = len(text) if behind is None else behind.start()
    return text[front:end], begin + front
