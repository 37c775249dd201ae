"""Tables of results and benchmarks as an index: each row a variant, each cell a claim.

A CSV file, or a Markdown page without a model-index, is read so. What a column means is said by its
header: `[tool.zoo.tables]` of the project first, then what timm, torchvision's documentation and
mmpretrain call theirs, then any spelling of a key of an index (``Params (M)``, ``Top-1 (%)``).

timm names its results by the dataset (``results-imagenet-real.csv``); a page names it in the
heading above a table. An accuracy of neither is of an unknown dataset.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from zoo._util.text import shown
from zoo.index.cells import (
    FOOTNOTE,
    LINK,
    UNCERTAIN,
    Cell,
    CellTable,
    csv_table,
    inner,
    markdown_tables,
    unmarked,
)
from zoo.index.nodes import Mapping as Pairs
from zoo.index.nodes import Node, Scalar, Sequence, TableDocument, UnreadableIndex, pair
from zoo.index.schema import FIELDS, canonical
from zoo.index.table_columns import (
    ACCURACIES,
    BATCH,
    COUNTED_AT,
    DATASET,
    ERRORS,
    NAME,
    SIZE,
    SPEEDS,
    WEIGHTS,
    conditions_of,
    dataset_of,
    has_no_unit,
    heading_dataset,
    meaning,
    own_columns,
)
from zoo.index.units import NotANumber, OutOfRange, parse_number
from zoo.index.values import Wrong
from zoo.known_datasets import known_dataset
from zoo.weights import hub

SUFFIXES = (".csv", ".tsv")
_MISSING = frozenset({"", "nan", "-", "--", "n/a", "na", "none", "null", "\u2013", "\u2014"})
_MAX_CELL = 1_000
_MAX_FAULT = 200
_BARE = re.compile(r"[0-9][0-9,_]*(\.[0-9]*)?")
_MOST_MILLIONS = 100_000
_NUMBERS = frozenset({"count", "rounded-count", "bytes", "percent", "number", "speed"})
_LINE_END = re.compile(r"\s*<br\s*/?>\s*")
_URL_END = (".pth", ".pt", ".bin", ".safetensors", ".pkl", ".tar", ".ckpt")


@dataclass(frozen=True, slots=True)
class _Column:
    """What a column says: the key of an index as its author might write it."""

    place: int
    key: str
    field: str


class TableReader:
    """CSV files; see `zoo.index.readers.Reader`."""

    def takes(self, path: str) -> bool:
        """Whether the file's name ends as tables' do."""
        return path.lower().endswith(SUFFIXES)

    def read(self, text: str) -> list[Node]:
        """Nothing: a table is read with its file's name, see `read_tables`."""
        return []


def read_tables(path: str, text: str) -> list[Node]:
    """The tables of a file in which rows are models, as documents of an index.

    Raises:
        UnreadableIndex: the file is a CSV of no such table, or too large.
    """
    stem = os.path.basename(path).rpartition(".")[0]
    named, under = dataset_of(stem), conditions_of(stem)
    own = own_columns(os.path.basename(path))
    if not path.lower().endswith(SUFFIXES):
        found = (
            _Table(each, own, own.get("dataset") or heading_dataset(each.title) or named, None)
            for each in markdown_tables(text)
        )
        return [document for each in found if (document := each.document()) is not None]
    table = csv_table(text)
    if table is None:
        return []
    document = _Table(table, own, own.get("dataset") or named, under).document()
    if document is None:
        head = ", ".join(shown(cell.text) for cell in table.header[:6])
        raise UnreadableIndex(
            f"has no column for the model's name and one for a claim about it, but {head}",
            f'map its headers in [tool.zoo.tables], such as "{shown(table.header[0].text)}" = '
            f'"{NAME}"',
            table.header[0].start,
        )
    return [document]


