"""Entry point of the `zoo` command; ``python -m zoo`` is the same."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress
from typing import Any

# What ends a command early; Windows has two of them.
_ENDING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]


def main() -> None:
    """Run the command and exit with its status."""
    usual = {number: signal.getsignal(number) for number in _ENDING}
    ours = [n for n in _ENDING if usual[n] in (signal.SIG_DFL, signal.default_int_handler)]
    for number in ours:
        signal.signal(number, _leave)
    # The one place where the library knows of the auditor, and only once it is asked for.
    from harness.cli import interrupts
    from harness.cli import main as run

    for number in ours:  # The command takes them from here on.
        signal.signal(number, usual[number])
    atexit.register(_ignore, ours)
    try:
        status = run()
    except KeyboardInterrupt:  # Before the command took it, or after it had done all.
        status = 128 + signal.SIGINT
    for number in ours:  # All is done and said.
        signal.signal(number, lambda number, frame: os._exit(status))
    if interrupts.received():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        interrupts.leave(status)
    sys.exit(status)


def _ignore(numbers: list[int]) -> None:
    """At the very end Python would put back what the system does, which loses the status."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: Any) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
