"""Images that are files of their own, and folders of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.datasets.assemble import Entry
from harness.datasets.types import ImageSetError
from zoo.images.io import is_image, read_regular, reason

CHANGED = "it changed since the image set was opened"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file on disk, as it was when the set was opened: its size and modification time."""

    path: str
    size: int = -1
    modified: int = -1

    @property
    def place(self) -> tuple[str, int]:
        """Files have no better order than that of their names."""
        return self.path, 0

    def read(self) -> bytes:
        """As `ImageSource.read`; what is no regular file is not waited for."""
        return self._read(None)

    def head(self, count: int) -> bytes:
        """As `ImageSource.head`."""
        return self._read(count)

    def _read(self, count: int | None) -> bytes:
        data, status = read_regular(self.path, count)
        if (status.st_size, status.st_mtime_ns) != (self.size, self.modified):
            raise OSError(CHANGED)
        return data


def listing(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted by name, hidden things left out.

    Raises:
        ImageSetError: it can't be listed.
    """
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise ImageSetError(f"{folder}: it can't be listed: {reason(error)}") from None


def images(found: list[os.DirEntry[str]], prefix: str = "") -> Iterator[tuple[str, Entry | None]]:
    """Each thing that lies in a folder with its image, None where it is none.

    A link to a file counts as that file. A link to nothing, or a pipe, with an image's name stays
    in the set as one that can't be read.
    """
    for item in found:
        name = prefix + item.name
        if not is_image(item.name) or item.is_dir():
            yield name, None
            continue
        yield name, file_entry(name, item)


def file_entry(name: str, item: os.DirEntry[str] | Path) -> Entry:
    """One file as an image of that name; what can't be looked at stays in the set, unreadable."""
    try:
        status = item.stat()
        stamp: tuple[int, ...] = (status.st_size, status.st_mtime_ns)
    except OSError:
        stamp = ()
    return Entry(name, stamp, ImageFile(os.path.abspath(item), *stamp))
