"""A real HTTP server that misbehaves on demand, for every test folder that fetches something."""

from __future__ import annotations

import contextlib
import http.server
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest


class Handler(http.server.BaseHTTPRequestHandler):
    """Passes each request to the behaviour of its path, and can misbehave below HTTP."""

    protocol_version = "HTTP/1.1"
    server: FaultServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        with self.server.guard:
            self.server.requests.append((self.command, path, self.headers.get("Range")))
            count = sum(1 for _, seen, _ in self.server.requests if seen == path)
        try:
            self.server.routes[path](self, count)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send(self, data: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(data)
            self.wfile.flush()

    def hang_up(self) -> None:
        self.close_connection = True

    def reset(self) -> None:
        """Close with a TCP reset instead of a proper end."""
        self.wfile.flush()
        time.sleep(0.05)  # what was sent should arrive before the reset discards it
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True

    def good(
        self,
        data: bytes,
        *,
        etag: str | None = '"v1"',
        ranges: bool = True,
        rate: float | None = None,
        stop_after: int | None = None,
        **headers: str,
    ) -> None:
        """Answer as a proper server does; at ``rate`` bytes/s; hang up after ``stop_after``."""
        if etag is not None:
            headers["ETag"] = etag
        first, end, status = 0, len(data), 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        fits = self.headers.get("If-Range") in {None, etag, headers.get("Last_Modified")}
        if ranges and asked and fits:
            first, status = int(asked[1]), 206
            if first >= len(data):
                self.head(416, 0, Content_Range=f"bytes */{len(data)}", **headers)
                return
            end = min(end, int(asked[2]) + 1) if asked[2] else end
            headers["Content_Range"] = f"bytes {first}-{end - 1}/{len(data)}"
        body = data[first:end]
        self.head(status, len(body), **headers)
        if self.command == "HEAD":
            return
        with self.server.guard:
            self.server.bodies += 1
        if stop_after is not None:
            body = body[:stop_after]
            self.hang_up()
        step = 16 << 10
        for start in range(0, len(body), step):
            self.send(body[start : start + step])
            if rate is not None:
                time.sleep(step / rate)
        if len(body) == len(data):
            with self.server.guard:
                self.server.full_bodies += 1


Behaviour = Callable[[Handler, int], None]


class FaultServer(http.server.ThreadingHTTPServer):
    """A loopback server; ``routes`` maps a path to what answers it (handler, how many so far)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.guard = threading.Lock()
        self.routes: dict[str, Behaviour] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.bodies = 0
        self.full_bodies = 0
        self.scheme = "http"

    def on(self, name: str, behaviour: Behaviour) -> str:
        """Answer ``/name`` so; the URL."""
        self.routes[f"/{name}"] = behaviour
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}/{name}"

    def ranges(self) -> list[str | None]:
        return [span for _, _, span in self.requests]

    def handle_error(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def running() -> Iterator[FaultServer]:
    """A server of one's own, until the block ends."""
    with FaultServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with running() as server:
        yield server
