"""Two processes take the steps that one takes with the same batch."""

from __future__ import annotations

import contextlib
import os
import runpy
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from cli import run_python

from zoo.images.imagefolder import read_tree
from zoo.training import BadInput, Settings, TrainingError, train
from zoo.training.data import EpochBatches
from zoo.training.distributed import is_first, joined

ROOT = Path(__file__).parents[3]
PATHS = (str(ROOT), str(ROOT / "tests" / "plugins"))
SCRIPT = Path(__file__).with_name("in_ranks.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


STORIES = 8


def free_ports(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("", 0))
        return [str(one.getsockname()[1]) for one in sockets]


@pytest.fixture(scope="module")
def damaged(ready) -> Path:
    """Pictures of which the second process can read one of four, then none, and then nobody any."""
    folder = ready / "damaged"
    shutil.copytree(ready / "data", folder)
    tree = read_tree(folder / "train")
    steps = [[n for _, n in keys] for keys in EpochBatches(24, 8, seed=0)]
    for number in (*steps[0][5:], *steps[1][4:], *steps[2]):
        (tree.root / tree.paths[number]).write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def ranks(ready, damaged) -> list[dict[str, Any]]:
    """What each of two processes saw of every story in `in_ranks`."""
    given = (ready / "data", damaged, ready / "tiny.yml", ready)
    done = run_python(
        [*TORCHRUN, SCRIPT, *given, *free_ports(STORIES)],
        cwd=ready,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(PATHS), "OMP_NUM_THREADS": "1"},
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [torch.load(ready / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone(ready):
    """The same in one process, this one."""
    steps = runpy.run_path(str(SCRIPT))["steps"]
    return lambda data, count: steps(
        str(data), str(ready / "tiny.yml"), str(ready / f"one-{data.name}"), max_steps=count
    )


@pytest.mark.parametrize(
    ("story", "name", "count"), [("even", "data", 3), ("uneven", "damaged", 2)]
)
def test_losses_gradients_and_weights_are_those_of_one_process(
    ranks, alone, ready, damaged, story, name, count
):
    one = alone(ready / name, count)
    first, second = (rank[story] for rank in ranks)
    assert [len(run["steps"]) for run in (one, first, second)] == [count] * 3
    for by_one, *by_two in zip(one["steps"], first["steps"], second["steps"], strict=True):
        for step in by_two:
            torch.testing.assert_close(step["loss"], by_one["loss"], rtol=1e-5, atol=1e-6)
            for key, gradient in by_one["grads"].items():
                scale = gradient.abs().max().item()
                torch.testing.assert_close(
                    step["grads"][key], gradient, rtol=1e-3, atol=1e-4 * scale, msg=key
                )
    assert one["top1"] == first["top1"] == second["top1"]
    models = [
        torch.load(ready / path / "model.pth", weights_only=True)
        for path in (f"one-{name}", f"host0/{story}")
    ]
    for key, tensor in models[0].items():
        torch.testing.assert_close(models[1][key], tensor, rtol=1e-4, atol=1e-5, msg=key)


def test_the_first_gives_the_state_to_those_on_other_hosts(ranks, ready):
    # The third step, of which nobody can read anything: both went on, and both say so.
    for rank in ranks:
        assert rank["on"]["steps"] == []
        assert rank["on"]["error"] == (
            "TrainingError: no image of a whole batch can be read; see the lines above"
        )
    assert (ready / "host0" / "uneven" / "last.pth").exists()
    assert list((ready / "host1").iterdir()) == []


def test_what_the_first_refuses_ends_all(ranks):
    for rank in ranks:
        assert rank["refused"]["error"].startswith("BadInput: even: holds a training already")
        assert "one image for a process is too few" in rank["alone"]["error"]


def test_a_process_that_ends_is_no_internal_error(ranks):
    assert ranks[0]["broken"].startswith(
        "TrainingError: another process of this training has ended"
    )
    assert ranks[1]["broken"] == "KeyError: "


def test_the_command_speaks_in_the_first_process_alone(ranks, ready):
    assert [rank["command"][0] for rank in ranks] == [0, 0]
    assert "2 processes" in ranks[0]["command"][1]
    assert ranks[1]["command"][1] == ""
    state = torch.load(ready / "host0" / "command" / "last.pth", weights_only=True)
    assert state["position"] == [1, 0]
    names = (ready / "host0" / "command" / "classes.txt").read_text()
    assert names == "class0\nclass1\nclass2\n"
    (status, words), other = (rank["seven"] for rank in ranks)
    _, error = words.splitlines()  # the first line names the index
    assert error == "error: a batch of 7 can't be shared by 2 processes; --batch-size 6 can"
    assert (status, *other) == (2, 2, "")


def test_an_environment_that_names_no_others(monkeypatch, images, tiny, tmp_path):
    given = Settings("resnest14d", images, tmp_path / "out", variant=tiny("resnest14d"))
    monkeypatch.setenv("RANK", "3")
    assert is_first()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not is_first()
    with pytest.raises(BadInput, match="WORLD_SIZE is 2, and MASTER_ADDR is not set"):
        train(given)
    monkeypatch.delenv("RANK")
    with pytest.raises(BadInput, match="RANK is not set: start the processes with torchrun"):
        train(given)
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(BadInput, match="should be the number of processes"):
        train(given)


def test_processes_that_can_t_meet(monkeypatch):
    (port,) = free_ports(1)
    with socket.create_server(("", int(port))):
        surroundings(monkeypatch, MASTER_PORT=port)
        with pytest.raises(TrainingError, match=f"2 processes .* can't meet at localhost:{port}: "):
            joined("cpu").__enter__()
    for name, value in (("RANK", "2"), ("RANK", "x"), ("LOCAL_RANK", "-1"), ("MASTER_PORT", "a")):
        surroundings(monkeypatch, **{name: value})
        with pytest.raises(BadInput, match=f"{name} is '{value}', and should be a number below"):
            joined("cpu").__enter__()


def surroundings(monkeypatch, **others: str) -> None:
    """The environment of the first of two processes."""
    usual = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost"}
    for name, value in (usual | {"MASTER_PORT": "29500"} | others).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def gpus(monkeypatch) -> list[object]:
    """What is asked of two GPUs that aren't there, and of NCCL, in its order."""
    said: list[object] = []

    @contextlib.contextmanager
    def current(device):
        said.append(device)
        yield
        said.append("left")

    distributed = torch.distributed
    for place, name, value in (
        (torch.cuda, "is_available", lambda: True),
        (torch.cuda, "device_count", lambda: 2),
        (torch.cuda, "device", current),
        (distributed, "is_nccl_available", lambda: True),
        (distributed, "init_process_group", said.append),
        (distributed, "get_rank", lambda: 1),
        (distributed, "destroy_process_group", lambda: said.append("destroyed")),
        (distributed.distributed_c10d, "_abort_process_group", lambda: said.append("aborted")),
    ):
        monkeypatch.setattr(place, name, value)
    return said


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (None, None),
        (KeyError, "KeyError"),
        (KeyboardInterrupt, "KeyboardInterrupt"),
        (torch.distributed.DistBackendError, "TrainingError: another process"),
        (RuntimeError, "RuntimeError"),
    ],
)
def test_on_gpus_nobody_waits_for_those_who_are_gone(monkeypatch, gpus, raised, seen):
    surroundings(monkeypatch, RANK="1", LOCAL_RANK="1")
    found = None
    try:
        with joined("auto") as ranks:
            assert (ranks.rank, ranks.device) == (1, torch.device("cuda", 1))
            if raised is not None:
                raise raised
    except BaseException as error:  # noqa: BLE001
        found = f"{type(error).__name__}: {error}"
    assert (found or "").startswith(seen or "")
    assert (found is None) == (seen is None)
    # The GPU is this process's before NCCL takes one, and an orderly end waits for the others.
    end = "destroyed" if raised is None else "aborted"
    assert gpus == [torch.device("cuda", 1), "nccl", end] + ["left"] * (raised is None)


def test_each_process_has_a_gpu_of_its_own(monkeypatch, gpus):
    with joined("cuda:1") as ranks:  # A single process may choose.
        assert ranks.device == torch.device("cuda", 1)
    assert gpus == [torch.device("cuda", 1), "left"]
    cases = {
        "cuda:1": ({}, "torchrun gives each process a GPU; write cuda"),
        "auto": ({"LOCAL_RANK": "2", "WORLD_SIZE": "3"}, "2 GPUs here, and number 2 is none"),
        "cuda": ({"LOCAL_RANK": ""}, "LOCAL_RANK doesn't say which"),
    }
    for name, (others, why) in cases.items():
        surroundings(monkeypatch, **others)
        if not others.get("LOCAL_RANK", "0"):
            monkeypatch.delenv("LOCAL_RANK")
        with pytest.raises(BadInput, match=why):
            joined(name).__enter__()
    # Where a process sees the one that is its own, as other launchers have it.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with joined("cuda") as ranks:
        assert ranks.device == torch.device("cuda", 0)
