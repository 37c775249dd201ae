"""Workers for tests: copies of one process that has imported torch, as each of them would.

A worker's imports take four seconds of a core, and tests of what ends workers start dozens. What
is copied is the process in which `harness.run.guard.main` begins; it has a guard, a session, pipes
and an end of its own, as by `harness.run.guard.start`. Tests that run the command in a process of
its own have workers that import; so has a test that asks for the fixture ``cold_workers``, and
every one with ZOO_TESTS_SPAWN=1.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from harness.run import guard

# Its children leave the loop, and go on as a new Python would; between it and each of them is a
# process that tells how the child ended.
TEMPLATE = """
import importlib, json, os, signal, socket, sys
sys.path[0] = sys.argv.pop()
import torch, torch._dynamo, torch.fx.experimental.symbolic_shapes, torch.utils.flop_counter

def serve():
    asked = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        text, given, _, _ = socket.recv_fds(asked, 2**20, 4)
        if not text:
            os._exit(0)
        if os.fork() == 0:
            break
        for number in given:
            os.close(number)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *pipes, told = given
    asked.detach()
    child = os.fork()
    if child:
        for number in (0, *pipes):
            os.close(number)
        try:
            os.write(told, b"%d " % child)
            os.write(told, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        finally:
            os._exit(0)
    os.setsid()
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
    os.closerange(3, 256)
    sys.argv[1:], sys.path[1:1], environment, folder = json.loads(text)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    importlib.invalidate_caches()

serve()
from harness.run.guard import main
main()
"""
TARGETS = ("harness.run.process:serve", "harness.run.builder_proxy:serve")
_real = guard.start
_lock = threading.Lock()


class _Copy:
    """What of `subprocess.Popen` a guarded process needs: its pipes, its end and how to end it."""

    def __init__(self, command: list[str], pipes: list[Any], told: int) -> None:
        self.args = command
        self.stdin, self.stdout, self.stderr = pipes
        self.returncode: int | None = None
        self._told, self._lock = told, threading.Lock()
        self._text = os.read(told, 64)
        if not self._text:
            raise OSError("the template of the workers has ended")
        self.pid = int(self._text.split()[0])

    def __del__(self) -> None:
        os.close(self._told)

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def _ended(self, timeout: float | None) -> int | None:
        """Its status, once it has ended; any thread may ask."""
        if self.returncode is None and select.select([self._told], [], [], timeout)[0]:
            with self._lock:
                if self.returncode is None:
                    self._text += os.read(self._told, 64)
                    # Without a word on its end, what waited for it was killed.
                    self.returncode = int([*self._text.split(), b"1"][1])
        return self.returncode


def start(target: str, *arguments: str, **options: Any) -> Any:
    """As `harness.run.guard.start`, by a copy of the template where a copy is the same."""
    environment = options.get("env") or dict(os.environ)
    names = {n for n in {*environment, *os.environ} if n.startswith("PYTHON")} - {"PYTHONPATH"}
    if target not in TARGETS or any(environment.get(n) != os.environ.get(n) for n in names):
        return _real(target, *arguments, **options)
    paths = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    with _lock:
        ends = [os.pipe() for _ in range(4)]
        theirs = [ends[0][0], *(end for _, end in ends[1:])]
        words = [[target, *arguments], [*paths], environment, os.getcwd()]
        socket.send_fds(_opened()[0], [json.dumps(words).encode()], theirs)
        for number in theirs:
            os.close(number)
    mine = [ends[0][1], *(end for end, _ in ends[1:3])]
    text = {"encoding": "utf-8"} if options.get("text") else {}
    buffering = options.get("bufsize", -1)
    pipes = [
        open(number, mode + ("" if text else "b"), buffering, **text)  # noqa: SIM115
        for number, mode in zip(mine, "wrr", strict=True)
    ]
    return _Copy([target, *arguments], pipes, ends[3][0])


@functools.cache
def _opened() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The template, and the socket on which it is asked for copies."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", TEMPLATE, guard._ROOT]
    with theirs:
        # It outlives the test, whose standard error may be a terminal that has to close.
        template = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=own,
            start_new_session=True,
        )

    def end() -> None:
        mine.close()
        template.wait()

    atexit.register(end)
    return mine, template


@pytest.fixture
def cold_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers start as they do for a user."""
    monkeypatch.setattr(guard, "start", _real)


@pytest.fixture(scope="session", autouse=True)
def _warm_workers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(os, "fork") and "ZOO_TESTS_SPAWN" not in os.environ:
            patch.setattr(guard, "start", start)
        yield
