"""What fetching and matching checkpoints costs, against the tools people use, in one run.

    python tests/benchmarks/weights.py [--megabytes 400] [--rounds 7] [--folder DIR]

Three ratios, all about the same checkpoint, on loopback:

- fetch + SHA-256 + fsync over ``curl -o FILE``, ``sha256sum FILE`` and ``sync FILE`` (goal: at
  most 0.8), from a server that hands the kernel a file (sendfile), so that it is not measured;
- eight files, each an eighth of the size, together over one by one; from the server at full speed,
  where both wait for processor and disk, and at 20 MB/s per connection, as on the Internet;
- the match of the checkpoint's tensors over ``torch.load`` of it (goal: at most 1.2), in both
  formats of torch, the file in the page cache; loading it for real is given beside.

Sides alternate and medians are compared, since other work on the machine slows both. What is
measured runs in processes of its own, and peak memory is theirs (VmHWM). Fetches are timed in a
warm interpreter; what Python takes to start and to load httpx is given apart.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
EIGHT = 8
PACE = 20_000_000  # bytes per second and connection of the slow server
FETCH_GOAL, MATCH_GOAL = 0.8, 1.2

PEAK = "int(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]) << 10"

FETCH = f"""
import json, sys, time
begun = time.perf_counter()
from pathlib import Path
import httpx
from zoo.weights.cache import Cache
from zoo.weights.fetch import fetch_all
from zoo.weights.sources import locate
loaded = time.perf_counter()
hub, workers, *urls = sys.argv[1:]
sources = [locate(url, index_dir=None) for url in urls]
outcomes = fetch_all(sources, cache=Cache(Path(hub)), workers=int(workers))
seconds = time.perf_counter() - loaded
print(json.dumps([seconds, loaded - begun, {PEAK}, [o.sha256 for o in outcomes.values()]]))
"""

# A chain of bottlenecks as a wide ResNet has them: 8 MB in 18 tensors each.
MODEL = """
import json, sys, time
from pathlib import Path
import torch
from torch import nn
def block():
    sizes = ((1024, 256, 1), (256, 512, 3), (512, 1024, 1))
    layers = [[nn.Conv2d(i, o, k, bias=False), nn.BatchNorm2d(o)] for i, o, k in sizes]
    return nn.Sequential(*sum(layers, []))
def model(count):
    return nn.Sequential(*(block() for _ in range(int(count))))
from zoo.weights.match import specs_of
"""

WRITE = f"""{MODEL}
folder, bytes_wanted = Path(sys.argv[1]), float(sys.argv[2])
count = max(1, round(bytes_wanted / sum(t.nbytes for t in block().state_dict().values())))
state = model(count).state_dict()
torch.save(state, folder / "model.zip")
torch.save(state, folder / "model.legacy", _use_new_zipfile_serialization=False)
with torch.device("meta"):
    specs = {{k: (list(s.shape), s.dtype) for k, s in specs_of(model(count)).items()}}
(folder / "specs.json").write_text(json.dumps(specs))
print(json.dumps([count, len(state)]))
"""

WARM = f"""{MODEL}
from zoo.weights.checkpoint import read_checkpoint
from zoo.weights.match import match
from zoo.weights.load import load_into, load_tensors
path, count, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with torch.device("meta"):
    specs = specs_of(model(count))
def read_and_match():
    assert match(read_checkpoint(path).tensors, specs).fits
def into_meta():
    with torch.device("meta"):
        target = model(count)
    load_into(target, path)
sides = {{
    "torch.load": lambda: torch.load(path, weights_only=True),
    "read + match": read_and_match,
    "load_tensors": lambda: load_tensors(path),
    "load_into a meta model": into_meta,
}}
times = {{name: [] for name in sides}}
for turn in range(rounds + 1):
    for name, action in sides.items():
        begun = time.perf_counter()
        action()
        if turn:  # the first round warms the page cache
            times[name].append(time.perf_counter() - begun)
print(json.dumps(times))
"""

# What a command needs in a process of its own: the match takes no torch.
COLD = {
    "torch.load": "import torch; torch.load(path, weights_only=True)",
    "read + match": (
        "import json; from zoo.weights.checkpoint import read_checkpoint\n"
        "from zoo.weights.match import TensorSpec, match\n"
        "specs = {k: TensorSpec(tuple(s), d) for k, (s, d) in json.load(open(specs)).items()}\n"
        "assert match(read_checkpoint(path).tensors, specs).fits"
    ),
    "load_tensors": "from zoo.weights.load import load_tensors; load_tensors(path)",
}


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


def python(script: str, *arguments: object) -> str:
    """What a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.stdout


def ours(hub: Path, workers: int, urls: Sequence[str]) -> tuple[float, float, int, list[str]]:
    """One process that fetches: seconds to fetch, to load, peak memory in bytes, hashes."""
    shutil.rmtree(hub, ignore_errors=True)
    os.sync()
    seconds, loading, peak, hashes = json.loads(python(FETCH, hub, workers, *urls))
    return seconds, loading, peak, hashes


