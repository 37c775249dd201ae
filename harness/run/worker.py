"""A thread of the run with its worker process: what it asks of it, and what it believes of that."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from harness.config.rules import OWN_BUILDER
from harness.measure.cuda import VISIBLE
from harness.run.jobs import (
    CHANGED,
    CHECK,
    COMPILING,
    DO,
    LEAVING,
    LOAD,
    LOAD_BOTH,
    LOST,
    NOTE,
    SAME,
    UNCHECKED,
    BenchmarkJob,
    DeviceShare,
    Interim,
    Job,
    WaitingJobs,
    WorkerAnswer,
    dump_job,
    load_facts,
    none_made,
    not_on_device,
)
from harness.run.process import Limits, WorkerEndedError, WorkerProcess
from harness.types import Fact, Recipe

_NOTE_SECONDS = 120.0
# What runs wherever anything does: small, of this package, without weights.
_PROBE = Job(
    Recipe("efficientnet_lite0", OWN_BUILDER, image_size=(32, 32)),
    ("speed",),
    (),
    timing=BenchmarkJob((1,), 0.01),
)


class EngineError(Exception):
    """Nothing can be measured here; the message says why."""


@dataclass(frozen=True, slots=True)
class EarlyFacts:
    """The facts of some shards of a job that goes on."""

    facts: list[Fact]


_Answer = tuple["WorkerThread", "Job | None", "list[Fact] | EarlyFacts | Interim | BaseException"]


# A job as it was done, and its facts.
_Done = tuple[Job, "list[Fact]"]


class WorkerThread:
    """A thread that owns one worker process at a time, on its device if any, and feeds it jobs.

    Facts that the worker made since it was last compared with what it was are held back. Where it
    turns out to be changed, or ends, they are thrown away, and their jobs done again in a fresh
    worker, which is compared after each; one that changes a fresh worker changes its own numbers
    alone. A worker in which CUDA has ended is replaced, and its job tried once more; where a model
    of this package can't be run on the device then either, it is given no more.
    """

    def __init__(
        self,
        waiting: WaitingJobs,
        limits: Callable[[Job], Limits],
        share: DeviceShare | None = None,
    ) -> None:
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.waiting = waiting
        self.limits = limits
        self.share = share
        self.answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self.replies: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.process: WorkerProcess | None = None
        self.stopped = threading.Event()
        self._held: list[_Done] = []
        self._following: list[Job] = []
        self._again: deque[Job] = deque()
        self._careful = False
        self._compiling = False
        self._ran: Recipe | None = None
        self._builder: str | None = None
        self._doing: Job | None = None
        self._used: WorkerProcess | None = None
        self._noted: WorkerProcess | None = None
        self._probes = False
        self._early: set[str] = set()  # The parts of what is done whose facts are delivered.

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
                if self.stopped.is_set():
                    return
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
            return self.waiting.get(self, block=not self._held, share=self.share)
        except queue.Empty:
            return None

    def _try(self, job: Job) -> list[_Done]:
        """Do a job; return what can be believed now, which may be none or several jobs' facts."""
        if failed := self.waiting.failed.get((job.recipe, job.running)):
            return [(job, not_on_device(job, failed))]
        if job.running and self.share is not None and self.share.broken:
            if self.waiting.rests(self.share):
                self.waiting.put(replace(job, failed=""))
                return []
            why = f"{job.recipe.name}: not run: {self.share.broken[0]}"
            return [(job, none_made(job, why, "build.device-failed"))]
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
        given = job if self.share is None else self.share.given(job)
        line = f"{CHECK if self._careful else DO} {dump_job(given)}"
        self._doing = job
        self._early.clear()
        try:
            if job.guarded and process is not self._noted:
                load = LOAD_BOTH if self._compiling else LOAD
                process.ask(f"{load} {dump_job(job)}", self.limits(job))
                # The comparison is ours, and so is the time that it takes on a busy machine.
                process.ask(NOTE, Limits(_NOTE_SECONDS))
                self._noted = process
            answer, facts = _answer_of(job, process.ask(line, self.limits(job)))
        except WorkerEndedError as error:
            # What earlier jobs left behind may be to blame: a fresh worker tells. Not so for
            # time, which would be spent twice.
            final = alone or error.reason == "time" or self.stopped.is_set()
            job = self._rest(job)
            if error.reason == "died" and self.share is not None and job.running and not job.failed:
                # A failing device may take the process with it.
                final, job = self.stopped.is_set(), replace(job, failed=str(error))
            elif error.reason != "memory" and job.running and self._is_broken(str(error)):
                final = not self.waiting.rests(self.share)
            return self._failed(job, none_made(job, f"{job.recipe.name} {error}"), final=final)
        if job.running and job.recipe.builder != OWN_BUILDER:
            self._ran = job.recipe
        job = self._rest(job)
        if facts is not None and self._early:
            facts = [fact for fact in facts if fact.slot in job.slots]
        return self._judged(job, answer, facts, alone=alone)

    def _judged(
        self, job: Job, answer: WorkerAnswer, facts: list[Fact] | None, *, alone: bool
    ) -> list[_Done]:
        """What of an answer can be believed now, by what the worker says of itself."""
        if answer.state == LOST and facts is not None:
            again = replace(job, failed=answer.changed)
            if job.failed and job.running and self._is_broken(answer.changed):
                # On another device it may well run.
                return self._failed(again, facts, final=not self.waiting.rests(self.share))
            if job.failed:
                self.waiting.failed[job.recipe, job.running] = answer.changed
            return self._failed(again, facts, final=bool(job.failed))
        if answer.state == COMPILING and not self._compiling:
            self._compiling = True  # All workers have it from now on, and a build may load it.
            return self._failed(job, [], final=False)
        if answer.state in (CHANGED, COMPILING):
            job = replace(job, changed=f"{job.recipe.name} changed {answer.changed}")
            why = f"{job.changed} in the process that measures it, where no number holds then"
            facts = none_made(job, why) if facts is None else facts
            return self._failed(job, facts, final=alone)
        assert facts is not None
        self._held.append((job, self._named(facts)))
        if answer.state == UNCHECKED:
            return []
        if answer.state == LEAVING:
            self._drop()
        return self._released()

    def _is_broken(self, why: str) -> bool:
        """Whether its device, on which a job has failed for good, runs no other model either."""
        if self.share is None or self.stopped.is_set() or self._works(self.share):
            return False
        why = f"{self.share.name} failed, and then ran no other model: {why}"
        self.waiting.give_up(self.share, why)
        return True

    def _works(self, share: DeviceShare) -> bool:
        """Whether a model of this package can be run on the device, in a process of its own."""
        self._drop()
        job = share.given(_PROBE)
        self._doing, self._probes = None, True
        try:
            line = self._worker().ask(f"{DO} {dump_job(job)}", Limits(_NOTE_SECONDS))
            return WorkerAnswer.load(line).state != LOST
        except WorkerEndedError as error:
            return error.reason == "memory" or self.stopped.is_set()
        finally:
            self._probes = False
            self._drop()

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
            seen = {} if self.share is None else {VISIBLE: self.share.visible}
            self.process = WorkerProcess(self._heard, seen)
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
        # It serves no run, whose queue would be emptied, or the run has not asked for it.
        if self.thread.ident is None or self._probes:
            return
        with suppress(ValueError, TypeError, WorkerEndedError):
            interim, job = Interim.load(line), self._doing
            if interim.facts is None or job is None:
                self.answers.put((self, job, interim))
            elif interim.part in self._rest(job).parts:
                part = job.of_parts([interim.part])
                facts = self._named(_facts_of(part, interim.facts))
                self._early.add(interim.part)
                self.answers.put((self, part, EarlyFacts(facts)))

    def _rest(self, job: Job) -> Job:
        """A job without the shards whose facts are delivered."""
        rest = [part for part in job.parts if part not in self._early]
        return job.of_parts(rest) if self._early else job

    def _named(self, facts: list[Fact]) -> list[Fact]:
        return facts if self.share is None else [*map(self.share.named, facts)]

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
