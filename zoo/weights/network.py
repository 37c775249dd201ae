"""Connections under a clock and, where that is asked for, to public addresses alone.

httpx gives each read of a socket a time limit of its own, so that a server which sends a byte
before each of them ends holds a request for ever; and it connects to whatever address a name has
at that moment. `Network` is what it opens, reads and encrypts its connections with instead: no
step lasts longer than the clock of the request it belongs to, and an address is checked and then
connected to, without asking the name server in between.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import socket
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

    import httpcore

    _Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Addresses that carry an IPv4 address in their last 32 bits, which a gateway may deliver to.
_TRANSLATED = tuple(
    map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96"))
)


class PrivateAddressError(Exception):
    """A host has no public address, and only public ones may be connected to."""


class RequestClock:
    """What a request may still take: so long for the answer to begin, then for its body to go on.

    Args:
        seconds: from now until the head of the answer is whole.
        total: seconds for all of it.
        brief: the answer is not worth a wait; it is asked for once.
    """

    def __init__(self, seconds: float, total: float = math.inf, *, brief: bool = False) -> None:
        self.brief = brief
        self._seconds = seconds
        self._least = math.inf
        self._total = time.monotonic() + total
        self.restart()

    def restart(self) -> None:
        """Begin the time for the answer, or for the next stretch of its body, anew."""
        self._begun = self._last = time.monotonic()
        self.count = 0

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """What is done meanwhile is no server's fault, and takes none of its time."""
        before = time.monotonic()
        yield
        lost = time.monotonic() - before
        self._begun, self._last = self._begun + lost, self._last + lost

    def pace(self, rate: float) -> None:
        """The body begins: in each stretch of ``seconds`` it has to bring so many bytes a second,
        and never none for as long.
        """
        self._least = rate * self._seconds
        self.restart()

    def took(self, count: int) -> None:
        """So many bytes of the body have come."""
        self.count += count
        self._last = time.monotonic()

    @property
    def over(self) -> bool:
        """The time for all of it is up."""
        return time.monotonic() >= self._total

    def passed(self) -> float:
        """Seconds since this stretch of the body began, or since the last byte before it."""
        return time.monotonic() - (self._begun if self.count else self._last)

    def left(self) -> float:
        """Seconds until the connection is given up; a stretch that was fast enough is followed
        by the next.
        """
        now = time.monotonic()
        if now >= self._begun + self._seconds and 0 < self.count >= self._least:
            self._begun, self.count = now, 0
        return min(self._begun + self._seconds, self._last + self._seconds, self._total) - now


class Network:
    """Opens connections, as httpcore asks for them; each thread has the clock of its request.

    Args:
        connect_s: for resolving a name, for connecting to one address, and for a TLS handshake.
        public_only: connect to public addresses alone.
    """

    def __init__(self, connect_s: float, *, public_only: bool = False) -> None:
        self.public_only = public_only
        self._connect_s = connect_s
        self._local = threading.local()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @contextlib.contextmanager
    def timed(self, clock: RequestClock) -> Iterator[None]:
        """Let this clock rule what the thread does meanwhile."""
        before = getattr(self._local, "clock", None)
        self._local.clock = clock
        try:
            yield
        finally:
            self._local.clock = before

    @property
    def clock(self) -> RequestClock:
        """Of the request that this thread makes."""
        clock: RequestClock = self._local.clock
        return clock

    def stop(self) -> None:
        """Cut all connections, so that no thread waits for a server."""
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):  # closed by now
                # The base method: SSLSocket's own would pull the session from under its reader.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to.

        Raises:
            OSError: the name can't be resolved, or not in time.
            PrivateAddressError: none of its addresses is public, and only public ones are allowed.
        """
        found = _look_up(host, port, self.left())
        if not self.public_only:
            return found
        allowed = [address for address in found if is_public(address)]
        if not allowed:
            where = "" if found == [host] else f" ({found[0]})"
            why = "is not a public address, which --public-hosts-only refuses; see --any-host"
            raise PrivateAddressError(f"{host}{where} {why}")
        return allowed

    def left(self) -> float:
        """Seconds for the next step of connecting."""
        return min(self._connect_s, self.clock.left())

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> _Stream:
        """Connect to the first address of a host that answers."""
        import httpcore

        try:
            addresses = self.addresses(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        failure: Exception = httpcore.ConnectTimeout("no time is left to connect")
        for address in addresses:
            left = self.left()
            if left <= 0:
                break
            try:
                stream = httpcore.SyncBackend().connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self)
        raise failure

    def opened(self, stream: httpcore.NetworkStream) -> None:
        """Keep its socket in view for `stop`."""
        self._sockets.add(stream.get_extra_info("socket"))


class _Through(Network):
    """Opens connections to a proxy, which the user chose; the clocks are those of `network`."""

    def __init__(self, network: Network) -> None:
        super().__init__(network._connect_s)
        self._local, self._sockets = network._local, network._sockets


class _Stream:
    """A connection, each step of which ends with the clock of the request that it serves."""

    def __init__(self, stream: httpcore.NetworkStream, network: Network) -> None:
        self._stream = stream
        self._network = network
        network.opened(stream)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        import httpcore

        while (left := self._network.clock.left()) > 0:
            try:
                return self._stream.read(max_bytes, left)
            except httpcore.ReadTimeout:
                continue  # a stretch has ended; whether another follows, the clock says
        raise httpcore.ReadTimeout("its time is up")

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, max(0.001, self._network.clock.left()))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> _Stream:
        left = max(0.001, self._network.left())
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._network)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def rule(client: Any, network: Network) -> None:
    """Let an httpx client open its connections by ``network`` alone.

    Raises:
        AttributeError: httpx keeps its connections elsewhere by now; none is opened otherwise.
    """
    for transport in (client._transport, *client._mounts.values()):
        if transport is None:  # a host that NO_PROXY names
            continue
        own = network if transport is client._transport else _Through(network)
        if not hasattr(transport._pool, "_network_backend"):
            raise AttributeError("this httpx opens its connections by other means; use 0.28")
        transport._pool._network_backend = own


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet: not loopback, private, link-local, ..."""
    return all(
        each.is_global
        and not (each.is_multicast or each.is_reserved or getattr(each, "is_site_local", False))
        for each in _meant(ipaddress.ip_address(address.partition("%")[0]))
    )


def _meant(address: _Address) -> Iterator[_Address]:
    """The address that a packet ends at: of one that carries another, that one."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in _TRANSLATED):
        carried.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    inner = [each for each in carried if each is not None]
    yield from inner or [address]


def _look_up(host: str, port: int, seconds: float) -> list[str]:
    """Resolve a name within so many seconds; the system's resolver has no limit of its own."""
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            answer.append(error)

    # A daemon: a resolver without a route may keep it for a minute, without delaying the run.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if not answer:
        raise TimeoutError(f"no answer from the name server in {max(0.0, seconds):.1f} s")
    if isinstance(answer[0], Exception):
        raise OSError(" ".join(str(answer[0]).split())) from answer[0]
    found = [
        f"{place[0]}%{place[3]}" if len(place) > 3 and place[3] else str(place[0])
        for family, *_, place in answer[0]
        if family in (socket.AF_INET, socket.AF_INET6)
    ]
    if not found:
        raise OSError(f"{host} has no address")
    return list(dict.fromkeys(found))
