"""How fast a variant runs: images per second, latency and memory, with what they depend on.

Speed doesn't depend on the values of the weights, so a model is timed as it is initialised.
"""

from __future__ import annotations

import math
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure.builders import builder_of
from harness.measure.devices import (
    Amp,
    choose_device,
    environment,
    full_float32,
    keep_freed_memory,
    precision,
    release_memory,
)
from zoo._util.memory import is_out_of_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from harness.measure.builders import Builder
    from harness.types import Recipe, Size

REPEATS = 5
_STEADY = 0.05  # of the median, between two windows of a warm-up
_WINDOW = 3
_MIN_PASSES = 5  # per repeat: fewer have no percentiles
_SAMPLE_S = 0.002


def bench(
    recipe: Recipe,
    *,
    device: str = "auto",
    batch_sizes: Sequence[int] = (1, 8, 32),
    precision: Amp = "off",
    image_size: Size | None = None,
    seconds: float = 5.0,
    compile: bool = False,
    threads: int | None = None,
    builder: Builder | None = None,
    heard: Callable[[int, float | None], None] = lambda batch, speed: None,
) -> list[dict[str, Any]]:
    """Time a variant's forward pass, once per batch size.

    A batch size is warmed up until its passes take equally long, then timed in `REPEATS` runs. The
    input is random, in ``channels_last``, and on the device already. Process-wide settings are
    changed, so this is for a process that only measures.

    Args:
        recipe: the variant.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        batch_sizes: images per pass.
        precision: ``off`` for float32; ``bf16`` or ``fp16`` for autocast.
        image_size: (height, width) of the input; None takes the recipe's, else 224x224.
        seconds: how long to time each batch size, warm-up not counted.
        compile: run the model through ``torch.compile``.
        threads: of torch, on the CPU; None leaves them as they are.
        builder: builds the variant; by default the one that the recipe names.
        heard: called after each batch size with it and its images per second, None where it failed.

    Returns:
        One dict per batch size: ``batch``, ``precision``, ``image_size``, ``compiled``,
        ``images_per_second`` (the median of the repeats, whose lowest and highest are in
        ``images_per_second_range``), ``latency_ms`` (of one pass: ``p50``, ``p90``, ``p99``),
        ``passes`` (how many were timed), ``peak_memory`` (bytes: on CUDA those allocated at most,
        weights included; on the CPU by how much the process grew above its size with the model
        loaded; None where the system reports none), ``weights`` (``random``), ``environment``.
        A batch that doesn't fit has ``failed`` (one line) instead of the figures.

    Raises:
        DeviceError: there is no such device.
        ValueError: an argument is out of range.
        Exception: what the builder or the model raises.
    """
    import torch

    if not batch_sizes or min(batch_sizes) < 1 or seconds <= 0:
        raise ValueError(
            f"batch sizes {list(batch_sizes)}, {seconds} seconds: both must be above 0"
        )
    target = choose_device(device)
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    full_float32()
    if target.type == "cpu":
        keep_freed_memory()
    try:
        model = (builder or builder_of(recipe)).build(recipe.name).eval()
        model = model.requires_grad_(False).to(target).to(memory_format=torch.channels_last)
        about = {
            "precision": precision,
            "image_size": list(image_size or recipe.image_size or (224, 224)),
            "compiled": compile,
            "weights": "random",
            "environment": environment(target),
        }
        run: Any = torch.compile(model, dynamic=False) if compile else model
        timings: list[dict[str, Any]] = []
        for size in batch_sizes:
            timings.append({"batch": size, **_figures(run, target, size, about, seconds)})
            heard(size, timings[-1].get("images_per_second"))
        return timings
    finally:
        torch.set_num_threads(before)


def _figures(
    model: nn.Module, device: torch.device, size: int, about: dict[str, Any], seconds: float
) -> dict[str, Any]:
    import torch

    height, width = about["image_size"]
    memory = _CudaMemory(device) if device.type == "cuda" else _ResidentMemory()
    try:
        with torch.inference_mode(), precision(device, about["precision"]):
            inputs = torch.randn(size, 3, height, width, device=device)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            timer = _cuda_pass if device.type == "cuda" else _cpu_pass
            with memory:  # Not while it counts: watching takes time.
                warm_up(lambda: timer(model, inputs), limit=seconds)
            repeats = _repeats(lambda: timer(model, inputs), seconds / REPEATS)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error, images=size):
            raise
        release_memory(device)
        return {**about, "failed": f"there is no memory for a batch of {size}"}
    speeds = [size * len(passes) / sum(passes) for passes in repeats]
    passes = sorted(t for repeat in repeats for t in repeat)
    return {
        **about,
        "images_per_second": statistics.median(speeds),
        "images_per_second_range": [min(speeds), max(speeds)],
        "latency_ms": {f"p{p}": 1e3 * percentile(passes, p) for p in (50, 90, 99)},
        "passes": len(passes),
        "peak_memory": memory.peak,
    }


def warm_up(one_pass: Callable[[], float], limit: float) -> int:
    """Run passes until two windows of them take equally long, at most ``limit`` seconds.

    Returns:
        How many passes it took.
    """
    times: list[float] = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < limit or len(times) < 2:
        times.append(one_pass())
        if len(times) >= 2 * _WINDOW:
            last = statistics.median(times[-_WINDOW:])
            earlier = statistics.median(times[-2 * _WINDOW : -_WINDOW])
            if abs(last - earlier) <= _STEADY * last:
                break
    return len(times)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` of them don't exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _repeats(one_pass: Callable[[], float], seconds: float) -> list[list[float]]:
    """The times of the passes of each repeat."""
    found = []
    for _ in range(REPEATS):
        passes: list[float] = []
        while sum(passes) < seconds or len(passes) < _MIN_PASSES:
            passes.append(one_pass())
        found.append(passes)
    return found


def _cpu_pass(model: nn.Module, inputs: Tensor) -> float:
    begin = time.perf_counter()
    model(inputs)
    return time.perf_counter() - begin


def _cuda_pass(model: nn.Module, inputs: Tensor) -> float:
    """The device's own time of a pass: what the host does beside it doesn't count."""
    import torch

    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    model(inputs)
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


class _CudaMemory:
    """The most that was allocated on the device within the block."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.peak: int | None = None

    def __enter__(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats(self._device)

    def __exit__(self, *_: object) -> None:
        import torch

        self.peak = torch.cuda.max_memory_allocated(self._device)


class _ResidentMemory:
    """By how much the process grew within the block, at most.

    Looked at all the time by a thread: the system's own record of the peak can't be reset
    everywhere, and would hide a small batch behind a large one before it.
    """

    def __init__(self) -> None:
        self.peak: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._start: int | None = None

    def __enter__(self) -> None:
        _give_back()
        self._start = resident_bytes()
        if self._start is not None:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._start is not None:
            self._thread.join()

    def _watch(self) -> None:
        assert self._start is not None
        most = 0
        while not self._ended.wait(_SAMPLE_S):
            most = max(most, (resident_bytes() or 0) - self._start)
        self.peak = most


def resident_bytes() -> int | None:
    """The memory that this process has in RAM, None where the system doesn't report it."""
    if not sys.platform.startswith("linux"):
        return None
    import resource

    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _give_back() -> None:
    """Have the C library return what earlier batches left with it."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
