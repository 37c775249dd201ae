"""The same plan as tasks of a Ray cluster: the same documents, also when a node dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from json import loads
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="ray is not installed (extra: ray)")

CLAIM = {"Top 1 Accuracy": "80.00%", "Top 5 Accuracy": "88%"}

# A head without cores, so that all the work is on the two nodes that may die. Told so on standard
# input, it kills the one that is counting, and says so. It ends when its input does.
CLUSTER = """
import sys
import time

import ray
from ray.cluster_utils import Cluster

small = {"object_store_memory": 80_000_000, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
nodes = {}
for _ in range(2):
    node = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    nodes[node.node_id] = node
ray.init(address=cluster.address, log_to_driver=False)
from ray._private.state import available_resources_per_node

print("address", cluster.address, flush=True)
for line in sys.stdin:
    end = time.monotonic() + 60
    busy = []
    while not busy and time.monotonic() < end:
        free = available_resources_per_node()
        busy = [name for name in nodes if free.get(name, {}).get("CPU", 0) < 1]
    assert busy, free
    cluster.remove_node(nodes.pop(busy[0]), allow_graceful=False)
    print("killed", busy[0], flush=True)
ray.shutdown()
cluster.shutdown()
"""


def alive(concerns) -> list[int]:
    """Processes of which ``concerns(folder in /proc)`` says yes."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and concerns(folder):
                found.append(int(folder.name))
        except OSError:  # It ended meanwhile.
            continue
    return found


def in_session(leader: int):
    """What a leader started, zombies and daemons excepted."""

    def concerns(folder):
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        return int(fields[3]) == leader and fields[0] != "Z"

    return concerns


@pytest.fixture
def ray_folder(tmp_path_factory):
    """A folder for Ray, with a short name since sockets lie in it; nothing of it may live on."""

    def of_folder(process):
        return folder in (process / "cmdline").read_text() and process.name != str(os.getpid())

    with tempfile.TemporaryDirectory(prefix="zr", ignore_cleanup_errors=True) as folder:
        yield folder
        end = time.monotonic() + 15
        while (left := alive(of_folder)) and time.monotonic() < end:
            time.sleep(0.1)
        for process in left:
            os.kill(process, signal.SIGKILL)
        assert not left, "processes of Ray outlived the run"


@pytest.fixture
def cluster(zoo, ray_folder):
    """A cluster of two nodes with one core each, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        env=zoo.environment | {"RAY_TMPDIR": ray_folder},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
        process.stdin.close()
        process.wait(timeout=60)
    finally:
        for each in alive(in_session(process.pid)):
            os.kill(each, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def said(process: subprocess.Popen[str], word: str) -> str:
    for line in process.stdout:
        if line.startswith(word + " "):
            return line.split()[1]
    raise AssertionError(f"the cluster ended before it said {word!r}")


@pytest.fixture(scope="module")
def local(new_zoo, mixed, tmp_path_factory):
    zoo = new_zoo(tmp_path_factory.mktemp("local"))
    return zoo.validate(zoo.index(CLAIM), mixed.place)


def without_environment(document):
    """The document without where and when; the index lies in another folder, too."""
    body = {key: value for key, value in document.items() if key != "environment"}
    for finding in body["findings"]:
        finding["location"] = {**finding["location"], "file": "index.yml"}
    return body


def test_ray_on_this_machine_gives_the_same_document(zoo, local, mixed, ray_folder):
    outcome = zoo.validate(zoo.index(CLAIM), mixed.place, "--engine", "ray", RAY_TMPDIR=ray_folder)
    assert outcome.status == local.status == 0, outcome.err
    assert outcome.counts[2] == len(mixed.names)
    assert without_environment(outcome.document) == without_environment(local.document)


def test_a_node_that_dies_in_the_middle_costs_no_image(zoo, local, mixed, cluster, tiled):
    address = said(cluster, "address")
    index = zoo.index(CLAIM)
    command = ("validate", "efficientnet_*", "--index", index, "--data", mixed.place)
    run = zoo.start(*command, "--format", "json", "--engine", "ray", "--address", address)
    try:
        end = time.monotonic() + 120
        while not zoo.parts() and run.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        before = dict(zoo.parts())
        assert run.poll() is None
        assert before, "nothing was counted"
        cluster.stdin.write("kill\n")
        cluster.stdin.flush()
        said(cluster, "killed")
        assert tiled(list(dict(zoo.parts()))) < len(mixed.names), "it was over before the kill"
        out, err = run.communicate(timeout=180)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0, err
    assert without_environment(loads(out)) == without_environment(local.document)
    after = dict(zoo.parts())
    assert tiled(list(after)) == len(mixed.names)
    assert {part: after[part] for part in before} == before
