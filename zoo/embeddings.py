"""Write embeddings to disk row by row: a Parquet table, or a NumPy matrix and its names.

A file is written under another name in its folder and takes its own when it is whole, so that a
reader never sees half of one. A link stays a link. What is in memory does not grow with the number
of rows.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from zoo._util.files import AtomicFile
from zoo._util.install import install_command
from zoo.errors import EmbeddingsError
from zoo.images.io import as_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = (".parquet", ".npy")
_ROW_GROUP = 1024  # rows: 5 MB of vectors of 1,280 numbers


class Writer(Protocol):
    """Takes rows. Nothing is under the file's own name before `finish`."""

    def add(self, name: str, vector: NDArray[np.float32]) -> None:
        """One row: the image's name, and its vector (width,), as wide as the others.

        Raises:
            OSError: the disk is full, for example.
        """

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            OSError: it can't be written; what had the name before still has it.
        """

    def __enter__(self) -> Writer: ...

    def __exit__(self, *_: object) -> None:
        """Remove what was not finished."""


def open_writer(path: Path, about: Mapping[str, str]) -> Writer:
    """What writes to a file, by the file's suffix.

    ``.parquet`` has the columns ``image`` (string) and ``features`` (a list of float32 of fixed
    size), and ``about`` in its metadata under ``zoo``, as JSON. ``.npy`` is a float32 matrix
    (rows, width); the file beside it that ends in ``.json`` has ``about`` and, as ``images``, the
    names of the rows. Bytes of a name that are no text are written out in both.

    Raises:
        EmbeddingsError: another suffix, a path that must not be replaced, or pyarrow is missing.
        OSError: there can be no such file.
    """
    _check_replaceable(path)
    if path.suffix == ".npy":
        return _Matrix(path, about)
    if path.suffix == ".parquet":
        return _Table(path, about)
    raise EmbeddingsError(f"{path}: name a file that ends in {' or '.join(SUFFIXES)}")


class _Files:
    """The files of a writer; those that were not finished are removed at its end."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def _open(self, *paths: Path) -> list[AtomicFile]:
        """All of them or none."""
        with ExitStack() as opened:
            files = []
            for path in paths:
                files.append(AtomicFile(path))
                opened.callback(files[-1].discard)
            self._held = opened.pop_all()
        return files

    def __exit__(self, *_: object) -> None:
        self._held.close()


class _Matrix(_Files):
    """A ``.npy`` file, whose header is filled in when the rows are counted, and its names."""

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        super().__init__()
        self._about = about
        self._names: list[str] = []
        self._width = 0
        beside = path.with_suffix(".json")
        _check_replaceable(beside)
        if beside.exists() and not _is_ours(beside, about):
            raise EmbeddingsError(
                f"{path}: {beside} is where the names of its rows go, and is another file; move it "
                "away, or name another file"
            )
        self._matrix, self._beside = self._open(path, beside)

    def __enter__(self) -> _Matrix:
        return self

    def add(self, name: str, vector: NDArray[np.float32]) -> None:
        if not self._names:
            self._width = len(vector)
            self._matrix.file.write(self._header())
        self._names.append(as_text(name))
        self._matrix.file.write(vector.astype("<f4").tobytes())

    def finish(self) -> None:
        self._matrix.file.seek(0)
        self._matrix.file.write(self._header())
        names = {**self._about, "pictures": self._names}
        self._beside.file.write((json.dumps(names, indent=1) + "\n").encode())
        self._beside.settle()
        self._matrix.settle()
        # A kill between the two leaves no matrix rather than one with another's names.
        self._matrix.path.unlink(missing_ok=True)
        self._beside.publish()
        self._matrix.publish()

    def _header(self) -> bytes:
        """Of 128 bytes, however many rows there are: NumPy leaves room for their digits."""
        from numpy.lib import format as npy

        header = io.BytesIO()
        shape = (len(self._names), self._width)
        npy.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
        return header.getvalue()


class _Table(_Files):
    """A Parquet file, written a row group at a time."""

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        super().__init__()
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError:
            raise EmbeddingsError(
                f"{path}: Parquet is written with pyarrow, which is not installed; "
                f"{install_command('parquet')}, or name a .npy file"
            ) from None
        self._arrow: Any = pa
        self._parquet: Any = parquet
        self._about = about
        self._rows: list[tuple[str, NDArray[np.float32]]] = []
        (self._table,) = self._open(path)
        self._writer: Any = None

    def __enter__(self) -> _Table:
        return self

    def add(self, name: str, vector: NDArray[np.float32]) -> None:
        self._rows.append((name, vector))
        if len(self._rows) == _ROW_GROUP:
            self._write()

    def finish(self) -> None:
        self._write()
        self._writer.close()
        self._table.settle()
        self._table.publish()

    def _write(self) -> None:
        import numpy as np

        if not self._rows:
            return
        arrow = self._arrow
        width = len(self._rows[0][1])
        values = np.concatenate([vector for _, vector in self._rows])
        names = [as_text(name) for name, _ in self._rows]
        kind = arrow.list_(arrow.float32(), width)
        schema = arrow.schema(
            [("picture", arrow.string()), ("features", kind)],
            metadata={"zoo": json.dumps(dict(self._about))},
        )
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._table.file, schema)
        lists = arrow.FixedSizeListArray.from_arrays(arrow.array(values), width)
        self._writer.write_table(arrow.table([arrow.array(names), lists], schema=schema))
        self._rows.clear()


def _check_replaceable(path: Path) -> None:
    """Raise EmbeddingsError for what is no file: it would be replaced by one, or can't be."""
    if path.is_dir():
        raise EmbeddingsError(f"{path}: it is a folder; name a file")
    if path.exists() and not path.is_file():
        raise EmbeddingsError(f"{path}: it is a device or a pipe; name a file")


def _is_ours(path: Path, about: Mapping[str, str]) -> bool:
    """Whether a file holds the names of a matrix's rows, as written here."""
    try:
        held = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    if not isinstance(held, dict) or held.keys() != {*about, "pictures"}:
        return False
    return isinstance(held["pictures"], list)
