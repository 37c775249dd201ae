"""A file of equal slots, one per image, that a kill at any time can't make lie.

``pixels`` holds the slots and is sparse: a slot takes up disk when it is written. ``records`` has 8
bytes per slot: the checksum of its pixels and a checksum of that, both of which take in the slot's
number. A record is written after its pixels, so what a killed process leaves is a slot without a
record; and whatever a power cut leaves does not match its checksum. Such a slot counts as empty.

Several processes may write at once, the same slot too: they write the same bytes.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
        """The size of one image."""
        return self.height * self.width * 3

    @property
    def pixels_file(self) -> Path:
        """The file of the slots."""
        return Path(self.folder) / "pixels"

    @property
    def records_file(self) -> Path:
        """The file of the records."""
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
        crc = zlib.crc32(data, slot)
        _write_at(self.pixels_file, data, slot * self.slot_bytes)
        _write_at(self.records_file, _RECORD.pack(crc, _seal(slot, crc)), slot * _RECORD.size)

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

        shape = (slots.count, slots.height, slots.width, 3)
        self._pixels = np.memmap(slots.pixels_file, dtype=np.uint8, mode="r", shape=shape)
        self._records = np.memmap(slots.records_file, dtype="<u4", mode="r", shape=(slots.count, 2))

    def read(self, slot: int, pixels: NDArray[np.uint8]) -> bool:
        """Copies an image out; False where the slot is empty or damaged.

        Args:
            slot: which one.
            pixels: uint8, (height, width, 3), C-contiguous; of no use after False.
        """
        crc, seal = (int(word) for word in self._records[slot])
        if seal != _seal(slot, crc):
            return False
        # Checked in the copy: what is in the file can change between two looks.
        pixels[...] = self._pixels[slot]
        return zlib.crc32(pixels.data, slot) == crc

    def filled(self) -> int:
        """How many slots have a record."""
        return int((self._records[:, 1] != 0).sum())


def _seal(slot: int, crc: int) -> int:
    # Never 0, so that an empty record is no record.
    return zlib.crc32(struct.pack("<QI", slot, crc)) | 1


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
