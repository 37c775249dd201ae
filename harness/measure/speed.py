"""How fast a variant runs: images per second, latency and memory, with what they depend on.

Speed doesn't depend on the values of the weights, so a model is timed as it is initialised where
its weights are not at hand. Where they are, what is timed also answers: on a few images its top-1
is compared with that of the plain model, since a fast model that answers otherwise is another one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.measure.builders import builder_of
from harness.measure.clocks import BEST, Contention, CpuClock, clock_of, percentile, warm_up
from harness.measure.cuda import on_device
from harness.measure.devices import (
    AMPS,
    Amp,
    choose_device,
    environment,
    full_float32,
    keep_freed_memory,
    release_memory,
)
from harness.measure.devices import precision as autocast
from zoo._util.memory import is_out_of_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from harness.measure.builders import Builder
    from harness.types import Recipe, Size

Layout = Literal["channels_last", "contiguous"]
Precision = Literal["float32", "bf16", "fp16"]
# Of a compiled model: some modes compile at the first, and record graphs at a later one.
_FIRST_PASSES = 3


def bench(
    recipe: Recipe,
    *,
    device: str = "auto",
    batch_sizes: Sequence[int] = (),
    amp: Amp = "off",
    precision: Precision = "float32",
    tf32: bool = False,
    layout: Layout = "channels_last",
    compile: str = "",
    image_size: Size | None = None,
    seconds: float = 5.0,
    threads: int | None = None,
    builder: Builder | None = None,
    checkpoint: Path | None = None,
    images: Tensor | None = None,
    heard: Callable[[int, float | None], None] = lambda batch, speed: None,
) -> list[dict[str, Any]]:
    """Time a variant's forward pass, once per batch size.

    A batch size is warmed up until its passes take equally long, then timed in five runs. The
    input is random, and on the device already. Process-wide settings are changed, so this is for a
    process that only measures.

    Args:
        recipe: the variant.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_sizes: images per pass; `BEST` stands for the size that pays most; none are those
            that are usual on the device.
        amp: ``bf16`` or ``fp16`` for autocast.
        precision: ``bf16`` or ``fp16`` casts the model and its input.
        tf32: let CUDA multiply float32 with TF32's 10 bits.
        layout: memory format of weights and input.
        compile: the mode of ``torch.compile``; empty runs the model as it is.
        image_size: (height, width) of the input; None takes the recipe's, else 224x224.
        seconds: how long to time each batch size, warm-up and compilation not counted.
        threads: of torch, on the CPU; None leaves them as they are.
        builder: builds the variant; by default the one that the recipe names.
        checkpoint: its weights, where they are at hand.
        images: (n, 3, height, width), prepared for the variant, to compare answers on.
        heard: called after each batch size with it and its images per second, None where it failed.

    Returns:
        One dict per batch size. What the figure depends on: ``batch``, ``best`` (whether it was
        `BEST`), ``precision`` (``off`` for float32, ``bf16`` or ``fp16``), ``amp`` (``off`` where
        the model itself was cast), ``layout``, ``compile`` (the mode, or None) and ``compiled``,
        ``image_size``, ``weights`` (``random`` or ``checkpoint``), ``environment``. The figure:
        ``images_per_second`` by the clock on the wall (the median of the repeats, whose lowest and
        highest are in ``images_per_second_range``), ``latency_ms`` of one pass (``p50``, ``p90``,
        ``p99``; on CUDA by the device's events), ``graph_latency_ms`` (the same from a CUDA graph,
        for a single image on CUDA; else None, as where it can't be captured or the model is
        compiled), ``passes`` (how many were timed), ``compile_seconds``, ``peak_memory`` (bytes:
        on CUDA those allocated at most, weights included; on the CPU by how much the process grew
        above its size with the model loaded; None where the system reports none),
        ``peak_reserved`` (on CUDA, by its allocator),
        ``contended`` (whether other programs used the same cores or GPU meanwhile, None where the
        system doesn't tell), ``joules_per_image`` (of the whole card, where NVML tells).
        ``agreement``: on how many of the ``images`` the top-1 is the ``same`` as the plain model's
        in float32; None where that was not asked, with ``not_compared`` to say why.
        A batch that doesn't fit has ``failed`` (one line) instead of the figure.

    Raises:
        DeviceError: there is no such device.
        ValueError: an argument is out of range.
        Exception: what the builder or the model raises.
    """
    import torch

    _require(batch_sizes, seconds, amp, precision)
    clock = clock_of(choose_device(device))
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    if clock.device.type == "cpu":
        keep_freed_memory()
    with ExitStack() as stack:
        stack.callback(torch.set_num_threads, before)
        stack.enter_context(on_device(clock.device))
        model = (builder or builder_of(recipe)).build(recipe.name).eval().requires_grad_(False)
        full_float32()  # The builder may have set it otherwise.
        about: dict[str, Any] = {
            "precision": amp if amp != "off" else "off" if precision == "float32" else precision,
            "amp": amp,
            "layout": layout,
            "compile": compile or None,
            "compiled": bool(compile),
            "image_size": list(image_size or recipe.image_size or (224, 224)),
            "weights": "random",
        }
        plain = _Plain.of(model, checkpoint, images, clock.device)
        about["weights"] = plain.weights
        full_float32(tf32=tf32)
        dtype = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        model = model.to(clock.device, dtype).to(memory_format=form)
        about["environment"] = environment(clock.device) | clock.facts()
        timed = _Timed(model, clock, about, dtype, form, seconds)
        sizes = list(batch_sizes or clock.batch_sizes)
        best = timed.best() if BEST in sizes else None
        timings: list[dict[str, Any]] = []
        for size in dict.fromkeys(best if each == BEST else each for each in sizes):
            assert size is not None
            figures = timed.figures(size, plain)
            timings.append({"batch": size, "best": size == best, **figures})
            heard(size, timings[-1].get("images_per_second"))
        for timing in timings:
            if timing["batch"] == 1 and "failed" not in timing:
                timing["graph_latency_ms"] = timed.graph_latency()
        return timings


def _require(sizes: Sequence[int], seconds: float, amp: Amp, precision: Precision) -> None:
    if (sizes and min(sizes) < 0) or seconds <= 0:
        raise ValueError(f"batch sizes {list(sizes)}, {seconds} seconds: both must be above 0")
    if amp not in AMPS:
        raise ValueError(f"amp must be one of {', '.join(AMPS)}, not {amp!r}")
    if amp != "off" and precision != "float32":
        raise ValueError(f"amp {amp} and a model in {precision}: choose one of them")


@dataclass(frozen=True, slots=True)
class _Plain:
    """What the plain model answers: in float32, not compiled, contiguous.

    Attributes:
        images: that it was asked about, if it was.
        top1: its answers.
        weights: that it has.
        why: it was not asked.
    """

    images: Tensor | None = None
    top1: Tensor | None = None
    weights: str = "random"
    why: str | None = "no weights are at hand"

    @classmethod
    def of(
        cls, model: nn.Module, checkpoint: Path | None, images: Tensor | None, device: torch.device
    ) -> _Plain:
        """Load the weights into a model, and have it answer."""
        import torch

        from zoo.errors import CheckpointError
        from zoo.weights.load import load_into

        if checkpoint is None:
            return cls()
        try:
            load_into(model, checkpoint)
        except CheckpointError as error:
            return cls(why=str(error))
        if images is None:
            return cls(weights="checkpoint", why="the sample images are not installed")
        model.to(device)
        with torch.inference_mode():
            found = [model(image[None].to(device)) for image in images]
        if any(not isinstance(one, torch.Tensor) or one.ndim != 2 for one in found):
            return cls(weights="checkpoint", why="it gives no logits")
        return cls(images, torch.cat(found).argmax(1).cpu(), "checkpoint", None)

    def agreement(self, run: Callable[[Tensor], Any], size: int, form: Any) -> dict[str, int]:
        """How often what is timed answers the same; in batches of that size, as it is timed."""
        import torch

        assert self.images is not None
        assert self.top1 is not None
        same = 0
        for begin in range(0, len(self.images), size):
            batch = self.images[begin : begin + size]
            rows = torch.arange(size) % len(batch)
            found = run(batch[rows].contiguous(memory_format=form))[: len(batch)].argmax(1).cpu()
            same += int((found == self.top1[begin : begin + size]).sum())
        return {"images": len(self.images), "same": same}


@dataclass(slots=True)
class _Timed:
    """A model as it is timed."""

    model: nn.Module
    clock: CpuClock
    about: dict[str, Any]
    dtype: torch.dtype | None
    form: Any
    seconds: float

    def inputs(self, size: int) -> Tensor:
        import torch

        shape = (size, 3, *self.about["image_size"])
        made = torch.randn(shape, device=self.clock.device, dtype=self.dtype)
        return made.contiguous(memory_format=self.form)

    def best(self) -> int:
        """The batch size that the tuner of validations chooses, for the model as it is."""
        import torch

        from harness.measure.accuracy.classifier import BatchTuner

        tuner, inputs = BatchTuner(self.clock.candidates), None
        with torch.inference_mode(), autocast(self.clock.device, self.about["amp"]):
            while tuner.trying:
                size = tuner.size
                try:
                    if inputs is None or len(inputs) != size:
                        inputs = None  # Freed before the next one takes its memory.
                        inputs = self.inputs(size)
                    tuner.report(size, self.clock.one(partial(self.model, inputs)))
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error, images=size):
                        raise
                    inputs = None
                    release_memory(self.clock.device)
                    tuner.too_large(size)
        return tuner.size

    def figures(self, size: int, plain: _Plain) -> dict[str, Any]:
        import torch

        clock, about = self.clock, self.about
        run: Any = self.model
        if about["compile"]:
            torch.compiler.reset()  # A size too many would be run as it is, without a word.
            run = torch.compile(self.model, dynamic=False, mode=about["compile"])
        memory = clock.memory()
        agreement = compile_seconds = None
        try:
            with torch.inference_mode(), autocast(clock.device, about["amp"]):
                inputs = self.inputs(size)
                call = partial(run, inputs)
                if about["compile"]:
                    begin = time.perf_counter()
                    for _ in range(_FIRST_PASSES):
                        clock.one(call)
                    compile_seconds = time.perf_counter() - begin
                with memory:  # Not while it counts: watching takes time.
                    warm_up(lambda: clock.one(call), self.seconds, clock.least_warm_up)
                with Contention(clock.device) as contention:
                    found = clock.timed(call, self.seconds)
                if plain.images is not None:
                    agreement = plain.agreement(
                        lambda x: run(x.to(clock.device, self.dtype)), size, self.form
                    )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error, images=size):
                raise
            release_memory(clock.device)
            return {**about, "failed": f"there is no memory for a batch of {size}"}
        speeds = [size * each for each in found.per_second]
        return {
            **about,
            "images_per_second": statistics.median(speeds),
            "images_per_second_range": [min(speeds), max(speeds)],
            "latency_ms": _percentiles(found.latencies),
            "graph_latency_ms": None,
            "passes": found.passes,
            "compile_seconds": compile_seconds,
            **memory.peaks,
            "contended": contention.found,
            "joules_per_image": None if found.joules is None else found.joules / size,
            "agreement": agreement,
            "not_compared": plain.why,
        }

    def graph_latency(self) -> dict[str, float] | None:
        """Of a single image; a compiled model may use graphs of its own."""
        import torch

        if self.about["compile"]:
            return None
        with torch.inference_mode(), autocast(self.clock.device, self.about["amp"]):
            call = partial(self.model, self.inputs(1))
            found = self.clock.graph_latencies(call, self.seconds)
        return None if found is None else _percentiles(found)


def _percentiles(passes: Sequence[float]) -> dict[str, float]:
    ordered = sorted(passes)
    return {f"p{p}": 1e3 * percentile(ordered, p) for p in (50, 90, 99)}
