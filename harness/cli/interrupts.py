"""Defer SIGINT while libraries are imported and in finalizers.

Python raises KeyboardInterrupt wherever the program happens to be. Libraries that are being
imported catch what they don't expect, and what is raised in a finalizer is printed and dropped: the
command would go on for hours.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_LATER = 0.05  # seconds
_IMPORTING = "<frozen importlib"
_OURS = {"", "__main__", "harness", "zoo"}


@contextmanager
def deferred() -> Iterator[None]:
    """Hold an interrupt until no library is being imported, and never drop it.

    Nothing changes where something else than Python takes interrupts, or none are wanted, or the
    system has no timers.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        or not hasattr(signal, "setitimer")
    ):
        yield
        return
    hook = sys.unraisablehook
    waiting = False

    def later() -> None:
        nonlocal waiting
        waiting = True
        signal.setitimer(signal.ITIMER_REAL, _LATER)

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal waiting
        # A second interrupt ends the wait.
        if _in_a_library(frame) and not (waiting and signum == signal.SIGINT):
            later()
            return
        waiting = False
        raise KeyboardInterrupt

    def dropped(about: Any) -> None:
        if issubclass(about.exc_type, KeyboardInterrupt):
            later()
        else:
            hook(about)

    alarm = signal.signal(signal.SIGALRM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = dropped
    try:
        yield
        if waiting:  # What it would have ended is over.
            raise KeyboardInterrupt
    finally:
        if waiting:
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, signal.default_int_handler)
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
