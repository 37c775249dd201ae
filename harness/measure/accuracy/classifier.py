"""A variant with its weights, ready to answer on a device."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure.accuracy.batch_size import CPU_SIZES, GPU_SIZES, BatchTuner
from harness.measure.accuracy.scoring import Float64Rescorer
from harness.measure.devices import Amp, precision
from harness.measure.meta import build_on_meta, without_initialisation
from zoo.weights.checkpoint import CheckpointInfo, read_checkpoint
from zoo.weights.load import load_into

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from harness.measure.builders import Builder

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
        self.referee = Float64Rescorer(model)
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
