"""A GPU that is none: work is the CPU's, and yet what was not waited for has not arrived."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.measure.accuracy.lanes import CudaLane

# What a host can't do without waiting for the device.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "is_nonzero")


class FakeStream:
    def __init__(self, device=None):
        self.queue = []

    def wait_stream(self, other):
        other.run(len(other.queue))

    def run(self, count):
        for work in self.queue[:count]:
            work()
        self.queue[:count] = [lambda: None] * count


class FakeCuda:
    """Streams and events as `torch.cuda` has them, and what was waited for.

    Attributes:
        waits: of each event that was waited for in the steady state, how many were recorded on its
            stream since.
        synchronized: how often all was waited for.
    """

    Stream = FakeStream

    def __init__(self):
        self.now = self.compute = FakeStream()
        self.waits = []
        self.synchronized = 0
        self.recorded = {}
        self.steady = threading.local()

    def Event(self, blocking=False):
        return FakeEvent(self)

    @contextmanager
    def stream(self, stream):
        before, self.now = self.now, stream
        yield
        self.now = before

    def current_stream(self, device=None):
        return self.now

    def synchronize(self, device=None):
        assert not self.is_steady(), "it waits for all that the device has before it"
        self.synchronized += 1
        self.compute.run(len(self.compute.queue))

    def is_steady(self):
        return getattr(self.steady, "on", False)


class FakeEvent:
    def __init__(self, cuda):
        self.cuda = cuda

    def record(self, stream):
        self.stream, self.place = stream, len(stream.queue)
        self.number = self.cuda.recorded[stream] = self.cuda.recorded.get(stream, 0) + 1

    def synchronize(self):
        if self.cuda.is_steady():
            self.cuda.waits.append(self.cuda.recorded[self.stream] - self.number)
        self.stream.run(self.place)


class Watch(TorchDispatchMode):
    """Refuses what waits, and lets a copy that does not wait arrive when its event does."""

    def __init__(self, cuda):
        super().__init__()
        self.cuda = cuda

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in WAITING:
            raise AssertionError(f"{name} waits for the device")
        if name in ("index", "index_put_") and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        ):
            raise AssertionError("indexing with a mask waits for the device")
        if name == "copy_" and (kwargs.get("non_blocking") or args[2:3] == (True,)):
            target, source = args[0], args[1].clone()
            target.view(torch.uint8).fill_(0xA5)
            self.cuda.now.queue.append(lambda: target.copy_(source))
            return target
        return func(*args, **kwargs)


class FakeLane(CudaLane):
    """The way to it, with all that the real one does.

    Attributes:
        pinned: how often memory was pinned.
    """

    def __init__(self):
        super().__init__(torch.device("cpu"), cuda=FakeCuda())
        self.cuda = self._cuda
        self.pinned = 0

    @contextmanager
    def steady(self):
        self.cuda.steady.on = True
        try:
            with Watch(self.cuda):
                yield
        finally:
            self.cuda.steady.on = False

    def _pinned(self, size):
        self.pinned += 1
        return torch.full((size,), 0xA5, dtype=torch.uint8)
