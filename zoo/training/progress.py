"""Throughput of a training, and the images that are skipped since they can't be read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from zoo.training.callbacks import Callbacks
from zoo.training.data import TrainBatch

_MOST_NAMED = 20


class Throughput:
    """Images of all processes, and seconds; of this run, without validation."""

    def __init__(self) -> None:
        self.images, self.seconds = 0.0, 0.0
        self._counted, self._since = 0.0, 0.0

    def start(self, count: float) -> None:
        """An epoch begins, or goes on, in which so many images are done."""
        self._counted, self._since = count, time.perf_counter()

    def add(self, count: float) -> None:
        """So many of the epoch's images are done by now."""
        now = time.perf_counter()
        self.images += count - self._counted
        self.seconds += now - self._since
        self._counted, self._since = count, now

    def since(self, images: float, seconds: float) -> float | None:
        """Images per second after a moment that had these; None where nothing was done."""
        if self.seconds == seconds:
            return None
        return (self.images - images) / (self.seconds - seconds)


class SkippedImages:
    """Report each unreadable image once, and count how often one was skipped."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._named: set[str] = set()
        self.count = 0

    def noted(self, batches: Iterable[TrainBatch]) -> Iterator[TrainBatch]:
        """The batches as they are."""
        for batch in batches:
            self.count += len(batch.unreadable)
            for line in batch.unreadable:
                self._note(line)
            yield batch

    def _note(self, line: str) -> None:
        if line in self._named or len(self._named) > _MOST_NAMED:
            return
        self._named.add(line)
        named = len(self._named) <= _MOST_NAMED
        self._callbacks.warn(f"left out: {line}" if named else "more are left out and counted")
