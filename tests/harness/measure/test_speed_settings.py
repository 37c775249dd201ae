"""A model is timed as it was asked to be run, and answers as it is timed."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from harness.measure import clocks, machine, speed
from harness.measure.builders.native import NativeBuilder
from harness.measure.clocks import BEST, CudaClock, usual_batches, warm_up
from harness.measure.speed import bench
from harness.types import Recipe

CPU = torch.device("cpu")


class Net(nn.Module):
    """Ten logits of a convolution; it notes what it is given."""

    def __init__(self, limit=None, slip=1.0):
        super().__init__()
        self.conv = nn.Conv2d(3, 10, 3)
        self.limit, self.slip = limit, slip
        self.seen = []

    def forward(self, x):
        if self.limit is not None and len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        last = x.is_contiguous(memory_format=torch.channels_last)
        found = self.conv(x)
        self.seen.append((len(x), x.dtype, last, found.dtype))
        logits = found.mean((2, 3))
        # As a model that is wrong in few bits, and in no others.
        return logits if logits.dtype == torch.float32 else logits * self.slip


class Given(NativeBuilder):
    def __init__(self, model):
        self.model = model

    def build(self, name):
        torch.manual_seed(0)
        return self.model


def timed(model, **options):
    given = {"device": "cpu", "batch_sizes": (1,), "seconds": 0.05, "builder": Given(model)}
    return bench(Recipe("net", image_size=(16, 12)), **given | options)


def test_type_and_layout_reach_the_model_and_are_kept():
    f32, bf16, f16 = torch.float32, torch.bfloat16, torch.float16
    for options, given, computed, kept in (
        ({}, f32, f32, ("off", "off")),
        ({"precision": "bf16"}, bf16, bf16, ("bf16", "off")),
        ({"precision": "fp16"}, f16, f16, ("fp16", "off")),
        ({"amp": "bf16"}, f32, bf16, ("bf16", "bf16")),
    ):
        for layout in ("channels_last", "contiguous"):
            model = Net()
            (found,) = timed(model, layout=layout, **options)
            assert {entry[1:] for entry in model.seen} == {
                (given, layout == "channels_last", computed)
            }
            assert (found["precision"], found["amp"], found["layout"]) == (*kept, layout)
            assert model.conv.weight.dtype == given
    with pytest.raises(ValueError, match="choose one"):
        timed(Net(), amp="bf16", precision="fp16")


def test_what_is_timed_answers_as_it_is_timed(tmp_path):
    """The wrong model is the one that is timed: in float32 it is right."""
    images = torch.randn(20, 3, 16, 12)
    path = tmp_path / "net.pt"
    torch.save(Net().state_dict(), path)
    for slip, same in ((1.0, 20), (-1.0, 0)):
        for size in (1, 8, 32):
            model = Net(slip=slip)
            sizes = {"batch_sizes": (size,), "checkpoint": path, "images": images}
            (found,) = timed(model, precision="bf16", **sizes)
            assert found["weights"] == "checkpoint"
            assert found["agreement"] == {"images": 20, "same": pytest.approx(same, abs=2)}
            assert found["not_compared"] is None
            # Padded: a compiled model would be compiled anew for the rest.
            assert {entry[0] for entry in model.seen if entry[1] == torch.bfloat16} == {size}
    (found,) = timed(Net(), checkpoint=path)
    assert found["agreement"] is None
    assert found["not_compared"] == "the sample images are not installed"
    (found,) = timed(Net())
    assert (found["weights"], found["not_compared"]) == ("random", "no weights are at hand")
    torch.save({"other": torch.zeros(3)}, path)
    (found,) = timed(Net(), checkpoint=path, images=images)
    assert found["weights"] == "random"
    assert found["agreement"] is None
    assert found["not_compared"] not in (None, "no weights are at hand")


def test_the_best_batch_is_the_one_that_pays_and_fits(monkeypatch):
    """Twice as fast for each from 1 to 4 images, then no more; or cut short by the memory."""

    def costing(model, cost):
        def one(clock, call):
            call()
            return cost(model.seen[-1][0])

        monkeypatch.setattr(clocks.CpuClock, "one", one)
        return model

    for limit, best in ((None, 4), (3, 2)):
        model = costing(Net(limit=limit), lambda n: max(1.0, n / 4))
        found = timed(model, batch_sizes=(1, BEST))
        assert [(each["batch"], each["best"]) for each in found] == [(1, False), (best, True)]
    # One that is timed already is not timed again.
    (found,) = timed(costing(Net(), float), batch_sizes=(1, BEST))
    assert (found["batch"], found["best"]) == (1, True)


@pytest.mark.slow
def test_compilation_is_no_part_of_a_figure():
    (found,) = timed(Net(), compile="default")
    assert (found["compile"], found["compiled"]) == ("default", True)
    assert found["compile_seconds"] > 0.1
    assert found["latency_ms"]["p99"] < 1e3 * found["compile_seconds"]


def test_a_warm_up_lasts_as_long_as_it_has_to():
    begin = time.perf_counter()
    warm_up(lambda: time.sleep(0.001) or 0.001, limit=0.01, least=0.2)
    assert 0.2 <= time.perf_counter() - begin < 60


class Card:
    """torch.cuda as far as a clock needs it: a pass is sent, and done later beside the host."""

    def __init__(self, launch, work, captures=True):
        self.launch, self.work, self.captures = launch, work, captures
        self.end, self.recording = 0.0, False
        self.most, self.replays = 0.0, 0

    def call(self):
        time.sleep(self.launch)
        if not self.recording:
            self.send()

    def send(self):
        now = time.perf_counter()
        self.end = max(now, self.end) + self.work
        self.most = max(self.most, self.end - now)

    def wait(self, device=None, until=None):
        time.sleep(max(0.0, (self.end if until is None else until) - time.perf_counter()))

    def Event(self, enable_timing=False):
        event = SimpleNamespace(at=None)
        event.record = lambda: setattr(event, "at", max(time.perf_counter(), self.end))
        event.synchronize = lambda: self.wait(until=event.at)
        event.elapsed_time = lambda end: 1e3 * (end.at - event.at)
        return event

    def CUDAGraph(self):
        def replay():
            self.replays += 1
            self.send()

        return SimpleNamespace(replay=replay)

    def graph(self, graph):
        class Capture:
            def __enter__(capture):
                if not self.captures:
                    raise RuntimeError("operation not permitted when stream is capturing")
                self.recording = True

            def __exit__(capture, *_):
                self.recording = False

        return Capture()

    def Stream(self, device):
        return SimpleNamespace(wait_stream=lambda other: None)

    def current_stream(self, device):
        return self.Stream(device)

    def stream(self, stream):
        import contextlib

        return contextlib.nullcontext()


@pytest.fixture
def card(monkeypatch):
    """Put a card in place of torch.cuda; its clock places tensors on the CPU."""

    def put(**of):
        made = Card(**of)
        for name in ("Event", "CUDAGraph", "graph", "Stream", "current_stream", "stream"):
            monkeypatch.setattr(torch.cuda, name, getattr(made, name))
        monkeypatch.setattr(torch.cuda, "synchronize", made.wait)
        for name, answer in (("max_memory_allocated", 70), ("max_memory_reserved", 90)):
            monkeypatch.setattr(torch.cuda, name, lambda device, answer=answer: answer)
        for name in ("reset_peak_memory_stats", "empty_cache"):
            monkeypatch.setattr(torch.cuda, name, lambda *_: None)
        return made, CudaClock(CPU)

    return put


def test_a_card_s_throughput_is_by_the_wall_and_its_latency_by_its_own_clock(card, monkeypatch):
    monkeypatch.setattr(clocks, "_LEAST_ENERGY_S", 0.0)
    # 50 joules go by between two looks, as if nothing were between them.
    joules = iter(range(0, 1000, 50))
    monkeypatch.setattr(machine, "energy", lambda number: float(next(joules)))
    for launch, work, rate in ((0.0005, 0.004, 250), (0.004, 0.001, 250)):
        made, clock = card(launch=launch, work=work)
        found = clock.timed(made.call, 0.2)
        assert found.latencies
        assert all(each >= 0.99 * work for each in found.latencies)
        assert all(0.5 * rate < each <= rate for each in found.per_second)
        # A few passes are sent ahead of the one that is done, where there is one to wait for.
        assert made.most < 12 * work
        assert launch > work or made.most > 5 * work
        assert found.joules == pytest.approx(50 / (found.passes - len(found.latencies)))


def test_a_graph_is_replayed_and_one_that_can_t_be_made_costs_nothing_else(card):
    made, clock = card(launch=0.003, work=0.001)
    found = clock.graph_latencies(made.call, 0.05)
    assert made.replays == len(found) >= 1
    made, clock = card(launch=0.0, work=0.001, captures=False)
    assert clock.graph_latencies(made.call, 0.05) is None
    with pytest.raises(RuntimeError, match="illegal"):
        clock.graph_latencies(lambda: fail("CUDA error: an illegal memory access"), 0.05)


def fail(words):
    raise RuntimeError(words)


def test_figures_of_a_card_have_all_that_it_tells(card, monkeypatch):
    _, clock = card(launch=0.0, work=0.0005)
    monkeypatch.setattr(speed, "clock_of", lambda device: clock)
    monkeypatch.setattr(clock, "least_warm_up", 0.01)
    monkeypatch.setattr(machine, "energy", lambda number: None)
    one, two = timed(Net(), batch_sizes=(1, 2))
    for found in (one, two):
        assert (found["peak_memory"], found["peak_reserved"]) == (70, 90)
        assert found["joules_per_image"] is None
    assert one["graph_latency_ms"]["p50"] >= 0
    assert two["graph_latency_ms"] is None


def test_each_kind_of_device_has_its_usual_batches(monkeypatch):
    assert usual_batches("cpu") == (1, 8, 32)
    assert usual_batches("cuda:0") == (1, 32, 256, BEST)
    assert CudaClock.least_warm_up >= 1
    for found, sizes in ((False, (1, 8, 32)), (True, (1, 32, 256, BEST))):
        monkeypatch.setattr(machine, "_has_cuda", lambda found=found: found)
        assert usual_batches("auto") == sizes
