"""Images in tar archives and Parquet shards, read where they lie: nothing is unpacked.

A tar archive's headers are walked once; after that an image is one read at its offset. Links and
other members that are no plain files are not followed.

A Parquet shard has a column ``image`` with ``bytes``, and a column ``label``. Labels and names are
read at once, images only when they are wanted, one row group at a time: reading in the order of
`ImageSource.place` reads each group once.
"""

from __future__ import annotations

import os
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from harness.datasets.labels import UnknownClassError, class_index, label
from harness.datasets.types import CHANGED, Entry, ImageSet, ImageSetError, image_set
from zoo._util.install import install_command
from zoo.images.io import check_size, is_image, reason

_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class TarSource:
    """A member's bytes: where they begin in the archive, and how many they are."""

    archive: str
    modified: int
    offset: int
    size: int

    @property
    def place(self) -> tuple[str, int]:
        """The order of the archive."""
        return self.archive, self.offset

    def read(self) -> bytes:
        """As `ImageSource.read`."""
        check_size(self.size)
        return self._read(self.size)

    def head(self, count: int) -> bytes:
        """As `ImageSource.head`."""
        check_size(self.size)
        return self._read(min(count, self.size))

    def _read(self, count: int) -> bytes:
        # pread leaves no position behind, so that a forked process may share the descriptor.
        data = os.pread(_descriptor(self.archive, self.modified), count, self.offset)
        if len(data) < count:
            raise OSError("the archive ends before the image does")
        return data


@dataclass(frozen=True, slots=True)
class LinkSource:
    """A member of an image's name that is no file: an image that can't be read."""

    archive: str
    offset: int

    @property
    def place(self) -> tuple[str, int]:
        """The order of the archive."""
        return self.archive, self.offset

    def read(self) -> bytes:
        """Raises OSError."""
        raise OSError("it is a link or a special file in the archive, which is never followed")

    def head(self, count: int) -> bytes:
        """Raises OSError."""
        return self.read()


def tar_set(path: Path, labels: Path | None) -> ImageSet:
    """The images of an uncompressed tar archive, such as ``ILSVRC2012_val.tar``.

    Args:
        path: the archive.
        labels: the labels file beside it; None where the members' names tell their classes.

    Raises:
        ImageSetError: it is no such archive, or an image has no label.
    """
    entries: dict[str, Entry] = {}
    ignored: list[str] = []
    where = os.path.abspath(path)
    try:
        status = os.stat(path)
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                name = _safe_name(member.name, path)
                if not is_image(name):
                    ignored.append(name)
                    continue
                if name in entries:
                    raise ImageSetError(f"{path}: it holds {name} twice; make the archive anew")
                entries[name] = _entry(name, member, where, status.st_mtime_ns)
            # tarfile takes a damaged header, or half a one, for the end: only zeros are the end.
            with open(path, "rb") as file:
                file.seek(archive.offset)
                if file.read(_BLOCK) != bytes(_BLOCK):
                    raise tarfile.ReadError(f"it breaks off or is damaged at {archive.offset}")
    except tarfile.ReadError as error:
        raise ImageSetError(
            f"{path}: it is no whole, uncompressed tar archive ({reason(error)}); get it anew, or "
            "uncompress it"
        ) from None
    except (OSError, tarfile.TarError) as error:
        raise ImageSetError(f"{path}: it can't be read: {reason(error)}") from None
    ordered = [entries[name] for name in sorted(entries)]
    known = label([entry.name for entry in ordered], labels, str(path))
    return image_set(
        "tar", str(path), ordered, known.labels, ignored=ignored, missing=known.missing
    )


def _entry(name: str, member: tarfile.TarInfo, where: str, modified: int) -> Entry:
    # A sparse member's bytes do not lie in one piece.
    if not member.isreg() or member.issparse():
        return Entry(name, (modified,), LinkSource(where, member.offset))
    source = TarSource(where, modified, member.offset_data, member.size)
    return Entry(name, (member.size, int(member.mtime), member.offset_data, modified), source)


def _safe_name(name: str, path: Path) -> str:
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
        raise ImageSetError(
            f"{path}: its member {name[:80]!r} leads out of the archive; make the archive anew"
        )
    return "/".join(parts)


@cache
def _descriptor(archive: str, modified: int) -> int:
    descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(descriptor).st_mtime_ns != modified:
        os.close(descriptor)
        raise OSError(f"the archive {CHANGED}")
    return descriptor


_GROUPS_KEPT = 2
# What pyarrow raises of a file that is damaged, gone, or made of what it can't read.
_ARROW_ERRORS = (OSError, ValueError, KeyError, TypeError, IndexError, NotImplementedError)


@dataclass(frozen=True, slots=True)
class RowSource:
    """One row of a shard."""

    shard: str
    modified: int
    group: int
    row: int

    @property
    def place(self) -> tuple[str, int]:
        """The order of the shard, whole row groups together."""
        return self.shard, self.group * (1 << 32) + self.row

    def read(self) -> bytes:
        """As `ImageSource.read`."""
        try:
            data = _GROUPS.column(self)[self.row].as_py()
        except _ARROW_ERRORS as error:
            raise OSError(f"its row group can't be read: {reason(error)}") from error
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

    Args:
        where: the file or folder that was asked for.
        shards: the files.

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
    file = _open(shard)
    schema = file.schema_arrow
    image = schema.field("image").type if "image" in schema.names else None
    inner = {image.field(i).name for i in range(image.num_fields)} if image is not None else set()
    if "bytes" not in inner or "label" not in schema.names:
        raise ImageSetError(
            f"{shard}: its columns are {', '.join(schema.names)[:200]}; an image set needs image "
            "(with bytes) and label"
        )
    columns = ["label", "image.path"] if "path" in inner else ["label"]
    status = shard.stat()
    where = os.path.abspath(shard)
    number = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=columns, use_threads=False)
        words = table.column("label").to_pylist()
        paths: list[Any] = [None] * len(words)
        if "path" in inner:
            paths = [row["path"] if row else None for row in table.column("image").to_pylist()]
        for row, (word, path) in enumerate(zip(words, paths, strict=True)):
            name = path if isinstance(path, str) and path else f"{shard.name}:{number}"
            source = RowSource(where, status.st_mtime_ns, group, row)
            stamp = (status.st_size, status.st_mtime_ns, number)
            yield Entry(name, stamp, source), _class_of_row(word, shard, number)
            number += 1
    file.close()


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
