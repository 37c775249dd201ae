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

from harness.measure.accuracy.predictions import BEST, MOST_CLASSES, SUBSETS
from harness.measure.cuda import ending
from harness.measure.devices import release_memory
from harness.measure.meta import all_tensors
from zoo._util.memory import is_out_of_memory
from zoo.variants import IMAGENET_CLASSES

if TYPE_CHECKING:
    import numpy as np
    import torch
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
    """Of each image, bool (batch,): among the first 1 and 5 classes; in doubt; not a number."""

    top1: Tensor
    top5: Tensor
    doubtful: Tensor
    invalid: Tensor


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
        if logits.shape[1] < IMAGENET_CLASSES:
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


# What `judged` gives of an image before what is kept of it.
TOP1, TOP5, INVALID, DOUBTFUL, UNSURE = range(5)
FLAGS = 5


def judged(
    logits: Tensor, labels: Tensor, config: InputConfig, others: Tensor | None = None
) -> Tensor:
    """All that is asked of logits (batch, classes), in one tensor (batch, FLAGS or more).

    Flags come first, 1 for yes: whether the answer is right by top-1 and by top-5, is no number,
    and is in doubt, or is so by one of ``others``. What is kept of it follows.

    Args:
        logits: of all classes.
        labels: that the images are judged by, as `InputConfig.scored` takes them.
        config: how answers are scored.
        others: labels (batch, m) that what is kept may be scored by; None keeps nothing.
    """
    import torch

    found = answers(*config.scored(logits, labels))
    flags = [found.top1, found.top5, found.invalid, found.doubtful]
    if others is None or logits.shape[1] >= MOST_CLASSES:
        return torch.stack([*flags, found.doubtful], 1).to(torch.float32)
    near, kept = predicted(logits, others)
    flags.append(found.doubtful | near)
    return torch.cat([torch.stack(flags, 1).to(kept.dtype), kept], 1)


class Float64Rescorer:
    """Answers again, in float64, what float32 leaves in doubt.

    Args:
        model: in evaluation mode; it is copied when the first doubt comes.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._exact: nn.Module | None = None
        self._on_cpu = False
        self._lock = threading.Lock()
        self.unable: str | None = None

    def logits(self, inputs: Tensor) -> Tensor | None:
        """The logits in float64 of inputs (n, channels, height, width), where they are.

        Where the device has no memory for it, what it holds without need is freed, and then the CPU
        calculates. A model that can't run in float64 gives None; ``unable`` then says why.

        Raises:
            MemoryError: the CPU has no memory for it either.
        """
        for attempt in ("at once", "freed", "on the CPU"):
            with self._lock:
                if self.unable is not None:
                    return None
                self._on_cpu |= attempt == "on the CPU"
                try:
                    return self._run(inputs)
                except (RuntimeError, TypeError, MemoryError) as error:
                    if ending(error):  # Of the device, which is no trait of the model's.
                        raise
                    if not is_out_of_memory(error):
                        lines = str(error).strip().splitlines() or [type(error).__name__]
                        self.unable = lines[0]
                        return None
                # Only now: the error holds on to what it was raised among.
                if self._on_cpu or attempt == "freed":
                    self._exact = None
                release_memory(inputs.device)
        raise MemoryError("there is no memory to answer a single image in float64")

    def _run(self, inputs: Tensor) -> Tensor:
        import torch

        device = torch.device("cpu") if self._on_cpu else inputs.device
        if self._exact is None:
            if device == inputs.device:
                self._exact = copy.deepcopy(self._model).double()
            else:
                self._exact = _copied(self._model, device)
        # One by one: in doubt, a batch would only ask for more memory.
        each = [self._exact(one.to(device).double()) for one in torch.split(inputs, 1)]
        return torch.cat(each).to(inputs.device)


def _copied(model: nn.Module, device: torch.device) -> nn.Module:
    """A copy of a model in float64 on another device, with no copy on its own."""
    import torch

    memo: dict[int, object] = {}
    for tensor in all_tensors(model):
        wide = tensor.detach().to(device)
        if isinstance(tensor, torch.nn.Parameter):
            wide = torch.nn.Parameter(wide, requires_grad=False)
        memo[id(tensor)] = wide
    return copy.deepcopy(model, memo).double()


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