def theirs(url: str, target: Path) -> tuple[float, str]:
    """curl, sha256sum and sync, one after the other: seconds and hash."""
    target.unlink(missing_ok=True)
    os.sync()
    begun = time.perf_counter()
    subprocess.run(["curl", "-sS", "-o", str(target), url], check=True)
    done = subprocess.run(["sha256sum", str(target)], check=True, capture_output=True, text=True)
    subprocess.run(["sync", str(target)], check=True)
    return time.perf_counter() - begun, done.stdout.split()[0]


def one_file(folder: Path, checkpoint: Path, rounds: int) -> None:
    """Print how fetching one large file compares."""
    url = SendfileServer(checkpoint).url + "/big.pth"
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
    (folder / "curl.bin").unlink()
    each = statistics.median(a / b for a, b in zip(fetched, curled, strict=True))
    print(f"one file of {checkpoint.stat().st_size / 1e6:.0f} MB, {rounds} rounds:")
    ratio = compare("fetch + hash + fsync", fetched, "curl, sha256sum, sync", curled)
    print(f"    by round {each:.2f}; {verdict(ratio, FETCH_GOAL)}")
    print(f"    peak memory {max(peaks) / 1e6:.0f} MB; not counted: loading Python and httpx, "
          f"{statistics.median(loads):.2f} s")  # fmt: skip


def eight_files(folder: Path, checkpoint: Path, rounds: int) -> None:
    """Print how eight files together compare with one by one."""
    small = folder / "small.bin"
    with checkpoint.open("rb") as whole:
        small.write_bytes(whole.read(checkpoint.stat().st_size // EIGHT))
    server = SendfileServer(small)
    for way, label in (("fast", "full speed"), ("slow", f"{PACE // 1_000_000} MB/s each")):
        urls = [f"{server.url}/{way}/n{k}.pth" for k in range(EIGHT)]
        together, alone, peaks = [], [], []
        for _ in range(rounds):
            seconds, _, peak, _ = ours(folder / "hub", EIGHT, urls)
            together.append(seconds)
            peaks.append(peak)
            alone.append(ours(folder / "hub", 1, urls)[0])
        print(f"eight files of {small.stat().st_size / 1e6:.0f} MB, {label}, {rounds} rounds:")
        compare("together", together, "one by one", alone)
        print(f"    peak memory {max(peaks) / 1e6:.0f} MB")
    shutil.rmtree(folder / "hub")
    small.unlink()


def matching(folder: Path, blocks: int, tensors: int, rounds: int) -> None:
    """Print how matching, and loading, compare with torch.load."""
    for form in ("zip", "legacy"):
        path = folder / f"model.{form}"
        times = json.loads(python(WARM, path, blocks, rounds))
        print(f"{form} checkpoint of {tensors:,} tensors, {rounds} rounds, imports done:")
        for name in times:
            if name != "torch.load":
                ratio = compare(name, times[name], "torch.load", times["torch.load"])
                if name == "read + match":
                    print(f"    {verdict(ratio, MATCH_GOAL)}")
        print("  in processes of their own, imports included:")
        sides: dict[str, list[tuple[float, int]]] = {name: [] for name in COLD}
        for _ in range(max(3, rounds // 2)):
            for name, body in COLD.items():
                sides[name].append(cold(body, path, folder / "specs.json"))
        reference = statistics.median(s for s, _ in sides["torch.load"])
        for name, samples in sides.items():
            seconds = statistics.median(s for s, _ in samples)
            peak = max(p for _, p in samples) / 1e6
            print(f"    {name:22} {seconds:6.2f} s, ratio {seconds / reference:.2f}, "
                  f"peak memory {peak:.0f} MB")  # fmt: skip


def cold(body: str, path: Path, specs: Path) -> tuple[float, int]:
    """Seconds and peak memory of a process of its own."""
    head = "import sys; from pathlib import Path; path, specs = Path(sys.argv[1]), sys.argv[2]"
    begun = time.perf_counter()
    peak = int(python(f"{head}\n{body}\nprint({PEAK})", path, specs))
    return time.perf_counter() - begun, peak


def compare(name: str, mine: Sequence[float], other_name: str, other: Sequence[float]) -> float:
    """Print two sides with their single figures, and return the ratio of their medians."""
    medians = statistics.median(mine), statistics.median(other)
    for label, median, seconds in ((name, medians[0], mine), (other_name, medians[1], other)):
        print(f"  {label:24} {median:7.3f} s   ({' '.join(f'{s:.3f}' for s in seconds)})")
    ratio = medians[0] / medians[1]
    print(f"    ratio {ratio:.3f}")
    return ratio


def verdict(ratio: float, goal: float) -> str:
    return f"goal of {goal}: {'met' if ratio <= goal else 'missed'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: a new one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}, "
              f"Python {sys.version.split()[0]}")  # fmt: skip
        blocks, tensors = json.loads(python(WRITE, folder, options.megabytes * 1e6))
        checkpoint = folder / "model.zip"
        one_file(folder, checkpoint, options.rounds)
        eight_files(folder, checkpoint, max(3, options.rounds // 2))
        matching(folder, blocks, tensors, options.rounds)
        print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
