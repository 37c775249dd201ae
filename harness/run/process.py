"""A worker process, and how the run sees it: a line goes in, a line comes out, within limits.

What a worker's code does to itself ends with the worker: its time and memory are watched from
here, what it prints is passed on up to a bound, and the processes that it started end with it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from harness.run import guard
from harness.run.guard import descendants
from harness.run.jobs import SO_FAR
from zoo._util.text import ForeignOutput, pass_on

# How often memory is looked at: a process that fills it gets some hundred MB further until then.
_LOOK_SECONDS = 0.05
_START_SECONDS = 300.0
_LEAVE_SECONDS = 10.0
_CHUNK = 2**16
_MOST_PRINTED = 2**16  # bytes per job
_MOST_ANSWERED = 2**28


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may take: seconds, and bytes of memory (None for any)."""

    seconds: float
    memory: int | None = None


class WorkerEndedError(Exception):
    """The worker ended before it answered; the message says how, as the end of a sentence.

    Attributes:
        reason: it ``died`` by itself, or was ended for its ``time`` or its ``memory``.
    """

    def __init__(self, reason: Literal["died", "time", "memory"], how: str) -> None:
        super().__init__(how)
        self.reason = reason


class WorkerProcess:
    """One worker, started at once; `kill` it. ``heard`` is given what it says before its answer."""

    def __init__(
        self,
        heard: Callable[[str], None] = lambda line: None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._heard = heard
        seen = {**os.environ, **(environment or {})}
        self._process = guard.start("harness.run.process:serve", bufsize=0, env=seen)
        self._answers = bytearray()
        self._printed = 0
        self._foreign = ForeignOutput()
        self._pipes = selectors.DefaultSelector()
        for pipe, take in (
            (self._process.stdout, self._take_answer),
            (self._process.stderr, self._take_print),
        ):
            assert pipe is not None
            self._pipes.register(pipe, selectors.EVENT_READ, take)

    @property
    def alive(self) -> bool:
        """Whether it can be given a job."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait for the imports that every job needs.

        Raises:
            WorkerEndedError: they fail.
        """
        self._line(Limits(_START_SECONDS))

    def ask(self, line: str, limits: Limits) -> str:
        """Send a job's line; return the line that comes back.

        Raises:
            WorkerEndedError: it ended, or was ended, before that; it is not alive any more.
        """
        assert self._process.stdin is not None
        self._printed = 0
        with contextlib.suppress(BrokenPipeError):  # Its end is reported below, with the reason.
            self._process.stdin.write(line.encode() + b"\n")
        return self._line(limits)

    def kill(self) -> None:
        """End it at once, and what it started; may be called from any thread."""
        guard.end(self._process)

    def close(self) -> None:
        """Close its pipes, once it has ended and no thread waits for an answer."""
        self._pipes.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _line(self, limits: Limits) -> str:
        started = time.monotonic()
        looked = started
        while True:
            end = self._answers.find(b"\n")
            if end >= 0:
                line = self._answers[:end].decode("utf-8", errors="replace")
                del self._answers[: end + 1]
                if line.startswith(SO_FAR):
                    self._heard(line)
                    continue
                return line
            came = self._pipes.select(_LOOK_SECONDS)
            more = [key.data() for key, _ in came]
            now = time.monotonic()
            if not all(more) or (not came and not self.alive):
                raise WorkerEndedError("died", self._how_it_ended())
            if now - started > limits.seconds:
                self.kill()
                how = f"took more than {limits.seconds:g} seconds and was ended"
                raise WorkerEndedError("time", how)
            if limits.memory is not None and now - looked >= _LOOK_SECONDS:
                looked = now
                if memory_of(self._process.pid) > limits.memory:
                    self.kill()
                    how = f"took more than {limits.memory / 2**30:.3g} GiB of memory and was ended"
                    raise WorkerEndedError("memory", how)

    def _take_answer(self) -> bool:
        """Read what there is of an answer; return whether more can come."""
        assert self._process.stdout is not None
        chunk = os.read(self._process.stdout.fileno(), _CHUNK)
        self._answers += chunk
        return bool(chunk) and len(self._answers) < _MOST_ANSWERED

    def _take_print(self) -> bool:
        """Pass on what model code prints, up to a limit."""
        assert self._process.stderr is not None
        chunk = os.read(self._process.stderr.fileno(), _CHUNK)
        if not chunk:
            self._pipes.unregister(self._process.stderr)
        room = _MOST_PRINTED - self._printed
        self._printed += len(chunk)
        if room > 0 and chunk:
            pass_on(self._foreign(chunk[:room]))
            if len(chunk) >= room:
                pass_on("\n[zoo: what more the model prints is left out]\n")
        return True

    def _how_it_ended(self) -> str:
        """Describe how it ended; kill what it started, and show its last output."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            # A Python that leaves closes its pipes some time before it is gone.
            self._process.wait(timeout=_LEAVE_SECONDS)
        status = self._process.poll()
        self.kill()
        for key, _ in self._pipes.select(0):
            if key.data == self._take_print:
                self._take_print()
        if status is None:
            return "closed its answers and was ended"
        if status < 0:
            return f"ended the process that built it ({_signal_name(-status)})"
        return f"ended the process that built it (exit status {status})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # Real-time signals have no names of their own.
        return f"signal {number}"


_OWN = ("RssAnon:", "RssShmem:", "VmSwap:")
_MOST = 8 * 2**30


def memory_of(pid: int) -> int:
    """Bytes that a process and its descendants hold, swap included; 0 where unknown.

    What a file backs can be dropped and read again, and doesn't count: a large checkpoint that is
    mapped is no reason to end a process.
    """
    return sum(_own_bytes(one) for one in (pid, *descendants(pid)))


@cache
def usual_limit() -> int:
    """Bytes that one worker may hold by default: 8 GiB, or half of what a smaller machine has."""
    return min(_MOST, _machine_bytes() // 2)


def _own_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return 0
    lines = (line.split() for line in text.splitlines() if line.startswith(_OWN))
    return sum(int(words[1]) * 1024 for words in lines)


def _machine_bytes() -> int:
    """The machine's memory, or what a container leaves of it."""
    limits = [_MOST * 2]
    with contextlib.suppress(
        OSError, ValueError, AttributeError
    ):  # One that doesn't say it is a large one.
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(path).read_text()))
        except (OSError, ValueError):
            continue  # No such control group, or the word "max".
    return min(limits)


