"""Engines: run jobs and return the facts that they measure.

`LocalEngine` is a few worker processes on this machine. An engine runs nothing but jobs: what is
worth measuring is decided above it.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from harness.config import USUAL_TIMEOUT
from harness.config.rules import OWN_BUILDER
from harness.run.jobs import (
    CHANGED,
    CHECK,
    DO,
    LEAVING,
    LOAD,
    NOTE,
    SAME,
    UNCHECKED,
    Interim,
    Job,
    WorkerAnswer,
    dump_job,
    load_facts,
    none_made,
)
from harness.run.process import Limits, WorkerEndedError, WorkerProcess, usual_limit
from harness.types import Fact, Recipe


class EngineError(Exception):
    """Nothing can be measured here; the message says why."""


# Called in the run's own thread with each job's facts; returns the jobs that follow from them.
# The first of these is done next by the worker that still has the model.
React = Callable[[Job, list[Fact]], "Sequence[Job]"]
# Called there with how far a job is that takes long, and with None a few times a minute.
Hear = Callable[[Job | None, Interim | None], None]


def unheard(job: Job | None, interim: Interim | None) -> None:
    """Pass over how far a job is."""


class Engine(Protocol):
    """Runs jobs, in any order.

    Attributes:
        hear: what hears how far they are.
    """

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
        self.hear: Hear = unheard

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
        limits = partial(limits_of, timeout=self.timeout, max_memory=self.max_memory)
        workers = [WorkerThread(waiting, limits) for _ in range(number)]
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
                following = react(done, outcome)
                pending += len(following) - 1
                worker.replies.put(following[0] if following else None)
                for other in following[1:]:
                    waiting.put(other)
        finally:
            for worker in workers:
                worker.stop()


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
_NOTE_SECONDS = 120.0
_LOOK_SECONDS = 1.0

_Answer = tuple["WorkerThread", "Job | None", "list[Fact] | Interim | BaseException"]


# A job as it was done, and its facts.
_Done = tuple[Job, "list[Fact]"]


class WorkerThread:
    """A thread that owns one worker process at a time and feeds it jobs.

    Facts that the worker made since it was last compared with what it was are held back. Where it
    turns out to be changed, or ends, they are thrown away, and their jobs done again in a fresh
    worker, which is compared after each; one that changes a fresh worker changes its own numbers
    alone.
    """

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
        self._held: list[_Done] = []
        self._following: list[Job] = []
        self._again: deque[Job] = deque()
        self._careful = False
        self._ran: Recipe | None = None
        self._builder: str | None = None
        self._doing: Job | None = None
        self._used: WorkerProcess | None = None
        self._noted: WorkerProcess | None = None

    @staticmethod
    def answers_of(workers: list[WorkerThread]) -> queue.SimpleQueue[_Answer]:
        """Start the threads with one queue of answers."""
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        for worker in workers:
            worker.answers = answers
            worker.thread.start()
        return answers

    def do(self, job: Job) -> tuple[Job, list[Fact]]:
        """One job at once: the same, with what it changed in its process, and its facts.

        Raises:
            EngineError: no worker process can be started.
        """
        self._again.append(job)
        self._careful = True
        while True:
            for done in self._try(self._again.popleft()):
                return done

    def _serve(self) -> None:
        job: Job | None = None
        try:
            while not self.stopped.is_set():
                job = self._next()
                for done in self._settle() if job is None else self._try(job):
                    self._deliver(*done)
        except Exception as error:  # noqa: BLE001 - raised again in the run's thread
            self.answers.put((self, job, error))

    def _next(self) -> Job | None:
        """The next job; None where there is none now, and what is held back is waited for."""
        self._careful = bool(self._again)
        if self._again:
            return self._again.popleft()
        if self._following:
            return self._following.pop()
        try:
            return self.waiting.get(block=not self._held)
        except queue.Empty:
            return None

    def _try(self, job: Job) -> list[_Done]:
        """Do a job; return what can be believed now, which may be none or several jobs' facts."""
        # Another builder's library would change the process as it is loaded.
        other = self._builder not in (None, job.recipe.builder)
        if self._held and (job.running or other or not self._has_process()):
            self._again.append(job)
            return self._settle()
        if other or self._ran not in (None, job.recipe):
            self._drop()  # What a model that ran has left there is not looked for.
        process = self._worker()
        self._builder = job.recipe.builder
        alone = process is not self._used
        self._used = process
        line = f"{CHECK if self._careful else DO} {dump_job(job)}"
        self._doing = job
        try:
            if job.guarded and process is not self._noted:
                process.ask(f"{LOAD} {dump_job(job)}", self.limits(job))
                # The comparison is ours, and so is the time that it takes on a busy machine.
                process.ask(NOTE, Limits(_NOTE_SECONDS))
                self._noted = process
            answer, facts = _answer_of(job, process.ask(line, self.limits(job)))
        except WorkerEndedError as error:
            # What earlier jobs left behind may be to blame: a fresh worker tells. Not so for
            # time, which would be spent twice.
            final = alone or error.reason == "time" or self.stopped.is_set()
            return self._failed(job, none_made(job, f"{job.recipe.name} {error}"), final=final)
        if job.running and job.recipe.builder != OWN_BUILDER:
            self._ran = job.recipe
        if answer.state == CHANGED:
            job = replace(job, changed=f"{job.recipe.name} changed {answer.changed}")
            why = f"{job.changed} in the process that measures it, where no number holds then"
            facts = none_made(job, why) if facts is None else facts
            return self._failed(job, facts, final=alone)
        assert facts is not None
        self._held.append((job, facts))
        if answer.state == UNCHECKED:
            return []
        if answer.state == LEAVING:
            self._drop()
        return self._released()

    def _failed(self, job: Job, facts: list[Fact], *, final: bool) -> list[_Done]:
        """Leave the worker to which a job happened; its facts count if it had no other job."""
        self._drop()
        if final:
            self._repeat()
            return [(job, facts)]
        self._repeat(replace(job, changed=""))
        return []

    def _settle(self) -> list[_Done]:
        """Have the worker compared now, for nothing else is to be done by it."""
        state = CHANGED
        if self._held and self.process is not None and self._has_process():
            with suppress(WorkerEndedError):
                line = self.process.ask(CHECK, Limits(_NOTE_SECONDS))
                state = WorkerAnswer.load(line).state
        done = self._released() if state in (SAME, LEAVING) else []
        if state != SAME and (self._held or done):
            self._drop()
            self._repeat()
        return done

    def _repeat(self, *jobs: Job) -> None:
        """Do again, one by one, what was held back, and these jobs."""
        self._again.extendleft(reversed([*(job for job, _ in self._held), *jobs]))
        self._held.clear()

    def _released(self) -> list[_Done]:
        held, self._held = self._held, []
        return held

    def _deliver(self, job: Job, facts: list[Fact]) -> None:
        """Hand the facts to the run; the last job's model is the one that the worker still has."""
        if self.stopped.is_set():
            return
        self.answers.put((self, job, facts))
        following = self.replies.get()
        if following is not None and job.changed:
            self._again.appendleft(following)  # It will change its worker, too.
        elif following is not None:
            self._following.append(following)

    def _has_process(self) -> bool:
        return self.process is not None and self.process.alive

    def _worker(self) -> WorkerProcess:
        if not self._has_process():
            self._drop()
        if self.process is None:
            self.process = WorkerProcess(self._heard)
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

    def _heard(self, line: str) -> None:
        """Pass on how far the job is; what model code may have written there is no word of it."""
        if self.thread.ident is None:  # It serves no run, whose queue would be emptied.
            return
        with suppress(ValueError, TypeError):
            self.answers.put((self, self._doing, Interim.load(line)))

    def _drop(self) -> None:
        process, self.process = self.process, None
        self._ran = self._builder = None
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


def _answer_of(job: Job, line: str) -> tuple[WorkerAnswer, list[Fact] | None]:
    """What a worker says of itself, and the facts; None where they are not to be believed.

    Raises:
        WorkerEndedError: see `_facts_of`.
    """
    answer = WorkerAnswer.load(line)
    if answer.state == CHANGED:
        try:
            return answer, _facts_of(job, answer.facts)
        except WorkerEndedError:
            return answer, None
    return answer, _facts_of(job, answer.facts)


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
