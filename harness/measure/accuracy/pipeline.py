"""One lane of a validation: takes portions of images, runs the model, adds up the answers."""

from __future__ import annotations

import time
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from harness.datasets import UnreadableImage
from harness.measure.accuracy.classifier import Classifier, ValidationError
from harness.measure.accuracy.prefetch import EvalBatch
from harness.measure.accuracy.scoring import Answers, answers
from harness.measure.accuracy.variations import InputConfig
from harness.measure.devices import is_out_of_memory, release_memory

if TYPE_CHECKING:
    from torch import Tensor

# Batches that a GPU may have before it: enough to hide the host, few enough to fit.
_GPU_AHEAD = 2


@dataclass(slots=True)
class AccuracyCounts:
    """Counts of images: seen, answered right, answered with what is no number."""

    images: int = 0
    top1: int = 0
    top5: int = 0
    invalid: int = 0
    unreadable: list[UnreadableImage] = field(default_factory=list)

    def add(self, other: AccuracyCounts) -> None:
        """Adds the counts of another lane."""
        self.images += other.images
        self.top1 += other.top1
        self.top5 += other.top5
        self.invalid += other.invalid
        self.unreadable += other.unreadable


class _Asked(NamedTuple):
    found: Answers
    inputs: Tensor
    labels: Tensor


class EvalThread:
    """Runs the model in the calling thread, which is to be in inference mode.

    Args:
        model: shared by all lanes.
        reading: how images are read.
    """

    def __init__(self, model: Classifier, reading: InputConfig) -> None:
        import torch

        self.tally = AccuracyCounts()
        self._model = model
        self._reading = reading
        self._tuner = model.tuner(reading.preprocessing.image_size)
        self._asked: deque[_Asked] = deque()
        self._on_gpu = model.device.type == "cuda"
        self._copies: torch.cuda.Stream | None = None
        if self._on_gpu:
            self._copies = torch.cuda.Stream(model.device)  # type: ignore[no-untyped-call]

    def take(self, portion: EvalBatch) -> None:
        """Answers the images of a portion.

        Raises:
            MemoryError: there is no memory for a single image.
            ValidationError: the model is no classifier, or has not that many classes.
        """
        self.tally.images += len(portion.pixels) + len(portion.unreadable)
        self.tally.unreadable += portion.unreadable
        begin = 0
        while begin < len(portion.pixels):
            size = self._tuner.size
            span = slice(begin, begin + size)
            try:
                self._timed(portion.pixels[span], portion.labels[span], size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            else:
                begin += size
                continue
            # Here and not above: the error holds on to the activations as long as it is handled.
            self._settle(0)
            release_memory(self._model.device)
            self._tuner.too_large(min(size, len(portion.pixels) - begin))

    def finish(self) -> AccuracyCounts:
        """Waits for what is still being calculated; returns the counts."""
        self._settle(0)
        return self.tally

    def _timed(self, pixels: Tensor, labels: Tensor, size: int) -> None:
        import torch

        if not self._tuner.trying:
            self._ask(pixels, labels, size)
            self._settle(_GPU_AHEAD if self._on_gpu else 0)
            return
        self._settle(0)
        begin = time.perf_counter()
        self._ask(pixels, labels, size)
        if self._on_gpu:
            torch.cuda.synchronize(self._model.device)
        self._tuner.report(len(pixels), time.perf_counter() - begin)
        self._settle(0)

    def _ask(self, pixels: Tensor, labels: Tensor, size: int) -> None:
        import torch

        device = self._model.device
        highest = int(labels.max())
        with self._copying():
            inputs = self._reading.inputs(pixels, device)
            labels = labels.to(device, non_blocking=True)
        if self._copies is not None:
            current = torch.cuda.current_stream(device)
            current.wait_stream(self._copies)
            inputs.record_stream(current)
            labels.record_stream(current)
        logits = self._model.logits(inputs, size)
        if self._reading.labels == "as given" and highest >= logits.shape[1]:
            raise ValidationError(
                f"{self._model.name}: it tells {logits.shape[1]} classes apart, and the images "
                f"have a class index of {highest}"
            )
        self._asked.append(_Asked(answers(logits, labels), inputs, labels))

    def _copying(self) -> AbstractContextManager[object]:
        import torch

        return nullcontext() if self._copies is None else torch.cuda.stream(self._copies)

    def _settle(self, ahead: int) -> None:
        """Adds up all but the last ``ahead`` batches; on a GPU this waits for them."""
        while len(self._asked) > ahead:
            found, inputs, labels = self._asked.popleft()
            if self._model.amp == "off":
                found = self._model.referee.rescore(found, inputs, labels)
            self.tally.top1 += int(found.top1.sum())
            self.tally.top5 += int(found.top5.sum())
            self.tally.invalid += int(found.invalid.sum())
