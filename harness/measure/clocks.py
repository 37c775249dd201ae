"""Clocks for the passes of a model: on the CPU, and on a GPU, which is sent its work ahead of time.

With them goes what the memory of a pass is read from.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.measure import machine
from harness.measure.cuda import ending

if TYPE_CHECKING:
    import torch

REPEATS = 5
BEST = 0  # In place of a batch size: the one that the tuner of `zoo validate` would take.
_STEADY = 0.05  # of the median, between two windows of a warm-up
_WINDOW = 3
_MIN_PASSES = 1  # per repeat: a large model takes a minute for each on a CPU
_SAMPLE_S = 0.002
_BEFORE_CAPTURE = 3
_NEGLIGIBLE = 0.2  # of a core: what a system does beside anything
_OWN_OF_CUDA = 2 << 30  # bytes that the driver and libraries may hold for a process
_AHEAD = 8  # Passes that a GPU may have before it: enough to hide the host.
_LEAST_ENERGY_S = 1.0  # NVML brings its count up to date some ten times a second.


def warm_up(one_pass: Callable[[], float], limit: float, least: float = 0.0) -> int:
    """Run passes until two windows of them take equally long.

    Args:
        one_pass: runs one, and returns what it took.
        limit: seconds that this may take, at least two passes.
        least: seconds that it takes in any case: a GPU changes its clock rate only then.

    Returns:
        How many passes it took.
    """
    times: list[float] = []
    begin = time.perf_counter()
    limit = max(limit, least)
    while (elapsed := time.perf_counter() - begin) < limit or len(times) < 2:
        times.append(one_pass())
        if len(times) >= 2 * _WINDOW and elapsed >= least:
            last = statistics.median(times[-_WINDOW:])
            earlier = statistics.median(times[-2 * _WINDOW : -_WINDOW])
            if abs(last - earlier) <= _STEADY * last:
                break
    return len(times)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` of them don't exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@dataclass(frozen=True, slots=True)
class Times:
    """Of single passes, in seconds; passes a second, of each repeat; joules of a pass."""

    latencies: list[float]
    per_second: list[float]
    passes: int
    joules: float | None = None


class CpuClock:
    """Times passes on the CPU, where each ends before the next one begins."""

    batch_sizes: tuple[int, ...] = (1, 8, 32)
    candidates: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    least_warm_up = 0.0

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def facts(self) -> dict[str, Any]:
        return {}

    def memory(self) -> ResidentMemory:
        return ResidentMemory()

    def one(self, call: Callable[[], Any]) -> float:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    def timed(self, call: Callable[[], Any], seconds: float) -> Times:
        repeats = [self._alone(call, seconds / REPEATS) for _ in range(REPEATS)]
        passes = [each for repeat in repeats for each in repeat]
        return Times(passes, [len(each) / sum(each) for each in repeats], len(passes))

    def _alone(self, call: Callable[[], Any], seconds: float) -> list[float]:
        """Passes, each of which is waited for."""
        passes: list[float] = []
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds or len(passes) < _MIN_PASSES:
            passes.append(self.one(call))
        return passes

    def graph_latencies(self, call: Callable[[], Any], seconds: float) -> list[float] | None:
        return None


class CudaClock(CpuClock):
    """Times passes on a GPU: one by one by its own events, many by the clock on the wall."""

    batch_sizes = (1, 32, 256, BEST)
    candidates = (16, 32, 64, 128, 256, 512, 1024, 2048)
    least_warm_up = 1.0

    def memory(self) -> ResidentMemory:
        return CudaMemory(self.device)

    def one(self, call: Callable[[], Any]) -> float:
        """The device's own time of a pass: what the host does beside it doesn't count."""
        import torch

        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        call()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3

    def timed(self, call: Callable[[], Any], seconds: float) -> Times:
        latencies = self._alone(call, seconds / 2)
        number = self.device.index or 0
        before, begin = machine.energy(number), time.perf_counter()
        runs = [self._in_a_row(call, seconds / 2 / REPEATS) for _ in range(REPEATS)]
        took, after = time.perf_counter() - begin, machine.energy(number)
        passes = sum(count for count, _ in runs)
        known = before is not None and after is not None and took >= _LEAST_ENERGY_S
        return Times(
            latencies,
            [count / wall for count, wall in runs],
            len(latencies) + passes,
            (after - before) / passes if known else None,  # type: ignore[operator]
        )

    def _in_a_row(self, call: Callable[[], Any], seconds: float) -> tuple[int, float]:
        """Passes that are sent before those before them end; how many, and the time.

        Not too many: a pass of a few kernels is sent a thousand times as fast as it is done, and
        the last of them would be waited for long after the time.
        """
        import torch

        sent: deque[torch.cuda.Event] = deque()
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds or count < _MIN_PASSES:
            if len(sent) == _AHEAD:
                sent.popleft().synchronize()
            call()
            sent.append(torch.cuda.Event())  # type: ignore[no-untyped-call]
            sent[-1].record()
            count += 1
        torch.cuda.synchronize(self.device)
        return count, time.perf_counter() - begin

    def graph_latencies(self, call: Callable[[], Any], seconds: float) -> list[float] | None:
        """Of a pass that is recorded once, and sent as a whole; None where it can't be.

        To be asked for last: torch's allocator may not find back from a recording that fails.
        """
        import torch

        current = torch.cuda.current_stream(self.device)
        try:
            aside = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                for _ in range(_BEFORE_CAPTURE):
                    call()
            current.wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Of its own accord torch stays on the stream of a recording that fails.
            with torch.cuda.stream(current), torch.cuda.graph(graph):
                call()
            return self._alone(graph.replay, seconds / REPEATS)
        except RuntimeError as error:
            if ending(error):
                raise
            return None  # A recording also needs memory of its own.


def usual_batches(device: str) -> tuple[int, ...]:
    """The batch sizes that are timed where none are said, on a device as the option names it."""
    return (CpuClock if machine.resolve(device) is None else CudaClock).batch_sizes


def clock_of(device: torch.device) -> CpuClock:
    return CudaClock(device) if device.type == "cuda" else CpuClock(device)


class ResidentMemory:
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

    @property
    def peaks(self) -> dict[str, int | None]:
        """What was found, by the names that a timing has for it."""
        return {"peak_memory": self.peak, "peak_reserved": None}

    def _watch(self) -> None:
        assert self._start is not None
        most = 0
        while not self._ended.wait(_SAMPLE_S):
            most = max(most, (resident_bytes() or 0) - self._start)
        self.peak = most


class CudaMemory(ResidentMemory):
    """The most that was allocated on the device within the block, and reserved for it."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device
        self._reserved: int | None = None

    def __enter__(self) -> None:
        import torch

        torch.cuda.empty_cache()  # What a larger batch had reserved.
        torch.cuda.reset_peak_memory_stats(self._device)

    def __exit__(self, *_: object) -> None:
        import torch

        self.peak = torch.cuda.max_memory_allocated(self._device)
        self._reserved = torch.cuda.max_memory_reserved(self._device)

    @property
    def peaks(self) -> dict[str, int | None]:
        return {"peak_memory": self.peak, "peak_reserved": self._reserved}


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


