"""Ctrl-C, kept until somebody can hear it.

Python raises KeyboardInterrupt wherever the program happens to be. Libraries that are being
imported catch what they don't expect, and what is raised in a finalizer is printed and dropped: the
command would go on for hours as if nobody had asked it to stop.
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


@contextmanager
def heard() -> Iterator[None]:
    """Within it an interrupt is raised as soon as no import is in the way, and is never dropped.

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

    def dropped(about: Any) -> None:
        if issubclass(about.exc_type, KeyboardInterrupt):
            _raise_later()
        else:
            hook(about)

    alarm = signal.signal(signal.SIGALRM, _raise)
    signal.signal(signal.SIGINT, _raise)
    sys.unraisablehook = dropped
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGALRM, alarm)


def _raise(signum: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            _raise_later()
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def _raise_later() -> None:
    signal.setitimer(signal.ITIMER_REAL, _LATER)
