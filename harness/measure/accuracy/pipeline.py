"""The pipeline of an evaluation: pixels are prefetched, threads run the model and count.

On a GPU, processes decode while the device calculates. On a CPU both want the same cores: there,
each thread decodes its own images and then runs the model on them, so that no core ever waits.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from harness.datasets import DecodedSet, UnreadableImage
from harness.datasets.decoded import CHUNK
from harness.measure.accuracy.classifier import Classifier, ValidationError
from harness.measure.accuracy.predictions import MOST_CLASSES, packed
from harness.measure.accuracy.scoring import Answers, answers, predicted
from harness.measure.accuracy.variations import InputConfig
from harness.measure.cuda import on_device
from harness.measure.devices import is_out_of_memory, release_memory
from zoo.known_datasets import class_subset

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

Told = Callable[[int, int, int, float], None]
"""Is given the images evaluated so far, those right by top-1 and by top-5, and the seconds."""

_TELL_SECONDS = 0.25
_THREADS = 32  # they wait for the decoding processes, and cost next to nothing


class EvalBatch(NamedTuple):
    """Some images of a shard.

    Attributes:
        pixels: uint8 (n, height, width, 3), those that can be read; pinned for a GPU.
        labels: int64 (n,), theirs.
        places: int64 (n,), theirs in the shard.
        unreadable: the others.
    """

    pixels: Tensor
    labels: Tensor
    places: Tensor
    unreadable: list[UnreadableImage]


class Prefetcher:
    """Hands out a shard, batch by batch, to any number of threads.

    Args:
        decoded: where the pixels come from.
        shard: indices of images.
        labels: of these images, int64 (n,).
        size: from the number of images that are left to that of the next batch.
        pool: processes that decode; None decodes in the threads that ask.
        workers: how many processes ``pool`` has.
        ahead: prepare batches before they are asked for.
        pinned: the GPU that pixels are put for where it can fetch them by itself.
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
        pinned: torch.device | None = None,
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
        """The next batch, None after the last. Safe to call from several threads.

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

    def __exit__(self, *_: object) -> None:
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
        """Keeps enough images in preparation for all decoders and for two batches."""
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
        pixels, labels, places = (
            batch.pixels,
            self._labels[span],
            torch.arange(span.start, span.stop),
        )
        if batch.unreadable:
            pixels, labels = pixels[batch.readable], labels[batch.readable]
            places = places[torch.from_numpy(batch.readable)]
        tensors = torch.from_numpy(pixels), torch.from_numpy(labels)
        if self._pinned is not None:
            with on_device(self._pinned):
                tensors = tensors[0].pin_memory(), tensors[1].pin_memory()
        return EvalBatch(*tensors, places, batch.unreadable)


# Batches that a GPU may have before it: enough to hide the host, few enough to fit.
_GPU_AHEAD = 2


@dataclass(slots=True)
class AccuracyCounts:
    """Counts of images: seen, answered right, answered with what is no number.

    Where predictions are kept, ``kept`` has them for some places of the shard at a time.
    """

    images: int = 0
    top1: int = 0
    top5: int = 0
    invalid: int = 0
    unreadable: list[UnreadableImage] = field(default_factory=list)
    kept: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def add(self, other: AccuracyCounts) -> None:
        """Adds the counts of another thread."""
        self.images += other.images
        self.top1 += other.top1
        self.top5 += other.top5
        self.invalid += other.invalid
        self.unreadable += other.unreadable
        self.kept += other.kept

    def predictions(self) -> str | None:
        """What was kept of the images, as base64; None where nothing was."""
        import torch

        if not self.kept:
            return None
        places, values = (torch.cat(each).numpy() for each in zip(*self.kept, strict=True))
        return b64encode(packed(values.astype(float), places, self.images)).decode()


class _Asked(NamedTuple):
    found: Answers
    inputs: Tensor
    labels: Tensor
    places: Tensor
    others: Tensor | None


class EvalThread:
    """Runs the model in the calling thread, which is to be in inference mode.

    Args:
        model: shared by all evaluation threads.
        config: how images are read.
        others: labels (shard, m) that predictions may be scored by; None keeps no predictions.
    """

    def __init__(
        self, model: Classifier, config: InputConfig, others: Tensor | None = None
    ) -> None:
        import torch

        self.counts = AccuracyCounts()
        self.device = model.device
        self._model = model
        self._config = config
        self._others = others
        self._tuner = model.tuner(config.preprocessing.image_size)
        self._asked: deque[_Asked] = deque()
        self._on_gpu = model.device.type == "cuda"
        self._copies: torch.cuda.Stream | None = None
        if self._on_gpu:
            self._copies = torch.cuda.Stream(model.device)  # type: ignore[no-untyped-call]

    def take(self, batch: EvalBatch) -> None:
        """Answers the images of a batch.

        Raises:
            MemoryError: there is no memory for a single image.
            ValidationError: the model is no classifier, or has not that many classes.
        """
        self.counts.images += len(batch.pixels) + len(batch.unreadable)
        self.counts.unreadable += batch.unreadable
        begin = 0
        while begin < len(batch.pixels):
            size = self._tuner.size
            span = slice(begin, begin + size)
            try:
                self._timed(batch.pixels[span], batch.labels[span], batch.places[span], size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            else:
                begin += size
                continue
            # Here and not above: the error holds on to the activations as long as it is handled.
            self._settle(0)
            release_memory(self._model.device)
            self._tuner.too_large(min(size, len(batch.pixels) - begin))

    def so_far(self) -> tuple[int, int, int]:
        """Images answered, and those right by top-1 and top-5, without what is being calculated."""
        waiting = sum(len(asked.labels) for asked in self._asked)
        return self.counts.images - waiting, self.counts.top1, self.counts.top5

    def finish(self) -> AccuracyCounts:
        """Waits for what is still being calculated; returns the counts."""
        self._settle(0)
        return self.counts

    def _timed(self, pixels: Tensor, labels: Tensor, places: Tensor, size: int) -> None:
        import torch

        if not self._tuner.trying:
            self._ask(pixels, labels, places, size)
            self._settle(_GPU_AHEAD if self._on_gpu else 0)
            return
        self._settle(0)
        begin = time.perf_counter()
        self._ask(pixels, labels, places, size)
        if self._on_gpu:
            torch.cuda.synchronize(self._model.device)
        self._tuner.report(len(pixels), time.perf_counter() - begin)
        self._settle(0)

    def _ask(self, pixels: Tensor, labels: Tensor, places: Tensor, size: int) -> None:
        import torch

        device = self._model.device
        highest = int(labels.max())
        with self._copying():
            inputs = self._config.inputs(pixels, device)
            labels = labels.to(device, non_blocking=True)
            others = None if self._others is None else self._others[places].to(device)
        if self._copies is not None:
            current = torch.cuda.current_stream(device)
            current.wait_stream(self._copies)
            inputs.record_stream(current)
            labels.record_stream(current)
            if others is not None:
                others.record_stream(current)
        logits = self._model.logits(inputs, size)
        if self._config.subset:
            highest = max(highest, class_subset(self._config.subset)[-1])
        if self._config.labels == "as given" and highest >= logits.shape[1]:
            raise ValidationError(
                f"{self._model.name}: it tells {logits.shape[1]} classes apart, and the images "
                f"have a class index of {highest}"
            )
        found = answers(*self._config.scored(logits, labels))
        if others is not None and logits.shape[1] < MOST_CLASSES:
            near, kept = predicted(logits, others)
            found = found._replace(near=near, kept=kept)
        self._asked.append(_Asked(found, inputs, labels, places, others))

    def _copying(self) -> AbstractContextManager[object]:
        import torch

        return nullcontext() if self._copies is None else torch.cuda.stream(self._copies)

    def _settle(self, ahead: int) -> None:
        """Adds up all but the last ``ahead`` batches; on a GPU this waits for them."""
        while len(self._asked) > ahead:
            found, inputs, labels, places, others = self._asked.popleft()
            if self._model.amp == "off":
                found = self._model.rescorer.rescore(found, inputs, labels, self._config, others)
            if found.kept is not None:
                self.counts.kept.append((places, found.kept.cpu()))
            self.counts.top1 += int(found.top1.sum())
            self.counts.top5 += int(found.top5.sum())
            self.counts.invalid += int(found.invalid.sum())


class Telling:
    """Tells how far all evaluation threads are, a few times a second."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._counts: dict[int, tuple[int, int, int]] = {}
        self._begun = self._last = time.monotonic()

    def __call__(self, eval_thread: EvalThread) -> None:
        with self._lock:
            self._counts[id(eval_thread)] = eval_thread.so_far()
            now = time.monotonic()
            if now - self._last < _TELL_SECONDS:
                return
            self._last = now
            images, top1, top5 = map(sum, zip(*self._counts.values(), strict=True))
            self._told(images, top1, top5, now - self._begun)
