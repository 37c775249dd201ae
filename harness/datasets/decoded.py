"""Images as 8-bit pixels: decoded here or in worker processes, and cached.

A cache holds one dataset at one preprocessing, shared by variants and runs. Pixels lie in the order
in which images are evaluated (`harness.datasets.types.order`), so that a warm run reads its file
from front to back.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.datasets import cache
from harness.datasets.cache import Mapped, Slots
from harness.datasets.types import ImageSet, ImageSource, order
from zoo.images.io import UnreadableImage, reason
from zoo.preprocessing import Decoder, Preprocessing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 16  # images per task of a worker: some 100 ms of work


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """One image to decode: its index in its set, and its slot in the store of the set."""

    index: int
    slot: int
    name: str
    source: ImageSource


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Pixels, uint8 (height, width, 3), or why there are none; or None: they are in the store.

    ``full`` says that the store did not take them.
    """

    image: DecodeTask
    pixels: NDArray[np.uint8] | UnreadableImage | None
    full: bool = False


def decoding_pool(workers: int) -> Executor | None:
    """A pool of processes that decode; None for 0 workers, which means the calling process.

    The processes start fresh: a copy of one in which torch runs threads can hang. Shut it down, or
    use it as a context manager.
    """
    if workers == 0:
        return None
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_set_up_worker)


def decoder_identity(decoder: Decoder) -> str:
    """What decoded pixels depend on besides the image and its preprocessing."""
    from PIL import features

    jpeg = features.version_feature("libjpeg_turbo") or features.version_codec("jpg")
    # The number rises when the same image comes to other pixels here.
    identity = f"{decoder} 2 pillow={features.version('pil')} jpeg={jpeg}"
    if decoder != "pillow":
        from importlib.metadata import version

        identity += f" torchvision={version('torchvision')} torch={version('torch')}"
    if decoder == "gpu":
        import torch

        # Some cards decode with a part of their own.
        identity += f" cuda={torch.version.cuda} {torch.cuda.get_device_name()}"
    return identity


def decode_one(
    image: DecodeTask, preprocessing: Preprocessing, decoder: Decoder
) -> NDArray[np.uint8] | UnreadableImage:
    """The pixels of one image, or why it can't be read."""
    try:
        return preprocessing.decode(image.source.read(), decoder)
    except MemoryError:
        raise  # The machine's fault and not the image's.
    # Pillow's readers raise errors of nearly every class on damaged or hostile files; whichever it
    # is, the image is reported by its name and stays in the denominator.
    except Exception as error:  # noqa: BLE001
        return UnreadableImage(image.name, reason(error))


def decode_all(
    images: Sequence[DecodeTask],
    preprocessing: Preprocessing,
    decoder: Decoder,
    store: Slots | None,
    pool: Executor | None,
) -> Iterator[DecodedImage]:
    """Decodes images, in any order: images that lie together are read together.

    Without a store the pixels are kept nowhere; without a pool they are decoded here.

    Raises:
        BrokenProcessPool: a worker died, killed or out of memory.
    """
    ordered = sorted(images, key=lambda image: image.source.place)
    chunks = [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
    if pool is None:
        for chunk in chunks:
            yield from _decode_chunk(chunk, preprocessing, decoder, store, False)
        return
    pending: list[Future[list[DecodedImage]]] = [
        pool.submit(_decode_chunk, chunk, preprocessing, decoder, store, True) for chunk in chunks
    ]
    try:
        for future in pending:
            yield from future.result()
    finally:
        for future in pending:
            future.cancel()


def _decode_chunk(
    chunk: Sequence[DecodeTask],
    preprocessing: Preprocessing,
    decoder: Decoder,
    store: Slots | None,
    remote: bool,
) -> list[DecodedImage]:
    """Decodes and keeps; what is kept does not travel back from a worker."""
    done = []
    for image in chunk:
        pixels = decode_one(image, preprocessing, decoder)
        if store is None or isinstance(pixels, UnreadableImage):
            done.append(DecodedImage(image, pixels))
            continue
        try:
            store.put(image.slot, pixels)
        except OSError:  # The disk is full: the pixels are as good without it.
            done.append(DecodedImage(image, pixels, full=True))
            store = None
        else:
            done.append(DecodedImage(image, None if remote else pixels))
    return done


def _set_up_worker() -> None:
    """In a worker: no warning per odd image, no interrupt, one thread, no life of its own."""
    import signal
    import threading
    import warnings

    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent stops its workers itself.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def _end_with_parent() -> None:
    # A worker holds both ends of its queue: if its parent is killed, it would wait for ever.
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


DEFAULT_MAX_BYTES = 32 * cache.GIB


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
        self._room, self._room_lock = 0, threading.Lock()  # Images that there is room for.

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
        root = root or cache.default_root()
        opened = cls(images, preprocessing, decoder, root, max_bytes)
        opened._enter()
        return opened

    def reserve(self, indices: NDArray[np.int64]) -> None:
        """Make room for those of these images that are not kept yet, before they are asked for.

        Where there is none for all of them, `get` looks for some for each portion.
        """
        with self._room_lock:
            self._room = 0
            if self._map is not None and self.kept_out is None:
                missing = self._map.empty(self._rank[indices])
                with suppress(OSError):  # Which is said when it happens again.
                    self._room = missing if missing and self._make_room(missing) else 0

    def get(
        self,
        indices: Sequence[int] | NDArray[np.int64],
        pool: Executor | None = None,
        memory: NDArray[np.uint8] | None = None,
    ) -> DecodedBatch:
        """The pixels of some images; decodes and keeps those that are not kept yet.

        Without a pool it decodes in this process; without memory for the pixels it makes new.

        Raises:
            BrokenProcessPool: a worker of the pool died.
        """
        import numpy as np

        wanted = [int(index) for index in indices]
        height, width = self.preprocessing.image_size
        shape = (len(wanted), height, width, 3)
        pixels = np.empty(shape, dtype=np.uint8) if memory is None else memory
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

    def __exit__(self, *_: object) -> None:
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
            self._lock = cache.enter(folder, about, fill)
            if not slots.is_whole():
                self.close()
                cache.remove(folder)
                self._lock = cache.enter(folder, about, fill)
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
        with self._room_lock:
            if self._room >= images:
                self._room -= images
                return True
        try:
            room = self._make_room(images)
        except OSError as error:
            self.kept_out = f"{self._root}: {reason(error)}"
            return False
        if not room:
            self.kept_out = (
                f"{self._root}: decoded images would exceed {self._max_bytes} bytes, or the disk"
            )
        return room

    def _make_room(self, images: int) -> bool:
        assert self._slots is not None
        return cache.make_room(self._root, images * self._slots.slot_bytes, self._max_bytes)
