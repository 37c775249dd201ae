"""A guard between the run and a process of foreign code: what that process starts ends with it.

Foreign code may start children, give them sessions of their own, and leave them to the system. The
guard is the parent of the process and adopts its orphans, so that none of them gets away; it ends
all of them when that process ends, when the run says so, and when the run is gone, however it
ended. That takes Linux. Elsewhere the process itself leaves when the run has ended, and takes its
group with it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import subprocess

_LINUX = sys.platform.startswith("linux")
# Not `python -m`: that would put the working folder first on the path, and a page's own folder
# may hold files that are called like a module.
_START = "import sys; sys.path[0] = sys.argv.pop(); from harness.run.guard import main; main()"
_ROOT = str(Path(__file__).resolve().parents[2])
# Numbers of Linux's prctl, see its manual page.
_DIE_WITH_PARENT = 1
_ADOPT_ORPHANS = 36
# What a guard answers to; the others say that it has a fault of its own.
_HEARD = {
    *(signal.SIGTERM, signal.SIGSEGV, signal.SIGFPE, signal.SIGILL),
    *(getattr(signal, name) for name in ("SIGCHLD", "SIGBUS") if hasattr(signal, name)),
}
# How often it is seen that the run is gone where a copy of the run keeps its pipe open.
_LOOK_SECONDS = 1.0
# A process that the system holds, in a write to a disk that is gone, can't be waited for.
_END_SECONDS = 5.0


def start(target: str, *arguments: str, **options: Any) -> subprocess.Popen[Any]:
    """Run ``module:function`` under a guard, for as long as its input is open; `end` ends it.

    Its streams are pipes, unless the options, which are those of `subprocess.Popen`, say otherwise.
    A terminal's Ctrl-C is for the run alone: it has a session of its own.
    """
    from subprocess import PIPE, Popen

    command = [sys.executable, "-c", _START, target, *arguments, _ROOT]
    pipes = {"stdin": PIPE, "stdout": PIPE, "stderr": PIPE}
    return Popen(command, start_new_session=True, **{**pipes, **options})


def answers() -> TextIO:
    """In such a process: what its answers are written to.

    All that other code prints goes to standard error, so that they keep the pipe alone, and the
    run decides when to stop: a terminal's Ctrl-C may reach every process of the group.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def end(process: subprocess.Popen[Any]) -> None:
    """End a guarded process and all that it started; may be called from any thread."""
    from subprocess import TimeoutExpired

    if _LINUX:
        process.terminate()
        with suppress(TimeoutExpired):
            process.wait(2 * _END_SECONDS)
            return
    _end_by_force(process.pid)
    process.wait()


def _end_by_force(pid: int) -> None:
    """End a process and what it started, as far as that can be found."""
    # In this order: a process that is ended can't start another, nor give its own away.
    children = descendants(pid) if _LINUX else _listed(pid)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for child in children:  # Those that have made a group of their own.
        with suppress(ProcessLookupError, PermissionError):
            os.kill(child, signal.SIGKILL)


def kill_descendants() -> None:
    """End all that this process has started; nothing is waited for."""
    for child in descendants(os.getpid()) if _LINUX else _listed(os.getpid()):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(child, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs; none where the system doesn't report them."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            found.append(child)
            waiting.append(child)
    return found


def _children(pid: int) -> Iterator[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
        except OSError:
            continue  # The thread has ended since.
        yield from map(int, text.split())


def _listed(pid: int) -> list[int]:
    """The descendants of a process, by the one program that lists them on every Unix."""
    from subprocess import SubprocessError, check_output

    try:
        text = check_output(["ps", "-A", "-o", "pid=,ppid="], text=True, timeout=_END_SECONDS)
    except (OSError, SubprocessError):
        return []
    pairs = [tuple(map(int, line.split())) for line in text.splitlines()]
    found = [pid]
    for one in found:  # It grows meanwhile.
        found += [child for child, parent in pairs if parent == one and child not in found]
    return found[1:]


def main() -> None:
    """Be the guard of the function that the command line names, or run it without one."""
    module, _, function = sys.argv.pop(1).partition(":")
    run = os.getppid()
    try:
        os.getcwd()
    except OSError:  # It is gone, and libraries of torch end a process that has none.
        os.chdir(os.sep)
    if _LINUX:
        _prctl(_ADOPT_ORPHANS, 1)
        _guard(run)
    else:
        threading.Thread(target=_leave_with, args=(run,), daemon=True).start()
    getattr(import_module(module), function)()


def _guard(run: int) -> None:
    """Fork: return in the process that is guarded, and guard it in this one."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        # Before there is anything to guard: it could not be ended with the guard.
        signal.signal(number, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    guard = os.getpid()
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        os.close(woken)
        os.close(wake)
        os.setsid()  # What it does to its own group doesn't reach the guard.
        _prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != guard:  # It has ended before that.
            os._exit(1)
        # Where the machine runs out of memory, the one to be ended is this process, not the run.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        return
    for number in signal.valid_signals() - _HEARD:
        # The child may send them to its parent, and would be rid of its guard.
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    try:
        status = _watch(child, run, woken)
        _end_all()
        os._exit(1 if status is None else _as(status))
    finally:
        os._exit(1)


def _watch(child: int, run: int, woken: int) -> int | None:
    """Wait until the child has ended, for its status, or is to be ended, for None."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):  # The run sees their end when the child has closed its own.
        os.dup2(nowhere, number)
    events = select.poll()
    events.register(0, 0)  # Its input is the child's to read; that it has no writer any more
    events.register(woken, select.POLLIN)  # is reported all the same.
    while True:
        ready = dict(events.poll(_LOOK_SECONDS * 1000))
        if 0 in ready or os.getppid() != run:
            return None
        if woken in ready and signal.SIGTERM in os.read(woken, 4096):
            return None
        for pid, status in _ended():
            if pid == child:
                return status


def _ended() -> Iterator[tuple[int, int]]:
    """The children that have ended, with their statuses; it may be orphans that were adopted."""
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            yield pid, status


def _end_all() -> None:
    """End every process below this one, and those that they start meanwhile."""
    end = time.monotonic() + _END_SECONDS
    while time.monotonic() < end:
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def _as(status: int) -> int:
    """End as the child did: by its signal, or with the exit status that is returned."""
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    time.sleep(_END_SECONDS)  # A signal of its own comes at once.
    return 1


def _leave_with(run: int) -> None:
    """End this process and its group when its input has no writer, or the run is gone."""
    events = select.poll()
    events.register(0, 0)
    while not events.poll(_LOOK_SECONDS * 1000) and os.getppid() == run:
        pass
    kill_descendants()
    with suppress(OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
