"""The door of the `zoo` command; ``python -m zoo`` is the same."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command and exit with its status."""
    # The one place where the library knows of the auditor, and only once it is asked for.
    from harness.cli import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
