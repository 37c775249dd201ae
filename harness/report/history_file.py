"""The file that keeps a history beside the report: Parquet, or JSON lines without pyarrow.

Neither is written in place. A run is added by a new file that holds every earlier row with the
values it had, and takes the name once it is complete: readers, and whatever is killed, see the
history without the run or with it. Rows of a Parquet file stand by variant, figure and run, so
that what does not change takes no space, and that one variant is read without the others.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.history import COLUMNS, HistoryRow
from zoo._util.files import FileStat, file_stat, open_regular
from zoo._util.install import install_command

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

PARQUET, LINES = "history.parquet", "history.jsonl"
NAMES = (PARQUET, LINES)
SCHEMA = 1
_KEY = b"zoo.history"
_GROUP = 1 << 17  # Rows that are read together.
_MOST_BYTES = 1 << 30
_TEXTS = ("commit", "variant", "figure", "text", "documented", "of", "versions")
_PERCENT = ("top1", "top5")
_NEEDED = ("variant", "figure", "versions")


# What damage makes of readers, beside pyarrow's own errors.
_UNREADABLE = (
    *(OSError, LookupError, TypeError, AttributeError, ValueError, ArithmeticError, MemoryError),
)


class HistoryError(Exception):
    """The file is no history that can be read or added to; the message says which, and why."""


class NoPyarrow(HistoryError):
    """The file is Parquet, and pyarrow, which reads it, is not installed."""


@dataclass(frozen=True, slots=True)
class History:
    """All rows, by column; of a text, the position in a list of texts, which is -1 for none.

    Attributes:
        run: numbers of runs.
        time: milliseconds since 1970, UTC.
        measured: the values; of those that are texts, NaN.
        codes, texts: the other columns, ``text`` for values that are texts.
    """

    run: NDArray[np.int32]
    time: NDArray[np.int64]
    measured: NDArray[np.float64]
    codes: dict[str, NDArray[np.int32]]
    texts: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.run)

    @property
    def runs(self) -> int:
        """The number of the last run."""
        return int(self.run.max()) if len(self) else 0

    @property
    def figures(self) -> int:
        """How many rows the last run has."""
        return int((self.run == self.runs).sum())

    def rows(self, positions: Iterable[int] | None = None) -> Iterator[HistoryRow]:
        """The rows, or those at these positions."""
        import numpy as np

        at = np.arange(len(self)) if positions is None else np.asarray(list(positions), np.int64)
        named = {
            name: [texts[code] if code >= 0 else None for code in self.codes[name][at].tolist()]
            for name, texts in self.texts.items()
        }
        times = np.datetime_as_string(self.time[at].astype("datetime64[ms]"), unit="s").tolist()
        runs, values = self.run[at].tolist(), self.measured[at].tolist()
        for i, (run, time, value) in enumerate(zip(runs, times, values, strict=True)):
            text = named["text"][i]
            whole: Any = int(value) if text is None and value.is_integer() else value
            given: Any = {name: named[name][i] for name in _TEXTS if name != "text"}
            measured = whole if text is None else text
            yield HistoryRow(run=run, time=f"{time}+00:00", measured=measured, **given)

    def series(self, variant: str) -> list[list[HistoryRow]]:
        """The rows of one variant: a list for each figure, in the order of the runs."""
        import numpy as np

        names = self.texts["variant"]
        code = names.index(variant) if variant in names else -2
        found = self.rows(np.nonzero(self.codes["variant"] == code)[0])
        ordered = sorted(found, key=lambda row: (row.figure, row.run))
        return [list(some) for _, some in groupby(ordered, key=lambda row: row.figure)]

    def bends(self, keeps: Callable[[str], bool]) -> Iterator[list[HistoryRow]]:
        """Each series, of its rows those alone at which something but the run is another.

        These are the first row, the last, and both at each change. ``keeps`` names the figures of
        which all rows are asked for. The rows stand by variant, figure and run, as `joined` has it.
        """
        import numpy as np

        keys = [self.codes["variant"], self.codes["figure"]]
        like = [self.codes[name] for name in ("text", "documented", "of")]
        like.append(np.nan_to_num(self.measured, nan=-1.0))
        other = [each[1:] != each[:-1] for each in (*keys, *like)]
        bends = np.append(True, np.any(other, axis=0))
        figures = np.array([keeps(figure) for figure in self.texts["figure"]], bool)
        wanted = bends | np.append(bends[1:], True) | figures[self.codes["figure"]]
        rows = self.rows(np.nonzero(wanted)[0])
        for _, some in groupby(rows, key=lambda row: (row.variant, row.figure)):
            yield list(some)

    def joined(self, rows: Sequence[HistoryRow]) -> History:
        """With the rows of one more run, by variant, figure and run."""
        import numpy as np

        more = history_of(rows)
        codes, texts = {}, {}
        for name, known in self.texts.items():
            places = {text: at for at, text in enumerate(known)}
            moved = [places.setdefault(text, len(places)) for text in more.texts[name]]
            theirs = np.array([*moved, -1], np.int32)[more.codes[name]]
            texts[name], codes[name] = list(places), np.concatenate([self.codes[name], theirs])
        run, time = np.append(self.run, more.run), np.append(self.time, more.time)
        measured = np.append(self.measured, more.measured)
        ranks = {name: _ranks(texts[name])[codes[name]] for name in ("variant", "figure")}
        order = np.lexsort((run, ranks["figure"], ranks["variant"]))
        codes = {name: each[order] for name, each in codes.items()}
        return History(run[order], time[order], measured[order], codes, texts)

    def parquet(self) -> bytes:
        """As a Parquet file."""
        import pyarrow as pa
        from pyarrow import parquet

        none = self.codes["text"] < 0
        columns: dict[str, Any] = {
            "run": pa.array(self.run),
            "time": pa.array(self.time).cast(pa.timestamp("ms", "UTC")),
            "measured": pa.array(self.measured, mask=~none),
            **{name: _dictionary(self.codes[name], self.texts[name]) for name in _TEXTS},
        }
        order = [*COLUMNS[:6], "text", *COLUMNS[6:]]
        table = pa.table({name: columns[name] for name in order})
        table = table.replace_schema_metadata({_KEY: json.dumps({"schema": SCHEMA}).encode()})
        out = pa.BufferOutputStream()
        parquet.write_table(
            table,
            out,
            row_group_size=_GROUP,
            compression="zstd",
            write_page_checksum=True,
        )
        return bytes(out.getvalue())


def history_of(rows: Sequence[HistoryRow]) -> History:
    """These rows, by column."""
    import numpy as np

    codes, texts = {}, {}
    for name in _TEXTS:
        places: dict[str, int] = {}
        given = (_text(row) if name == "text" else getattr(row, name) for row in rows)
        found = [-1 if text is None else places.setdefault(text, len(places)) for text in given]
        codes[name], texts[name] = np.array(found, np.int32), list(places)
    values = [math.nan if isinstance(row.measured, str) else row.measured for row in rows]
    times = [row.time.removesuffix("+00:00") for row in rows]
    return History(
        np.array([row.run for row in rows], np.int32),
        np.array(times, "datetime64[ms]").astype(np.int64),
        np.array(values, np.float64),
        codes,
        texts,
    )


def _text(row: HistoryRow) -> str | None:
    return row.measured if isinstance(row.measured, str) else None


def _ranks(texts: Sequence[str]) -> NDArray[np.int32]:
    import numpy as np

    ranks = np.empty(len(texts), np.int32)
    ranks[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    return ranks


def _dictionary(codes: NDArray[np.int32], texts: Sequence[str]) -> pa.Array:
    import pyarrow as pa

    indices = pa.array(codes, mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string()))


# -- the file -------------------------------------------------------------------------------


def find(folder: Path) -> Path | None:
    """The history in a folder, None where there is none.

    Raises:
        HistoryError: there are two, and nothing tells which it is.
    """
    found = [folder / name for name in NAMES if (folder / name).exists()]
    if len(found) > 1:
        raise HistoryError(f"{folder}: has both {PARQUET} and {LINES}; move one of them away")
    return found[0] if found else None


def state(folder: Path) -> list[FileStat]:
    """What tells whether the history was replaced."""
    return [file_stat(os.stat(folder / name)) for name in NAMES if (folder / name).exists()]


def check(folder: Path) -> None:
    """See that a run can be added, before hours are spent on measuring.

    Raises:
        HistoryError: what is there is no history, damaged, or of a newer version.
    """
    path = find(folder)
    if path is not None:
        read(path)


def appended(folder: Path, rows: Sequence[HistoryRow]) -> tuple[History, str, bytes]:
    """The history with one more run, the name of its file, and what that is to hold.

    The caller holds the lock of the folder. A history goes on in the form in which it was begun.

    Raises:
        HistoryError: what is there can't be added to.
    """
    path = find(folder)
    before = history_of(()) if path is None else read(path)
    rows = [replace(row, run=before.runs + 1) for row in rows]
    after = before.joined(rows)
    is_lines = find_spec("pyarrow") is None if path is None else path.suffix != ".parquet"
    if not is_lines:
        return after, PARQUET, after.parquet()
    old = b"" if path is None else path.read_bytes()
    return after, LINES, old + "".join(map(_line, rows)).encode("ascii")


def _line(row: HistoryRow) -> str:
    given = {"schema": SCHEMA} | asdict(row)
    return json.dumps(given, separators=(",", ":"), allow_nan=False) + "\n"


def read(path: Path, variant: str | None = None) -> History:
    """The history in a file; with ``variant``, of that one at least.

    Raises:
        NoPyarrow: it takes pyarrow to read it.
        HistoryError: it is no history, damaged, or of a newer version.
    """
    try:
        with open_regular(path) as file:
            begin = file.read(4)
            if file.seek(0, 2) > _MOST_BYTES:
                raise HistoryError(f"{path}: is larger than {_MOST_BYTES:,} bytes")
        if begin == b"PAR1":
            return _read_parquet(path, variant)
        if path.suffix == ".parquet":
            raise _damaged(path, "it is no Parquet file")
        return _read_lines(path, variant)
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror or error}") from error


def _damaged(where: object, why: str) -> HistoryError:
    return HistoryError(
        f"{where}: is damaged, or no history of zoo: {why}; put back a copy of it, or move it away"
    )


def _newer(where: object, schema: object) -> HistoryError:
    return HistoryError(
        f"{where}: was written by a newer version of zoo (form {schema}, and this one knows "
        f"{SCHEMA}); install that version"
    )


def _read_parquet(path: Path, variant: str | None) -> History:
    if find_spec("pyarrow") is None:
        raise NoPyarrow(f"{path}: pyarrow is not installed; {install_command('parquet')}")
    import pyarrow as pa
    from pyarrow import parquet

    strings = [*_TEXTS]
    try:
        with parquet.ParquetFile(
            path, read_dictionary=strings, page_checksum_verification=True
        ) as file:
            _check_form(path, file.metadata.metadata or {})
            missing = [name for name in (*COLUMNS, "text") if name not in file.schema_arrow.names]
            if missing:
                raise _damaged(path, f"it has no column {missing[0]}")
            table = file.read_row_groups(_groups(file, variant), use_threads=False)
            return _columns(table.unify_dictionaries())
    except (pa.ArrowException, *_UNREADABLE) as error:
        raise _damaged(path, " ".join(str(error).split()) or type(error).__name__) from error


def _check_form(path: Path, metadata: dict[bytes, bytes]) -> None:
    try:
        schema = json.loads(metadata[_KEY])["schema"]
    except (KeyError, ValueError, TypeError):
        raise _damaged(path, "it doesn't say which form it has") from None
    if schema != SCHEMA:
        raise _newer(path, schema)


def _groups(file: Any, variant: str | None) -> list[int]:
    """The row groups that a variant may be in."""
    every = range(file.metadata.num_row_groups)
    if variant is None:
        return [*every]
    place = file.schema_arrow.names.index("variant")
    found = [(n, file.metadata.row_group(n).column(place).statistics) for n in every]
    return [n for n, s in found if s is None or not s.has_min_max or s.min <= variant <= s.max]


def _columns(table: pa.Table) -> History:
    import numpy as np
    import pyarrow as pa

    codes: dict[str, NDArray[np.int32]] = {}
    texts: dict[str, list[str]] = {}
    for name in _TEXTS:
        chunks = table[name].chunks
        codes[name] = _values([each.indices for each in chunks], pa.int32(), np.int32, -1)
        texts[name] = chunks[0].dictionary.to_pylist() if chunks else []
    run = _values(table["run"].chunks, pa.int32(), np.int32, 0)
    moment = _values(table["time"].chunks, pa.timestamp("ms", "UTC"), np.int64, 0)
    measured = _values(table["measured"].chunks, pa.float64(), np.float64, math.nan)
    if any((codes[name] < 0).any() for name in _NEEDED) or (run < 1).any():
        raise ValueError("a row names no run, variant, figure or versions")
    if (~np.isfinite(measured) & (codes["text"] < 0)).any():
        raise ValueError("a row has no value")
    percent = np.array([each.startswith(_PERCENT) for each in texts["figure"]], bool)
    wrong = (measured < 0) | ((measured > 100) & percent[codes["figure"]])
    if wrong.any():
        value, figure = measured[wrong][0], texts["figure"][codes["figure"][wrong][0]]
        raise ValueError(f"{figure} can't be {value:g}")
    return History(run, moment, measured, codes, texts)


def _values(chunks: Iterable[pa.Array], kind: pa.DataType, of: Any, nothing: float) -> NDArray[Any]:
    """The values, with ``nothing`` for nulls. Pyarrow's own way loads pandas, which is slow."""
    import numpy as np

    found = [np.zeros(0, of)]
    for array in chunks:
        if array.type != kind:
            raise TypeError(f"a column is of {array.type}, and not of {kind}")
        valid, data = array.buffers()
        end = array.offset + len(array)
        values = np.frombuffer(data, of, end)[array.offset :]
        if valid is not None and array.null_count:
            bits = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")
            values = np.where(bits[array.offset : end], values, np.array(nothing, of))
        found.append(values)
    return np.concatenate(found)


