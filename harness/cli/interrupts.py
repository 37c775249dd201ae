"""Take SIGINT, SIGTERM and SIGHUP as interrupts, and defer them during imports and in finalizers.

Python raises KeyboardInterrupt wherever the program happens to be. Libraries that are being
imported catch what they don't expect, and what is raised in a finalizer is printed and dropped: the
command would go on for hours. So it is deferred there, but not for long: who presses Ctrl-C wants
the command to end, and a second of imports, of plots or of threads that leave is the most it gets.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from harness.run.guard import kill_descendants

# Those that a terminal, a supervisor or a system that shuts down sends; Windows has two of them.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
_LATER = 0.05  # seconds
# A terminal that is closed, and its shell, both send SIGHUP: one end is enough.
_SAME = 2.0
# The command has so long to say what it found, and is then ended; while it imports, there is less
# to say, and the end may have to wait for a large library to be loaded.
_GRACE, _IMPORT_GRACE = 1.2, 0.6
_ERASE_LINE = b"\r\x1b[2K"
_SHOW_CURSOR = b"\x1b[?25h"
_LAUNCHER = "TORCHELASTIC_RUN_ID"
_IMPORTING = "<frozen importlib"
_OURS = {"", "__main__", "harness", "zoo"}
_received: list[int] = []
# Held while something must not stop halfway, and given up only with the process.
_whole = threading.RLock()
_ends: list[float] = []
_last: dict[int, float] = {}
_last_words: list[Callable[[], None]] = []


class Interrupt(KeyboardInterrupt):
    """An interrupt of the command.

    Python ends itself by SIGINT at its exit where a KeyboardInterrupt itself has passed an exec(),
    such as dataclasses are made by, although it was caught: the status would be lost.
    """


def status() -> int:
    """The exit status of a command that was interrupted, by its first signal: 130, 143 or 129."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def hung_up() -> bool:
    """Whether the terminal is gone, so that nothing can be reported there."""
    return signal.Signals["SIGHUP"] in _received if hasattr(signal, "SIGHUP") else False


def received() -> bool:
    """Whether the command was interrupted."""
    return bool(_received)


def take(seconds: float) -> None:
    """Let an interrupted command go on for so long, to keep what would else be lost."""
    if _ends:
        _ends[-1] = time.monotonic() + seconds


def say_last(say: Callable[[], None]) -> None:
    """Have this called if the command is interrupted and can't say it any more."""
    _last_words.append(say)


def say_now() -> None:
    """Say what was to be said at the end, once."""
    while _last_words:
        _last_words.pop()()


@contextmanager
def withheld() -> Iterator[None]:
    """Finish what must not stop halfway, before any of the signals is heard; it takes no time."""
    mask = getattr(signal, "pthread_sigmask", None)
    with _whole:
        before = mask(signal.SIG_BLOCK, _SIGNALS) if mask else None
        try:
            yield
        finally:
            if mask:
                mask(signal.SIG_SETMASK, before)


def leave(status: int) -> NoReturn:
    """End this process and all that it started, now: nothing is waited for."""
    with _whole:
        with suppress(OSError):
            if os.isatty(2):
                os.write(2, _ERASE_LINE + _SHOW_CURSOR)  # Bars hide it.
        kill_descendants()
        with suppress(Exception):  # The command may have left anything behind.
            say_now()
        os._exit(status)


def _is_new(signum: int, grace: float) -> bool:
    """Note a signal, and let the command have its time from the first; False for an echo."""
    before, _last[signum] = _last.get(signum, -_SAME), time.monotonic()
    if signum != signal.SIGINT and _last[signum] - before < _SAME:
        return False
    _received.append(signum)
    if not _ends:  # No `threading.Thread`: its locks may be held here.
        _ends.append(time.monotonic() + grace)
        start_new_thread(_watch, ())
    return True


def _watch() -> None:
    """End the process when its time is over, whatever it does, unless it has been heard."""
    while _ends and (left := _ends[-1] - time.monotonic()) > 0:
        time.sleep(left)
    if _ends:
        leave(status())


@contextmanager
def deferred() -> Iterator[None]:
    """Hold an interrupt until no library is being imported, and never drop it.

    Nothing changes where something else than Python takes a signal, or it is ignored, or the
    system has no timers.
    """
    _received.clear()
    _last.clear()
    _last_words.clear()
    usual = (signal.default_int_handler, signal.SIG_DFL)
    taken = {
        number: signal.getsignal(number) for number in _SIGNALS if signal.getsignal(number) in usual
    }
    if _LAUNCHER in os.environ:  # It ends its processes by SIGTERM, in calls that hear nothing.
        taken.pop(signal.SIGTERM, None)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not taken or not hasattr(signal, "setitimer"):
        yield
        return
    hook, owner = sys.unraisablehook, os.getpid()
    waiting = False

    def later() -> None:
        nonlocal waiting
        waiting = True
        signal.setitimer(signal.ITIMER_REAL, _LATER)

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal waiting
        if os.getpid() != owner:  # A copy of this process ends as it would have.
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        importing = _in_a_library(frame)
        if signum in taken and not _is_new(signum, _IMPORT_GRACE if importing else _GRACE):
            return
        # A second interrupt ends the wait.
        if importing and not (waiting and signum == signal.SIGINT):
            later()
            return
        waiting = False
        raise Interrupt

    def dropped(about: Any) -> None:
        if issubclass(about.exc_type, KeyboardInterrupt):
            later()
        else:
            hook(about)

    alarm = signal.signal(signal.SIGALRM, interrupt)
    for number in taken:
        signal.signal(number, interrupt)
    sys.unraisablehook = dropped
    try:
        yield
        if waiting:  # What it would have ended is over.
            raise Interrupt
    finally:
        _ends.clear()
        if waiting:
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        for number, handler in taken.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGALRM, alarm)


def _in_a_library(frame: FrameType | None) -> bool:
    """Whether the code of a library runs because it is being imported; ours lets errors pass."""
    newer: set[str] = set()
    imported: set[str] = set()
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            imported |= newer
        newer.add(str(frame.f_globals.get("__name__", "")).partition(".")[0])
        frame = frame.f_back
    return bool(imported - _OURS - sys.stdlib_module_names)
