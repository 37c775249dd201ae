"""The clock of a GPU, on one that is played: it is sent passes, and does them in its own time."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest
import torch

from harness.measure.clocks import CudaClock

PASS_S = 0.01
CAPTURING = "CUDA error: operation not permitted when stream is capturing"


class Gpu:
    """Passes that it was sent, and when it will have done them."""

    def __init__(self):
        self.sent, self.free = 0, 0.0
        self.current = "usual"

    def send(self):
        self.sent += 1
        self.free = max(self.free, time.perf_counter()) + PASS_S

    def wait(self):
        left = self.free - time.perf_counter()
        assert left < 1, f"{left:.0f} s of work are waited for"
        time.sleep(max(0.0, left))


@pytest.fixture
def gpu(monkeypatch):
    """In torch's place: events, streams and graphs, of which a failing one keeps its stream."""
    played = Gpu()

    class Event:
        def __init__(self, enable_timing=False):
            pass

        def record(self):
            self.at = max(played.free, time.perf_counter())

        def synchronize(self):
            time.sleep(max(0.0, self.at - time.perf_counter()))

        def elapsed_time(self, end):
            return 1e3 * (end.at - self.at)

    class Stream(str):
        def wait_stream(self, other):
            pass

    @contextmanager
    def stream(wanted):
        before, played.current = played.current, wanted
        try:
            yield
        finally:
            played.current = before

    @contextmanager
    def graph(recorded):
        played.current = "recording"
        yield
        played.current = "usual"

    class Graph:
        def replay(self):
            played.send()

    for name, value in {
        "Event": Event,
        "Stream": lambda device: Stream("aside"),
        "current_stream": lambda device: Stream(played.current),
        "stream": stream,
        "graph": graph,
        "CUDAGraph": Graph,
        "synchronize": lambda device: played.wait(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return played


def test_a_pass_that_is_sent_at_once_is_not_sent_without_end(gpu):
    """A graph is sent in microseconds: minutes of work would be waited for at the end."""
    begin = time.perf_counter()
    found = CudaClock(torch.device("cuda", 0)).timed(gpu.send, 0.4)
    assert time.perf_counter() - begin < 30
    assert found.passes == gpu.sent
    # It never runs dry: each second has as many passes as it can do.
    assert all(0.3 / PASS_S < rate < 1.05 / PASS_S for rate in found.per_second)


def test_a_model_that_can_not_be_recorded_has_no_latency_of_a_graph(gpu):
    clock = CudaClock(torch.device("cuda", 0))
    assert min(clock.graph_latencies(gpu.send, 0.1)) > 0.9 * PASS_S

    def refuse(error):
        def call():
            if gpu.current == "recording":
                raise error

        return call

    for error in (torch.AcceleratorError(CAPTURING), torch.OutOfMemoryError("CUDA out of memory")):
        assert clock.graph_latencies(refuse(error), 0.1) is None
        assert gpu.current == "usual"
    with pytest.raises(torch.AcceleratorError, match="illegal"):
        clock.graph_latencies(
            refuse(torch.AcceleratorError("CUDA error: an illegal memory access")), 0.1
        )
