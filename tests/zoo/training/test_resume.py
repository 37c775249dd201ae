"""A training that was killed ends as if it had not been: the same bits."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest
import torch

from zoo.training import BadInput

RECIPE = ("--epochs", "4", "--batch-size", "6", "--lr", "0.02", "--device", "cpu", "--seed", "5")
SETTINGS = {"epochs": 4, "batch_size": 6, "lr": 0.02, "seed": 5, "augment": None}


def state(folder: Path, name: str = "last.pth"):
    return torch.load(folder / name, weights_only=True)


def same(one, other) -> bool:
    """Bit for bit, through nested containers."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.dtype == other.dtype
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def rows(folder: Path) -> list[dict[str, str]]:
    """The log without what a clock decides."""
    with (folder / "log.csv").open() as file:
        found = list(csv.DictReader(file))
    for row in found:
        del row["images_per_second"], row["seconds"]
    return found


def kill_after(process, seen) -> None:
    """End it as a power cut would, once ``seen``."""
    deadline = time.monotonic() + 120
    while not seen():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.communicate()


def test_a_killed_training_ends_in_the_same_bits(images, tiny_index, zoo, start, fit, tmp_path):
    given = ("train", "efficientnet_lite0", "--data", images, "--index", tiny_index)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    fit("whole", **SETTINGS | {"ema": True, "augment": "crop"})
    extra = ("--ema", "--augment", "crop", "--workers", "2", "--output", killed)
    again = (*given, *RECIPE, *extra, "--save-steps", "3", "--resume", "auto")
    # Once in the middle of an epoch, once later.
    kill_after(start(*again), (killed / "last.pth").exists)
    middle = state(killed)["position"]
    kill_after(start(*again), lambda: state(killed)["position"] > middle)
    later = state(killed)["position"]
    assert middle < later < [4, 0]
    done = zoo(*again)
    assert done.returncode == 0, done.stderr
    assert f"going on after {later[0]} epochs" in done.stderr

    assert same(state(whole), state(killed))
    assert same(state(whole, "model.pth"), state(killed, "model.pth"))
    assert same(state(whole, "best.pth"), state(killed, "best.pth"))
    assert rows(whole) == rows(killed)
    assert [row["epoch"] for row in rows(whole)] == ["1", "2", "3", "4"]
    assert [row["step"] for row in rows(whole)] == ["4", "8", "12", "16"]


def test_another_seed_ends_elsewhere(fit, tmp_path):
    """So that the comparison above can fail."""
    for seed in (5, 6):
        fit(str(seed), **SETTINGS | {"seed": seed, "max_steps": 2})
    assert not same(state(tmp_path / "5")["model"], state(tmp_path / "6")["model"])


def test_stopping_after_some_steps_and_going_on_is_one_training(fit, tmp_path):
    for steps in (3, 5, 16):
        fit("parts", **SETTINGS, resume=True, max_steps=steps)
    fit("whole", **SETTINGS)
    for name in ("last.pth", "best.pth", "model.pth"):
        assert same(state(tmp_path / "whole", name), state(tmp_path / "parts", name))
    assert rows(tmp_path / "whole") == rows(tmp_path / "parts")


def test_a_training_is_never_mixed_with_another(fit, tmp_path):
    fit("out", **SETTINGS, max_steps=1)
    before = (tmp_path / "out" / "last.pth").read_bytes()
    for extra, why in (
        ({}, "holds a training already"),
        ({"resume": True, "seed": 6}, "another seed (5, now 6)"),
        ({"resume": True, "epochs": 9}, "another epochs (4, now 9)"),
        ({"resume": True, "ema": True}, "another ema"),
    ):
        with pytest.raises(BadInput) as caught:
            fit("out", **SETTINGS | extra)
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "out" / "last.pth").read_bytes() == before
