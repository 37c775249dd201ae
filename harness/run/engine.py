"""Engines: run jobs and return the facts that they measure.

`LocalEngine` is a few worker processes on this machine. An engine runs nothing but jobs: what is
worth measuring is decided above it.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from harness.config import USUAL_TIMEOUT
from harness.run.jobs import Job, dump_job, load_facts
from harness.run.process import Limits, WorkerEndedError, WorkerProcess, usual_limit
from harness.types import Fact, unmeasured


class EngineError(Exception):
    """Nothing can be measured here; the message says why."""


# Called in the run's own thread with each job's facts; returns the jobs that follow from them.
# The first of these is done next by the worker that still has the model.
React = Callable[[Job, list[Fact]], "Sequence[Job]"]


class Engine(Protocol):
    """Runs jobs, in any order."""

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
    """

    def __init__(
        self,
        workers: int | None = None,
        timeout: float = USUAL_TIMEOUT,
        max_memory: int | None = None,
    ) -> None:
        self.workers = workers
        self.timeout = timeout
        self.max_memory = max_memory

    def run(self, jobs: Iterable[Job], react: React) -> None:
        """Run all jobs; replace a worker that dies or hangs, and report its job as failed."""
        waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        pending = 0
        for job in jobs:
            waiting.put(job)
            pending += 1
        if not pending:
            return
        number = self.workers or min(os.cpu_count() or 1, 1 + pending // _JOBS_PER_WORKER)
        workers = [WorkerThread(waiting, self._limits) for _ in range(number)]
        try:
            answers = WorkerThread.answers_of(workers)
            while pending:
                worker, job, outcome = answers.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                following = react(job, outcome)
                pending += len(following) - 1
                worker.replies.put(following[0] if following else None)
                for other in following[1:]:
                    waiting.put(other)
        finally:
            for worker in workers:
                worker.stop()

    def _limits(self, job: Job) -> Limits:
        return limits_of(job, self.timeout, self.max_memory)


def limits_of(job: Job, timeout: float, max_memory: int | None) -> Limits:
    """What a job may take on this machine; see `LocalEngine`."""
    if job.counting is not None or job.timing is not None:
        # They take as long as the model takes, which nothing can predict.
        return Limits(_RUNNING_FACTOR * timeout, max_memory)
    limits = Limits(timeout, max_memory or usual_limit())
    if job.checkpoint is not None and max_memory is None:
        # A file may have to be read whole, and turned into tensors.
        return replace(limits, memory=usual_limit() + 2 * _size_of(job.checkpoint))
    return limits


_JOBS_PER_WORKER = 100
_RUNNING_FACTOR = 24

_Answer = tuple["WorkerThread", Job, "list[Fact] | BaseException"]


class WorkerThread:
    """A thread that owns one worker process at a time and feeds it jobs."""

    def __init__(
        self, waiting: queue.SimpleQueue[Job | None], limits: Callable[[Job], Limits]
    ) -> None:
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.waiting = waiting
        self.limits = limits
        self.answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self.replies: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.process: WorkerProcess | None = None
        self.stopped = threading.Event()

    @staticmethod
    def answers_of(workers: list[WorkerThread]) -> queue.SimpleQueue[_Answer]:
        """Start the threads with one queue of answers."""
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        for worker in workers:
            worker.answers = answers
            worker.thread.start()
        return answers

    def _serve(self) -> None:
        while not self.stopped.is_set():
            job = self.waiting.get()
            while job is not None:
                outcome: list[Fact] | BaseException
                try:
                    outcome = self.do(job)
                except Exception as error:  # noqa: BLE001 - raised again in the run's thread
                    outcome = error
                if self.stopped.is_set():
                    return
                self.answers.put((self, job, outcome))
                job = self.replies.get()

    def do(self, job: Job) -> list[Fact]:
        """The facts of a job, by a worker process that is replaced where it ends.

        Raises:
            EngineError: no worker process can be started.
        """
        limits = self.limits(job)
        while True:
            process = self._worker()
            served = process.served
            try:
                return _facts_of(job, process.ask(dump_job(job), limits))
            except WorkerEndedError as error:
                self._drop()
                # What earlier jobs left behind may be to blame: a fresh worker tells. Not so for
                # time, which would be spent twice.
                if served and error.reason != "time" and not self.stopped.is_set():
                    continue
                return none_made(job, f"{job.recipe.name} {error}")

    def _worker(self) -> WorkerProcess:
        if self.process is not None and not self.process.alive:
            self._drop()
        if self.process is None:
            self.process = WorkerProcess()
            if self.stopped.is_set():  # It came too late to be ended with the others.
                self.process.kill()
            try:
                self.process.wait_until_ready()
            except WorkerEndedError as error:
                self._drop()
                raise EngineError(
                    f"a measuring process could not start: it {error}; what it said stands above"
                ) from None
        return self.process

    def _drop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.close()

    def stop(self) -> None:
        """End the worker at once, and the thread with it."""
        self.stopped.set()
        self.replies.put(None)
        self.waiting.put(None)
        process = self.process
        if process is not None:
            process.kill()
        # The thread sees the end of the answers; only then may the pipes be closed under it. An
        # interrupt may have come before it was started.
        if self.thread.ident is not None:
            self.thread.join(timeout=5)
        self._drop()


def _facts_of(job: Job, line: str) -> list[Fact]:
    """The facts of an answer.

    Raises:
        WorkerEndedError: model code got hold of the pipe and spoilt it. More of it may follow,
            and every later answer would be taken for that of another job.
    """
    try:
        facts = load_facts(line)
    except (ValueError, TypeError, KeyError, AttributeError):
        facts = []
    slots = sorted(map(str, (fact.slot for fact in facts)))
    mine = all(fact.name == job.recipe.name for fact in facts)
    if not mine or slots != sorted(map(str, job.slots)):
        raise WorkerEndedError("died", "spoilt the answer of the process that built it")
    return facts


def _size_of(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0  # It is missed where it is read, with a word on why.


def none_made(job: Job, why: str) -> list[Fact]:
    """The facts of a job of which nothing came."""
    recipe = job.recipe
    return [unmeasured(recipe, slot, "build.failed", why) for slot in job.slots]