def serve() -> None:
    """Be a worker: answer the jobs of standard input with facts, one line each, until it ends.

    It runs the builders' code, so it is a process of its own: what crashes or hangs there is a fact
    about a variant, not the end of the run.
    """
    answers = guard.answers()

    # What is imported stays: to look through it for garbage takes a fifth of the time.
    gc.disable()
    # Before "ready": this distinguishes a broken torch from a job that fails.
    import torch  # noqa: F401

    from harness.measure.compiler import call_shape_functions_plainly
    from harness.run.jobs import (
        CHANGED,
        CHECK,
        LOAD,
        LOAD_BOTH,
        NOTE,
        SAME,
        Interim,
        WorkerAnswer,
        load_job,
    )
    from harness.run.perform import CheckedPerformer

    call_shape_functions_plainly()
    gc.freeze()
    gc.enable()

    def tell(interim: Interim) -> None:
        answers.write(interim.dump() + "\n")
        answers.flush()

    performer = CheckedPerformer(tell)
    own = os.getpid()
    try:
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            wanted, _, text = line.rstrip("\n").partition(" ")
            answer = WorkerAnswer(SAME)
            try:
                if wanted in (LOAD, LOAD_BOTH):
                    performer.load(load_job(text), compiler=wanted == LOAD_BOTH)
                elif wanted == NOTE:
                    performer.note()
                elif text:
                    answer = performer.perform(load_job(text), check=wanted == CHECK)
                else:
                    answer = performer.check()
            except Exception as error:  # noqa: BLE001 - an earlier job may have replaced anything
                answer = WorkerAnswer(CHANGED, changed=f"Python itself ({type(error).__name__})")
            if os.getpid() != own:
                os._exit(0)  # A copy that model code made of this process: it has no say here.
            answers.write(answer.dump() + "\n")  # `print` may be another function by now.
            answers.flush()
    except BrokenPipeError:
        # The run has ended and waits for nothing: leave without a word, not even a flush at exit.
        os._exit(0)
