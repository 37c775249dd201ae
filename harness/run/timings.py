"""What a run times: every variant as usual, and as claims of this device say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.run.engine import Engine
from harness.run.facts import SPEED
from harness.run.progress import TIMING, Progress, RunTally, hearing
from harness.run.variant_run import VariantRun
from harness.types import Recipe
from zoo._util.text import plural


class Timings:
    """The speeds of a run's variants: those that are known are recalled, others are to be made.

    Args:
        runs: of the variants.
        wanted: speeds are asked for; else those that are known will do.
    """

    def __init__(self, runs: Sequence[VariantRun], *, wanted: bool) -> None:
        self._missing: dict[Recipe, list[VariantRun]] = {}
        for run in runs:
            if not run.recall(SPEED) and wanted:
                self._missing.setdefault(run.recipe, []).append(run)
        further = [(run, job) for run in runs if wanted for job in run.also_to_time()]
        self._further = [(run, job) for run, job in further if not run.recall_as(job)]

    @property
    def planned(self) -> str:
        parts = []
        for first, *_ in list(self._missing.values())[:1]:
            sizes = ", ".join(map(str, first.timing.batch_sizes))
            parts.append(f"{plural(len(self._missing), 'variant')} at batch {sizes}")
        if self._further:
            parts.append(f"{plural(len(self._further), 'timing')} as claimed")
        return f"to time: {' and '.join(parts)}" if parts else "nothing to time"

    def make(self, engine: Callable[[], Engine], progress: Progress) -> None:
        """Time what is missing, one after the other: two at a time would slow each other."""
        sizes = sum(len(first.timing.batch_sizes) for first, *_ in self._missing.values())
        hear = hearing(RunTally(sizes + len(self._further), TIMING), progress)
        for recipe, (first, *others) in self._missing.items():
            first.time(engine(), hear)
            for run in others:
                run.facts[SPEED] = first.facts[SPEED]
            progress.advance(recipe.name)
        for run, job in self._further:
            run.time_as(job, engine(), hear)
