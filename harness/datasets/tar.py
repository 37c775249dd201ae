"""Images in a tar archive, read where they lie: nothing is unpacked.

The archive's headers are walked once; after that an image is one read at its offset. Links and
other members that are no plain files are not followed.
"""

from __future__ import annotations

import os
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from harness.datasets.folders import CHANGED
from harness.datasets.labels import label
from harness.datasets.types import Entry, ImageSet, ImageSetError, image_set
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
        raise OSError(CHANGED.replace("it", "the archive", 1))
    return descriptor
