"""Small acts on files that must hold through a kill, a power cut and a second process."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

_SMALL_BYTES = 64 << 10


class Interrupted(Exception):
    """The run is being stopped; nobody waits for this file any more."""


def url_digest(text: str) -> str:
    """16 hex digits that stand for a URL or a name in file names."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def raise_if(stop: threading.Event | None) -> None:
    """Raises Interrupted once ``stop`` is set."""
    if stop is not None and stop.is_set():
        raise Interrupted


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
