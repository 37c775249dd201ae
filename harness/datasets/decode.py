"""From the bytes of images to 8-bit pixels, here or in worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.datasets.slots import Slots
from harness.datasets.types import ImageSource
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
    if decoder == "fast":
        from importlib.metadata import version

        identity += f" torchvision={version('torchvision')} torch={version('torch')}"
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

    Args:
        images: which ones.
        preprocessing: up to the crop.
        decoder: see `Preprocessing.decode`.
        store: where the pixels are to be kept; None keeps them nowhere.
        pool: of `decoding_pool`; None decodes here.

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
