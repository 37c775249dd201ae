"""The engine that runs jobs as Ray tasks, on this machine's cores or on a cluster's.

Ray schedules, ships code and runs a task again when the node that had it dies; nothing of that is
done here. Each task is one job, and its answer is the same line of JSON that a local worker gives.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import cache
from typing import Any

from harness.run.engine import EngineError, React, none_made
from harness.run.jobs import Job, dump_facts, dump_job, load_facts, load_job
from harness.run.perform import Performer

# How often a task is run anew after the node or the process that had it is lost.
_RETRIES = 3

# More cores than this per model would leave some waiting at the end of each part.
_MOST_CORES = 8


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
        """Run all jobs, and those that follow from them.

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
        gpus = 1 if self._wants_gpu(ray) else 0
        cores = _cores_per_task(ray.nodes(), gpus)
        counting = task.options(num_gpus=gpus, num_cpus=cores)
        running: dict[Any, Job] = {}

        def submit(job: Job) -> None:
            if job.counting is None:
                running[task.remote(dump_job(job))] = job
                return
            # The task sees the GPU that it was given, and no other.
            device = "cuda" if gpus else job.counting.device
            here = replace(job.counting, threads=cores, device=device)
            running[counting.remote(dump_job(replace(job, counting=here)))] = job

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
        has_gpu = ray.cluster_resources().get("GPU", 0) >= 1
        if self.device.startswith("cuda") and not has_gpu:
            # Ray would wait for one to join, without a word and for ever.
            raise EngineError(f"--device {self.device}: no node of the cluster has a GPU")
        return self.device != "cpu" and has_gpu


def _cores_per_task(nodes: Sequence[Mapping[str, Any]], gpus: int) -> int:
    """How many cores a task that counts asks for, and uses.

    With a GPU, its share of the node's cores, which decode for it. Without one, as many as every
    node has, up to a bound: then no node is left out, also when others die.
    """
    shares = []
    for node in nodes:
        has = node["Resources"] if node["Alive"] else {}
        cores, cards = has.get("CPU", 0), has.get("GPU", 0)
        if cores >= 1 and cards >= gpus:
            shares.append(int(cores / max(1, cards) if gpus else cores))
    fewest = max(1, min(shares, default=1))
    return fewest if gpus else min(_MOST_CORES, fewest)


@cache
def _performer() -> Performer:
    """One per process of the cluster, so that a process that has a model keeps it."""
    return Performer()


def _perform(line: str) -> str:
    return dump_facts(_performer().perform(load_job(line)))
