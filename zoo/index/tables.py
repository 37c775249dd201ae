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
from decimal import Decimal
from typing import Any

from zoo._util.text import shown
from zoo.index.cells import (
    DITTO,
    FOOTNOTE,
    LINK,
    UNCERTAIN,
    Cell,
    CellTable,
    csv_table,
    decimal_of,
    has_decimal_commas,
    inner,
    is_missing,
    markdown_tables,
    part_of,
    plain_number,
    plain_setting,
    sum_to,
    unmarked,
    urls_of,
    without_tex,
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
    Column,
    columns_of,
    conditions_of,
    dataset_of,
    field_of,
    has_no_unit,
    heading_dataset,
    meaning,
    meaning_by_cells,
    own_columns,
    result_of,
)
from zoo.index.values import Wrong
from zoo.known_datasets import known_dataset

SUFFIXES = (".csv", ".tsv")
_MAX_CELL = 1_000
_MAX_FAULT = 200
_BARE = re.compile(r"[0-9][0-9,_]*(\.[0-9]*)?")
_MOST_MILLIONS = 100_000
# What tells two rows of one model apart.
_TOLD = (SIZE, COUNTED_AT, "Crop Pct", "Interpolation", "Mean", "Std", BATCH, DATASET, WEIGHTS)
_WORDS = re.compile(r"[^\W\d_]{2}|[^\W\d_]\d|^\d{1,4}(?:\s*[x\u00d7]\s*\d{1,4})?$")
_NUMBERS = frozenset({"count", "rounded-count", "bytes", "percent", "number", "speed"})
_LINE_END = re.compile(r"\s*<br\s*/?>\s*")


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
        cells = (
            cell.text for row in table.rows for cell in row if "," in cell.text or "." in cell.text
        )
        self.commas = has_decimal_commas(unmarked(text) for text in cells)
        self.columns = list(self._columns(own))
        self.unread = {*range(len(table.header))} - {column.place for column in self.columns}
        self.above: Cell | None = None
        self.fractions = self._are_fractions()

    def document(self) -> TableDocument | None:
        """The rows as models; None where the columns say nothing of models."""
        fields = {column.field for column in self.columns}
        if NAME not in fields or not fields - {NAME, DATASET, WEIGHTS}:
            return None
        seen: dict[tuple[str, ...], int] = {}
        models: list[Node] = []
        for number, row in enumerate(self.table.rows, 2):
            models += self._model(row, number, seen)
        start = self.table.header[0].start
        pairs = [pair("Models", Sequence(models, start, start), start)]
        return TableDocument(pairs, start, start, faults=tuple(self.faults))

    def _columns(self, own: Mapping[str, str]) -> Iterator[Column]:
        taken: set[str] = set()
        for place, cell in enumerate(self.table.header):
            header = cell.text if self.is_csv else _LINE_END.sub(" ", inner(cell)[0]).strip()
            header = without_tex(header)
            key = meaning(header, own)
            whole = Column(place, "", "")
            key = meaning_by_cells(header, self._texts(whole), self.table) if key == "" else key
            if key == header and has_no_unit(key) and (unit := self._unit(place, key, cell)):
                key = unit if unit != "?" else None
            if key is None:
                continue
            field = field_of(key)
            if field == NAME and NAME in taken and self._links(place):
                key = field = WEIGHTS  # "model" beside "name"
            found = [Column(place, key, field)] if key else []
            if not key or "/" in header:
                found = columns_of(place, header, own, self._texts(whole), found)
            if not found or (any(c.says in taken for c in found) and field != WEIGHTS):
                if header.strip():
                    remedy = "say what it means in [tool.zoo.tables], if it is to be verified"
                    what = "is a column of no known meaning, and is not read"
                    if key:
                        what = f"is a second column of {field}, and is not read"
                        remedy = 'to have it read, map the first to "" in [tool.zoo.tables]'
                    node = Scalar(header, True, cell.start, cell.end)
                    self._fault(None, header, Wrong("schema.unknown-key", what, remedy, node))
                continue
            taken.update(column.says for column in found)
            yield from found

    def _links(self, place: int) -> bool:
        cells = (row[place] for row in self.table.rows if place < len(row))
        return any(LINK.search(cell.text) and urls_of(cell) for cell in cells)

    def _texts(self, column: Column) -> list[str]:
        place, part, parts = column.place, column.part, column.parts
        cells = (part_of(row[place], part, parts) for row in self.table.rows if place < len(row))
        texts = (cell.text if self.is_csv else inner(cell)[0] for cell in cells)
        return [self._plain(text) for text in texts if not is_missing(text, merged=not self.is_csv)]

    def _plain(self, text: str) -> str:
        return text if text.isalnum() else plain_number(unmarked(text), comma=self.commas)

    def _unit(self, place: int, key: str, cell: Cell) -> str:
        """The key with the unit that numbers of a column without one have; ``?`` if unclear."""
        found = [_BARE.fullmatch(text) for text in self._texts(Column(place, key, key))]
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
            for text in self._texts(column)
            if (number := decimal_of(text)) is not None
        ]
        return bool(numbers) and min(numbers) >= 0 and max(numbers) <= 1

    def _model(self, row: list[Cell], number: int, seen: dict[tuple[str, ...], int]) -> list[Node]:
        name = next(c for c in self.columns if c.field == NAME)
        named = row[name.place] if name.place < len(row) else Cell("", row[0].start, row[0].start)
        above = self.above if not self.is_csv and named.text in DITTO else None
        named = above or named
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
            return []
        values = {
            column.says: (column, cell)
            for column in self.columns
            if column.field != NAME
            and column.place < len(row)
            and (cell := part_of(row[column.place], column.part, column.parts))
            and not is_missing(cell.text, merged=not self.is_csv)
        }
        # A heading within the table names no model of the rows below.
        self.above = named if values and title else None
        if not values and (above or title or not any(cell.text for cell in row)):
            return []
        at = named.start + inset
        place = Scalar(title, True, at, at + len(title))
        # One model may be evaluated at several sizes, or have several checkpoints.
        told = [values[f][1].text for f in _TOLD if f in values]
        # A footnote's mark tells two rows of one model apart: another recipe, as a rule; so does
        # the word or the whole number of a column that isn't read.
        marks = FOOTNOTE.findall(named.text[inset + len(title) :])
        beside = [row[n].text for n in self.unread if n < len(row) and _WORDS.search(row[n].text)]
        first = seen.setdefault((title, "".join(marks), *told, *beside), number)
        if first != number and title and not above:
            what = f"is a second row of this model{' and size' if told else ''}; the "
            what += f"first is row {first} of the table"
            wrong = Wrong("schema.duplicate-name", what, "keep one of the two", place)
            self._fault(title, NAME, wrong)
        return self._entry(place, values)

    def _fault(self, variant: str | None, field: str, wrong: Wrong) -> None:
        named = None if variant is None else variant[:_MAX_FAULT]
        self.faults.append((named, field[:_MAX_FAULT], wrong))

    def _entry(self, name: Scalar, values: dict[str, tuple[Column, Cell]]) -> list[Node]:
        at = name.start
        metadata: list[tuple[Node, Node]] = []
        metrics: list[tuple[Node, Node]] = []
        others: list[Node] = []  # results under settings of their own
        counts: list[list[tuple[Node, Node]]] = []  # FLOPs at inputs of their own
        top: list[tuple[Node, Node]] = [pair(NAME, name, at)]
        dataset = None if self.dataset is None else Scalar(self.dataset, True, at, at)
        for column, cell in values.values():
            field = column.field
            if field == DATASET:
                dataset = self._value(cell, field)
            elif field == WEIGHTS:
                top += [pair(WEIGHTS, url, url.start) for url in urls_of(cell)]
            elif field in ERRORS:
                metrics += self._error(name.text, field, cell, values)
            elif field in ACCURACIES:
                value = self._percent(self._value(cell, field))
                value.sure = self._is_percent(field, value, values)
                metric = pair(column.key, value, cell.start)
                of = Scalar(column.dataset, True, at, at) if column.dataset else dataset
                is_own = column.says != field
                others += [result_of([metric], of, at, column.at)] if is_own else []
                metrics += [] if is_own else [metric]
            elif field in SPEEDS:
                speed = self._speed(self._value(cell, field), values)
                metadata.append(pair(field, speed, cell.start))
            elif column.at:
                head = self.table.header[column.place].start
                said = Scalar(column.at, False, head, head)
                pairs = [pair(column.key, self._value(cell, field), cell.start)]
                counts.append([*pairs, pair(COUNTED_AT, said, cell.start)])
            elif field != BATCH or not any(speed in values for speed in SPEEDS):
                metadata.append(pair(column.key, self._value(cell, field), cell.start))
        if counts and not {"FLOPs", COUNTED_AT} & {*values}:
            metadata += counts.pop(0)
        more = [[top[0], pair("Metadata", Pairs(each, at, at), at)] for each in counts]
        top.append(pair("Metadata", Pairs(metadata, at, at), at))
        results = [*([result_of(metrics, dataset, at)] if metrics else []), *others]
        top += [pair("Results", Sequence(results, at, at), at)] if results else []
        return [Pairs(each, at, name.end) for each in (top, *more)]

    def _value(self, cell: Cell, field: str) -> Scalar:
        kind = FIELDS[field].kind if field in FIELDS else "percent" if field in ERRORS else "text"
        said, inset = (cell.text, 0) if self.is_csv else inner(cell)
        is_huge = len(said) > _MAX_CELL
        is_number = kind in _NUMBERS and not is_huge
        short = unmarked(said) if is_number else said
        start = cell.start + inset
        end = start + len(short) if short != said or not self.is_csv else cell.end
        # A huge one is no value, and the first of it says so.
        if is_huge:
            return Scalar(f"{said[:80]}...", False, start, end)
        plain = self._plain(short) if is_number else plain_setting(short, kind)
        if kind == "bytes" and plain[-1:] in "KMG":
            plain = short = f"{plain}B"  # ``97.8M`` of a file
        is_doubtful = is_number and UNCERTAIN.fullmatch(plain) is not None
        doubt = "is not one number; it is not verified" if is_doubtful else None
        if kind == "speed" and doubt is None:
            number = decimal_of(plain, FIELDS[field].units)
            if number is None or not 0 < number <= (FIELDS[field].high or number):
                # timm writes what ran out of memory so: ``oom``, ``-1``.
                doubt = "is no number of a speed; it is not verified"
        written = short if plain != short else None
        return Scalar(plain, kind in ("word", "text"), start, end, written=written, doubt=doubt)

    def _speed(self, value: Scalar, values: Mapping[str, tuple[Column, Cell]]) -> Node:
        """A speed with what it was measured under: of the file's name, and of the row."""
        start, end = value.start, value.end
        pairs = [pair("value", value, start)]
        pairs += [pair(k, Scalar(v, True, start, end), start) for k, v in self.under.items()]
        names = {BATCH: "batch size", COUNTED_AT: "image size", SIZE: "image size"}
        for field, name in names.items():
            if field in values:
                pairs.append(pair(name, self._value(values[field][1], field), start))
        return Pairs(pairs, start, end)

    def _is_percent(self, field: str, value: Scalar, values: Mapping[str, Any]) -> bool:
        """Whether an accuracy is one in percent, however low: of hard images, or by its error."""
        error = next(key for key, accuracy in ERRORS.items() if accuracy == field)
        wrong = decimal_of(self._value(values[error][1], error).text) if error in values else None
        right = None if self.fractions else decimal_of(value.text)
        fits = wrong is not None and right is not None and sum_to(Decimal(100), wrong, right)
        return right is not None and (fits or self.is_hard)

    def _percent(self, value: Scalar) -> Scalar:
        number = decimal_of(value.text) if self.fractions else None
        if number is None:
            return value
        shifted = format(number.scaleb(2), "f")
        return Scalar(shifted, False, value.start, value.end, written=value.text)

    def _error(
        self, name: str, field: str, cell: Cell, values: Mapping[str, Any]
    ) -> list[tuple[Node, Node]]:
        """An accuracy, where the share of wrong answers stands for it; else it has to fit to it."""
        value = self._value(cell, field)
        number = decimal_of(value.text)
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
        right = decimal_of(self._value(values[accuracy][1], accuracy).text)
        if right is None:
            return []
        if not sum_to(whole, number, right):
            what = f"is {shown(value.text)}, where {accuracy} is {right}: together they are "
            what += f"{number + right}, not {whole}"
            remedy = "correct the wrong one of the two"
            self._fault(name, field, Wrong("schema.out-of-range", what, remedy, value))
        return []
