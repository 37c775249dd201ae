"""How images come to a device and answers come back.

On a CPU they are there. A GPU works by itself: copies in both directions are only begun here, on
pinned memory that is used again and again, and events say when they have ended. So that the device
never runs dry, the host must not wait for what it has just begun: see `CudaLane.steady`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from harness.measure.cuda import on_device

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

Arriving = Callable[[], "NDArray[np.float64]"]
"""Waits for what a device was asked for, and returns it."""


class Lane:
    """To a device that shares the memory, and the time, of the host.

    Attributes:
        ahead: batches that the device may have before it: enough to hide the host, few enough to
            fit.
        overlaps: the device works while the host goes on.
    """

    ahead = 0
    overlaps = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def pixels(self, count: int, height: int, width: int) -> Tensor | None:
        """Memory for images, uint8 (count, height, width, 3), or None for any; `release` it."""

    def release(self, pixels: Tensor) -> None:
        """Use memory of `pixels` again, as soon as all that was begun on it has ended."""

    def upload(self, begin: Callable[[], Tensor]) -> Tensor:
        """What ``begin`` makes of images on their way to the device, to be used there from now.

        Keep it until what was made of it has arrived: its memory is not the calculation's.
        """
        return begin()

    def download(self, rows: Tensor) -> Arriving:
        """Begin to fetch what is, or will be, in a tensor of the device."""
        found: NDArray[np.float64] = rows.numpy()
        return lambda: found

    def wait(self) -> None:
        """Wait for the device to end all that it has before it."""

    def current(self) -> AbstractContextManager[object]:
        """Within it, what this thread begins is the device's."""
        return on_device(self.device)

    def beside(self) -> AbstractContextManager[object]:
        """As `current`, for work that is waited for and has nothing to do with the model's."""
        return self.current()

    def steady(self) -> AbstractContextManager[object]:
        """Within it nothing may wait for the device but an `Arriving`."""
        return nullcontext()


class CudaLane(Lane):
    """To a GPU: one stream for copies, and a ring of pinned memory, kept as long as it is.

    Args:
        device: the GPU.
        strict: have CUDA raise an error where anything waits for the device in `steady`.
        cuda: the interface to streams and events.
    """

    ahead = 2
    overlaps = True

    def __init__(self, device: torch.device, *, strict: bool = False, cuda: Any = None) -> None:
        import torch

        super().__init__(device)
        self._strict = strict
        self._cuda = cuda or torch.cuda
        self._copies = self._cuda.Stream(device)
        self._lock = threading.Lock()
        self._free: list[tuple[Tensor, Any]] = []
        self._given: dict[int, Tensor] = {}  # By the address of what was made of it.
        self._own = threading.local()

    def pixels(self, count: int, height: int, width: int) -> Tensor:
        """See `Lane`; of the ring, and so not blank."""
        import torch

        return self._taken((count, height, width, 3), torch.uint8)

    def release(self, pixels: Tensor) -> None:
        """See `Lane`."""
        self._give(pixels, self._recorded(self._copies))

    def upload(self, begin: Callable[[], Tensor]) -> Tensor:
        """See `Lane`; on the stream of copies, beside what the device calculates."""
        with self._cuda.stream(self._copies):
            found = begin()
        self._cuda.current_stream(self.device).wait_stream(self._copies)
        return found

    def download(self, rows: Tensor) -> Arriving:
        """See `Lane`."""
        host = self._taken(tuple(rows.shape), rows.dtype)
        host.copy_(rows, non_blocking=True)
        event = self._recorded(self._cuda.current_stream(self.device))

        def arrived() -> NDArray[np.float64]:
            event.synchronize()
            found: NDArray[np.float64] = host.numpy().copy()
            self._give(host, None)
            return found

        return arrived

    def wait(self) -> None:
        """See `Lane`."""
        self._cuda.synchronize(self.device)

    @contextmanager
    def beside(self) -> Iterator[None]:
        """See `Lane`; on a stream of this thread's own.

        All threads have one stream by default: to wait for an image there is to wait for all
        batches that were begun before it.
        """
        with self.current():
            if not hasattr(self._own, "stream"):
                self._own.stream = self._cuda.Stream(self.device)
            with self._cuda.stream(self._own.stream):
                yield

    @contextmanager
    def steady(self) -> Iterator[None]:
        """See `Lane`; what waits otherwise is an error where the lane is strict.

        It is the whole process that CUDA watches: no other thread may wait for the device either.
        """
        if not self._strict:
            yield
            return
        before = self._cuda.get_sync_debug_mode()
        self._cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            self._cuda.set_sync_debug_mode(before)

    def _recorded(self, stream: Any) -> Any:
        event = self._cuda.Event(blocking=True)  # It sleeps: the decoders want the core.
        event.record(stream)
        return event

    def _taken(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Memory of the ring that is free and large enough, or new."""
        size = math.prod(shape) * dtype.itemsize
        with self._lock:
            fit = next((n for n, (m, _) in enumerate(self._free) if size <= len(m) <= 4 * size), -1)
            memory, event = self._free.pop(fit) if fit >= 0 else (None, None)
        if memory is None:
            memory = self._pinned(1 << max(0, size - 1).bit_length())
        if event is not None:
            event.synchronize()
        found = memory[:size].view(dtype).view(shape)
        with self._lock:
            self._given[found.data_ptr()] = memory
        return found

    def _give(self, taken: Tensor, event: Any) -> None:
        with self._lock:
            self._free.append((self._given.pop(taken.data_ptr()), event))
            del self._free[:-_MOST_FREE]

    def _pinned(self, size: int) -> Tensor:
        import torch

        with self.current():  # Memory is pinned for the current device.
            return torch.empty(size, dtype=torch.uint8, pin_memory=True)


# Pieces of pinned memory that nothing uses; a batch takes two.
_MOST_FREE = 64


def lane_to(device: torch.device, *, strict: bool = False) -> Lane:
    """The way to a device."""
    return CudaLane(device, strict=strict) if device.type == "cuda" else Lane(device)
