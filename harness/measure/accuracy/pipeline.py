"""The pipeline of an evaluation: pixels are prefetched, threads run the model and count.

On a GPU, processes decode while the device calculates. On a CPU both want the same cores: there,
each thread decodes its own images and then runs the model on them, so that no core ever waits.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from harness.measure.accuracy.classifier import Classifier, ValidationError
from harness.measure.accuracy.counts import AccuracyCounts, Ended, EvalRequest, Told
from harness.measure.accuracy.lanes import Arriving, Lane
from harness.measure.accuracy.prefetch import EvalBatch, Prefetcher
from harness.measure.accuracy.scoring import DOUBTFUL, FLAGS, INVALID, TOP1, TOP5, UNSURE, judged
from harness.measure.devices import release_memory
from zoo._util.memory import is_out_of_memory
from zoo.known_datasets import class_subset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

_TELL_SECONDS = 0.25


class _Asked(NamedTuple):
    """Answers on their way; ``number`` is that of the last batch before them."""

    number: int
    found: Arriving
    inputs: Tensor
    labels: Tensor
    others: Tensor | None
    places: NDArray[np.int64]
    exact: NDArray[np.bool_] | None = None


class EvalThread:
    """Runs the model in the calling thread, which is to be in inference mode.

    Args:
        model: shared by all evaluation threads.
        lane: to the device of the model.
        request: what is asked.

    Attributes:
        counts: of each shard, what this thread has done of it.
        ended: is given the number and the counts of each shard that it has done all of.
    """

    def __init__(
        self,
        model: Classifier,
        lane: Lane,
        request: EvalRequest,
    ) -> None:
        self.counts = [AccuracyCounts() for _ in request.ends]
        self._model, self._lane, self._request = model, lane, request
        self.ended: Ended = lambda number, counts: None
        self._config = request.config
        self._tuner = model.tuner(request.config.preprocessing.image_size)
        self._asked: deque[_Asked] = deque()
        self._number = 0
        self._shard = 0

    def take(self, batch: EvalBatch) -> None:
        """Answers the images of a batch.

        Raises:
            MemoryError: there is no memory for a single image.
            ValidationError: the model is no classifier, or has not that many classes.
        """
        import numpy as np

        for place, why in batch.unreadable.items():
            shard = int(np.searchsorted(self._request.ends, place, side="right"))
            self.counts[shard].unreadable.append(why)
            self._add(shard, 1)
        begin = 0
        while begin < len(batch.pixels):
            size = self._tuner.size
            span = slice(begin, begin + size)
            if self._answer(batch.pixels[span], batch.places[span], size):
                begin += size
                continue
            self._settle(0)
            release_memory(self._model.device)
            self._tuner.too_large(min(size, len(batch.pixels) - begin))
        if batch.memory is not None:
            self._lane.release(batch.memory)

    def so_far(self) -> tuple[int, int, int, int]:
        """The last shard that images were settled of: its number, the images, and those right."""
        counts = self.counts[self._shard]
        return self._shard, counts.images, counts.top1, counts.top5

    def finish(self) -> None:
        """Waits for what is still being calculated."""
        self._settle(0)

    @property
    def ends(self) -> NDArray[np.int64]:
        """Of each shard, the place after its last image."""
        return self._request.ends

    def current(self) -> AbstractContextManager[object]:
        """Within it the calling thread is the one that runs the model."""
        return self._lane.current()

    def _answer(self, pixels: Tensor, places: NDArray[np.int64], size: int) -> bool:
        """Ask for the images of a batch, and count earlier ones; False where memory is short."""
        timed = self._tuner.times(len(pixels))
        if timed:
            self._settle(0)
        begin = time.perf_counter()
        # The first batch makes what all of them use, and a timed one is waited for.
        steady = self._number > 0 and not timed
        with self._lane.steady() if steady else nullcontext():
            try:
                self._ask(pixels, places, size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error, images=len(pixels)):
                    raise
                # No more here: the error holds on to the activations as long as it is handled.
                return False
            if not timed:
                self._settle(self._lane.ahead)
        if timed:
            self._lane.wait()
            self._tuner.report(len(pixels), time.perf_counter() - begin)
            self._settle(0)
        return True

    def _ask(self, pixels: Tensor, places: NDArray[np.int64], size: int) -> None:
        layout = self._tuner.format_of(len(pixels))
        self._model.lay_out(layout)
        inputs = self._lane.upload(
            lambda: self._config.inputs(
                pixels, self._model.device, channels_last=layout == "channels_last"
            )
        )
        logits = self._model.logits(inputs, size)
        highest = int(self._request.labels[places].max())
        if self._config.subset:
            highest = max(highest, class_subset(self._config.subset)[-1])
        if self._config.labels == "as given" and highest >= logits.shape[1]:
            raise ValidationError(
                f"{self._model.name}: it tells {logits.shape[1]} classes apart, and the images "
                f"have a class index of {highest}"
            )
        labels = self._of(self._request.judges, places)
        others = None if self._request.others is None else self._of(self._request.others, places)
        rows = judged(logits, labels, self._config, others)
        found = self._lane.download(rows)
        self._number += 1
        self._asked.append(_Asked(self._number, found, inputs, labels, others, places))

    def _of(self, table: Tensor, places: NDArray[np.int64]) -> Tensor:
        """The rows of a table on the device, which nothing is sent for as long as they follow."""
        import torch

        first, last = int(places[0]), int(places[-1])
        if last - first + 1 == len(places):
            return table[first : last + 1]
        return table.index_select(0, torch.from_numpy(places).to(table.device, non_blocking=True))

    def _settle(self, ahead: int) -> None:
        """Count all but the last ``ahead`` batches; on a GPU this waits for them."""
        while self._asked and self._asked[0].number <= self._number - ahead:
            asked = self._asked.popleft()
            rows = asked.found()
            if asked.exact is None and self._model.amp == "off":
                unsure = rows[:, UNSURE].nonzero()[0]
                if len(unsure) and self._ask_exactly(asked, rows, unsure):
                    rest = rows[:, UNSURE] == 0
                    asked, rows = asked._replace(places=asked.places[rest]), rows[rest]
            self._count(asked, rows)

    def _ask_exactly(
        self, asked: _Asked, rows: NDArray[np.float64], unsure: NDArray[np.int64]
    ) -> bool:
        """Ask for some images of a batch in float64; whether that can be done."""
        import torch

        def of(tensor: Tensor) -> Tensor:
            return torch.cat([tensor[row : row + 1] for row in unsure.tolist()])

        logits = self._model.rescorer.logits(of(asked.inputs))
        if logits is None:
            return False
        labels = of(asked.labels)
        others = None if asked.others is None else of(asked.others)
        again = judged(logits, labels, self._config, others)
        places, exact = asked.places[unsure], rows[unsure, DOUBTFUL] != 0
        found = self._lane.download(again)
        # With the inputs of all of them: these may be read until the answer comes.
        self._asked.append(
            asked._replace(number=self._number, found=found, places=places, exact=exact)
        )
        return True

    def _count(self, asked: _Asked, rows: NDArray[np.float64]) -> None:
        import numpy as np

        shards = np.searchsorted(self._request.ends, asked.places, side="right")
        for shard in np.unique(shards).tolist():
            mine, counts = shards == shard, self.counts[shard]
            some = rows[mine]
            counts.top1 += int(some[:, TOP1].sum())
            counts.top5 += int(some[:, TOP5].sum())
            counts.invalid += int(some[:, INVALID].sum())
            counts.exact += 0 if asked.exact is None else int(asked.exact[mine].sum())
            if rows.shape[1] > FLAGS:
                begin = self._request.ends[shard - 1] if shard else 0
                counts.kept.append((asked.places[mine] - begin, some[:, FLAGS:]))
            self._add(shard, len(some))

    def _add(self, shard: int, images: int) -> None:
        self._shard, counts = shard, self.counts[shard]
        counts.images += images
        ends = self._request.ends
        if counts.images == ends[shard] - (ends[shard - 1] if shard else 0):
            self.ended(shard, counts)


class Telling:
    """Tells how far all evaluation threads are, a few times a second."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._counts: dict[int, tuple[int, int, int, int]] = {}
        self._begun = self._last = time.monotonic()

    def __call__(self, eval_thread: EvalThread) -> None:
        with self._lock:
            self._counts[id(eval_thread)] = eval_thread.so_far()
            now = time.monotonic()
            if now - self._last < _TELL_SECONDS:
                return
            self._last = now
            shard = max(each[0] for each in self._counts.values())
            images, top1, top5 = map(sum, zip(*(c[1:] for c in self._counts.values()), strict=True))
            self._told(shard, images, top1, top5, now - self._begun)