def _read_lines(path: Path, variant: str | None) -> History:
    wanted = None if variant is None else json.dumps(variant).encode()
    rows = []
    with open_regular(path) as file:
        for number, line in enumerate(file, 1):
            # The first always: that a file is no history is seen before anything is imported.
            if number > 1 and wanted is not None and wanted not in line:
                continue
            try:
                rows.append(_row(f"{path}:{number}", line))
            except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
                raise _damaged(f"{path}:{number}", "it is no row of a history") from None
            except RecursionError:
                raise _damaged(f"{path}:{number}", "it is nested too deeply") from None
    return history_of(()).joined(rows)


def _row(place: str, line: bytes) -> HistoryRow:
    """One line; a ValueError, or what reading it raises, where it is no row."""
    given = json.loads(line)
    schema = given.pop("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise _newer(place, schema)
    row = HistoryRow(**given)
    datetime.fromisoformat(row.time.removesuffix("+00:00") + "+00:00")
    whole = line.endswith(b"\n") and type(row.run) is int and 0 < row.run < 1 << 31
    texts = (row.commit, row.documented, row.of)
    named = all(isinstance(each, str) for each in (row.variant, row.figure, row.versions))
    if not (whole and named and all(isinstance(t, str | None) for t in texts)):
        raise ValueError
    if isinstance(row.measured, bool) or not (
        isinstance(row.measured, str) or math.isfinite(row.measured)
    ):
        raise ValueError
    most = 100 if row.figure.startswith(_PERCENT) else math.inf
    if not isinstance(row.measured, str) and not 0 <= row.measured <= most:
        raise _damaged(place, f"{row.figure} can't be {row.measured:g}")
    return row
