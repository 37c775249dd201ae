"""A variant with its weights, ready to classify on a device, and its batch size there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure.accuracy.scoring import Float64Rescorer
from harness.measure.devices import Amp, precision
from harness.measure.meta import build_on_meta, without_initialisation
from zoo.weights.checkpoint import CheckpointInfo, read_checkpoint
from zoo.weights.load import load_into

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from harness.measure.builders import Builder

# On a CPU a small batch keeps activations in the caches; it is always the same one, since the last
# bits of a logit hang on it. On a GPU a large one fills the device.
CPU_SIZES = (4,)
GPU_SIZES = (16, 32, 64, 128, 256, 512, 1024, 2048)
_PAYS = 1.05  # a larger batch takes more memory: it has to be this much faster
_WARM_UPS = 1
_TRIALS = 4


class BatchTuner:
    """Tries sizes, the smallest first, until a larger one no longer pays; then keeps the best.

    Safe to use from several threads.

    Args:
        sizes: the candidates, ascending; a single one is a fixed size.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self._lock = threading.Lock()
        self._sizes = sizes
        self._place = 0
        self._left = {"warm-up": _WARM_UPS, "trial": _TRIALS}
        self._speeds: dict[int, float] = {}
        self._decided = sizes[0] if len(sizes) == 1 else None

    @property
    def size(self) -> int:
        """How many images the next batch should have at most."""
        return self._decided or self._sizes[self._place]

    @property
    def trying(self) -> bool:
        """Whether batches are still to be timed."""
        return self._decided is None

    def report(self, size: int, seconds: float) -> None:
        """What a batch took; batches of other sizes than the one being tried don't count."""
        with self._lock:
            if self._decided is not None or size != self._sizes[self._place]:
                return
            if self._left["warm-up"]:
                self._left["warm-up"] -= 1
                return
            self._speeds[size] = max(self._speeds.get(size, 0.0), size / seconds)
            self._left["trial"] -= 1
            if not self._left["trial"]:
                self._next()

    def too_large(self, size: int) -> None:
        """A batch of that size found no memory: from now on at most half of it.

        Raises:
            MemoryError: it was a single image.
        """
        if size <= 1:
            raise MemoryError("there is no memory for a batch of a single image")
        with self._lock:
            if self.size > size // 2:
                self._decided = size // 2

    def _next(self) -> None:
        best = max(self._speeds, key=lambda size: (self._speeds[size], -size))
        for size in sorted(self._speeds):
            if self._speeds[size] * _PAYS >= self._speeds[best]:
                best = size
                break
        last = self._sizes[self._place]
        if self._place + 1 == len(self._sizes) or best != last:
            self._decided = best
            return
        self._place += 1
        self._left = {"warm-up": _WARM_UPS, "trial": _TRIALS}


# A compiled model is fast at one size only, and each size costs a compilation.
_COMPILED_SIZES = {"cpu": 16, "cuda": 128}


class ValidationError(Exception):
    """A variant can't be run on images; one line says why."""


class Classifier:
    """A model that turns batches into logits.

    Args:
        builder: who builds the variant.
        name: of the variant.
        checkpoint: its weights.
        device: where it runs.
        amp: see `harness.measure.devices.precision`.
        compiled: run it through ``torch.compile``.
        batch_size: at most so many images at once; None finds it by measuring.
        entry: which of the file's state dicts, None for the usual one.

    Attributes:
        entry: which it is, ``""`` where the file is one.
        others: those of the same network that it is not.

    Raises:
        zoo.errors.CheckpointError: the file does not hold the variant's weights.
        Exception: what the builder raises.
    """

    def __init__(
        self,
        builder: Builder,
        name: str,
        checkpoint: Path,
        *,
        device: torch.device,
        amp: Amp,
        compiled: bool,
        batch_size: int | None,
        entry: str | None = None,
    ) -> None:
        import torch

        self.name = name
        self.device = device
        self.amp = amp
        self.compiled = compiled
        contents = read_checkpoint(checkpoint, entry=entry)
        self.entry, self.others = "", list[str]()
        if isinstance(contents, CheckpointInfo):  # Else loading it says what is wrong.
            self.entry, self.others = contents.container, list(contents.others)
        model = load_model(builder, name, checkpoint, entry)
        model = model.to(device)
        model = model.to(memory_format=torch.channels_last)
        self.rescorer = Float64Rescorer(model)
        self._run: Any = model
        if compiled:
            options: Any = {"freezing": True} if device.type == "cpu" else None
            self._run = torch.compile(model, dynamic=False, options=options)
        self._fixed = batch_size
        self._tuners: dict[tuple[int, int], BatchTuner] = {}

    def tuner(self, image_size: tuple[int, int]) -> BatchTuner:
        """What chooses the batch size for inputs of that size; kept as long as the model is."""
        if image_size not in self._tuners:
            sizes: tuple[int, ...] = CPU_SIZES if self.device.type == "cpu" else GPU_SIZES
            if self.compiled:
                sizes = (_COMPILED_SIZES.get(self.device.type, 16),)
            if self._fixed is not None:
                sizes = (self._fixed,)
            self._tuners[image_size] = BatchTuner(sizes)
        return self._tuners[image_size]

    def logits(self, inputs: Tensor, size: int) -> Tensor:
        """The logits (n, classes) of at most ``size`` inputs (n, 3, height, width).

        Raises:
            ValidationError: the model gives something else than logits.
        """
        import torch

        count = len(inputs)
        if self.compiled and count < size:
            fill = inputs.new_zeros((size - count, *inputs.shape[1:]))
            inputs = torch.cat([inputs, fill]).contiguous(memory_format=torch.channels_last)
        with precision(self.device, self.amp):
            found = self._run(inputs)
        if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(inputs):
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ValidationError(
                f"{self.name}: it gives {shape} for a batch of {len(inputs)} images; a "
                "classifier gives one row of logits for each"
            )
        return found[:count]


def load_model(
    builder: Builder, name: str, checkpoint: Path, entry: str | None = None
) -> nn.Module:
    """Builds a variant in evaluation mode on the CPU, with its weights and nothing initialised.

    Raises:
        zoo.errors.CheckpointError: the file does not hold the variant's weights.
        Exception: what the builder raises.
    """
    model = build_on_meta(builder, name)
    load_into(model, checkpoint, entry=entry)
    if any(tensor.is_meta for tensor in _tensors(model)):
        # Something that no checkpoint holds, such as a table of positions, has a value that only
        # the constructor knows.
        with without_initialisation():
            model = builder.build(name).eval()
        load_into(model, checkpoint, entry=entry)
    return model.requires_grad_(False)


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    import torch

    attributes = (value for module in model.modules() for value in vars(module).values())
    plain = (value for value in attributes if isinstance(value, torch.Tensor))
    return chain(model.parameters(), model.buffers(), plain)
