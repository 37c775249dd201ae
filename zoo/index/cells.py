"""The cells of a table, CSV or Markdown, each with its place in the text; within bounds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from zoo.index.nodes import Scalar, UnreadableIndex
from zoo.index.units import NotANumber, OutOfRange, parse_number
from zoo.weights import hub

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
_TAG = r"(?:b|strong|i|em|u|ins|mark|code|small|span|sub)"
_AROUND = re.compile(rf"(?:[*_`~\s]|\\\*|<{_TAG}(?:\s[^<>]{{0,200}})?>)*")
_BEHIND = re.compile(rf"(?:[*`~\s\u2020\u2021]|\\\*|</{_TAG}>|_(?=[\W_]|$))+$")
# Marks of footnotes behind a text, as both kinds of table have them: `[^1]`, `[2]`, a dagger.
# Whose a row or a number is tells it apart, as a mark does, and is no part of it either.
_WHOSE = r"\((?i:ours?|baseline|official|paper|reproduced)\)"
_NOTED = re.compile(
    r"(?:\s*(?:\[\^\w{1,20}\]|\[\d{1,2}\]|<sup>[^<>]{0,20}</sup>"
    rf"|\\?[*\u2020\u2021\u00a7\u00b6\u00b9\u00b2\u00b3]|{_WHOSE}))+\s*$"
)
FOOTNOTE = re.compile(
    r"\[\^?\w{1,20}\](?!\()|<sup>[^<>]*</sup>|\\\*|[\u2020\u2021\u00a7\u00b6\u00b9\u00b2\u00b3]"
    rf"|{_WHOSE}"
)
# A mean with its deviation, a range, a bound, two numbers: more than one number can be checked for.
UNCERTAIN = re.compile(
    r"[<>~\u2248\u2264\u2265]\s*\d.*"
    r"|\d[\d.,]*\s*[%A-Za-z]{0,9}\s*(?:\u00b1|\+/?-|-|\u2013|~|\bto\b|/|\()\s*[+-]?\.?\d.*"
    # A deviation, an interval or another figure in brackets or on a line of its own.
    r"|\d[\d.,]*\s*[%A-Za-z]{0,9}\s*(?:[(\[{|;_^]|<br\s*/?>|<su[bp]>)\D{0,20}\d.*"
    r"|\d[\d.,]*\s*[%A-Za-z]{0,9}\s*\(\D{1,60}\)"
    r"|\d[\d.,]*\s*[%KMGB]?\s*(?:@|\(?\s*at\b)\s*\d.*"
)
_MAX_MARKED = 1_000
_MISSING = frozenset({
    "", "nan", "-", "--", "n/a", "na", "none", "null", "\u2013", "\u2014", "x", "/",
    "\u2717", "\u2718",
})  # fmt: skip
# What stands for the cell above, where Markdown merges rows.
DITTO = frozenset({"", "^", "^^", '"', "''", "\u2033", "\u3003"})
_URL_END = (".pth", ".pt", ".bin", ".safetensors", ".pkl", ".tar", ".ckpt")
_TEX = re.compile(r"\\(?:text|math)[a-z]{0,12}\s*\{([^{}]*)\}|\\(?:underline|emph)\s*\{([^{}]*)\}")
_TEX_SIGNS = {
    "\\times": "\u00d7", "\\cdot": "\u00b7", "\\pm": "\u00b1", "\\%": "%", "\\#": "#", "\\_": "_",
    "\\&": "&", "\\,": "\u2009", "\\sim": "~", "\\approx": "\u2248", "{,}": ",", "$": "",
}  # fmt: skip
_POWERS = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "0123456789"
)
_POWER = re.compile(
    r"(?<=\d)\s*[\u00d7xX*\u00b7]\s*10(?:(?:\^|\*\*)\{?(\d{1,2})\}?|([\u2070\u00b9\u00b2\u00b3\u2074-\u2079]{1,2}))"
)
_TEN = re.compile(r"[\u00d7xX*\u00b7]\s*10$")
# Thousands set apart by a space of any width, by an apostrophe, or, twice at least, by a point.
_THOUSANDS = re.compile(
    r"(\d{1,3})(?:(?:([ \u00a0\u2009\u202f'\u2019])\d{3}(?:\2\d{3})*)|(?:\.\d{3}){2,})"
    r"(?![\d.'\u2019])"
)
_SQUARED = re.compile(r"(?<=\d)\s*\$?\^\{?2\}?\$?$")
_CHANNELS = re.compile(r"[(\[]?\s*[01]?\.\d{1,9}(?:(?:\s*[;/]\s*|\s+)[01]?\.\d{1,9}){0,3}\s*[)\]]?")
_POINT = re.compile(r"[+-]?\d+\.(\d+)\s*(?:%|[A-Za-z]{0,9})")
_COMMA = re.compile(r"([+-]?\d+(?:[. ]\d{3})*),(\d+)(\s*(?:%|[A-Za-z]{0,9}))")


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
    if found is None or not found.start() or _TEN.search(text, 0, found.start()):
        return text  # ``10\u00b3`` is a power
    return text[: found.start()]


def without_tex(text: str) -> str:
    """A text without what LaTeX puts around it, as ``$25.6$ M``."""
    if "\\" not in text and "$" not in text:
        return text
    text = _TEX.sub(lambda found: found[1] or found[2] or "", text)
    for sign, plain in _TEX_SIGNS.items():
        text = text.replace(sign, plain)
    return text.strip()


def plain_number(text: str, *, comma: bool = False) -> str:
    """A number as an index writes it: ``1.8 \u00d7 10\u2079``, ``11 689 512``, ``$25.6$M``.

    ``comma`` says that decimals stand behind a comma, as in all of the table.
    """
    text = _POWER.sub(lambda at: f"e{at[1] or at[2].translate(_POWERS)}", without_tex(text))
    if comma:
        decimal = _COMMA.fullmatch(text)
        if decimal is None:
            return re.sub(r"(?<=\d)[. ](?=\d{3}(?!\d))", "", text)
        return f"{re.sub('[. ]', '', decimal[1])}.{decimal[2]}{decimal[3]}"
    return _THOUSANDS.sub(lambda at: re.sub(r"\D", "", at[0]), text, count=1)


def plain_setting(text: str, kind: str) -> str:
    """A size as an index writes it, ``224`` of ``$224^2$``; one number for each channel, too.

    No cell of a table is a list: ``0.5 0.5 0.5`` is one, and so is a single ``0.5``.
    """
    if kind == "pixels":
        return _SQUARED.sub("", without_tex(text))
    found = _CHANNELS.fullmatch(without_tex(text)) if kind == "numbers" else None
    each = re.findall(r"[\d.]+", found[0]) if found else []
    return ", ".join(each * (3 if len(each) == 1 else 1)) or text


def is_missing(text: str, *, merged: bool) -> bool:
    """Whether a cell says nothing; ``merged`` where marks may stand for the cell above."""
    return text.lower() in _MISSING or (merged and text in DITTO)


def has_decimal_commas(texts: Iterable[str]) -> bool:
    """Whether more numbers have commas that part no thousands than may have other decimals."""
    commas = points = either = 0
    for text in texts:
        if pointed := _POINT.fullmatch(text):
            if len(pointed[1]) != 3:
                return False
            points += 1
        elif (number := _COMMA.fullmatch(text)) is not None:
            is_decimal = len(number[2]) != 3 or number[1] == "0"
            commas, either = commas + is_decimal, either + (not is_decimal)
    return commas > points and 2 * commas >= either


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


def part_of(cell: Cell, part: int, parts: int) -> Cell:
    """One of the numbers of a cell, as ``76.1 / 92.9``; the first of a cell that has but one."""
    if parts == 1:
        return cell
    found = [m.span() for m in re.finditer(r"[^/&|]+", cell.text)]
    if len(found) != parts:
        return cell if not part or len(found) > 1 else Cell("", cell.end, cell.end)
    start, end = found[part]
    inside = _stripped(cell.text, start, end)
    return Cell(inside.text, cell.start + inside.start, cell.start + inside.end)


def sum_to(whole: Decimal, *parts: Decimal) -> bool:
    """Whether numbers that were rounded each on its own can have that sum."""
    slack = sum(Decimal(1).scaleb(int(part.as_tuple().exponent)) for part in parts)
    return abs(whole - sum(parts)) < slack


def decimal_of(text: str, units: dict[str, Decimal] | None = None) -> Decimal | None:
    try:
        return parse_number(text.strip().removesuffix("%").strip(), units).value
    except (NotANumber, OutOfRange):
        return None


def urls_of(cell: Cell) -> list[Scalar]:
    """The checkpoints that a cell links to."""
    links = [(found[2], cell.start + found.start(2)) for found in LINK.finditer(cell.text)]
    links = links or [(cell.text, cell.start)]
    found = [(url, at) for url, at in links if _is_file(url)][:1]
    # What a page of the Hub shows is meant: readers of a table open links in a browser.
    pages = [hub.file_of_page(url) for url, _ in found]
    return [
        Scalar(page or url, True, at, at + len(url), written=url if page else None)
        for (url, at), page in zip(found, pages, strict=True)
    ]


def _is_file(url: str) -> bool:
    by_name = url.lower().startswith(("hf-hub:", "hf_hub:"))
    return by_name or url.partition("?")[0].lower().endswith(_URL_END)
