"""What a process counts while it trains: how fast it is, and pictures that it can't read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from zoo.training.callbacks import Callbacks
from zoo.training.data import TrainBatch

_MOST_NAMED = 20


class Throughput:
    """Pictures of all processes, and seconds; of this run, and validation left out."""

    def __init__(self) -> None:
        self.images, self.seconds = 0.0, 0.0
        self._counted, self._since = 0.0, 0.0

    def start(self, count: float) -> None:
        """An epoch begins, or goes on, in which so many pictures are done."""
        self._counted, self._since = count, time.perf_counter()

    def add(self, count: float) -> None:
        """So many of the epoch's pictures are done by now."""
        now = time.perf_counter()
        self.images += count - self._counted
        self.seconds += now - self._since
        self._counted, self._since = count, now

    def since(self, images: float, seconds: float) -> float | None:
        """Pictures per second after a moment that had these; None where nothing was done."""
        if self.seconds == seconds:
            return None
        return (self.images - images) / (self.seconds - seconds)


class SkippedImages:
    """Names pictures that can't be read, each once, and counts how often one was left out."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._told: set[str] = set()
        self.count = 0

    def noted(self, batches: Iterable[TrainBatch]) -> Iterator[TrainBatch]:
        """The batches as they are."""
        for batch in batches:
            self.count += len(batch.unreadable)
            for line in batch.unreadable:
                self._note(line)
            yield batch

    def _note(self, line: str) -> None:
        if line in self._told or len(self._told) > _MOST_NAMED:
            return
        self._told.add(line)
        named = len(self._told) <= _MOST_NAMED
        self._callbacks.warn(f"left out: {line}" if named else "more are left out and counted")
