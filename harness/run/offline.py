"""Model code kept from the network: from all of it in an offline run, or from private hosts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from harness.run.jobs import Job


def network_of(job: Job) -> AbstractContextManager[None]:
    """Keep the code of a job from the hosts that its run refuses."""
    limited = job.offline or job.public_hosts_only
    return network_refused(but_public=not job.offline) if limited else nullcontext()


_SENDING = ("socket.connect", "socket.sendto", "socket.sendmsg")
_ASKING = ("getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo")
_NETWORK = (*_SENDING, *(f"socket.{name}" for name in _ASKING))
# What sockets take for an address beside one.
_ADDRESSES = {"": "0.0.0.0", "<broadcast>": "255.255.255.255"}


class OfflineError(ConnectionError):
    """Model code asked for the network in an offline run, or for a host that is refused."""


class _State:
    hooked = False
    refused = ""  # "all" hosts, or "private" ones


@contextmanager
def network_refused(*, but_public: bool = False) -> Iterator[None]:
    """Raise OfflineError where Python code of this process connects to, or looks up, a host.

    Sockets of this machine that have a path for an address are let through, and with ``but_public``
    public hosts and the proxies that lead to them. Process-wide: only a worker should do this.
    """
    if not _State.hooked:
        sys.addaudithook(_refuse)  # It can't be taken away again, so a flag rules it.
        _State.hooked = True
    if not but_public:
        # With it the library reads its cache at once, and not after some attempts.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    before, _State.refused = _State.refused, "private" if but_public else "all"
    try:
        yield
    finally:
        _State.refused = before


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _State.refused or event not in _NETWORK:
        return
    host = arguments[0]
    if event in _SENDING:
        host = arguments[1]
        if not isinstance(host, tuple):
            return
    if isinstance(host, tuple):
        host = host[0]
    if isinstance(host, bytes | bytearray):
        host = host.decode("ascii", "replace")
    if _State.refused == "all":
        raise OfflineError(f"building needs {host}, and this run is offline")
    if event in _SENDING and not _is_allowed(_ADDRESSES.get(host, host)):
        why = "is not a public address; --public-hosts-only refuses it, see --any-host"
        raise OfflineError(f"building needs {host}, which {why}")


def _is_allowed(host: str) -> bool:
    """Whether all addresses of a host are public, or those of a proxy of the user's."""
    import socket
    import urllib.request
    from urllib.parse import urlsplit

    from zoo.weights.network import is_public

    def addresses(name: str) -> set[str]:
        try:
            return {str(place[0]) for *_, place in socket.getaddrinfo(name, None)}
        except OSError:
            return set()

    private = {address for address in addresses(host) if not is_public(address)}
    if not private:
        return True
    proxies = (urlsplit(url).hostname for url in urllib.request.getproxies().values())
    return private <= set().union(*(addresses(name) for name in proxies if name))
