"""Signals that have to wait until a piece of work is whole."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal

# Those that end a program, what defers them, and the end of a process that was started.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD")
_ENDS = ("SIGINT", "SIGTERM", "SIGHUP")
# A terminal and a launcher may both send the same; a person who can't wait comes later.
_SAME = 1.0


class HeldSignals:
    """Within it, signals are noted; at its end their handlers are called. It can be nested.

    A second Ctrl-C is not held. Signals that no Python function takes do what they always do.

    Attributes:
        asked: a signal that ends programs has been noted since the start.
        broken: the work was left in the middle, by a second Ctrl-C.
    """

    def __init__(self) -> None:
        self.asked = self.broken = False
        self._handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._noted: dict[int, float] = {}
        self._depth = 0

    def __enter__(self) -> HeldSignals:
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)
                handler = None if number is None else signal.getsignal(number)
                if number is not None and callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(self, kind: object, *_: object) -> Literal[False]:
        self._depth -= 1
        if self._depth == 0:
            noted = sorted(self._noted)  # What ends this program comes before the end of others.
            handlers = self._release()
            if kind is None:
                for number in noted:
                    handlers[number](number, sys._getframe())
        return False

    def _release(self) -> dict[int, Callable[[int, FrameType | None], Any]]:
        handlers, self._handlers, self._noted = self._handlers, {}, {}
        for number, handler in handlers.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)
        return handlers

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked |= number in {getattr(signal, name, None) for name in _ENDS}
        first = self._noted.setdefault(number, time.monotonic())
        if number == signal.SIGINT and time.monotonic() - first > _SAME:
            self.broken = True
            self._release()[number](number, frame)
