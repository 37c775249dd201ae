"""One process at a time at a file that is read, checked and replaced."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.fix.page import Refused

_WAIT_S = 60.0


def lock_folder() -> Path:
    """Where the locks are: none is left beside the files that they are for."""
    from platformdirs import user_cache_path

    return user_cache_path("zoo") / "locks"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits until no other process is at that file, and keeps the others waiting.

    Where locks can't be kept nobody waits, and a file that another process has changed in between
    is refused when it is to be replaced.

    Raises:
        Refused: another process takes too long.
    """
    # By any path that leads to it, a file is one.
    digest = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]
    folder = lock_folder()
    # Its file stays: whoever waits for it would be left with one that nobody else has.
    lock = FileLock(folder / f"{digest}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_WAIT_S)
    except Timeout as error:
        raise Refused(f"{path}: another process has been writing to it for a minute") from error
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
