"""Two processes take the steps that one takes with the same batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[3]
STEPS = 3
# Norms in evaluation mode, no dropout, no DropBlock: what depends on how a batch is shared.
SCRIPT = """
import os
import sys

import torch
from zoo.index import load_index
from zoo.training import Recipe, Settings, train

data, index, out = sys.argv[1:]
entry = next(v for v in load_index([index]).variants if v.name == "resnest14d")
steps = []

def after_step(trainer, number, loss):
    grads = {name: p.grad.clone() for name, p in trainer.model.named_parameters()}
    steps.append({"loss": loss, "grads": grads, "number": number})

outcome = train(
    Settings(
        "resnest14d", data, out, variant=entry, freeze_norms=True, device="cpu", max_steps=3,
        recipe=Recipe(epochs=2, batch_size=8, lr=0.05, label_smoothing=0.1, augment="auto"),
    ),
    after_step=after_step,
)
torch.save({"steps": steps, "top1": outcome.top1}, f"{out}/steps{os.environ.get('RANK', '')}.pt")
"""


def run(arguments: list[str], folder: Path) -> None:
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


@pytest.fixture
def both(pictures, tiny_index, tmp_path):
    """What one process did, and what each of two did."""
    script = tmp_path / "steps.py"
    script.write_text(SCRIPT)
    given = [str(script), str(pictures), str(tiny_index)]
    run([sys.executable, *given, str(tmp_path / "one")], tmp_path)
    run([sys.executable, *TORCHRUN, *given, str(tmp_path / "two")], tmp_path)
    paths = ("one/steps.pt", "two/steps0.pt", "two/steps1.pt")
    return [torch.load(tmp_path / path, weights_only=True) for path in paths]


def test_losses_gradients_and_weights_are_those_of_one_process(both, tmp_path):
    one, first, second = both
    assert [len(run["steps"]) for run in both] == [STEPS] * 3
    for alone, left, right in zip(one["steps"], first["steps"], second["steps"], strict=True):
        # Each process has half of the pictures, and they are not the same ones.
        assert not torch.equal(left["loss"], right["loss"])
        torch.testing.assert_close(
            (left["loss"] + right["loss"]) / 2, alone["loss"], rtol=1e-5, atol=1e-6
        )
        for name, gradient in alone["grads"].items():
            scale = gradient.abs().max().item()
            for shared in (left, right):
                torch.testing.assert_close(
                    shared["grads"][name], gradient, rtol=1e-3, atol=1e-4 * scale, msg=name
                )
    assert one["top1"] == first["top1"] == second["top1"]
    models = [
        torch.load(tmp_path / k / "last.pth", weights_only=True)["model"] for k in ("one", "two")
    ]
    for name, tensor in models[0].items():
        torch.testing.assert_close(models[1][name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_the_command_runs_under_torchrun_and_goes_on_after_it(pictures, tiny_index, tmp_path):
    given = [
        "-m", "zoo", "train", "resnest14d", "--data", str(pictures), "--index", str(tiny_index),
        "--batch-size", "8", "--epochs", "2", "--device", "cpu", "--output", str(tmp_path / "out"),
        "--resume", "auto",
    ]  # fmt: skip
    run([sys.executable, *TORCHRUN, *given, "--max-steps", "2"], tmp_path)
    run([sys.executable, *TORCHRUN, *given], tmp_path)
    state = torch.load(tmp_path / "out" / "last.pth", weights_only=True)
    assert state["position"] == [2, 0]
    assert (tmp_path / "out" / "classes.txt").read_text() == "class0\nclass1\nclass2\n"


def test_a_batch_that_can_t_be_shared_is_one_line(pictures, tiny_index, tmp_path):
    done = subprocess.run(
        [
            sys.executable, *TORCHRUN, "-m", "zoo", "train", "resnest14d",
            "--data", str(pictures), "--index", str(tiny_index), "--batch-size", "7",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode != 0
    ours = [line for line in done.stderr.splitlines() if line.startswith("zoo train:")]
    assert ours == ["zoo train: a batch of 7 can't be shared by 2 processes; --batch-size 6 can"]