class Contention:
    """Whether other programs used, within the block, what is timed in it.

    On the CPU it is asked of the cores that this process may use, on a GPU of its memory.

    Attributes:
        found: None where the system doesn't tell.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before: tuple[float, float] | None = None
        self.found: bool | None = None

    def __enter__(self) -> Contention:
        if self._device.type == "cpu":
            self._before = _others_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        import torch

        if self._device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self._device)
            own = torch.cuda.memory_reserved(self._device)
            self.found = total - free - own > _OWN_OF_CUDA
        elif self._before is not None and (after := _others_seconds()) is not None:
            begin, used = self._before
            spare = len(os.sched_getaffinity(0)) - torch.get_num_threads()
            others = (after[1] - used) / max(after[0] - begin, 1e-9)
            self.found = others > max(0, spare) + _NEGLIGIBLE


def _others_seconds() -> tuple[float, float] | None:
    """Now, and how long others have kept the cores of this process busy, in all; if Linux tells."""
    if not sys.platform.startswith("linux"):
        return None
    mine, busy = {f"cpu{number}" for number in os.sched_getaffinity(0)}, 0
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *ticks = line.split()
        if name in mine:
            # User, nice, system, idle, waiting, interrupts (two kinds), stolen; guests are users.
            busy += sum(map(int, ticks[:8])) - int(ticks[3]) - int(ticks[4])
    return time.perf_counter(), busy / os.sysconf("SC_CLK_TCK") - time.process_time()
