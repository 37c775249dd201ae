"""Ray for the tests: a folder of its own, a cluster that can be killed, nothing left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

# A head without cores, so that all the work is on the two nodes that may die. On standard input it
# is given what to kill: a node that works on something, or the head.
CLUSTER = """
import os
import sys
import time

import ray
from ray._private.node import Node
from ray.cluster_utils import Cluster

# A node has 30 s to start, which is too little on a machine that has other work.
code = Node.__init__.__code__
patient = tuple(150 if constant == 30 else constant for constant in code.co_consts)
Node.__init__.__code__ = code.replace(co_consts=patient)

small = {"object_store_memory": 80_000_000, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
nodes = {}
for _ in range(2):
    node = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    nodes[node.node_id] = node
ray.init(address=cluster.address, log_to_driver=False)
from ray._private.state import available_resources_per_node


def say(*words):
    # In one write, on a line of its own: Ray's threads print here as well.
    os.write(1, ("\\n" + " ".join(words) + "\\n").encode())


say("address", cluster.address)
for line in sys.stdin:
    if line == "head\\n":
        cluster.head_node.kill_gcs_server(check_alive=False)
        say("killed", "head")
        continue
    end = time.monotonic() + 60
    busy = []
    while not busy and time.monotonic() < end:
        free = available_resources_per_node()
        busy = [name for name in nodes if free.get(name, {}).get("CPU", 0) < 1]
    assert busy, free
    cluster.remove_node(nodes.pop(busy[0]), allow_graceful=False)
    say("killed", busy[0])
ray.shutdown()
cluster.shutdown()
"""


def alive(concerns: Callable[[Path], bool]) -> list[int]:
    """Processes of which ``concerns(folder in /proc)`` says yes."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and concerns(folder):
                found.append(int(folder.name))
        except OSError:  # It ended meanwhile.
            continue
    return found


def in_session(leader: int) -> Callable[[Path], bool]:
    """What a leader started, zombies and daemons excepted."""

    def concerns(folder: Path) -> bool:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        return int(fields[3]) == leader and fields[0] != "Z"

    return concerns


def of_ray(folder: str, program: str = "") -> list[int]:
    """The processes of a Ray that lies in a folder, those of one program alone."""

    def concerns(process: Path) -> bool:
        line = (process / "cmdline").read_text(errors="replace")
        return folder in line and program in line and process.name != str(os.getpid())

    return alive(concerns)


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """A folder for Ray, with a short name since sockets lie in it; nothing of it may live on."""
    with tempfile.TemporaryDirectory(prefix="zr", ignore_cleanup_errors=True) as folder:
        yield folder
        end = time.monotonic() + 15
        while (left := of_ray(folder)) and time.monotonic() < end:
            time.sleep(0.1)
        for process in left:
            os.kill(process, signal.SIGKILL)
        assert not left, "processes of Ray outlived the run"


class RayCluster:
    """A cluster of two nodes with one core each, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.address = self._word("address")

    def kill(self, what: str = "node") -> None:
        """Kill a node that works, or the head."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        self._word("killed")

    def _word(self, first: str) -> str:
        assert self.process.stdout is not None
        patience = threading.Timer(300, self.process.kill)
        patience.start()
        try:
            for line in self.process.stdout:
                if line.startswith(first + " "):
                    return line.split()[1]
        finally:
            patience.cancel()
        raise EOFError(f"the cluster ended before it said {first!r}")


@pytest.fixture
def ray_cluster(ray_folder: str) -> Iterator[Callable[..., RayCluster]]:
    """Starts a cluster: ``ray_cluster(environment)``."""
    pytest.importorskip("ray", reason="ray is not installed (extra: ray)")
    started: list[subprocess.Popen[str]] = []

    def start(environment: Mapping[str, str]) -> RayCluster:
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            env={**environment, "RAY_TMPDIR": ray_folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        try:
            return RayCluster(process)
        except EOFError:
            # Ray gives a node 30 s to start, which a machine with other work may not.
            if len(started) == 3:
                pytest.skip("Ray's nodes do not start in time on this machine")
            return start(environment)

    try:
        yield start
    finally:
        for process in started:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            for each in alive(in_session(process.pid)):
                os.kill(each, signal.SIGKILL)
            process.wait()
            process.stdout.close()
        for each in of_ray(ray_folder) if started else ():
            os.kill(each, signal.SIGKILL)
