"""The engine that runs jobs as Ray tasks, on this machine's cores or on a cluster's.

Ray schedules, ships code and runs a task again when the node that had it dies; nothing of that is
done here. Each task is one job, and its answer is the same line of JSON that a local worker gives.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from functools import cache
from typing import Any

from harness.run.engine import EngineError, React, none_made
from harness.run.perform import Performer
from harness.run.wire import Job, dump_facts, dump_job, load_facts, load_job

# How often a task is run anew after the node or the process that had it is lost.
_RETRIES = 3


class RayEngine:
    """Jobs as tasks of a Ray cluster.

    Args:
        address: the cluster to join; None starts Ray on this machine alone.
        device: where models run; with ``cuda``, counting asks for one GPU per task.
    """

    def __init__(self, address: str | None = None, device: str = "auto") -> None:
        self.address = address
        self.device = device

    def run(self, jobs: Iterable[Job], react: React) -> None:
        """Runs all jobs, and those that follow from them.

        Raises:
            EngineError: Ray is not installed, or its cluster can't be joined.
        """
        waiting = list(jobs)
        if not waiting:
            return
        # Ray tells of nodes that die on standard output, which is the document's alone.
        with redirect_stdout(sys.stderr):
            ray, joined = self._joined()
            try:
                self._run(ray, waiting, react)
            finally:
                if joined:
                    ray.shutdown()  # With it end the threads that would still print.

    def _run(self, ray: Any, waiting: list[Job], react: React) -> None:
        task = ray.remote(max_retries=_RETRIES)(_perform)
        counting = task.options(num_gpus=1) if self._wants_gpu(ray) else task
        running: dict[Any, Job] = {}

        def submit(job: Job) -> None:
            of_kind = task if job.counting is None else counting
            running[of_kind.remote(dump_job(job))] = job

        try:
            for job in waiting:
                submit(job)
            while running:
                done, _ = ray.wait(list(running), num_returns=1)
                for reference in done:
                    job = running.pop(reference)
                    try:
                        facts = load_facts(ray.get(reference))
                    except ray.exceptions.RayError as error:
                        reason = " ".join(str(error).split())[:300]
                        why = f"{job.recipe.name} failed on the cluster: {reason}"
                        facts = none_made(job, why)
                    for following in react(job, facts):
                        submit(following)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _joined(self) -> tuple[Any, bool]:
        """Ray, in its cluster; and whether it was joined only now."""
        try:
            import ray
        except ImportError as error:
            raise EngineError(
                "--engine ray needs the extra: pip install 'model-zoo-verify[ray]'"
            ) from error
        joined = not ray.is_initialized()
        if joined:
            try:
                ray.init(address=self.address, log_to_driver=False, configure_logging=False)
            except (ConnectionError, RuntimeError, ValueError) as error:
                where = self.address or "this machine"
                raise EngineError(f"no Ray on {where}: {' '.join(str(error).split())}") from error
        return ray, joined

    def _wants_gpu(self, ray: Any) -> bool:
        if self.device.startswith("cuda"):
            return True
        return self.device == "auto" and ray.cluster_resources().get("GPU", 0) > 0


@cache
def _performer() -> Performer:
    """One per process of the cluster, so that a process that has a model keeps it."""
    return Performer()


def _perform(line: str) -> str:
    return dump_facts(_performer().perform(load_job(line)))
