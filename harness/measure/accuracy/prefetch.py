"""Images on their way to a model: decoded before they are asked for, batch by batch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from harness.datasets import DecodedSet, UnreadableImage
from harness.datasets.decoded import CHUNK
from harness.measure.accuracy.lanes import Lane

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

_THREADS = 32  # they wait for the decoding processes, and cost next to nothing


class EvalBatch(NamedTuple):
    """Some images of the shards that are counted together.

    Attributes:
        pixels: uint8 (n, height, width, 3), those that can be read.
        memory: what to give back to the lane afterwards.
        places: int64 (n,), theirs among the images of all shards.
        unreadable: the others, by their places.
    """

    pixels: Tensor
    memory: Tensor | None
    places: NDArray[np.int64]
    unreadable: dict[int, UnreadableImage]

    def placed(self, begin: int) -> EvalBatch:
        """The same with places that begin there."""
        unreadable = {begin + place: why for place, why in self.unreadable.items()}
        return self._replace(places=self.places + begin, unreadable=unreadable)


class Prefetcher:
    """Hands out images, batch by batch, to any number of threads; kept from shard to shard.

    Args:
        decoded: where the pixels come from.
        lane: where they go to.
        pool: processes that decode; None decodes in the threads that ask.
        workers: how many processes ``pool`` has.
        ahead: prepare batches before they are asked for.
    """

    def __init__(
        self,
        decoded: DecodedSet,
        lane: Lane,
        *,
        pool: Executor | None = None,
        workers: int = 0,
        ahead: bool = False,
    ) -> None:
        self.decoded = decoded
        self._lane = lane
        self._pool = pool
        self._lock = threading.Lock()
        self._pending: deque[tuple[slice, Future[EvalBatch]]] = deque()
        self._in_flight = 2 * CHUNK * max(1, workers)
        self._threads = ThreadPoolExecutor(_THREADS if workers else 2) if ahead else None
        self._images: NDArray[np.int64] | None = None
        self._count = self._begin = self._given = 0
        self._size: Callable[[int], int] = lambda left: left

    def start(
        self,
        images: NDArray[np.int64],
        size: Callable[[int], int],
        following: NDArray[np.int64] | None = None,
    ) -> None:
        """Hand out these images from now on; batches of them that are prepared are used.

        Args:
            images: indices of the set.
            size: from the number of images that are left to that of the next batch.
            following: which images will probably come next.
        """
        import numpy as np

        with self._lock:
            every = images if following is None else np.concatenate([images, following])
            kept: deque[tuple[slice, Future[EvalBatch]]] = deque()
            end, before = 0, self._images
            for span, future in self._pending:
                place = slice(end, end + span.stop - span.start)
                # Up to the last image of this start, since what follows it is only a guess.
                before = before if place.stop <= len(images) else None
                if before is not None and np.array_equal(before[span], images[place]):
                    kept.append((place, future))
                    end = place.stop
                    continue
                self._drop(future)
                before = None
            self._pending, self._begin, self._given = kept, end, 0
            self._images, self._count, self._size = every, len(images), size
            if self._threads is not None:
                self._submit(self._threads)

    def next(self) -> EvalBatch | None:
        """The next batch, None after the last. Safe to call from several threads.

        Raises:
            BrokenProcessPool: a decoding process died.
        """
        if self._threads is None:
            with self._lock:
                span = self._take()
                self._given = self._begin
            if span is None or self._images is None:
                return None
            return self._prepare(self._images[span]).placed(span.start)
        with self._lock:
            self._submit(self._threads)
            if not self._pending or self._pending[0][0].start >= self._count:
                return None
            span, future = self._pending.popleft()
            self._given = span.stop
            self._submit(self._threads)
        return future.result().placed(span.start)

    def stop_after(self, ends: NDArray[np.int64]) -> None:
        """Hand out no image beyond the first of these ends that was not reached before."""
        import numpy as np

        with self._lock:
            place = int(np.searchsorted(ends, self._given))
            self._count = min(self._count, int(ends[place]) if place < len(ends) else self._count)

    def close(self) -> None:
        """Drops what was prepared and not asked for."""
        for _, future in self._pending:
            self._drop(future)
        self._pending.clear()
        if self._threads is not None:
            self._threads.shutdown()

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> slice | None:
        """The next images to prepare; those that only may come next are in no batch with others."""
        assert self._images is not None
        end = self._count if self._begin < self._count else len(self._images)
        if self._begin >= end or (end > self._count and self._threads is None):
            return None
        span = slice(self._begin, min(self._begin + self._size(end - self._begin), end))
        self._begin = span.stop
        return span

    def _submit(self, threads: ThreadPoolExecutor) -> None:
        """Keeps enough images in preparation for all decoders and for two batches."""
        assert self._images is not None
        most = max(self._in_flight, 2 * self._size(len(self._images) - self._begin))
        waiting = sum(span.stop - span.start for span, _ in self._pending)
        while waiting < most and (span := self._take()) is not None:
            waiting += span.stop - span.start
            self._pending.append((span, threads.submit(self._prepare, self._images[span])))

    def _prepare(self, images: NDArray[np.int64]) -> EvalBatch:
        import numpy as np
        import torch

        with self._lane.current():
            memory = self._lane.pixels(len(images), *self.decoded.preprocessing.image_size)
        into = None if memory is None else memory.numpy()
        decodes = self.decoded.decoder == "gpu"
        with self._lane.beside() if decodes else self._lane.current():
            batch = self.decoded.get(images, self._pool, into)
        places = np.arange(len(images))
        pixels, missing = batch.pixels, places[:0]
        if batch.unreadable:
            places, missing = places[batch.readable], places[~batch.readable]
            if memory is None:
                pixels = pixels[batch.readable]
            else:  # In place: what travels by itself has to stay in such memory.
                pixels[: len(places)] = pixels[batch.readable]
        found = torch.from_numpy(pixels) if memory is None else memory[: len(places)]
        unreadable = dict(zip(missing.tolist(), batch.unreadable, strict=True))
        return EvalBatch(found, memory, places, unreadable)

    def _drop(self, future: Future[EvalBatch]) -> None:
        def give_back(done: Future[EvalBatch]) -> None:
            if not done.cancelled() and done.exception() is None:
                memory = done.result().memory
                if memory is not None:
                    self._lane.release(memory)

        if not future.cancel():
            future.add_done_callback(give_back)
