"""Decoded datasets on disk: a folder for each, of slots that a kill at any time can't corrupt.

Each dataset is a folder with ``about.json``. A process that uses it holds a shared lock on its
``use.lock``, whose time is that of the last use; only a process that gets that lock alone may
remove the folder.

``pixels`` holds equal slots, one per image, and is sparse: a slot takes up disk when it is written.
``records`` has 8 bytes per slot: the checksum of its pixels and a checksum of that, both of which
take in the set's name and the slot's number. A record is written after its pixels, so a killed
process leaves a slot without a record, and what a power cut leaves does not match its checksum.
Such a slot counts as empty. Several processes may write at once, the same slot too: they write the
same bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from zoo._util.files import PRIVATE, make_private, take_lock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RECORD = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of one folder. Picklable: a worker process writes with its own copy.

    Attributes:
        folder: where ``pixels`` and ``records`` are.
        count: how many slots there are.
        height, width: of the images in them, in pixels of 3 bytes.
    """

    folder: str
    count: int
    height: int
    width: int

    @property
    def slot_bytes(self) -> int:
        return self.height * self.width * 3

    @property
    def pixels_file(self) -> Path:
        return Path(self.folder) / "pixels"

    @property
    def records_file(self) -> Path:
        return Path(self.folder) / "records"

    def create(self) -> None:
        """Makes the files, all slots empty. Raises OSError."""
        for path, size in self._sizes():
            with open(path, "wb") as file:
                file.truncate(size)

    def is_whole(self) -> bool:
        """Whether the files have the sizes they should: mapping a shorter one would be fatal."""
        try:
            return all(path.stat().st_size == size for path, size in self._sizes())
        except OSError:
            return False

    def put(self, slot: int, pixels: NDArray[np.uint8]) -> None:
        """Writes an image, uint8 (height, width, 3), then its record.

        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        data = pixels.tobytes()
        assert len(data) == self.slot_bytes
        crc = zlib.crc32(data, self.seed(slot))
        _write_at(self.pixels_file, data, slot * self.slot_bytes)
        _write_at(
            self.records_file, _RECORD.pack(crc, _seal(self.seed(slot), crc)), slot * _RECORD.size
        )

    def seed(self, slot: int) -> int:
        """What the checksums of a slot begin with: those of another set are not this one's."""
        return zlib.crc32(os.path.basename(self.folder).encode(), slot)

    def map(self) -> Mapped:
        """The slots for reading. Raises OSError or ValueError if the files are not whole."""
        return Mapped(self)

    def _sizes(self) -> tuple[tuple[Path, int], tuple[Path, int]]:
        return (
            (self.pixels_file, self.count * self.slot_bytes),
            (self.records_file, self.count * _RECORD.size),
        )


class Mapped:
    """The slots mapped into memory, for reading; what others write shows at once."""

    def __init__(self, slots: Slots) -> None:
        import numpy as np

        self._seed = slots.seed
        shape = (slots.count, slots.height, slots.width, 3)
        self._pixels = np.memmap(slots.pixels_file, dtype=np.uint8, mode="r", shape=shape)
        self._records = np.memmap(slots.records_file, dtype="<u4", mode="r", shape=(slots.count, 2))
        self._whole = np.zeros(slots.count, dtype=np.bool_)

    def read(self, slot: int, pixels: NDArray[np.uint8]) -> bool:
        """Copies an image out; False where the slot is empty or damaged, the pixels of no use then.

        A slot that was whole is not looked at again: all processes write the same bytes. ``pixels``
        are uint8, (height, width, 3), C-contiguous.
        """
        if self._whole[slot]:
            pixels[...] = self._pixels[slot]
            return True
        crc, seal = (int(word) for word in self._records[slot])
        seed = self._seed(slot)
        if seal != _seal(seed, crc):
            return False
        # Checked in the copy: what is in the file can change between two looks.
        pixels[...] = self._pixels[slot]
        self._whole[slot] = zlib.crc32(pixels.data, seed) == crc
        return bool(self._whole[slot])

    def empty(self, slots: NDArray[np.int64]) -> int:
        """How many of these slots have no record."""
        return int((self._records[slots, 1] == 0).sum())


def _seal(seed: int, crc: int) -> int:
    # Never 0, so that an empty record is no record.
    return zlib.crc32(struct.pack("<QI", seed, crc)) | 1


def _write_at(path: Path, data: bytes, offset: int) -> None:
    # Not through a mapping: there, a full disk ends the process.
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            count = os.pwrite(descriptor, view, offset)
            view, offset = view[count:], offset + count
    finally:
        os.close(descriptor)


