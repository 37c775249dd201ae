"""Which images a model answers right: a rule that rounding can't sway.

The label's rank is the number of classes that come before it: those with a larger logit, and among
equal ones those with a smaller index. Logits of one image differ in their last bits with the
batch, the number of threads and the device, so an answer that hangs on these bits is decided
anew in float64.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from harness.datasets import DecodedSet
    from harness.measure.accuracy.classifier import Classifier
    from harness.measure.accuracy.variations import InputConfig

# Of the largest logit. float32 networks are off by 1e-6 to 1e-5 of it; one image in some
# thousands has a label so near to the border of a top-k.
_DOUBT = 1e-4
TOP = (1, 5)


class Answers(NamedTuple):
    """Of each image, bool (batch,): among the first 1 and 5 classes; in doubt; not a number."""

    top1: Tensor
    top5: Tensor
    doubtful: Tensor
    invalid: Tensor


def answers(logits: Tensor, labels: Tensor) -> Answers:
    """Judges logits (batch, classes) by labels (batch,), or by several for each (batch, most).

    Of several, the one that comes first counts; -1 fills a row that has fewer.

    An image with a logit that is infinite or no number is ``invalid``, and answered wrong. So is
    one whose label is none of the classes, which is not in doubt either.
    """
    import torch

    logits = logits if logits.dtype == torch.float64 else logits.float()
    if labels.ndim == 2:
        values = logits.gather(1, labels.clamp(0, logits.shape[1] - 1))
        best = values.masked_fill(labels < 0, -torch.inf).argmax(1, keepdim=True)
        labels = labels.gather(1, best)[:, 0]
    known = (labels >= 0) & (labels < logits.shape[1])
    labels = labels.clamp(0, logits.shape[1] - 1)
    own = logits.gather(1, labels[:, None])
    doubt = logits.abs().amax(1, keepdim=True) * _DOUBT
    classes = torch.arange(logits.shape[1], device=logits.device)
    before = (logits > own) | ((logits == own) & (classes < labels[:, None]))
    rank = before.sum(1)
    at_least = (logits > own + doubt).sum(1)
    at_most = (logits >= own - doubt).sum(1) - 1
    invalid = ~logits.isfinite().all(1)
    doubtful = torch.zeros_like(invalid)
    for k in TOP:
        doubtful |= (at_least < k) != (at_most < k)
    valid = known & ~invalid
    return Answers((rank < TOP[0]) & valid, (rank < TOP[1]) & valid, doubtful & valid, invalid)


class Float64Rescorer:
    """Answers again, in float64, what float32 leaves in doubt.

    Args:
        model: in evaluation mode; it is copied when the first doubt comes.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._exact: nn.Module | None = None
        self._lock = threading.Lock()
        self.decided = 0
        self.unable: str | None = None

    def rescore(
        self, found: Answers, inputs: Tensor, labels: Tensor, config: InputConfig | None = None
    ) -> Answers:
        """The same answers, with those in doubt decided by the model in float64.

        A model that can't run in float64 keeps its answers; ``unable`` then says why.

        Args:
            found: the answers to a batch.
            inputs: the batch as the model saw it, float32 (batch, channels, height, width).
            labels: (batch,).
            config: how answers are scored; by default over all classes.
        """
        import torch

        rows = found.doubtful.nonzero()[:, 0]
        if not len(rows):
            return found
        with self._lock:
            if self.unable is not None:
                return found
            try:
                if self._exact is None:
                    self._exact = copy.deepcopy(self._model).double()
                # One by one: in doubt, a batch would only ask for more memory.
                logits = torch.cat([self._exact(inputs[i : i + 1].double()) for i in rows.tolist()])
            except (RuntimeError, TypeError) as error:
                self.unable = str(error).strip().splitlines()[0]
                return found
            self.decided += len(rows)
        own = logits, labels[rows]
        again = answers(*(own if config is None else config.scored(*own)))
        for old, new in zip(found, again, strict=True):
            old[rows] = new
        return found


_BATCH = 16


def disagreement(
    model: Classifier,
    config: InputConfig,
    sets: tuple[DecodedSet, DecodedSet],
    indices: Sequence[int] | NDArray[np.int64],
) -> dict[str, int]:
    """Compares the first class that a model names for images that were decoded in two ways.

    Args:
        model: the variant, ready to answer.
        config: how it is fed.
        sets: the same images by either decoder.
        indices: those to compare.

    Returns:
        ``images``, those that both decoders can read, and ``differ``, those of them whose first
        class is another one.
    """
    import torch

    images = differ = 0
    with torch.inference_mode():
        for begin in range(0, len(indices), _BATCH):
            some = indices[begin : begin + _BATCH]
            batches = [each.get(some) for each in sets]
            both = batches[0].readable & batches[1].readable
            if not both.any():
                continue
            first, second = (
                model.logits(config.inputs(torch.from_numpy(b.pixels[both]), model.device), _BATCH)
                for b in batches
            )
            images += int(both.sum())
            differ += int((first.argmax(1) != second.argmax(1)).sum())
    return {"images": images, "differ": differ}
