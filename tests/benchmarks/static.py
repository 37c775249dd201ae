"""What the audit of the ResNeSt family costs, against its peers, in one run.

    python tests/benchmarks/static.py [ROUNDS]

Both sides of each ratio alternate, and medians are compared, since other work on the machine
slows both; ratios of processor time, which it slows less, stand beside them. Peak memory is that of
all processes of a command together.
"""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

FVCORE = """
import warnings; warnings.filterwarnings("ignore")
import logging; logging.disable(logging.CRITICAL)
import torch, zoo
from fvcore.nn import FlopCountAnalysis
sizes = dict(resnest101e=256, resnest200e=320, resnest269e=416)
for name in zoo.list_models("resnest*"):
    size = sizes.get(name, 224)
    model = zoo.create_model(name).eval()
    print(name, FlopCountAnalysis(model, torch.zeros(1, 3, size, size)).total())
"""


Sides = dict[str, list[tuple[float, int, float]]]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    compile_all()
    zoo = str(Path(sys.executable).with_name("zoo"))
    index = str(Path(__file__).resolve().parents[1] / "fixtures" / "seed" / "resnest.yml")
    verify = [zoo, "verify", "--all", "--index", index]
    with tempfile.TemporaryDirectory() as folder:
        warm_env = {"XDG_CACHE_HOME": folder}
        run(verify, warm_env)
        sides: Sides = {}
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as empty:
                note(sides, "cold", run(verify, {"XDG_CACHE_HOME": empty}))
            note(sides, "torch", run([sys.executable, "-c", "import torch"]))
            note(sides, "fvcore", run([sys.executable, "-c", FVCORE]))
            note(sides, "warm", run(verify, warm_env))
            note(sides, "help", run([zoo, "--help"]))
        imports = subprocess.run(
            [sys.executable, "-c", LOADED, *verify[1:]],
            env={**os.environ, **warm_env},
            capture_output=True,
            text=True,
            check=False,
        ).stderr.splitlines()[-1]

    seconds, memory, cpu = medians(sides)
    print(f"medians of {rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in sides:
        print(f"  {name:7} {seconds[name]:7.2f} s, {cpu[name]:6.2f} s of processor time", end="")
        print(f"  {memory[name] / 2**20:7.0f} MiB at most")
    ratio("cold verify over import torch", seconds["cold"] / seconds["torch"], 2.0)
    ratio("cold verify over fvcore", seconds["cold"] / seconds["fvcore"], 0.25)
    ratio("the same, processor time", cpu["cold"] / cpu["fvcore"], 0.25)
    ratio("its peak memory over fvcore's", memory["cold"] / memory["fvcore"], 0.4)
    ratio("warm verify, seconds", seconds["warm"], 0.4)
    ratio("the same, processor time", cpu["warm"], 0.4)
    ratio("zoo --help, seconds", seconds["help"], 0.15)
    print(f"  warm verify imported of torch, pandas, httpx, matplotlib: {imports}")


LOADED = """
import sys
from harness.cli import main
main(sys.argv[1:])
heavy = [m for m in ("torch", "pandas", "httpx", "matplotlib") if m in sys.modules]
print(", ".join(heavy) or "nothing", file=sys.stderr)
"""


def compile_all() -> None:
    """Compile the packages, as an installation does: a checkout may be told not to keep that."""
    for package in ("harness", "zoo"):
        compileall.compile_dir(Path(__file__).resolve().parents[2] / package, quiet=1)


def note(sides: Sides, name: str, result: tuple[float, int, float]) -> None:
    sides.setdefault(name, []).append(result)


def medians(sides: Sides) -> tuple[dict[str, float], dict[str, int], dict[str, float]]:
    """Of each side the median seconds, the most memory, and the median processor time."""
    return (
        {name: statistics.median(s for s, _, _ in runs) for name, runs in sides.items()},
        {name: max(m for _, m, _ in runs) for name, runs in sides.items()},
        {name: statistics.median(c for _, _, c in runs) for name, runs in sides.items()},
    )


def ratio(what: str, value: float, goal: float) -> None:
    print(
        f"  {what:32} {value:6.2f}  (goal: at most {goal}; {'met' if value <= goal else 'MISSED'})"
    )


def run(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> tuple[float, int, float]:
    """Runs a command; its seconds, its processes' peak memory in bytes and processor time."""
    begin, before = time.perf_counter(), os.times()
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.05):
            peak = max(peak, memory_of(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    status = process.wait()
    seconds = time.perf_counter() - begin
    ended.set()
    watcher.join()
    if status not in (0, 1):
        raise SystemExit(f"{' '.join(command[:3])}... ended with status {status}")
    after = os.times()
    spent = after.children_user + after.children_system
    return seconds, peak, spent - before.children_user - before.children_system


def memory_of(root: int) -> int:
    """Resident bytes of a process and all below it; shared pages count in each."""
    children: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(folder.name)
        children.setdefault(int(after_name[1]), []).append(pid)
        resident[pid] = int(after_name[21]) * os.sysconf("SC_PAGE_SIZE")
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += resident.get(pid, 0)
        waiting += children.get(pid, [])
    return total


if __name__ == "__main__":
    main()
