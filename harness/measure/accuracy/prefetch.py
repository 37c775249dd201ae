"""Pixels for the model: decoded ahead of it, or by those who run it.

On a GPU, processes decode while the device calculates. On a CPU both want the same cores: there,
each lane decodes its own images and then runs the model on them, so that no core ever waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from harness.datasets import DecodedSet, UnreadableImage
from harness.datasets.decode import CHUNK

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

_THREADS = 32  # they wait for the decoding processes, and cost next to nothing


class EvalBatch(NamedTuple):
    """Some images of a shard.

    Attributes:
        pixels: uint8 (n, height, width, 3), those that can be read; pinned for a GPU.
        labels: int64 (n,), theirs.
        unreadable: the others.
    """

    pixels: Tensor
    labels: Tensor
    unreadable: list[UnreadableImage]


class Prefetcher:
    """Hands out a shard, portion by portion, to any number of lanes.

    Args:
        decoded: where the pixels come from.
        shard: indices of images.
        labels: of these images, int64 (n,).
        size: from the number of images that are left to that of the next portion.
        pool: processes that decode; None decodes in the threads that ask.
        workers: how many processes ``pool`` has.
        ahead: prepare portions before they are asked for.
        pinned: put pixels where a GPU can fetch them by itself.
    """

    def __init__(
        self,
        decoded: DecodedSet,
        shard: NDArray[np.int64],
        labels: NDArray[np.int64],
        size: Callable[[int], int],
        *,
        pool: Executor | None = None,
        workers: int = 0,
        ahead: bool = False,
        pinned: bool = False,
    ) -> None:
        self._decoded = decoded
        self._shard, self._labels = shard, labels
        self._size = size
        self._pool = pool
        self._pinned = pinned
        self._begin = 0
        self._lock = threading.Lock()
        self._pending: deque[tuple[int, Future[EvalBatch]]] = deque()
        self._in_flight = 2 * CHUNK * max(1, workers)
        self._threads = ThreadPoolExecutor(_THREADS if workers else 2) if ahead else None

    def next(self) -> EvalBatch | None:
        """The next portion, None after the last. Safe to call from several threads.

        Raises:
            BrokenProcessPool: a decoding process died.
        """
        if self._threads is None:
            with self._lock:
                span = self._take()
            return None if span is None else self._prepare(span)
        with self._lock:
            self._submit(self._threads)
            if not self._pending:
                return None
            _, future = self._pending.popleft()
            self._submit(self._threads)
        return future.result()

    def close(self) -> None:
        """Drops what was prepared and not asked for."""
        for _, future in self._pending:
            future.cancel()
        if self._threads is not None:
            self._threads.shutdown()

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self) -> slice | None:
        if self._begin >= len(self._shard):
            return None
        span = slice(self._begin, min(self._begin + self._next_size(), len(self._shard)))
        self._begin = span.stop
        return span

    def _next_size(self) -> int:
        return self._size(len(self._shard) - self._begin)

    def _submit(self, threads: ThreadPoolExecutor) -> None:
        """Keeps enough images in preparation for all decoders and for two portions."""
        while sum(count for count, _ in self._pending) < max(
            self._in_flight, 2 * self._next_size()
        ):
            span = self._take()
            if span is None:
                return
            count = span.stop - span.start
            self._pending.append((count, threads.submit(self._prepare, span)))

    def _prepare(self, span: slice) -> EvalBatch:
        import torch

        batch = self._decoded.get(self._shard[span], self._pool)
        pixels, labels = batch.pixels, self._labels[span]
        if batch.unreadable:
            pixels, labels = pixels[batch.readable], labels[batch.readable]
        tensors = torch.from_numpy(pixels), torch.from_numpy(labels)
        if self._pinned:
            tensors = tensors[0].pin_memory(), tensors[1].pin_memory()
        return EvalBatch(*tensors, batch.unreadable)
