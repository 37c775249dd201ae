"""Fetching against the tools people use: ``python tests/benchmarks/weights_fetch.py``.

Two ratios, on loopback, from a server that hands the kernel a file (sendfile), so that it is not
what is measured:

- fetch + SHA-256 + fsync of one file over ``curl -o FILE``, ``sha256sum FILE`` and ``sync FILE``
  (goal: at most 0.8). The sides alternate; medians over the rounds are compared, and the median
  of the rounds' own ratios is given beside them.
- eight files together over the same eight one by one, each an eighth of the size; once from the
  server at full speed, where both sides wait for the same two things (processor and disk), and
  once from a server that gives each connection 20 MB/s, as servers on the Internet do.

Our side is a process of its own, like curl's: what is timed is the fetch in a warm interpreter,
and the time that Python takes to start and load httpx is given apart.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
EIGHT = 8
PACE = 20_000_000  # bytes per second and connection of the slow server

CHILD = """
import json, resource, sys, time
begun = time.perf_counter()
from pathlib import Path
import httpx
from zoo.weights.cache import Cache
from zoo.weights.fetch import fetch_all
from zoo.weights.locate import locate
loaded = time.perf_counter()
hub, workers, *urls = sys.argv[1:]
sources = [locate(url, index_dir=None) for url in urls]
outcomes = fetch_all(sources, cache=Cache(Path(hub)), workers=int(workers))
seconds = time.perf_counter() - loaded
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
hashes = [outcome.sha256 for outcome in outcomes.values()]
print(json.dumps([seconds, loaded - begun, peak, hashes]))
"""


class SendfileServer:
    """Answers any GET with one file; ``/slow/...`` at PACE bytes per second."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._size = path.stat().st_size
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                received = connection.recv(65536)
                if not received:
                    return
                request += received
            head = f'HTTP/1.1 200 OK\r\nContent-Length: {self._size}\r\nETag: "one"\r\n'
            connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
            slow = b" /slow/" in request.partition(b"\r\n")[0]
            step = PACE // 20 if slow else self._size
            sent = 0
            while sent < self._size:
                count = min(step, self._size - sent)
                sent += os.sendfile(connection.fileno(), self._file.fileno(), sent, count)
                if slow:
                    time.sleep(0.05)


def ours(hub: Path, workers: int, urls: list[str]) -> tuple[float, float, int, list[str]]:
    """One process that fetches: seconds to fetch, to load, peak memory in bytes, hashes."""
    shutil.rmtree(hub, ignore_errors=True)
    os.sync()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(hub), str(workers), *urls],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    seconds, loading, peak, hashes = json.loads(done.stdout)
    return seconds, loading, peak * 1024, hashes


def theirs(url: str, target: Path) -> tuple[float, str]:
    """curl, sha256sum and sync, one after the other: seconds and hash."""
    target.unlink(missing_ok=True)
    os.sync()
    begun = time.perf_counter()
    subprocess.run(["curl", "-sS", "-o", str(target), url], check=True)
    done = subprocess.run(["sha256sum", str(target)], check=True, capture_output=True, text=True)
    subprocess.run(["sync", str(target)], check=True)
    return time.perf_counter() - begun, done.stdout.split()[0]


def one_file(folder: Path, megabytes: int, rounds: int) -> None:
    """Print how one large file compares."""
    big = folder / "big.bin"
    write_noise(big, megabytes * 1_000_000)
    url = SendfileServer(big).url + "/big.pth"
    fetched, curled, loads, peaks = [], [], [], []
    for turn in range(rounds + 1):
        seconds, loading, peak, hashes = ours(folder / "hub", 1, [url])
        other, digest = theirs(url, folder / "curl.bin")
        if hashes != [digest]:
            raise SystemExit(f"the two sides fetched different bytes: {hashes}, {digest}")
        if turn == 0:
            continue  # the first round warms the page cache and the interpreter's files
        fetched.append(seconds)
        curled.append(other)
        loads.append(loading)
        peaks.append(peak)
    mine, other = statistics.median(fetched), statistics.median(curled)
    each = statistics.median(a / b for a, b in zip(fetched, curled, strict=True))
    print(f"one file of {megabytes} MB, {rounds} rounds:")
    print(f"  fetch + hash + fsync       {mine:6.2f} s   {listed(fetched)}")
    print(f"  curl, sha256sum, sync      {other:6.2f} s   {listed(curled)}")
    print(f"  ratio                      {mine / other:6.2f}     by round {each:.2f}, goal 0.80")
    print(f"  loading Python and httpx   {statistics.median(loads):6.2f} s   not counted above")
    print(f"  peak memory                {max(peaks) / 1e6:6.0f} MB")


def eight_files(folder: Path, megabytes: int, rounds: int) -> None:
    """Print how eight files together compare with one by one."""
    small = folder / "small.bin"
    write_noise(small, megabytes * 1_000_000 // EIGHT)
    server = SendfileServer(small)
    for way, label in (("fast", "full speed"), ("slow", f"{PACE // 1_000_000} MB/s each")):
        urls = [f"{server.url}/{way}/n{k}.pth" for k in range(EIGHT)]
        together, alone = [], []
        for _ in range(rounds):
            together.append(ours(folder / "hub", EIGHT, urls)[0])
            alone.append(ours(folder / "hub", 1, urls)[0])
        both, single = statistics.median(together), statistics.median(alone)
        print(f"eight files of {megabytes // EIGHT} MB, {label}, {rounds} rounds:")
        print(f"  together                   {both:6.2f} s   {listed(together)}")
        print(f"  one by one                 {single:6.2f} s   {listed(alone)}")
        print(f"  ratio                      {both / single:6.2f}")


def write_noise(path: Path, size: int) -> None:
    """Write that many random bytes."""
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - start)))


def listed(seconds: list[float]) -> str:
    """The single figures, so that a reader sees how they scatter."""
    return " ".join(f"{second:.2f}" for second in seconds)


def main() -> None:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: a new one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}")
        one_file(Path(name), options.megabytes, options.rounds)
        eight_files(Path(name), options.megabytes, max(3, options.rounds // 2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"(this server's own peak memory: {peak / 1e6:.0f} MB)")


if __name__ == "__main__":
    main()
