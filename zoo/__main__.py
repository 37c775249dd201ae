"""Entry point of the `zoo` command; ``python -m zoo`` is the same."""

from __future__ import annotations

import signal
import sys
from typing import Any

# They are interrupts, as SIGINT is; Windows has one of them.
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def main() -> None:
    """Run the command and exit with its status."""
    ours = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _leave)
    try:
        # The one place where the library knows of the auditor, and only once it is asked for.
        from harness.cli import main as run

        for number in ours:  # The command takes them from here on.
            signal.signal(number, signal.SIG_DFL)
        status = run()
    except KeyboardInterrupt:  # while it was still being imported
        status = 128 + signal.SIGINT
    sys.exit(status)


def _leave(number: int, frame: Any) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
