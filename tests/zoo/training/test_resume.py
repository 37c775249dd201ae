"""A training that was killed ends as if it had not been: the same bits."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest
import torch

RECIPE = ("--epochs", "4", "--batch-size", "6", "--lr", "0.02", "--device", "cpu", "--seed", "5")


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


@pytest.mark.parametrize("extra", [("--ema",), ("--augment", "crop", "--workers", "2")])
def test_a_killed_training_ends_in_the_same_bits(pictures, tiny_index, zoo, start, tmp_path, extra):
    given = (
        "train",
        "efficientnet_lite0",
        "--data",
        pictures,
        "--index",
        tiny_index,
        *RECIPE,
        *extra,
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = zoo(*given, "--output", whole)
    assert done.returncode == 0, done.stderr
    again = (*given, "--output", killed, "--save-steps", "3", "--resume", "auto")
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
    assert rows(whole) == rows(killed)
    assert [row["epoch"] for row in rows(whole)] == ["1", "2", "3", "4"]
    assert [row["step"] for row in rows(whole)] == ["4", "8", "12", "16"]


def test_another_seed_ends_elsewhere(pictures, tiny_index, zoo, tmp_path):
    """So that the comparison above can fail."""
    given = ("train", "efficientnet_lite0", "--data", pictures, "--index", tiny_index, *RECIPE)
    for seed in ("5", "6"):
        done = zoo(*given, "--max-steps", "2", "--output", tmp_path / seed, "--seed", seed)
        assert done.returncode == 0, done.stderr
    assert not same(state(tmp_path / "5")["model"], state(tmp_path / "6")["model"])


def test_stopping_after_some_steps_and_going_on_is_one_training(
    pictures, tiny_index, zoo, tmp_path
):
    given = ("train", "efficientnet_lite0", "--data", pictures, "--index", tiny_index, *RECIPE)
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    for steps in ("3", "5", "16"):
        done = zoo(*given, "--output", parts, "--resume", "auto", "--max-steps", steps)
        assert done.returncode == 0, done.stderr
    assert zoo(*given, "--output", whole).returncode == 0
    assert same(state(whole)["model"], state(parts)["model"])
    assert same(state(whole)["optimizer"], state(parts)["optimizer"])
    assert rows(whole)[-1]["train_loss"] == rows(parts)[-1]["train_loss"]


def test_a_training_is_never_mixed_with_another(pictures, tiny_index, zoo, tmp_path):
    given = ("train", "efficientnet_lite0", "--data", pictures, "--index", tiny_index, *RECIPE)
    output = ("--output", tmp_path / "out")
    assert zoo(*given, *output, "--max-steps", "1").returncode == 0
    before = (tmp_path / "out" / "last.pth").read_bytes()
    for extra, why in (
        ((), "holds a training already"),
        (("--resume", "auto", "--seed", "6"), "another seed (5, now 6)"),
        (("--resume", "auto", "--epochs", "9"), "another epochs (4, now 9)"),
        (("--resume", "auto", "--ema"), "another ema"),
    ):
        done = zoo(*given, *output, *extra)
        assert done.returncode == 2
        assert why in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "out" / "last.pth").read_bytes() == before
