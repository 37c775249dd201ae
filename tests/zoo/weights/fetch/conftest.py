"""A real server that misbehaves on demand, a cache of its own per test, and real processes."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zoo.weights.cache import Cache
from zoo.weights.fetch import fetch_all
from zoo.weights.fetch_types import Outcome, Policy
from zoo.weights.locate import locate

CHILD = """
import json, os, signal, sys
from pathlib import Path
from zoo.weights.cache import Cache
from zoo.weights.fetch import fetch_all
from zoo.weights.fetch_types import Policy
from zoo.weights.locate import locate

plan = json.loads(sys.argv[1])
exec(plan["before"])
print("ready", flush=True)
sources = [locate(url, index_dir=None) for url in plan["urls"]]
outcomes = fetch_all(sources, cache=Cache(Path(plan["hub"])), policy=Policy(**plan["policy"]))
for outcome in outcomes.values():
    fields = ("path", "size", "sha256", "origin", "cause", "why")
    print(json.dumps({f: str(getattr(outcome, f)) for f in fields if hasattr(outcome, f)}))
"""


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


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def data() -> bytes:
    """Bytes that no two runs of a wrong program would make by chance: 300,000 of them."""
    return random.Random(7).randbytes(300_000)


@pytest.fixture
def named() -> Callable[[bytes], str]:
    """A file name that carries the hash of these bytes."""
    return lambda content: f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def impatient() -> Policy:
    return Policy(
        connect_s=2.0,
        stall_s=0.6,
        attempts=3,
        backoff_s=0.01,
        backoff_max_s=0.05,
        total_s=20.0,
        mark_bytes=16 << 10,
    )


@pytest.fixture
def fetch(hub: Path, impatient: Policy) -> Callable[..., Outcome]:
    """Fetch one URL into the test's cache."""

    def run(url: str, *, policy: Policy = impatient, **options: Any) -> Outcome:
        source = locate(url, index_dir=None)
        return fetch_all([source], cache=Cache(hub), policy=policy, **options)[source]

    return run


@pytest.fixture
def left(hub: Path) -> Callable[[], dict[str, bytes]]:
    """Everything under the final names: name -> bytes."""
    folder = hub / "checkpoints"

    def look() -> dict[str, bytes]:
        return (
            {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}
        )

    return look


@pytest.fixture
def parts(hub: Path) -> Callable[[], list[str]]:
    """The names of all partial files, sidecars and scratch files."""
    folder = hub / "zoo-parts" / "parts"
    return lambda: sorted(os.listdir(folder)) if folder.exists() else []


@pytest.fixture
def start(hub: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that fetches URLs; ``before`` is Python that it runs first."""
    running: list[subprocess.Popen[str]] = []

    def launch(
        *urls: str, before: str = "", hub: Path = hub, python: tuple[str, ...] = (), **policy: Any
    ) -> subprocess.Popen[str]:
        plan = {"urls": urls, "hub": str(hub), "before": before, "policy": policy}
        root = Path(__file__).parents[4]
        process = subprocess.Popen(
            [*(python or (sys.executable,)), "-c", CHILD, json.dumps(plan)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        running.append(process)
        return process

    yield launch
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def outcome_of() -> Callable[[subprocess.Popen[str]], dict[str, str]]:
    """Wait for such a process; its (last) outcome."""

    def wait(process: subprocess.Popen[str]) -> dict[str, str]:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        result: dict[str, str] = json.loads(out.splitlines()[-1])
        return result

    return wait


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=zoo"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return certificate, key
