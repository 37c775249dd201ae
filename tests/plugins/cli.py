"""The `zoo` command for tests: run in this process, which has its imports already, or in its own.

In this process the command gets what a process would give it: an environment, a working folder and
three files of its own, and caches that remember no earlier run. Facts of built-in builders, which
depend on their job alone, are made once in a test session. A test that kills, interrupts, limits or
looks at the process itself asks for one: ``spawn=True``. With ``ZOO_TESTS_SPAWN=1`` set, every test
gets one: to see whether a failure comes from what this process remembers.
"""

from __future__ import annotations

import functools
import io
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

ROOT = Path(__file__).resolve().parents[2]
# Caches of these modules depend on the environment, or on files that a test writes.
_FORGETFUL = ("harness.run.", "harness.datasets.")
_KEPT = ("harness.run.keys",)
# What shapes alone decide.
_BY_JOB = {"structure", "flops", "profile", "preprocess"}


def run_python(
    words: Sequence[str | Path], *, check: bool = False, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run an interpreter of its own, as by ``-c`` and a program, with settings of `subprocess`.

    It finds this repository, unless its environment says what it finds.
    """
    command = [sys.executable, *map(str, words)]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    settings = {"env": os.environ | {"PYTHONPATH": path}} | settings
    return subprocess.run(command, capture_output=True, text=True, check=check, **settings)


def is_gone(pid: int, within: float = 60) -> bool:
    """Whether a process ends in that time; one that nobody has waited for yet has ended."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] in "ZX":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def run_zoo(
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float = 300,
    spawn: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run the command; its exit status, standard output and standard error.

    It gets a process of its own where it has to find modules that this process does not find, or
    an interpreter with other settings; the timeout is for that one.
    """
    words = [*map(str, arguments)]
    if (
        spawn
        or os.environ.get("ZOO_TESTS_SPAWN")
        or "ray" in words
        or _needs_another_python(environment)
    ):
        return spawn_zoo(words, cwd=cwd, environment=environment, stdin=stdin, timeout=timeout)
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(stdin)
        given.seek(0)
        status = run_here(words, (given, out, err), cwd=cwd, environment=environment)
        return subprocess.CompletedProcess(words, status, _text(out), _text(err))


def run_here(
    words: Sequence[str],
    files: Sequence[BinaryIO],
    *,
    cwd: Path,
    environment: Mapping[str, str],
) -> int:
    """Run the command in this process, with these as its standard files; its exit status."""
    from harness.cli import main

    with _process_state(), _in_place(cwd, environment), _streams(*files), _engine():
        try:
            status: Any = main(words)
        except SystemExit as request:
            status = request.code
    return int(status or 0)


def _needs_another_python(environment: Mapping[str, str]) -> bool:
    paths = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    here = {os.path.realpath(path or ".") for path in (*sys.path, ROOT)}
    names = {n for n in {*environment, *os.environ} if n.startswith("PYTHON")} - {"PYTHONPATH"}
    return not here.issuperset(map(os.path.realpath, paths)) or any(
        environment.get(name) != os.environ.get(name) for name in names
    )


def spawn_zoo(
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        input=stdin,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    out, err = (_decoded(data) for data in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def said(text: str) -> str:
    """Standard error with each mistake on one line: what is wrong, and what to do about it."""
    return re.sub("^error: ", "", text.replace("\nhint: ", "; "), flags=re.M)


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return _decoded(file.read())


def _decoded(data: bytes) -> str:
    """As text, its line breaks as they are."""
    return data.decode("utf-8", errors="replace")


@contextmanager
def _in_place(cwd: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """The environment and the working folder of the command."""
    kept, folder = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(kept)


@contextmanager
def _streams(*files: BinaryIO) -> Iterator[None]:
    """Three files as standard input, output and error, of this process and of its children."""
    names = ("stdin", "stdout", "stderr")
    kept = [getattr(sys, name) for name in names]
    for stream in kept[1:]:
        stream.flush()
    saved = [os.dup(number) for number in range(3)]
    for number, file in enumerate(files):
        file.flush()
        os.dup2(file.fileno(), number)
    mine = [
        io.TextIOWrapper(
            open(number, "wb" if number else "rb", closefd=False),  # noqa: SIM115
            encoding="utf-8",
            errors="surrogateescape" if number < 2 else "backslashreplace",
            line_buffering=number == 2,
        )
        for number in range(3)
    ]
    for name, stream in zip(names, mine, strict=True):
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for stream in mine:
            if not stream.closed:
                stream.close()
        for number, (name, stream) in enumerate(zip(names, kept, strict=True)):
            setattr(sys, name, stream)
            os.dup2(saved[number], number)
            os.close(saved[number])


@contextmanager
def _process_state() -> Iterator[None]:
    """What else belongs to a process, put back afterwards: caches, signals, logging, warnings."""
    for name, module in list(sys.modules.items()):
        if name.startswith(_FORGETFUL) and name not in _KEPT:
            for value in list(vars(module).values()):
                if isinstance(value, functools._lru_cache_wrapper):
                    value.cache_clear()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    root = logging.getLogger()
    logs = (root.level, list(root.handlers))
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else None
    with warnings.catch_warnings():
        # As a fresh interpreter has them, on its standard error.
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)
        warnings.showwarning = _show
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            root.setLevel(logs[0])
            root.handlers[:] = logs[1]
            if torch is not None and threads is not None:
                torch.set_num_threads(threads)


def _show(
    message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


@contextmanager
def _engine() -> Iterator[None]:
    """Lets built-in builders build in this process, within `harness.run.session`."""
    from harness.run import session

    real = session.LocalEngine
    session.LocalEngine = _Here  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        session.LocalEngine = real  # type: ignore[misc]


class _Here:
    """An engine without processes; jobs and facts pass through the same lines of JSON.

    Speeds are measured and other people's builders run in real workers.
    """

    facts: ClassVar[dict[str, str]] = {}
    performer: ClassVar[Any] = None

    def __init__(
        self, workers: int | None, timeout: float, max_memory: int | None, shares: Any = ()
    ) -> None:
        from harness.config import USUAL_TIMEOUT
        from harness.run.engine import LocalEngine

        self._real = LocalEngine(workers, timeout, max_memory, shares)
        self.hear: Any = self._real.hear
        self._limited = timeout != USUAL_TIMEOUT or max_memory is not None

    def run(self, jobs: Any, react: Callable[[Any, Any], list[Any]]) -> None:
        others: list[Any] = []
        waiting = list(jobs)
        try:
            while waiting:
                job = waiting.pop(0)
                if self._here(job):
                    waiting += react(job, self._made(job))
                else:
                    others.append(job)
        finally:
            self._close()
        if others:
            # What follows from a job may be of either kind; a worker takes both.
            self._real.hear = self.hear
            self._real.run(others, react)

    def _close(self) -> None:
        """Ends the processes that decode pictures: they have this run's environment."""
        kept = _Here.performer and _Here.performer._validator
        if kept:
            kept[1].close()
            _Here.performer._validator = None

    def _here(self, job: Any) -> bool:
        from harness.measure.builders import built_in

        real = self._limited or job.timing is not None
        return not real and built_in(job.recipe.builder)

    def _made(self, job: Any) -> Any:
        from harness.run.jobs import dump_facts, dump_job, load_facts, load_job
        from harness.run.perform import Performer

        line = dump_job(job)
        known = _Here.facts.get(line)
        if known is None:
            if _Here.performer is None:
                _Here.performer = Performer()
            known = dump_facts(_Here.performer.perform(load_job(line)))
            if set(job.kinds) <= _BY_JOB:
                _Here.facts[line] = known
        return load_facts(known)
