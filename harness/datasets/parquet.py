"""Images in Parquet shards, read where they lie.

A shard has a column ``image`` with ``bytes``, or with the ``path`` of a file beside it, and a
column ``label``. Labels and names are read at once, images only when they are wanted, one row group
at a time: reading in the order of `ImageSource.place` reads each group once.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.datasets.labels import UnknownClassError, class_index
from harness.datasets.types import CHANGED, Entry, ImageSet, ImageSetError, image_set
from zoo._util.install import install_command
from zoo.images.io import check_size, read_regular, reason, regular

_GROUPS_KEPT = 2
# What pyarrow raises of a file that is damaged, gone, or made of what it can't read.
_ARROW_ERRORS = (OSError, ValueError, KeyError, TypeError, IndexError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class RowSource:
    """One row of a shard; ``beside`` is the file that it names, where it holds no bytes.

    ``among`` stands in for the size of a row without a name: the bytes of its row group.
    """

    shard: str
    modified: int
    group: int
    row: int
    beside: str = ""
    bare: bool = False
    among: str = ""

    @property
    def place(self) -> tuple[str, int]:
        """The order of the shard, whole row groups together."""
        return self.shard, self.group * (1 << 32) + self.row

    def read(self) -> bytes:
        """As `ImageSource.read`."""
        try:
            data = None if self.bare else _GROUPS.column(self)[self.row].as_py()
        except _ARROW_ERRORS as error:
            raise OSError(f"its row group can't be read: {reason(error)}") from error
        if data is None and self.beside:
            data = read_regular(self.beside, None)[0]
        if not isinstance(data, bytes):
            raise OSError("its row has no bytes")
        check_size(len(data))
        return data

    def head(self, count: int) -> bytes:
        """As `ImageSource.head`; a column has no beginning to read alone."""
        return self.read()


class _Groups:
    """The row groups that this process read last, and its open shards."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, int], Any] = {}
        self._columns: OrderedDict[tuple[str, int, int], Any] = OrderedDict()
        self._lock = threading.Lock()

    def column(self, source: RowSource) -> Any:
        """The encoded images of a row's group, as a chunked array of bytes."""
        key = (source.shard, source.modified, source.group)
        with self._lock:
            if key not in self._columns:
                # In the calling thread: pyarrow's own threads do not outlive a fork.
                table = self._file(source).read_row_group(
                    source.group, columns=["image.bytes"], use_threads=False
                )
                self._columns[key] = table.flatten().column("image.bytes")
                while len(self._columns) > _GROUPS_KEPT:
                    self._columns.popitem(last=False)
            self._columns.move_to_end(key)
            return self._columns[key]

    def _file(self, source: RowSource) -> Any:
        key = (source.shard, source.modified)
        if key not in self._files:
            if os.stat(source.shard).st_mtime_ns != source.modified:
                raise OSError(f"the shard {CHANGED}")
            self._files[key] = _open(Path(source.shard))
        return self._files[key]

    def forget(self) -> None:
        """After a fork: a lock that another thread held would stay locked for ever."""
        self.__init__()  # type: ignore[misc]


_GROUPS = _Groups()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_GROUPS.forget)


def parquet_set(where: Path, shards: Sequence[Path]) -> ImageSet:
    """The images of Parquet shards, in their order.

    Raises:
        ImageSetError: pyarrow is missing, a shard is damaged or has other columns, or a label is
            out of range.
    """
    entries: list[Entry] = []
    labels: list[int] = []
    taken: set[str] = set()
    for shard in shards:
        try:
            for entry, index in _rows(shard):
                unique = entry.name not in taken
                name = entry.name if unique else f"{shard.name}:{len(entries)}"
                taken.add(name)
                entries.append(Entry(name, entry.stamp, entry.source))
                labels.append(index)
        except _ARROW_ERRORS as error:
            raise ImageSetError(f"{shard}: it can't be read: {reason(error)}") from None
    return image_set("parquet", str(where), entries, labels)


def _rows(shard: Path) -> Iterator[tuple[Entry, int]]:
    status = regular(shard)
    file = _open(shard)
    schema = file.schema_arrow
    image = schema.field("image").type if "image" in schema.names else None
    inner = {image.field(i).name for i in range(image.num_fields)} if image is not None else set()
    if not inner & {"bytes", "path"} or "label" not in schema.names:
        raise ImageSetError(
            f"{shard}: its columns are {', '.join(schema.names)[:200]}; an image set needs image "
            "(with bytes, or the path of a file beside it) and label"
        )
    columns = ["label", "image.path"] if "path" in inner else ["label"]
    where = os.path.abspath(shard)
    number = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=columns, use_threads=False)
        size = str(file.metadata.row_group(group).total_byte_size)
        words = table.column("label").to_pylist()
        paths: list[Any] = [None] * len(words)
        if "path" in inner:
            paths = [row["path"] if row else None for row in table.column("image").to_pylist()]
        for row, (word, path) in enumerate(zip(words, paths, strict=True)):
            named = isinstance(path, str) and path
            name = path if named else f"{shard.name}:{number}"
            beside = _beside(shard, path)
            bare = "bytes" not in inner
            among = "" if named else size
            source = RowSource(where, status.st_mtime_ns, group, row, beside, bare, among)
            stamp = (status.st_size, status.st_mtime_ns, number)
            yield Entry(name, stamp, source), _class_of_row(word, shard, number)
            number += 1
    file.close()


def _beside(shard: Path, path: Any) -> str:
    """The file that a row names, if it lies below the shard's folder; nothing else is opened."""
    if not isinstance(path, str) or not path or "\0" in path:
        return ""
    folder = os.path.abspath(shard.parent)
    place = os.path.normpath(os.path.join(folder, path))
    return place if place.startswith(folder + os.sep) else ""


def _class_of_row(word: Any, shard: Path, number: int) -> int:
    try:
        return class_index(str(word))
    except UnknownClassError as error:
        raise ImageSetError(f"{shard}: row {number}: its label: {error}") from None


def _open(shard: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ImageSetError(
            f"{shard}: reading Parquet needs pyarrow; {install_command('parquet')}"
        ) from None
    return parquet.ParquetFile(shard, memory_map=False, pre_buffer=False)
