"""Engines: run jobs and return the facts that they measure.

`LocalEngine` is a few worker processes on this machine. An engine runs nothing but jobs: what is
worth measuring is decided above it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from harness.config import USUAL_TIMEOUT
from harness.run.jobs import DeviceShare, Interim, Job, WaitingJobs
from harness.run.process import Limits, usual_limit
from harness.run.worker import EarlyFacts, EngineError, WorkerThread
from harness.types import Fact
from zoo._util.cores import usable_cores

__all__ = ["Engine", "EngineError", "Hear", "LocalEngine", "React", "limits_of", "unheard"]

# Called in the run's own thread with each job's facts; returns the jobs that follow from them.
# The first of these is done next by the worker that still has the model.
React = Callable[[Job, list[Fact]], "Sequence[Job]"]
# Called there with how far a job is that takes long, and with None a few times a minute.
Hear = Callable[[Job | None, Interim | None], None]


def unheard(job: Job | None, interim: Interim | None) -> None:
    """Pass over how far a job is."""


class Engine(Protocol):
    """Runs jobs, in any order; ``hear`` hears how far they are."""

    hear: Hear

    def run(self, jobs: Iterable[Job], react: React) -> None:
        """Run all jobs, and those that ``react`` returns, and return when all are done."""


class LocalEngine:
    """Worker processes on this machine, reused from job to job.

    What a job does to its worker costs that job alone: a worker that dies, hangs or eats memory is
    replaced. Starting one takes the import of torch, which is paid per worker, not per variant.

    Args:
        workers: how many at most; None chooses by the work: a process costs the import of torch,
            so a second one pays from some dozens of variants on.
        timeout: seconds that one job may take before its worker is ended; one that runs a model on
            images, or times it, may take several times as long.
        max_memory: bytes that a worker and what it starts may hold; None chooses by the machine,
            and sets no bound to a model that is run on images.
        shares: the devices that models are run on, for a worker each; then these are all.
    """

    def __init__(
        self,
        workers: int | None = None,
        timeout: float = USUAL_TIMEOUT,
        max_memory: int | None = None,
        shares: Sequence[DeviceShare] = (),
    ) -> None:
        self.workers = workers
        self.shares = shares
        self.timeout = timeout
        self.max_memory = max_memory
        self.hear: Hear = unheard

    def run(self, jobs: Iterable[Job], react: React) -> None:
        """Run all jobs; replace a worker that dies or hangs, and report its job as failed."""
        waiting = WaitingJobs(self.shares)
        pending = 0
        for job in jobs:
            waiting.put(job)
            pending += 1
        if not pending:
            return
        number = self.workers or min(usable_cores(), 1 + pending // _JOBS_PER_WORKER)
        limits = partial(limits_of, timeout=self.timeout, max_memory=self.max_memory)
        shares: Sequence[DeviceShare | None] = self.shares or [None] * number
        workers = [WorkerThread(waiting, limits, share) for share in shares]
        try:
            answers = WorkerThread.answers_of(workers)
            while pending:
                try:
                    worker, done, outcome = answers.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    self.hear(None, None)
                    continue
                if isinstance(outcome, BaseException):
                    raise outcome
                assert done is not None
                if isinstance(outcome, Interim):
                    self.hear(done, outcome)
                    continue
                if isinstance(outcome, EarlyFacts):
                    following = react(done, outcome.facts)
                    pending += len(following)
                    for other in following:
                        waiting.put(other)
                    continue
                following = react(done, outcome)
                pending += len(following) - 1
                worker.replies.put(following[0] if following else None)
                for other in following[1:]:
                    waiting.put(other)
        finally:
            # Side by side: a process that holds a GPU takes a while to end.
            ends = [threading.Thread(target=worker.stop) for worker in workers]
            for end in ends:
                end.start()
            for end in ends:
                end.join()


def limits_of(job: Job, timeout: float, max_memory: int | None) -> Limits:
    """What a job may take on this machine; see `LocalEngine`."""
    if job.running:
        # They take as long as the model takes, which nothing can predict.
        return Limits(_RUNNING_FACTOR * timeout, max_memory)
    limits = Limits(timeout, max_memory or usual_limit())
    if job.checkpoint is not None and max_memory is None:
        # A file may have to be read whole, and turned into tensors.
        return replace(limits, memory=usual_limit() + 2 * _size_of(job.checkpoint))
    return limits


_JOBS_PER_WORKER = 100
_RUNNING_FACTOR = 24
_LOOK_SECONDS = 1.0


def _size_of(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0  # It is missed where it is read, with a word on why.
