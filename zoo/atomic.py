"""A file replaced at once: readers see the old bytes or the new ones, whatever happens between."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def replace(
    path: str | os.PathLike[str], data: bytes, check: Callable[[], None] = lambda: None
) -> None:
    """Put a file's new content in its place, whole or not at all.

    A link stays a link. The file that is replaced hands on its owner and its permissions; a new one
    has those that the process gives to any new file.

    Args:
        path: the file; its folder is there.
        data: all that it is to hold.
        check: called when the content is on the disk and nothing is replaced yet; what it raises
            leaves the file as it was.

    Raises:
        OSError: the file can't be written; it is as it was.
    """
    real = os.path.realpath(path)
    before = _status(real)
    scratch = os.path.join(os.path.dirname(real), f".zoo-{secrets.token_hex(8)}")
    # What others may not read, they may not read while it is written either.
    handle = os.open(scratch, _NEW, 0o666 if before is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            _take_over(scratch, before)
        check()
        os.replace(scratch, real)
    except BaseException:
        with suppress(OSError):
            os.unlink(scratch)
        raise
    _sync_folder(os.path.dirname(real))


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _take_over(path: str, before: os.stat_result) -> None:
    """Give a new file the owner and the permissions of the one that it replaces."""
    if hasattr(os, "chown"):
        # Only an administrator may give a file away; anybody else owns both.
        with suppress(PermissionError):
            os.chown(path, before.st_uid, before.st_gid)
    os.chmod(path, stat.S_IMODE(before.st_mode))


def _sync_folder(folder: str) -> None:
    """Make the new name last through a loss of power, where a folder can be opened for that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