class _Table:
    """One table, its columns understood."""

    def __init__(
        self,
        table: CellTable,
        own: Mapping[str, str],
        dataset: str | None,
        under: Mapping[str, str] | None,
    ) -> None:
        self.table = table
        self.dataset = dataset
        known = known_dataset(dataset or "")
        self.is_hard = known is not None and known.name == "imagenet-a"  # usual models are wrong
        self.is_csv = under is not None  # Markdown has no conditions in its name.
        self.under = under or {}
        self.faults: list[tuple[str | None, str, Wrong]] = []
        self.columns = list(self._columns(own))
        self.fractions = self._are_fractions()

    def document(self) -> TableDocument | None:
        """The rows as models; None where the columns say nothing of models."""
        fields = {column.field for column in self.columns}
        if NAME not in fields or not fields - {NAME, DATASET, WEIGHTS}:
            return None
        seen: dict[tuple[str, ...], int] = {}
        models: list[Node] = []
        for number, row in enumerate(self.table.rows, 2):
            model = self._model(row, number, seen)
            if model is not None:
                models.append(model)
        start = self.table.header[0].start
        pairs = [pair("Models", Sequence(models, start, start), start)]
        return TableDocument(pairs, start, start, faults=tuple(self.faults))

    def _columns(self, own: Mapping[str, str]) -> Iterator[_Column]:
        taken: set[str] = set()
        for place, cell in enumerate(self.table.header):
            header = cell.text if self.is_csv else _LINE_END.sub(" ", inner(cell)[0]).strip()
            key = meaning(header, own)
            if key == header and has_no_unit(key) and (unit := self._unit(place, key, cell)):
                key = unit if unit != "?" else None
            if key is None:
                continue
            field = key if key in ERRORS else canonical(key)
            if field == NAME and NAME in taken and self._links(place):
                key = field = WEIGHTS  # "model" beside "name"
            if not key or (field in taken and field != WEIGHTS):
                if header.strip():
                    remedy = "say what it means in [tool.zoo.tables], if it is to be verified"
                    what = "is a column of no known meaning, and is not read"
                    if key:
                        what = f"is a second column of {field}, and is not read"
                        remedy = 'to have it read, map the first to "" in [tool.zoo.tables]'
                    node = Scalar(header, True, cell.start, cell.end)
                    self._fault(None, header, Wrong("schema.unknown-key", what, remedy, node))
                continue
            taken.add(field)
            yield _Column(place, key, field)

    def _links(self, place: int) -> bool:
        cells = (row[place] for row in self.table.rows if place < len(row))
        return any(LINK.search(cell.text) and _urls(cell) for cell in cells)

    def _texts(self, place: int) -> list[str]:
        texts = (row[place].text for row in self.table.rows if place < len(row))
        return [text for text in texts if text.lower() not in _MISSING]

    def _unit(self, place: int, key: str, cell: Cell) -> str:
        """The key with the unit that numbers of a column without one have; ``?`` if unclear."""
        found = [_BARE.fullmatch(text) for text in self._texts(place)]
        bare = [match for match in found if match is not None]
        if not any(match[1] for match in bare):
            return ""
        # No fraction of a parameter is one: these are millions.
        small = all(float(m[0].replace(",", "").replace("_", "")) < _MOST_MILLIONS for m in bare)
        if canonical(key) == "Parameters" and len(bare) == len(found) and small:
            return "Parameters (M)"
        what = "gives no unit, and its numbers are not whole: the column is not read"
        remedy = f"write {canonical(key)} (M) or (G), or map it in [tool.zoo.tables]"
        node = Scalar(cell.text, True, cell.start, cell.end)
        self._fault(None, cell.text, Wrong("schema.unknown-key", what, remedy, node))
        return "?"

    def _are_fractions(self) -> bool:
        """Whether no accuracy is above 1, so that they are fractions of one."""
        numbers = [
            number
            for column in self.columns
            if column.field in (*ACCURACIES, *ERRORS)
            for text in self._texts(column.place)
            if (number := _decimal(text)) is not None
        ]
        return bool(numbers) and min(numbers) >= 0 and max(numbers) <= 1

    def _model(self, row: list[Cell], number: int, seen: dict[tuple[str, ...], int]) -> Node | None:
        name = next(c for c in self.columns if c.field == NAME)
        named = row[name.place] if name.place < len(row) else Cell("", row[0].start, row[0].start)
        title, inset = (unmarked(named.text), 0) if self.is_csv else inner(named)
        width = len(self.table.header)
        extra = any(cell.text for cell in row[width:])
        if extra or (self.is_csv and len(row) < width):
            what = f"is a row of {len(row)} cells, where the header has {width}; it is not read"
            remedy = "write one cell for each column"
            if self.is_csv and extra:
                remedy += ", and a value that holds the separator in quotes"
            node = Scalar(title, True, row[0].start, row[0].end)
            self._fault(title, NAME, Wrong("schema.wrong-type", what, remedy, node))
            return None
        values = {
            column.field: (column, row[column.place])
            for column in self.columns
            if column.field != NAME
            and column.place < len(row)
            and row[column.place].text.lower() not in _MISSING
        }
        if not values and (title or not any(cell.text for cell in row)):
            return None
        at = named.start + inset
        place = Scalar(title, True, at, at + len(title))
        # One model may be evaluated at several sizes.
        told = (SIZE, COUNTED_AT, "Crop Pct", DATASET)
        # A footnote's mark tells two rows of one model apart: another recipe, as a rule.
        marks = FOOTNOTE.findall(named.text[inset + len(title) :])
        given = [title, "".join(marks), *(values[f][1].text for f in told if f in values)]
        first = seen.setdefault(tuple(given), number)
        if first != number and title:
            what = f"is a second row of this model{' and size' if len(given) > 2 else ''}; the "
            what += f"first is row {first} of the table"
            wrong = Wrong("schema.duplicate-name", what, "keep one of the two", place)
            self._fault(title, NAME, wrong)
        return self._entry(place, values)

    def _fault(self, variant: str | None, field: str, wrong: Wrong) -> None:
        named = None if variant is None else variant[:_MAX_FAULT]
        self.faults.append((named, field[:_MAX_FAULT], wrong))

    def _entry(self, name: Scalar, values: dict[str, tuple[_Column, Cell]]) -> Node:
        at = name.start
        metadata: list[tuple[Node, Node]] = []
        metrics: list[tuple[Node, Node]] = []
        top: list[tuple[Node, Node]] = [pair(NAME, name, at)]
        dataset = None if self.dataset is None else Scalar(self.dataset, True, at, at)
        for field, (column, cell) in values.items():
            if field == DATASET:
                dataset = self._value(cell, field)
            elif field == WEIGHTS:
                top += [pair(WEIGHTS, url, url.start) for url in _urls(cell)]
            elif field in ERRORS:
                metrics += self._error(name.text, field, cell, values)
            elif field in ACCURACIES:
                value = self._percent(self._value(cell, field))
                value.sure = self._is_percent(field, value, values)
                metrics.append(pair(column.key, value, cell.start))
            elif field in SPEEDS:
                metadata.append(pair(field, self._speed(cell, values), cell.start))
            elif field != BATCH or not any(speed in values for speed in SPEEDS):
                metadata.append(pair(column.key, self._value(cell, field), cell.start))
        top.append(pair("Metadata", Pairs(metadata, at, at), at))
        if metrics:
            task = Scalar("Image Classification", True, at, at)
            about = [pair("Task", task, at)]
            about += [pair(DATASET, dataset, at)] if dataset is not None else []
            result = Pairs([*about, pair("Metrics", Pairs(metrics, at, at), at)], at, at)
            top.append(pair("Results", Sequence([result], at, at), at))
        return Pairs(top, at, name.end)

    def _value(self, cell: Cell, field: str) -> Scalar:
        kind = FIELDS[field].kind if field in FIELDS else "percent" if field in ERRORS else "text"
        said, inset = (cell.text, 0) if self.is_csv else inner(cell)
        is_huge = len(said) > _MAX_CELL
        short = said if is_huge or kind not in _NUMBERS else unmarked(said)
        start = cell.start + inset
        end = start + len(short) if short != said or not self.is_csv else cell.end
        # A huge one is no value, and the first of it says so.
        if is_huge:
            return Scalar(f"{said[:80]}...", False, start, end)
        is_doubtful = kind in _NUMBERS and UNCERTAIN.fullmatch(short) is not None
        doubt = "is not one number; it is not verified" if is_doubtful else None
        return Scalar(short, kind in ("word", "text"), start, end, doubt=doubt)

    def _speed(self, cell: Cell, values: Mapping[str, tuple[_Column, Cell]]) -> Node:
        """A speed with what it was measured under: of the file's name, and of the row."""
        value = self._value(cell, SPEEDS[0])
        number = _decimal(value.text)
        is_none = not any(map(str.isdigit, value.text)) if number is None else number <= 0
        if value.doubt is None and is_none:
            # timm writes what ran out of memory so: ``oom``, ``-1``.
            value.doubt = "is no number of a speed; it is not verified"
        start, end = value.start, value.end
        pairs = [pair("value", value, start)]
        pairs += [pair(k, Scalar(v, True, start, end), start) for k, v in self.under.items()]
        for field, name in (
            (BATCH, "batch size"),
            (COUNTED_AT, "image size"),
            (SIZE, "image size"),
        ):
            if field in values:
                pairs.append(pair(name, self._value(values[field][1], field), start))
        return Pairs(pairs, start, end)

    def _is_percent(self, field: str, value: Scalar, values: Mapping[str, Any]) -> bool:
        """Whether an accuracy is one in percent, however low: of hard images, or by its error."""
        error = next(key for key, accuracy in ERRORS.items() if accuracy == field)
        wrong = _decimal(values[error][1].text) if error in values else None
        right = None if self.fractions else _decimal(value.text)
        fits = wrong is not None and right is not None and _sum_to(Decimal(100), wrong, right)
        return right is not None and (fits or self.is_hard)

    def _percent(self, value: Scalar) -> Scalar:
        number = _decimal(value.text) if self.fractions else None
        if number is None:
            return value
        shifted = format(number.scaleb(2), "f")
        return Scalar(shifted, False, value.start, value.end, written=value.text)

    def _error(
        self, name: str, field: str, cell: Cell, values: Mapping[str, Any]
    ) -> list[tuple[Node, Node]]:
        """An accuracy, where the share of wrong answers stands for it; else it has to fit to it."""
        value = self._value(cell, field)
        number = _decimal(value.text)
        accuracy = ERRORS[field]
        if number is None:
            cause = "schema.wrong-type" if value.doubt is None else "schema.unknown-key"
            what = f"is {shown(value.text)!r}, which {value.doubt or 'is not a number'}"
            wrong = Wrong(cause, what, "write a percentage", value)
            self._fault(name, field, wrong)
            return []
        whole = Decimal(1 if self.fractions else 100)
        if accuracy not in values:
            text = format((whole - number) * (100 if self.fractions else 1), "f")
            said = Scalar(text, False, value.start, value.end, written=value.text)
            return [pair(accuracy, said, cell.start)]
        right = _decimal(self._value(values[accuracy][1], accuracy).text)
        if right is None:
            return []
        if not _sum_to(whole, number, right):
            what = f"is {shown(value.text)}, where {accuracy} is {right}: together they are "
            what += f"{number + right}, not {whole}"
            remedy = "correct the wrong one of the two"
            self._fault(name, field, Wrong("schema.out-of-range", what, remedy, value))
        return []


def _sum_to(whole: Decimal, *parts: Decimal) -> bool:
    """Whether numbers that were rounded each on its own can have that sum."""
    slack = sum(Decimal(1).scaleb(int(part.as_tuple().exponent)) for part in parts)
    return abs(whole - sum(parts)) < slack


def _decimal(text: str) -> Decimal | None:
    try:
        return parse_number(text.strip().removesuffix("%").strip()).value
    except (NotANumber, OutOfRange):
        return None


def _urls(cell: Cell) -> list[Scalar]:
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
