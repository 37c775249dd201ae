"""Timing: figures that fit each other, memory that is seen, noise that is not."""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from cli import run_python
from torch import Tensor, nn

from harness.measure import clocks
from harness.measure.builders.native import NativeBuilder
from harness.measure.clocks import REPEATS, percentile, resident_bytes, warm_up
from harness.measure.speed import bench
from harness.types import Recipe

MIB = 1 << 20


class Sleeper(nn.Module):
    """Takes a known time per picture and a known amount of memory per batch."""

    def __init__(self, seconds: float, bytes_each: int = 0, limit: int | None = None) -> None:
        super().__init__()
        self.seconds, self.bytes_each, self.limit = seconds, bytes_each, limit
        self.conv = nn.Conv2d(3, 4, 1)
        self.seen: set[tuple[object, ...]] = set()

    def forward(self, x: Tensor) -> Tensor:
        if self.limit is not None and len(x) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        layout = x.is_contiguous(memory_format=torch.channels_last)
        self.seen.add((tuple(x.shape), layout, torch.is_inference_mode_enabled(), self.training))
        self.seen.add(self.conv(x).dtype)
        block = torch.ones(len(x) * self.bytes_each // 4) if self.bytes_each else None
        time.sleep(self.seconds * len(x))
        del block
        return x


class Given(NativeBuilder):
    """Builds the model that it is given."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def build(self, name: str) -> nn.Module:
        return self.model


def test_a_model_of_known_speed() -> None:
    model = Sleeper(0.004)
    found = bench(
        Recipe("sleeper", image_size=(32, 48)),
        device="cpu",
        batch_sizes=(1, 5),
        seconds=0.5,
        builder=Given(model),
    )
    assert [each["batch"] for each in found] == [1, 5]
    for each in found:
        low, high = each["images_per_second_range"]
        assert low <= each["images_per_second"] <= high
        # Sleeping never takes less; what it takes more is the machine's.
        assert 10 < each["images_per_second"] <= 251
        latency = each["latency_ms"]
        assert 4 * each["batch"] <= latency["p50"] <= latency["p90"] <= latency["p99"]
        assert each["passes"] >= REPEATS
        assert each["weights"] == "random"
        assert each["environment"]["torch"] == torch.__version__
        assert each["environment"]["cpu"]
        assert each["image_size"] == [32, 48]
    shapes = {each for each in model.seen if isinstance(each, tuple)}
    assert shapes == {((n, 3, 32, 48), True, True, False) for n in (1, 5)}


@pytest.mark.skipif(resident_bytes() is None, reason="this system does not tell")
def test_peak_memory_is_that_of_its_own_batch() -> None:
    """The larger batch comes first: the smaller one must not get its figure.

    In a process of its own, as timings are made: one that held much before may keep it.
    """
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests/plugins'}"}
    # A single thread's small tensors lie between the large ones, whose place is then not used anew.
    environment.pop("OMP_NUM_THREADS", None)
    code = "import json, runpy, sys; print(json.dumps(runpy.run_path(sys.argv[1])['peaks']()))"
    done = run_python(["-c", code, __file__], env=environment, check=True)
    large, small = json.loads(done.stdout)
    assert 250 < large < 320
    assert 25 < small < 100


def peaks() -> list[float]:
    """In MiB, of batches of 8 pictures and of one, each of which takes 32 MiB."""
    found = bench(
        Recipe("sleeper", image_size=(8, 8)),
        device="cpu",
        batch_sizes=(8, 1),
        seconds=0.2,
        builder=Given(Sleeper(0.01, bytes_each=32 * MIB)),
    )
    return [each["peak_memory"] / MIB for each in found]


def test_a_batch_without_memory_says_so_and_the_others_are_timed() -> None:
    found = bench(
        Recipe("sleeper"),
        device="cpu",
        batch_sizes=(1, 4),
        image_size=(8, 8),
        seconds=0.1,
        builder=Given(Sleeper(0.001, limit=2)),
    )
    assert found[0]["images_per_second"] > 0
    assert "failed" not in found[0]
    assert "batch of 4" in found[1]["failed"]
    assert "images_per_second" not in found[1]


def test_precision_and_threads_reach_the_model() -> None:
    before = torch.get_num_threads()
    for word, dtype in (("off", torch.float32), ("bf16", torch.bfloat16)):
        model = Sleeper(0.001)
        (found,) = bench(
            Recipe("sleeper", image_size=(8, 8)),
            device="cpu",
            batch_sizes=(1,),
            amp=word,
            seconds=0.05,
            threads=1,
            builder=Given(model),
        )
        assert dtype in model.seen
        assert found["precision"] == word
        assert found["environment"]["threads"] == 1
        assert torch.get_num_threads() == before


def test_a_real_model_of_the_zoo() -> None:
    (found,) = bench(
        Recipe("efficientnet_lite0", image_size=(64, 64)),
        device="cpu",
        batch_sizes=(2,),
        seconds=0.3,
        threads=1,
    )
    assert found["images_per_second"] > 1
    assert found["latency_ms"]["p50"] > 1


def test_warming_up_ends_when_passes_take_equally_long() -> None:
    times = iter([9.0, 5.0, 3.0, 2.0, 1.5, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, *[1.0] * 99])
    # Medians of three: the first two windows alike are 1.0 (7 to 9) after 1.2 to 1.0 (6 to 8).
    assert 9 <= warm_up(lambda: next(times), limit=60) <= 12
    growing = (2.0**n for n in range(1000))
    begin = time.perf_counter()

    def one_pass() -> float:
        time.sleep(0.01)
        return next(growing)

    assert warm_up(one_pass, limit=0.2) >= 2
    assert time.perf_counter() - begin < 60


def test_percentiles_are_nearest_ranks() -> None:
    draw = np.random.default_rng(0)
    for size in (1, 2, 10, 99, 1000):
        values = sorted(draw.random(size).tolist())
        for percent in (50, 90, 99):
            theirs = np.percentile(values, percent, method="inverted_cdf")
            assert percentile(values, percent) == theirs
    assert percentile([1, 2, 3], 50) == statistics.median([1, 2, 3])


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        bench(Recipe("efficientnet_lite0"), batch_sizes=(-1,))
    with pytest.raises(ValueError, match="above 0"):
        bench(Recipe("efficientnet_lite0"), seconds=0)
    with pytest.raises(ValueError, match="amp must be"):
        bench(
            Recipe("efficientnet_lite0", image_size=(32, 32)),
            device="cpu",
            amp="int8",  # type: ignore[arg-type]
        )


def test_other_programs_on_the_same_cores_are_noticed(monkeypatch):
    """By what Linux counts of each core, less what this process used."""
    cores, threads = len(os.sched_getaffinity(0)), torch.get_num_threads()
    spare = max(0, cores - threads)
    for others, contended in ((0.0, False), (spare + 0.1, False), (spare + 0.5, True)):
        said = iter([(10.0, 3.0), (12.0, 3.0 + 2 * others)])
        monkeypatch.setattr(clocks, "_others_seconds", lambda said=said: next(said))
        with clocks.Contention(torch.device("cpu")) as found:
            pass
        assert found.found is contended, others
    monkeypatch.undo()
    now, others = clocks._others_seconds()
    begin = time.process_time()
    while time.process_time() - begin < 0.3:
        pass
    later, more = clocks._others_seconds()
    # Its own time is none of others'.
    assert more - others <= (later - now) * cores - 0.2
