"""The engine that runs jobs as Ray tasks, on this machine's cores or on a cluster's.

Ray schedules, ships code and runs a task again when the node that had it dies. It lives in a
driver, a process of its own (`main`): what Ray prints stays there, and where the cluster's head
ends, the driver does and not the run. A task is one job. It is done by a worker process as on this
machine, within the same limits, so that what model code does costs its own job and no Ray process.

What the cluster does to a job is no fact about a variant: a job that is lost is given to the
cluster again, and where that fails the run is cut short.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

from harness.config import USUAL_TIMEOUT
from harness.run import guard
from harness.run.engine import EngineError, Hear, React, limits_of, unheard
from harness.run.jobs import Job, WaitingJobs, dump_facts, dump_job, load_facts, load_job
from harness.run.ray_address import check_address
from harness.run.worker import WorkerThread
from zoo._util.install import install_command
from zoo._util.text import plural

# How often a task is run anew after the node or the process that had it is lost: by Ray itself,
# and after that by the driver.
_RETRIES = 3
_SECOND_TRIES = 1
# More cores than this per model would leave some waiting at the end of each part.
_MOST_CORES = 8

_START_SECONDS = 120.0  # for Ray to start here, or to let the driver in
_SILENT_SECONDS = 60.0  # a driver that can be reached sends a line each second
_LEAVE_SECONDS = 8.0
_NO_NODE_SECONDS = 15.0  # an autoscaler, or a node that is started again, may take some
_WORD_SECONDS = 60.0
_HEAD_SECONDS = 20  # how long the driver tries to reach a head that is gone

# The driver's and, where Ray is started here, all of its processes' settings.
_ENVIRONMENT = {
    "RAY_gcs_rpc_server_reconnect_timeout_s": str(_HEAD_SECONDS),
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_oom_retries": str(_RETRIES),  # by default for ever
}


class RayEngine:
    """Jobs as tasks of a Ray cluster.

    Args:
        address: the cluster to join; None is that of RAY_ADDRESS, or starts Ray on this machine.
        device: where models run; with ``cuda``, counting asks for one GPU per task.
        timeout, max_memory: as `LocalEngine` takes them; they hold on the node that has the job.
        warn: is given a line when the cluster has been silent for long.
    """

    def __init__(
        self,
        address: str | None = None,
        device: str = "auto",
        timeout: float = USUAL_TIMEOUT,
        max_memory: int | None = None,
        warn: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.address = address or os.environ.get("RAY_ADDRESS") or None
        self.device = device
        self.timeout = timeout
        self.max_memory = max_memory
        self.warn = warn
        self.hear: Hear = unheard

    def run(self, jobs: Iterable[Job], react: React) -> None:
        """Run all jobs, and those that follow from them.

        Raises:
            EngineError: Ray is not installed, its cluster can't be joined or ended, or it lost
                jobs; all others are done then.
        """
        waiting = list(jobs)
        if not waiting:
            return
        if find_spec("ray") is None:
            raise EngineError(f"--engine ray needs its extra: {install_command('ray')}")
        check_address(self.address)
        driver = _Driver(self.address, self.device, self.timeout, self.max_memory)
        try:
            driver.wait_until_ready()
            self._run(driver, waiting, react)
        finally:
            driver.end()

    def _run(self, driver: _Driver, waiting: Sequence[Job], react: React) -> None:
        running: dict[int, Job] = {}
        lost: dict[str, str] = {}
        given, since = 0, time.monotonic()
        for job in waiting:
            running[given] = job
            driver.submit(given, job)
            given += 1
        while running:
            answer = driver.answer()
            if "id" not in answer:
                self.hear(None, None)
                if time.monotonic() - since > _WORD_SECONDS:
                    since = float("inf")  # Once is enough.
                    jobs = plural(len(running), "job")
                    self.warn(
                        f"{driver.where}: no answer for {_WORD_SECONDS:g} s; {jobs} are running "
                        "or wait for a core"
                    )
                continue
            since = time.monotonic()
            job = running.pop(answer["id"])
            if "lost" in answer:
                lost.setdefault(job.recipe.name, answer["lost"])
                continue
            done = replace(job, changed=answer["changed"], failed=answer["failed"])
            for following in react(done, load_facts(answer["facts"])):
                running[given] = following
                driver.submit(given, following)
                given += 1
        if lost:
            name, why = next(iter(lost.items()))
            raise EngineError(
                f"{driver.where}: jobs of {plural(len(lost), 'variant')} were lost, {name} among "
                f"them: {why}"
            )


class _Driver:
    """The process that talks with Ray, as the run sees it: lines of JSON in both directions."""

    def __init__(
        self, address: str | None, device: str, timeout: float, max_memory: int | None
    ) -> None:
        self.where = f"Ray on {address or 'this machine'}"
        # Ray's threads print what they like; its errors come as answers.
        self._process = guard.start(
            "harness.run.engine_ray:main",
            stderr=subprocess.DEVNULL,
            env={**_ENVIRONMENT, **os.environ},
        )
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self._send([address, device, timeout, max_memory])

    def wait_until_ready(self) -> None:
        """Wait until Ray is started or joined.

        Raises:
            EngineError: it can't be.
        """
        while "ready" not in self.answer(_START_SECONDS):
            pass

    def submit(self, number: int, job: Job) -> None:
        """Give a job to the cluster."""
        self._send({"id": number, "job": dump_job(job)})

    def answer(self, seconds: float = _SILENT_SECONDS) -> dict[str, Any]:
        """The next line of the driver, which may be a sign of life alone.

        Raises:
            EngineError: the cluster failed, ended, or is silent.
        """
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise EngineError(f"{self.where}: there was no answer for {seconds:g} s") from None
        if answer is None:
            raise EngineError(f"{self.where}: the connection to the cluster was lost")
        if "broken" in answer:
            raise EngineError(f"{self.where}: {answer['broken']}")
        return answer

    def end(self) -> None:
        """Let the driver cancel what runs and leave the cluster; end it where it doesn't."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_SECONDS)
        guard.end(self._process)

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # That it has ended is read from its answers.
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                with suppress(ValueError):
                    self._answers.put(json.loads(line))
        self._answers.put(None)


