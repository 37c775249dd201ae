"""Entry point of the `zoo` command; ``python -m zoo`` is the same."""

from __future__ import annotations

import signal
import sys
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
    from harness.cli import main as run

    for number in ours:  # The command takes them from here on.
        signal.signal(number, usual[number])
    sys.exit(run())


def _leave(number: int, frame: Any) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
