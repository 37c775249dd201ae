"""Decoded images, kept: one image set at one preprocessing, shared by variants and runs.

Pixels lie in the order in which images are evaluated (`harness.datasets.order`), so that a warm run
reads its file from front to back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import Timeout

from harness.datasets import cache_folder
from harness.datasets.decode import DecodeTask, decode_all, decode_one, decoder_identity
from harness.datasets.order import order
from harness.datasets.slots import Mapped, Slots
from harness.datasets.types import ImageSet
from zoo.images.io import UnreadableImage, reason
from zoo.preprocessing import Decoder, Preprocessing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_MAX_BYTES = 32 * cache_folder.GIB


class DecodedBatch(NamedTuple):
    """Images in the order asked for.

    Attributes:
        pixels: uint8, (n, height, width, 3); black where an image can't be read.
        readable: bool, (n,).
        unreadable: the images that can't be read, in order: as many as ``readable`` has False.
    """

    pixels: NDArray[np.uint8]
    readable: NDArray[np.bool_]
    unreadable: list[UnreadableImage]


class DecodedSet:
    """The pixels of an image set at one preprocessing; decodes what is not there yet.

    Open it with `DecodedSet.open`, close it or use it as a context manager: an open set is never
    evicted. Where pixels can't be kept (`kept_out` says why) they are decoded each time.

    Attributes:
        kept_out: why new pixels are not kept, None while they are.
    """

    def __init__(
        self,
        images: ImageSet,
        preprocessing: Preprocessing,
        decoder: Decoder,
        root: Path,
        max_bytes: int,
    ) -> None:
        import numpy as np

        self.images = images
        self.preprocessing = preprocessing
        self.decoder = decoder
        self.kept_out: str | None = None
        self._root, self._max_bytes = root, max_bytes
        self._rank = np.empty(len(images), dtype=np.int64)
        self._rank[order(len(images))] = np.arange(len(images))
        self._slots: Slots | None = None
        self._map: Mapped | None = None
        self._lock: int | None = None

    @classmethod
    def open(
        cls,
        images: ImageSet,
        preprocessing: Preprocessing,
        *,
        root: Path | None = None,
        max_bytes: int = DEFAULT_MAX_BYTES,
        decoder: Decoder = "pillow",
    ) -> DecodedSet:
        """Opens the set's pixels, those of earlier runs included.

        Args:
            images: the images.
            preprocessing: up to the crop; mean and std don't matter here.
            root: the folder of decoded sets; by default in the user's cache folder.
            max_bytes: what all decoded sets together may take up on disk. The sets longest unused
                give way; what does not fit is decoded and not kept.
            decoder: see `Preprocessing.decode`; each has pixels of its own.
        """
        root = root or cache_folder.default_root()
        opened = cls(images, preprocessing, decoder, root, max_bytes)
        opened._enter()
        return opened

    @property
    def warm(self) -> float:
        """The share of images whose pixels are kept, 0 to 1."""
        return 0.0 if self._map is None else self._map.filled() / len(self.images)

    def get(
        self, indices: Sequence[int] | NDArray[np.int64], pool: Executor | None = None
    ) -> DecodedBatch:
        """The pixels of some images; decodes and keeps those that are not kept yet.

        Args:
            indices: which images of the set, in any order.
            pool: of `decoding_pool`; None decodes in this process.

        Raises:
            BrokenProcessPool: a worker of the pool died.
        """
        import numpy as np

        wanted = [int(index) for index in indices]
        height, width = self.preprocessing.image_size
        pixels = np.zeros((len(wanted), height, width, 3), dtype=np.uint8)
        missing = self._read(wanted, pixels, range(len(wanted)))
        unread: dict[int, UnreadableImage] = {}
        if missing:
            unread = self._decode(wanted, pixels, missing, pool)
        readable = np.ones(len(wanted), dtype=np.bool_)
        readable[list(unread)] = False
        return DecodedBatch(pixels, readable, [unread[row] for row in sorted(unread)])

    def close(self) -> None:
        """Lets go of the set, so that it may be evicted. Closing twice does nothing."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = self._slots = self._map = None

    def __enter__(self) -> DecodedSet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _enter(self) -> None:
        height, width = self.preprocessing.image_size
        about: dict[str, Any] = {
            "images": self.images.fingerprint,
            "where": self.images.where,
            "pixels": self.preprocessing.pixels_key(),
            "decoder": decoder_identity(self.decoder),
        }
        # Where the set lies says nothing about its pixels.
        identity = json.dumps([about["images"], about["pixels"], about["decoder"]])
        digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        folder = self._root / digest
        slots = Slots(str(folder), len(self.images), height, width)

        def fill(made: Path) -> None:
            Slots(str(made), slots.count, height, width).create()

        try:
            self._lock = cache_folder.enter(folder, about, fill)
            if not slots.is_whole():
                self.close()
                cache_folder.remove(folder)
                self._lock = cache_folder.enter(folder, about, fill)
            self._slots, self._map = slots, slots.map()
        except (OSError, ValueError) as error:
            self.close()
            self.kept_out = f"{self._root}: {reason(error)}"

    def _read(
        self, wanted: Sequence[int], pixels: NDArray[np.uint8], rows: Sequence[int]
    ) -> list[int]:
        """Fills the rows whose pixels are kept and whole; returns the others."""
        kept = self._map
        if kept is None:
            return list(rows)
        return [row for row in rows if not kept.read(int(self._rank[wanted[row]]), pixels[row])]

    def _decode(
        self,
        wanted: Sequence[int],
        pixels: NDArray[np.uint8],
        rows: Sequence[int],
        pool: Executor | None,
    ) -> dict[int, UnreadableImage]:
        """Decodes these rows; returns those that can't be read."""
        rows_of: dict[int, list[int]] = {}
        for row in rows:
            rows_of.setdefault(wanted[row], []).append(row)
        images = [self._image(index) for index in rows_of]
        store = self._slots if self._has_room(len(images)) else None
        unread: dict[int, UnreadableImage] = {}
        elsewhere: list[int] = []
        for done in decode_all(images, self.preprocessing, self.decoder, store, pool):
            for row in rows_of[done.image.index]:
                if done.pixels is None:
                    elsewhere.append(row)
                elif isinstance(done.pixels, UnreadableImage):
                    pixels[row] = 0
                    unread[row] = done.pixels
                else:
                    pixels[row] = done.pixels
            if done.full:
                self.kept_out = f"{self._root}: the disk takes no more decoded images"
        for row in self._read(wanted, pixels, elsewhere):
            # A worker stored it, and it can't be read back: the disk is not to be trusted.
            again = decode_one(self._image(wanted[row]), self.preprocessing, self.decoder)
            pixels[row] = 0 if isinstance(again, UnreadableImage) else again
            if isinstance(again, UnreadableImage):
                unread[row] = again
        return unread

    def _image(self, index: int) -> DecodeTask:
        slot = int(self._rank[index])
        return DecodeTask(index, slot, self.images.names[index], self.images.sources[index])

    def _has_room(self, images: int) -> bool:
        if self._slots is None or self.kept_out is not None:
            return False
        try:
            room = cache_folder.make_room(
                self._root, images * self._slots.slot_bytes, self._max_bytes
            )
        except (OSError, Timeout) as error:
            self.kept_out = f"{self._root}: {reason(error)}"
            return False
        if not room:
            self.kept_out = (
                f"{self._root}: decoded images would exceed {self._max_bytes} bytes, or the disk"
            )
        return room
