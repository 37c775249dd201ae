"""What it costs to compare workers with what they were, on 200 good variants of another's builder.

    python tests/benchmarks/checked.py [ROUNDS]

Both sides alternate, and medians of the whole measuring are compared, the start of the worker
included: with the comparison, and with workers that leave it out. It is processor time that is
compared, since other work on the machine slows both sides unequally; seconds stand beside it.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from harness.run import guard
from harness.run.engine import LocalEngine
from harness.run.jobs import Job
from harness.types import Measurement, Recipe

VARIANTS = 200
BUILDER = """
from torch import nn

class Small:
    def knows(self, name):
        return True

    def names(self):
        return []

    def identity(self, name):
        return "1"

    def build(self, name):
        layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()]
        for _ in range(int(name.partition("-")[0])):
            layers += [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""
UNCHECKED = """
from harness.run import jobs, process

jobs.Job.guarded = property(lambda job: False)
main = process.serve
"""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        info = site / "small_builder-1.0.dist-info"
        info.mkdir()
        (site / "small_builder.py").write_text(BUILDER)
        (site / "unchecked_worker.py").write_text(UNCHECKED)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: small-builder\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[zoo.builders]\nsmall = small_builder:Small\n")
        path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
        os.environ["PYTHONPATH"] = path
        print(
            f"medians of {rounds} rounds, {VARIANTS} variants, one worker, {os.cpu_count()} cores"
        )
        for layers in (2, 50):
            sides: dict[str, list[tuple[float, float]]] = {"checked": [], "unchecked": []}
            for _ in range(rounds):
                for side, figures in sides.items():
                    figures.append(measured(layers, side))
            (checked, took), (unchecked, without) = (
                tuple(map(statistics.median, zip(*each, strict=True))) for each in sides.values()
            )
            ratio = checked / unchecked
            print(
                f"  {layers + 2:3} layers: {checked:6.2f} s of processors checked ({took:.2f} s), "
                f"{unchecked:6.2f} unchecked ({without:.2f} s), ratio {ratio:.3f} "
                f"(goal: at most 1.1; {'met' if ratio <= 1.1 else 'MISSED'})",
                flush=True,
            )


def measured(layers: int, side: str) -> tuple[float, float]:
    """Seconds of the processors, and of the clock, until all variants are measured."""
    names = [f"{layers}-{number}" for number in range(VARIANTS)]
    jobs = [Job(Recipe(name, "small"), ("structure", "flops"), ((32, 32),)) for name in names]
    done = []

    def react(job: Job, facts: list) -> list[Job]:
        assert all(isinstance(fact, Measurement) for fact in facts), facts
        done.append(job)
        return []

    real = guard.start
    if side == "unchecked":
        guard.start = lambda target, *arguments, **more: real(
            "unchecked_worker:main", *arguments, **more
        )
    began, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        LocalEngine(1).run(jobs, react)
    finally:
        guard.start = real
    assert len(done) == VARIANTS
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
    return used, time.perf_counter() - began


if __name__ == "__main__":
    main()
