"""Who makes the facts: an engine takes jobs and hands over what came of them.

`LocalEngine` is a few worker processes on this machine. An engine runs nothing but jobs: what is
worth measuring is decided above it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from harness.run.wire import Job, dump_job, load_facts
from harness.types import Fact, unmeasured


class EngineError(Exception):
    """Nothing can be measured here; the message says why."""


# Called in the run's own thread with each job's facts; returns the jobs that follow from them.
# The first of these is done next by the worker that still has the model.
React = Callable[[Job, list[Fact]], "Sequence[Job]"]


class Engine(Protocol):
    """Runs jobs, in any order."""

    def run(self, jobs: Iterable[Job], react: React) -> None:
        """Runs all jobs, and those that ``react`` returns, and comes back when all are done."""


class LocalEngine:
    """Worker processes on this machine, reused from job to job.

    Args:
        workers: how many at most; None chooses by the work: a process costs the import of torch,
            so a second one pays from some dozens of variants on.
        timeout: seconds that one job may take before its worker is ended.
    """

    def __init__(self, workers: int | None = None, timeout: float = 600.0) -> None:
        self.workers = workers
        self.timeout = timeout

    def run(self, jobs: Iterable[Job], react: React) -> None:
        """Runs all jobs; a worker that dies or hangs is replaced, and its job answered for."""
        waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        pending = 0
        for job in jobs:
            waiting.put(job)
            pending += 1
        if not pending:
            return
        number = self.workers or min(os.cpu_count() or 1, 1 + pending // _JOBS_PER_WORKER)
        hands = [_Hand(waiting, self.timeout) for _ in range(number)]
        try:
            answers = _Hand.answers_of(hands)
            while pending:
                hand, job, outcome = answers.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                following = react(job, outcome)
                pending += len(following) - 1
                hand.replies.put(following[0] if following else None)
                for other in following[1:]:
                    waiting.put(other)
        finally:
            for hand in hands:
                hand.stop()


_JOBS_PER_WORKER = 40
_COUNTING_FACTOR = 12

# Not `python -m`: that would put the working folder first on the path, and a page's own folder
# may hold files that are called like a module.
_START = "import sys; sys.path[0] = sys.argv.pop(); from harness.run.worker import main; main()"
_ROOT = str(Path(__file__).resolve().parents[2])

_Answer = tuple["_Hand", Job, "list[Fact] | BaseException"]


class _Hand:
    """A thread that owns one worker process at a time and feeds it jobs."""

    def __init__(self, waiting: queue.SimpleQueue[Job | None], timeout: float) -> None:
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.waiting = waiting
        self.timeout = timeout
        self.answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self.replies: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.process: subprocess.Popen[str] | None = None
        self.stopped = threading.Event()

    @staticmethod
    def answers_of(hands: list[_Hand]) -> queue.SimpleQueue[_Answer]:
        """Starts the hands on one queue of answers."""
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        for hand in hands:
            hand.answers = answers
            hand.thread.start()
        return answers

    def _serve(self) -> None:
        while not self.stopped.is_set():
            job = self.waiting.get()
            while job is not None:
                outcome: list[Fact] | BaseException
                try:
                    outcome = self._do(job)
                except Exception as error:  # noqa: BLE001 - raised again in the run's thread
                    outcome = error
                if self.stopped.is_set():
                    return
                self.answers.put((self, job, outcome))
                job = self.replies.get()

    def _do(self, job: Job) -> list[Fact]:
        process = self._worker()
        assert process.stdin is not None
        assert process.stdout is not None
        timed_out = threading.Event()

        def give_up() -> None:
            timed_out.set()
            process.kill()

        # Pictures take as long as the model takes for them, which is known to nobody beforehand.
        limit = self.timeout if job.counting is None else _COUNTING_FACTOR * self.timeout
        timer = threading.Timer(limit, give_up)
        timer.start()
        try:
            process.stdin.write(dump_job(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if line.endswith("\n"):
            return load_facts(line)
        status = process.wait()
        self.process = None
        if timed_out.is_set():
            ended = f"took more than {limit:g} seconds and was ended"
        elif status < 0:
            ended = f"ended the process that built it ({signal.Signals(-status).name})"
        else:
            ended = f"ended the process that built it (exit status {status})"
        return none_made(job, f"{job.recipe.name} {ended}")

    def _worker(self) -> subprocess.Popen[str]:
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _START, _ROOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
            assert self.process.stdout is not None
            if not self.process.stdout.readline():
                status = self.process.wait()
                self.process = None
                raise EngineError(
                    f"a measuring process could not start (exit status {status}); "
                    "what it said stands above"
                )
        return self.process

    def stop(self) -> None:
        """Ends the worker at once, and the thread with it."""
        self.stopped.set()
        self.replies.put(None)
        self.waiting.put(None)
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.kill()
            process.wait()
        # The thread sees the end of the answers; only then may the pipes be closed under it.
        self.thread.join(timeout=5)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def none_made(job: Job, why: str) -> list[Fact]:
    """The facts of a job of which nothing came."""
    recipe = job.recipe
    return [unmeasured(recipe, slot, "build.failed", why) for slot in job.slots]
