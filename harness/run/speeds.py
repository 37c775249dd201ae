"""Speeds of variants: timed one at a time, and stored for the tables and plots of a report."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from harness.config import USUAL_BATCHES, USUAL_SECONDS
from harness.measure.builders import BuilderError
from harness.run.builder_proxy import open_builder
from harness.run.jobs import BenchmarkJob, Job
from harness.run.keys import key_of
from harness.types import Fact, Measurement, Recipe

if TYPE_CHECKING:
    from harness.config import RunConfig
    from harness.run.engine import Engine
    from harness.run.store import Store


def usual(request: RunConfig) -> BenchmarkJob:
    """The timing whose figures a report shows: the usual batch sizes, on the run's device."""
    return BenchmarkJob(USUAL_BATCHES, USUAL_SECONDS, request.device, request.amp, request.compile)


def recall(recipe: Recipe, timing: BenchmarkJob, store: Store | None) -> Measurement | None:
    """What was measured before on this machine, or None."""
    try:
        if store is None or not open_builder(recipe.builder).knows(recipe.architecture):
            return None
        return store.get(_key(recipe, timing))
    except BuilderError:
        return None  # Reported with the other facts of the variant.


def measure(
    recipe: Recipe, timing: BenchmarkJob, store: Store | None, engine: Engine, offline: bool = False
) -> Fact:
    """Time a variant by itself: ``engine`` has one worker, and nothing else to do."""
    made: list[Fact] = []

    def react(_: Job, facts: list[Fact]) -> list[Job]:
        made.extend(facts)
        return []

    engine.run([Job(recipe, ("speed",), (), timing=timing, offline=offline)], react)
    (fact,) = made
    if store is not None and isinstance(fact, Measurement):
        store.put(_key(recipe, timing), fact)
    return fact


def _key(recipe: Recipe, timing: BenchmarkJob) -> str:
    """A speed is a fact of a machine: a cache folder may be shared by several."""
    size = recipe.image_size or (0, 0)
    batches = ",".join(map(str, timing.batch_sizes))
    how = [timing.device, timing.amp, str(timing.compile), str(timing.seconds)]
    where: list[str | int] = [platform.node(), platform.machine(), os.cpu_count() or 0]
    return key_of("speed", recipe, None, [*size, batches, *how, *where])
