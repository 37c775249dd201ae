"""Entry point of the `zoo` command; ``python -m zoo`` is the same."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command and exit with its status."""
    try:
        # The one place where the library knows of the auditor, and only once it is asked for.
        from harness.cli import main as run

        status = run()
    except KeyboardInterrupt:  # while it was still being imported
        status = _INTERRUPTED
    sys.exit(status)


if __name__ == "__main__":
    main()
