"""Describing and matching a 400 MB checkpoint, over `torch.load` of the same file.

Run by hand: ``python tests/benchmarks/weights_match.py [--megabytes N]``. Each figure is the best
of several runs, in this process (warm) and in processes of their own (cold, imports included; what
is compared there is what a command needs: the match needs no torch). The file is in the page cache
throughout. Peak memory is VmHWM of the processes of their own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from zoo.weights.checkpoint import Contents, read_checkpoint
from zoo.weights.match import match, specs_of
from zoo.weights.tensors import load_into, load_tensors

ROOT = Path(__file__).parents[2]
GOAL = 1.2

COLD = {
    "read + match": (
        "import json; from zoo.weights.checkpoint import read_checkpoint\n"
        "from zoo.weights.match import TensorSpec, match\n"
        "specs = {k: TensorSpec(tuple(s), d) for k, (s, d) in json.load(open(specs)).items()}\n"
        "assert match(read_checkpoint(path).tensors, specs).fits\n"
    ),
    "torch.load": "import torch; torch.load(path, weights_only=True)\n",
    "torch.load(mmap=True)": "import torch; torch.load(path, weights_only=True, mmap=True)\n",
    "load_tensors": "from zoo.weights.tensors import load_tensors; load_tensors(path)\n",
}
FRAME = (
    "import sys; from pathlib import Path\n"
    "path, specs = Path(sys.argv[1]), sys.argv[2]\n"
    "{body}"
    "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])\n"
)


def block() -> nn.Module:
    """8 MB in 18 tensors, the proportion of a wide ResNet's bottleneck."""
    return nn.Sequential(
        nn.Conv2d(1024, 256, 1, bias=False),
        nn.BatchNorm2d(256),
        nn.Conv2d(256, 512, 3, bias=False),
        nn.BatchNorm2d(512),
        nn.Conv2d(512, 1024, 1, bias=False),
        nn.BatchNorm2d(1024),
    )


def best(action: Callable[[], object], runs: int = 7) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def cold(body: str, path: Path, specs: Path, runs: int = 3) -> tuple[float, int]:
    """(seconds, peak bytes) of a process of its own."""
    times, peaks = [], []
    for _ in range(runs):
        start = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-c", FRAME.format(body=body), path, specs],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        times.append(time.perf_counter() - start)
        peaks.append(int(run.stdout) << 10)
    return min(times), min(peaks)


def measure(path: Path, specs_path: Path, model: Callable[[], nn.Module]) -> None:
    with torch.device("meta"):
        expected = specs_of(model())

    def read_and_match() -> None:
        contents = read_checkpoint(path)
        assert isinstance(contents, Contents)
        assert match(contents.tensors, expected).fits

    def into_meta() -> None:
        with torch.device("meta"):
            target = model()
        load_into(target, path)

    reference = best(lambda: torch.load(path, weights_only=True))
    warm = {
        "read + match": best(read_and_match),
        "load_tensors": best(lambda: load_tensors(path)),
        "load_into a meta model": best(into_meta),
    }
    if path.suffix == ".zip":
        warm["torch.load(mmap=True)"] = best(lambda: torch.load(path, weights_only=True, mmap=True))
    print(f"  warm: torch.load {reference * 1e3:.0f} ms")
    for name, seconds in warm.items():
        print(f"    {name}: {seconds * 1e3:.1f} ms, ratio {seconds / reference:.3f}")
    verdict = "met" if warm["read + match"] / reference <= GOAL else "missed"
    print(f"    goal of {GOAL}: {verdict}")
    reference, peak = cold(COLD["torch.load"], path, specs_path)
    print(f"  cold: torch.load {reference:.2f} s, peak {peak / 1e6:.0f} MB")
    for name, body in COLD.items():
        if name == "torch.load" or ("mmap" in name and path.suffix != ".zip"):
            continue
        seconds, peak = cold(body, path, specs_path)
        ratio = seconds / reference
        print(f"    {name}: {seconds:.2f} s, ratio {ratio:.3f}, peak {peak / 1e6:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400)
    megabytes = parser.parse_args().megabytes
    count = max(1, round(megabytes * 1e6 / sum(t.nbytes for t in block().state_dict().values())))

    def model() -> nn.Module:
        return nn.Sequential(*(block() for _ in range(count)))

    with tempfile.TemporaryDirectory() as folder:
        state = model().state_dict()
        specs_path = Path(folder) / "specs.json"
        specs = {k: (list(s.shape), s.dtype) for k, s in specs_of(model()).items()}
        specs_path.write_text(json.dumps(specs))
        for form in ("zip", "legacy"):
            path = Path(folder) / f"model.{form}"
            torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
            size = path.stat().st_size
            print(f"{form}: {len(state):,} tensors, {size / 1e6:.0f} MB")
            measure(path, specs_path, model)


if __name__ == "__main__":
    main()
