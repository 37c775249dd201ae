"""Doing a job where it landed: in a worker process, or in a task of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.run.wire import Job
from harness.types import Fact

if TYPE_CHECKING:
    from harness.measure.accuracy import Validator
    from harness.measure.profile import Profiler


class Performer:
    """Makes the facts of jobs, and keeps what it built for the next one of the same variant."""

    def __init__(self) -> None:
        self._profiler: Profiler | None = None
        self._validator: tuple[object, Validator] | None = None

    def perform(self, job: Job) -> list[Fact]:
        """The facts of a job, one for each of its slots."""
        import torch

        if job.counting is not None:
            return self._count(job)
        # Shapes alone are computed: more threads would only get in the other workers' way.
        torch.set_num_threads(1)
        if self._profiler is None:
            from harness.measure.profile import Profiler

            self._profiler = Profiler()
        return self._profiler.measure(
            job.recipe, job.kinds, job.sizes, job.checkpoint, job.siblings
        )

    def _count(self, job: Job) -> list[Fact]:
        raise NotImplementedError
