"""Block network access of model code in an offline run.

A builder may download what it builds from: its library's pretrained weights, a configuration.
Where a run is offline, its connections are refused before any packet leaves.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


class OfflineError(ConnectionError):
    """Model code asked for the network in an offline run."""


class _State:
    hooked = False
    offline = False


@contextmanager
def network_refused() -> Iterator[None]:
    """Raise OfflineError where Python code of this process connects to, or looks up, a host.

    Sockets of this machine that have a path for an address are let through. It is process-wide:
    only a worker should do this.
    """
    if not _State.hooked:
        sys.addaudithook(_refuse)  # It can't be taken away again, so a flag rules it.
        _State.hooked = True
    # With it the library reads its cache at once, and not after some attempts.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    before, _State.offline = _State.offline, True
    try:
        yield
    finally:
        _State.offline = before


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _State.offline or event not in _NETWORK:
        return
    host = arguments[0]
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if not isinstance(address, tuple):
            return
        host = address[0]
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    raise OfflineError(f"building needs {host}, and this run is offline")