def main() -> None:
    """Serve a run as its Ray driver, until its standard input ends."""
    answers = guard.answers()
    with suppress(BrokenPipeError):
        _serve(lambda message: print(json.dumps(message), file=answers, flush=True))
    # Ray's threads may be waiting for a head that is gone.
    os._exit(0)


def _serve(send: Callable[[dict[str, Any]], None]) -> None:
    address, device, timeout, max_memory = json.loads(sys.stdin.readline())
    try:
        import ray

        _join(ray, address)
        tasks = _Tasks(ray, device, timeout, max_memory)
    # Ray raises errors of its own, of its dependencies and of the system.
    except Exception as error:  # noqa: BLE001
        send({"broken": _line(error)})
        return
    send({"ready": True})
    jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_pass_on, args=(jobs,), daemon=True).start()
    try:
        tasks.serve(jobs, send)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        send({"broken": _line(error)})
    finally:
        tasks.cancel()
        ray.shutdown()


def _join(ray: Any, address: str | None) -> None:
    """Join a cluster, or start Ray here: on a busy machine, that can take it two attempts."""
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address:
        ray.init(address=address, **options)
        return
    try:
        ray.init(include_dashboard=False, **options)
    except Exception:  # noqa: BLE001 - the second attempt tells what it is
        ray.shutdown()
        ray.init(include_dashboard=False, **options)


