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

from harness.measure.accuracy.predictions import BEST, SUBSETS
from harness.measure.cuda import ending
from zoo.variants import IMAGENET_CLASSES

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
_MAGNITUDE = 0x7FFFFFFF  # of a float32's bits, without its sign


class Answers(NamedTuple):
    """Of each image, bool (batch,): among the first 1 and 5 classes; in doubt; not a number.

    Where predictions are kept, ``near`` is what another label that it may be scored by leaves in
    doubt, and ``kept`` (batch, VALUES) what is kept of it.
    """

    top1: Tensor
    top5: Tensor
    doubtful: Tensor
    invalid: Tensor
    near: Tensor | None = None
    kept: Tensor | None = None


class _First(NamedTuple):
    """The first six of some classes by logit, equal ones by index, and what rounding may turn."""

    logits: Tensor
    values: Tensor
    classes: Tensor
    doubt: Tensor
    invalid: Tensor

    @classmethod
    def of(cls, logits: Tensor) -> _First:
        import torch

        count = min(BEST + 1, logits.shape[1])
        if logits.dtype == torch.float64:  # Of a few images.
            ordered = logits.sort(dim=1, descending=True, stable=True)
            values, classes = (each[:, :count] for each in ordered)
        else:
            # As integers in the same order, so that the index can decide among equal ones: to
            # sort them all would take a hundred times as long.
            logits = logits.float()
            bits = logits.contiguous().view(torch.int32).long()
            keys = torch.where(bits < 0, -(bits & _MAGNITUDE), bits) * logits.shape[1]
            keys -= torch.arange(logits.shape[1], device=logits.device)
            classes = keys.topk(count).indices
            values = logits.gather(1, classes)
        doubt = logits.abs().amax(1, keepdim=True) * _DOUBT
        return cls(logits, values, classes, doubt, ~logits.isfinite().all(1))

    def unsure(self, labels: Tensor) -> Tensor:
        """Whether rounding may turn an answer judged by labels (n, m): (n, m), bool."""
        import torch

        known = (labels >= 0) & (labels < self.logits.shape[1])
        own = self.logits.gather(1, labels.clamp(0, self.logits.shape[1] - 1))
        found = torch.zeros_like(known)
        for k in TOP:
            if k < self.values.shape[1]:
                inside = self.values[:, k - 1 : k] > own + self.doubt
                found |= ~inside & (self.values[:, k : k + 1] >= own - self.doubt)
        return found & known & ~self.invalid[:, None]

    def best(self) -> Tensor:
        """The five best, (n, 5); -1 where there are fewer, or no numbers."""
        found = self.classes.new_full((len(self.classes), BEST), -1)
        found[:, : self.classes.shape[1]] = self.classes[:, :BEST]
        return found.masked_fill_(self.invalid[:, None], -1)


def answers(logits: Tensor, labels: Tensor) -> Answers:
    """Judges logits (batch, classes) by labels (batch,), or by several for each (batch, most).

    Of several, the one that comes first counts; -1 fills a row that has fewer.

    An image with a logit that is infinite or no number is ``invalid``, and answered wrong. So is
    one whose label is none of the classes, which is not in doubt either.
    """
    import torch

    first = _First.of(logits)
    if labels.ndim == 2:
        values = first.logits.gather(1, labels.clamp(0, logits.shape[1] - 1))
        best = values.masked_fill(labels < 0, -torch.inf).argmax(1, keepdim=True)
        labels = labels.gather(1, best)[:, 0]
    hits = (first.classes[:, :BEST] == labels[:, None]) & ~first.invalid[:, None]
    return Answers(hits[:, 0], hits.any(1), first.unsure(labels[:, None])[:, 0], first.invalid)


def predicted(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What is kept of logits (n, classes): whether rounding may turn a score of it; the values.

    Args:
        logits: of all classes.
        labels: all that the images may be scored by, (n, m); -1 is none.
    """
    import torch

    from harness.measure.accuracy.variations import subset_columns

    first = _First.of(logits)
    near, best = first.unsure(labels).any(1), [first.best()]
    for table in SUBSETS:
        if logits.shape[1] != IMAGENET_CLASSES:
            best.append(torch.full_like(best[0], -1))
            continue
        columns, ranks = subset_columns(table, logits.shape[1], logits.device)
        some = _First.of(logits.index_select(1, columns))
        known = (labels >= 0) & (labels < len(ranks))
        near = near | some.unsure(ranks[labels.clamp(0, len(ranks) - 1)].where(known, -1)).any(1)
        best.append(some.best())
    probability = 1 / (first.logits - first.values[:, :1]).exp().sum(1, keepdim=True)
    margin = torch.zeros_like(probability)
    if first.values.shape[1] > BEST:
        margin = first.values[:, BEST - 1 : BEST] - first.values[:, BEST:]
    numbers = torch.cat([probability, margin], 1).masked_fill_(first.invalid[:, None], 0)
    return near, torch.cat([*best, numbers], 1)


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
        self,
        found: Answers,
        inputs: Tensor,
        labels: Tensor,
        config: InputConfig | None = None,
        others: Tensor | None = None,
    ) -> Answers:
        """The same answers, with those in doubt decided by the model in float64.

        A model that can't run in float64 keeps its answers; ``unable`` then says why.

        Args:
            found: the answers to a batch.
            inputs: the batch as the model saw it, float32 (batch, channels, height, width).
            labels: (batch,).
            config: how answers are scored; by default over all classes.
            others: labels (batch, m) that what is kept may be scored by, where it is kept.
        """
        import torch

        unsure = found.doubtful if found.near is None else found.doubtful | found.near
        rows = unsure.nonzero()[:, 0]
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
                if ending(error):  # Of the device, which is no trait of the model's.
                    raise
                self.unable = str(error).strip().splitlines()[0]
                return found
            self.decided += int(found.doubtful.sum())
        own = logits, labels[rows]
        again = answers(*(own if config is None else config.scored(*own)))
        for old, new in zip(found[:4], again[:4], strict=True):
            old[rows] = new
        if found.kept is not None and others is not None:
            found.kept[rows] = predicted(logits, others[rows])[1].to(found.kept.dtype)
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
