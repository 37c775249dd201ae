"""Small acts on files that must hold through a kill, a power cut and a second process."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

from zoo.weights.fetch_types import FileStat

_BLOCK = 1 << 20
_SMALL_BYTES = 64 << 10


class Interrupted(Exception):
    """The run is being stopped; nobody waits for this file any more."""


def url_digest(text: str) -> str:
    """16 hex digits that stand for a URL or a name in file names."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_stat(status: os.stat_result) -> FileStat:
    """The identity of a file on disk: size, modification time in ns, inode."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def hash_file(path: Path, stop: threading.Event | None = None) -> tuple[str, FileStat]:
    """SHA-256 of a regular file, with the identity of what was hashed.

    Raises:
        OSError: it can't be read, or it changed meanwhile.
        Interrupted: ``stop`` was set.
    """
    digest = hashlib.sha256()
    # O_NONBLOCK: whoever swaps a pipe in after the caller's look must not make us wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(f"{path} is not a regular file")
        buffer = bytearray(_BLOCK)
        view = memoryview(buffer)
        while count := file.readinto(buffer):
            digest.update(view[:count])
            if stop is not None and stop.is_set():
                raise Interrupted
        if file_stat(os.fstat(descriptor)) != file_stat(before):
            raise OSError(f"{path} changed while it was read")
    return digest.hexdigest(), file_stat(before)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


def write_whole(path: Path, data: dict[str, Any], *, durable: bool) -> None:
    """Write a small JSON file so that it is there whole or as it was before.

    The caller holds the lock that guards it: its scratch file has one name.
    """
    scratch = _scratch(path)
    with open(scratch, "w", encoding="utf-8") as file:
        json.dump(data, file)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(scratch, path)


def remove_whole(path: Path) -> None:
    """Remove what `write_whole` wrote, and what a kill in the middle of it left."""
    path.unlink(missing_ok=True)
    _scratch(path).unlink(missing_ok=True)


def read_small(path: Path) -> dict[str, Any] | None:
    """A small JSON object that `write_whole` wrote, or None if there is none that can be read."""
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read(_SMALL_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _scratch(path: Path) -> Path:
    return path.with_name(f"{path.name}.tmp")