def _pass_on(jobs: queue.SimpleQueue[str | None]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    jobs.put(None)


class _Tasks:
    """The tasks of a run, in the driver."""

    def __init__(self, ray: Any, device: str, timeout: float, max_memory: int | None) -> None:
        self._ray = ray
        has_gpu = ray.cluster_resources().get("GPU", 0) >= 1
        if device.startswith("cuda") and not has_gpu:
            # Ray would wait for one to join, without a word and for ever.
            raise RuntimeError(f"--device {device}: no node of the cluster has a GPU")
        self._gpus = 1 if device != "cpu" and has_gpu else 0
        self._cores = cores_per_task(ray.nodes(), self._gpus)
        task = ray.remote(max_retries=_RETRIES)(_perform)
        self._task = partial(_submit, task, timeout, max_memory)
        self._running: dict[Any, tuple[int, Job, int]] = {}
        self._node_seen = self._looked = time.monotonic()

    def serve(
        self, jobs: queue.SimpleQueue[str | None], send: Callable[[dict[str, Any]], None]
    ) -> None:
        """Run what comes until None does; give its answers, and a sign of life each second."""
        alive = 0.0
        while True:
            with suppress(queue.Empty):
                while True:
                    line = jobs.get(block=not self._running, timeout=1)
                    if line is None:
                        return
                    given = json.loads(line)
                    self._start(given["id"], load_job(given["job"]), 0)
            if self._running:
                done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=0.1)
                for reference in done:
                    answer = self._finish(reference)
                    if answer is not None:
                        send(answer)
            now = time.monotonic()
            if now - alive >= 1:
                alive = now
                self._look(now)
                send({"alive": True})

    def cancel(self) -> None:
        """Stop what runs."""
        for reference in self._running:
            with suppress(Exception):  # The cluster may be gone.
                self._ray.cancel(reference, force=True)

    def _start(self, number: int, job: Job, tries: int) -> None:
        given, gpus, cores = job, 0, 1
        if job.counting is not None:
            # The task sees the GPU that it was given, and no other.
            gpus, cores = self._gpus, self._cores
            device = "cuda" if gpus else job.counting.device
            given = replace(job, counting=replace(job.counting, threads=cores, device=device))
        self._running[self._task(given, gpus, cores)] = number, job, tries

    def _finish(self, reference: Any) -> dict[str, Any] | None:
        """The answer to a task that has ended; None where it was lost and is tried again."""
        number, job, tries = self._running.pop(reference)
        try:
            return {"id": number, **json.loads(self._ray.get(reference))}
        except self._ray.exceptions.RayTaskError as error:
            # No model's: the task itself could not be run on that node.
            return {"id": number, "lost": _line(error.cause or error)}
        except self._ray.exceptions.RayError as error:
            if tries < _SECOND_TRIES:
                self._start(number, job, tries + 1)
                return None
            return {"id": number, "lost": _line(error)}

    def _look(self, now: float) -> None:
        """See that there is a node that can run a task.

        Raises:
            RuntimeError: there has been none for a while.
        """
        if now - self._looked < 2:
            return
        self._looked = now
        if any(_shares(self._ray.nodes(), self._gpus)):
            self._node_seen = now
        elif now - self._node_seen > _NO_NODE_SECONDS:
            raise RuntimeError("no node that could run a job is left in the cluster")


def _submit(
    task: Any, timeout: float, max_memory: int | None, job: Job, gpus: int, cores: int
) -> Any:
    return task.options(num_gpus=gpus, num_cpus=cores).remote(dump_job(job), timeout, max_memory)


def _shares(nodes: Sequence[Mapping[str, Any]], gpus: int) -> list[int]:
    """The cores that each node which can run a task has for one: with a GPU, its share."""
    shares = []
    for node in nodes:
        has = node["Resources"] if node["Alive"] else {}
        cores, cards = has.get("CPU", 0), has.get("GPU", 0)
        if cores >= 1 and cards >= gpus:
            shares.append(int(cores / max(1, cards) if gpus else cores))
    return shares


def cores_per_task(nodes: Sequence[Mapping[str, Any]], gpus: int) -> int:
    """How many cores a task that counts asks for, and uses.

    With a GPU, its share of the node's cores, which decode for it. Without one, as many as every
    node has, up to a bound: then no node is left out, also when others die.
    """
    fewest = max(1, min(_shares(nodes, gpus), default=1))
    return fewest if gpus else min(_MOST_CORES, fewest)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


# One per process of the cluster, so that a process that has a model keeps it; by the GPUs that
# Ray gave the task for which it was started.
_workers: dict[str | None, WorkerThread] = {}


def _perform(line: str, timeout: float, max_memory: int | None) -> str:
    """The task: one job, done by a worker process of this node."""
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    if gpus not in _workers:
        while _workers:
            _workers.popitem()[1].stop()
        limits = partial(limits_of, timeout=timeout, max_memory=max_memory)
        _workers[gpus] = WorkerThread(WaitingJobs(), limits)
    job, facts = _workers[gpus].do(load_job(line))
    about = {"changed": job.changed, "failed": job.failed}
    return json.dumps({"facts": dump_facts(facts), **about})