def run(
    running: Sequence[EvalThread],
    prefetcher: Prefetcher,
    threads: int,
    tell: Callable[[EvalThread], None],
    over: Callable[[], bool],
    ended: Ended,
) -> None:
    """Run evaluation threads, side by side, to the end of their shards.

    Args:
        running: each is run in a thread of its own.
        prefetcher: has been started with the images of the shards.
        threads: how many torch may use in each of them.
        tell: called with each of them after each of its batches.
        over: whether the time is over: no other shard is begun then.
        ended: see `EvalThread`; of several, called for each shard when all are done.
    """
    import torch

    stop = threading.Event()
    if len(running) == 1:
        running[0].ended = ended

    def follow(eval_thread: EvalThread) -> None:
        try:
            torch.set_num_threads(threads)  # Of this thread alone.
            with torch.inference_mode(), eval_thread.current():
                while not stop.is_set():
                    if over():
                        prefetcher.stop_after(eval_thread.ends)
                    batch = prefetcher.next()
                    if batch is None:
                        break
                    eval_thread.take(batch)
                    tell(eval_thread)
                eval_thread.finish()
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(len(running)) as pool:
        futures = [pool.submit(follow, eval_thread) for eval_thread in running]
        try:
            for future in futures:
                future.result()
        finally:
            stop.set()
    begin = 0
    for shard, end in enumerate(running[0].ends.tolist()):
        if len(running) > 1 or end == begin:
            total = AccuracyCounts()
            for eval_thread in running:
                total.add(eval_thread.counts[shard])
            ended(shard, total)
        begin = end
