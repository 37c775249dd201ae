"""A variant with its weights, ready to classify on a device, and its batch size there."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure.accuracy.scoring import Float64Rescorer
from harness.measure.devices import Amp, DeviceError, full_float32, precision
from harness.measure.meta import all_tensors, build_on_meta, without_initialisation
from zoo.weights.checkpoint import CheckpointInfo, read_checkpoint
from zoo.weights.load import load_into

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from harness.measure.builders import Builder

# On a CPU a small batch keeps activations in the caches; it is always the same one, since the last
# bits of a logit hang on it. On a GPU a large one fills the device.
CPU_SIZES: tuple[int, ...] = (4,)
GPU_SIZES: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024, 2048)
# How the channels lie in memory: which is faster depends on the model and the GPU. On a CPU it is
# always the first, for the same reason.
FORMATS: tuple[str, ...] = ("channels_last", "contiguous_format")
_PAYS = 1.05  # a larger batch takes more memory: it has to be this much faster
_FORMAT_PAYS = 1.02
_NEARLY = 7 / 8
_WARM_UPS = 1
_TRIALS = 4


class BatchTuner:
    """Tries sizes, the smallest first, until a larger one no longer pays; then the other formats.

    A batch that is nearly full tells as much as a full one, so that shards need not be a multiple
    of the size. Fewer images tell nothing: they are not timed, and take the best size so far. So
    few images decide nothing for many. Safe to use from several threads.

    Args:
        sizes: the candidates, ascending; a single one is a fixed size.
        formats: those of the memory, the usual one first.
    """

    def __init__(self, sizes: tuple[int, ...], formats: tuple[str, ...] = FORMATS[:1]) -> None:
        self._lock = threading.Lock()
        self._sizes, self._formats = sizes, formats
        self._best = sizes[0], formats[0]
        self._trial = self._best if len(sizes) > 1 or len(formats) > 1 else None
        self._left = _WARM_UPS + _TRIALS
        self._speeds: dict[tuple[int, str], float] = {}

    @property
    def size(self) -> int:
        """How many images a batch should have at most."""
        return (self._trial or self._best)[0]

    @property
    def best(self) -> int:
        """The best size that is known."""
        return self._best[0]

    @property
    def trying(self) -> bool:
        """Whether batches are still to be timed."""
        return self._trial is not None

    def plan(self, left: int) -> int:
        """How many images the next batch should have, of those that are left."""
        return self.size if self.times(left) else self._best[0]

    def times(self, images: int) -> bool:
        """Whether the time of a batch of so many images is asked for."""
        return self._trial is not None and images >= _NEARLY * self._trial[0]

    def format_of(self, images: int) -> str:
        """How a batch of so many images should lie in memory."""
        trial = self._trial
        return (trial if trial is not None and self.times(images) else self._best)[1]

    def report(self, images: int, seconds: float) -> None:
        """What a batch took."""
        with self._lock:
            if self._trial is None or not self.times(images):
                return
            self._left -= 1
            if self._left >= _TRIALS:
                return
            self._speeds[self._trial] = max(self._speeds.get(self._trial, 0.0), images / seconds)
            if not self._left:
                self._trial = self._next(*self._trial)

    def too_large(self, size: int) -> None:
        """A batch of that size found no memory: from now on at most half of it.

        Raises:
            MemoryError: it was a single image.
        """
        if size <= 1:
            raise MemoryError("there is no memory for a batch of a single image")
        with self._lock:
            if self.size > size // 2:
                self._best = min(self._best[0], size // 2), self._best[1]
                self._trial = self._other_format() if self._best in self._speeds else None

    def _next(self, size: int, layout: str) -> tuple[int, str] | None:
        """What is tried after a trial; the best so far is chosen."""
        usual = self._formats[0]
        if layout == usual:
            sizes = [each for each, of in self._speeds if of == usual]
            most = max(self._speeds[each, usual] for each in sizes)
            best = min(each for each in sizes if self._speeds[each, usual] * _PAYS >= most)
            self._best = best, usual
            larger = [each for each in self._sizes if each > size]
            if best == size and larger:
                self._left = _WARM_UPS + _TRIALS
                return larger[0], usual
        elif self._speeds[size, layout] >= self._speeds[self._best] * _FORMAT_PAYS:
            self._best = size, layout
        return self._other_format()

    def _other_format(self) -> tuple[int, str] | None:
        """The best size in a format that it was not tried in."""
        size = self._best[0]
        self._left = _WARM_UPS + _TRIALS
        rest = (each for each in self._formats if (size, each) not in self._speeds)
        return next(((size, each) for each in rest), None)


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
        amp: see `harness.measure.devices.precision`; it may be changed between batches.
        compiled: run it through ``torch.compile``.
        batch_size: at most so many images at once; None finds it by measuring.
        overlaps: the device works beside the host, and its batches are worth tuning.
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
        overlaps: bool = False,
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
        full_float32()  # The builder may have set it otherwise.
        model = model.to(device).to(memory_format=torch.channels_last)
        self._model, self._format = model, FORMATS[0]
        self.rescorer = Float64Rescorer(model)
        self._run: Any = model
        if compiled:
            options: Any = {"freezing": True} if device.type == "cpu" else None
            self._run = torch.compile(model, dynamic=False, options=options)
        self._fixed, self._overlaps = batch_size, overlaps
        self._tuners: dict[tuple[Amp, tuple[int, int]], BatchTuner] = {}

    def tuner(self, image_size: tuple[int, int]) -> BatchTuner:
        """What chooses the batch size for inputs of that size; kept as long as the model is."""
        key = self.amp, image_size
        if key not in self._tuners:
            sizes, formats = GPU_SIZES, FORMATS
            if not self._overlaps:
                sizes, formats = CPU_SIZES, FORMATS[:1]
            if self.compiled:  # For one size and one format.
                sizes, formats = (_COMPILED_SIZES.get(self.device.type, 16),), FORMATS[:1]
            if self._fixed is not None:
                sizes = (self._fixed,)
            self._tuners[key] = BatchTuner(sizes, formats)
        return self._tuners[key]

    def lay_out(self, layout: str) -> None:
        """Have the weights lie in memory in one of `FORMATS`, as the next inputs do."""
        import torch

        if layout != self._format:
            self._model.to(memory_format=getattr(torch, layout))
            self._format = layout

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
        try:
            with precision(self.device, self.amp):
                found = self._run(inputs)
        except RuntimeError as error:
            if self.amp == "off" or "not implemented for" not in str(error):
                raise
            why = str(error).splitlines()[0]
            raise DeviceError(f"{self.amp}: this {self.device.type} can't run it: {why}") from error
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
    if any(tensor.is_meta for tensor in all_tensors(model)):
        # Something that no checkpoint holds, such as a table of positions, has a value that only
        # the constructor knows.
        with without_initialisation():
            model = builder.build(name).eval()
        load_into(model, checkpoint, entry=entry)
    return model.requires_grad_(False)
