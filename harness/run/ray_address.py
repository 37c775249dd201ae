"""Tell within seconds, and without importing Ray, whether a Ray cluster listens at an address.

`ray.init` tries for 40 seconds and more, and prints what it finds. So the head is asked first, over
plain HTTP/2 as gRPC speaks it, for the identity of its cluster.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from contextlib import suppress

from harness.run.engine import EngineError
from zoo.images.io import reason

_SECONDS = 3.0
_ADDRESS = re.compile(r"(ray://)?(\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]{1,253}):([0-9]{1,5})")
_METHOD = b"/ray.rpc.NodeInfoGcsService/GetClusterId"
_DATA, _HEADERS, _RESET, _SETTINGS, _LEAVING = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS = 1, 4
_MOST_BYTES = 16_384  # of the first frame
_OTHER = "another service listens there"


def check_address(address: str | None) -> None:
    """Find out whether a cluster listens at an address.

    Args:
        address: ``HOST:PORT`` of the head, ``ray://HOST:PORT`` of its client server, ``auto`` or
            ``local``, which Ray finds by itself, or None.

    Raises:
        EngineError: the address is none, nothing can be reached there, or it is something else.
    """
    if address in (None, "auto", "local"):
        return
    match = _ADDRESS.fullmatch(address or "")
    if match is None or not 0 < int(match[3]) < 65536:
        raise EngineError(
            f"--address {str(address)[:100]!r} is no address of a Ray cluster, such as "
            "10.0.0.7:6379, ray://10.0.0.7:10001 or auto"
        )
    found: list[str | None] = []
    host, port = match[2].strip("[]"), int(match[3])
    # Looking a name up can't be bounded from here.
    ask = threading.Thread(
        target=lambda: found.append(_ask(host, port, head=match[1] is None)), daemon=True
    )
    ask.start()
    ask.join(_SECONDS + 1)
    why = found[0] if found else "the host did not answer"
    if why is not None:
        raise EngineError(f"--address {address}: there is no Ray cluster ({why})")


def _ask(host: str, port: int, *, head: bool) -> str | None:
    """Why there is no Ray at that place, None where there is, or may be, one."""
    try:
        with socket.create_connection((host, port), _SECONDS) as peer:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return None
            peer.settimeout(_SECONDS)
            peer.sendall(_request(f"{host}:{port}".encode()))
            return _judge(peer, head=head)
    except (OSError, UnicodeError) as error:  # a name that no DNS takes is one of the latter
        return "no answer" if isinstance(error, TimeoutError) else reason(error)


def _judge(peer: socket.socket, *, head: bool) -> str | None:
    greeted, found = False, None
    with peer.makefile("rb") as answers, suppress(TimeoutError):
        while found is None and len(start := answers.read(9)) == 9:
            length, kind, flags = int.from_bytes(start[:3], "big"), start[3], start[4]
            if not greeted and (kind != _SETTINGS or length > _MOST_BYTES):
                return _OTHER
            greeted = True
            # A client server is another one, which need not know the method.
            found = _is_head(kind, flags, answers.read(length)) if head else True
        if found is None:
            return _OTHER if greeted else "the connection was closed"
    if not greeted:
        return "no answer"
    # A head that is slow to answer may be a busy one.
    return _OTHER if found is False else None


def _is_head(kind: int, flags: int, body: bytes) -> bool | None:
    """Whether a frame is the answer of a head; None for one that is no answer yet."""
    if kind == _DATA:  # A message of gRPC: not compressed, its length, the identity.
        return len(body) > 5 and body[:5] == bytes(1) + (len(body) - 5).to_bytes(4, "big")
    if kind == _HEADERS and flags & _END_STREAM:
        # A head may want to know who asks; only a service without that method is none.
        return b"grpc-status" in body and b"grpc-status\x0212" not in body
    return False if kind in (_RESET, _LEAVING) else None


def _request(authority: bytes) -> bytes:
    """A call of gRPC without arguments, as frames of HTTP/2."""
    headers = b"\x83\x86"  # POST, http
    headers += b"\x04" + _text(_METHOD) + b"\x01" + _text(authority)
    headers += b"\x0f\x10" + _text(b"application/grpc") + b"\x00" + _text(b"te")
    headers += _text(b"trailers")
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, headers)
        + _frame(_DATA, _END_STREAM, 1, bytes(5))
    )


def _text(text: bytes) -> bytes:
    text = text[:126]  # The length is one byte.
    return bytes([len(text)]) + text


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