GIB = 1 << 30
RESERVE = 2 * GIB  # free disk that the cache never takes
_LOCK_S = 2.0  # A lock is held for milliseconds; whoever keeps it longer may never let go.
_HELD = f"another process has held the cache of decoded images for {_LOCK_S:g} s"
_waited_for: set[Path] = set()  # in vain: not again, for the next images or the next variant
_TRASH, _NEW = ".trash-", ".new-"
_ABANDONED_S = 3600.0  # a set is made in milliseconds


def default_root() -> Path:
    """Where decoded sets are, unless a caller says otherwise."""
    from platformdirs import user_cache_path

    return user_cache_path("zoo") / "decoded-1"


@dataclass(frozen=True, slots=True)
class CachedSet:
    """One decoded set on disk: what it says of itself, its size, and when it was last opened."""

    folder: Path
    about: dict[str, Any]
    bytes: int
    used: float


def cached_sets(root: Path | None = None) -> list[CachedSet]:
    """The decoded sets, the least recently opened first."""
    found = []
    root = root or default_root()
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name.startswith("."):
            continue
        with contextlib.suppress(OSError):  # Another process removes it just now.
            used = (folder / "use.lock").stat().st_mtime
            found.append(CachedSet(folder, _about(folder), _disk_bytes(folder), used))
    return sorted(found, key=lambda s: s.used)


def make_room(root: Path, wanted: int, max_bytes: int) -> bool:
    """Whether ``wanted`` more bytes may be stored, after removing the sets longest unused.

    All sets together may take up ``max_bytes``. Sets in use stay.
    """
    with _root_lock(root):
        _empty_trash(root)
        sets = cached_sets(root)
        total = sum(s.bytes for s in sets)
        free = shutil.disk_usage(root).free
        for item in sets:
            if total + wanted <= max_bytes and free - wanted >= RESERVE:
                break
            if remove(item.folder):
                total -= item.bytes
                free += item.bytes
        return total + wanted <= max_bytes and free - wanted >= RESERVE


def remove(folder: Path) -> bool:
    """Remove a set that is not in use; False where it is in use, or gone already."""
    try:
        descriptor = os.open(folder / "use.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        trash = tempfile.mkdtemp(prefix=_TRASH, dir=folder.parent)
        # One step: a reader finds the whole set, or none.
        os.rename(folder, trash)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    shutil.rmtree(trash, ignore_errors=True)
    return True


def enter(folder: Path, about: dict[str, Any], fill: Callable[[Path], None]) -> int:
    """Takes a set into use, making it where there is none: ``about`` is written down then, and
    ``fill`` makes its files in a folder that is not visible yet.

    Returns:
        A descriptor that holds the shared lock until it is closed.

    Raises:
        OSError: the folder can't be made or locked.
    """
    while True:
        if not folder.is_dir():
            _make(folder, about, fill)
        try:
            descriptor = os.open(folder / "use.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            # Removed since; or a folder without a lock, which only a stranger leaves here.
            if folder.is_dir():
                shutil.rmtree(folder)
            continue
        _share(descriptor)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(folder / "use.lock"), os.fstat(descriptor)):
                os.utime(folder / "use.lock")
                return descriptor
        os.close(descriptor)


def _share(descriptor: int) -> None:
    """Take a shared lock, or close the descriptor and raise TimeoutError."""
    end = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < end:
                time.sleep(0.02)
                continue
            os.close(descriptor)
            raise TimeoutError(_HELD) from None
        except OSError:
            os.close(descriptor)
            raise
        return


def _make(folder: Path, about: dict[str, Any], fill: Callable[[Path], None]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=_NEW, dir=folder.parent))
    try:
        fill(made)
        (made / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        (made / "use.lock").touch()
        for file in made.iterdir():
            make_private(file)
        os.rename(made, folder)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)
        if not folder.is_dir():  # Else another process was first, and its set is the same.
            raise


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _disk_bytes(folder: Path) -> int:
    """What a set takes up: its files are sparse."""
    return sum(file.stat().st_blocks * 512 for file in folder.iterdir())


def _empty_trash(root: Path) -> None:
    """Removes what a killed process left half removed or half made."""
    for folder in root.glob(_TRASH + "*"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in root.glob(_NEW + "*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _root_lock(root: Path) -> Iterator[None]:
    lock = FileLock(root / ".lock", mode=PRIVATE)
    if not take_lock(lock, 0 if root in _waited_for else _LOCK_S, str(root)):
        _waited_for.add(root)
        raise TimeoutError(_HELD)
    _waited_for.discard(root)
    try:
        yield
    finally:
        lock.release()
