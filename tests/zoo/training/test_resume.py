"""A training that was killed ends as if it had not been: the same bits."""

from __future__ import annotations

import csv
import os
import re
import shlex
import signal
import time
from pathlib import Path

import pytest
import torch

from zoo.training import BadInput
from zoo.training.run_dir import RunDir
from zoo.training.trainer import Trainer

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
    deadline = time.monotonic() + 300
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
    assert re.search(rf"going on after {later[0]} epochs? and {later[1]} steps?\n", done.stderr)

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


def test_an_interrupted_training_ends_in_the_same_bits(fit, tmp_path, monkeypatch):
    """Wherever the interrupt comes: before and after a step, in one, in a validation, at an end."""
    fit("whole", **SETTINGS)
    step, evaluate, publish = Trainer.step, Trainer.evaluate, RunDir.epoch
    asked: list[int] = []

    def interrupt() -> None:
        asked.append(1)
        signal.raise_signal(signal.SIGINT)

    def within(trainer, batch, number, sums):
        if number == 5 and len(asked) == 1:
            interrupt()  # The weights are half way when it would be raised.
        return step(trainer, batch, number, sums)

    def validate(trainer, batches):
        if len(asked) == 2:
            interrupt()
        return evaluate(trainer, batches)

    def end(folder, *rest):
        publish(folder, *rest)
        if len(asked) == 3:
            interrupt()

    def after(trainer, number, loss):
        if (number, len(asked)) in ((2, 0), (15, 4)):
            interrupt()

    monkeypatch.setattr(Trainer, "step", within)
    monkeypatch.setattr(Trainer, "evaluate", validate)
    monkeypatch.setattr(RunDir, "epoch", end)
    stood = []
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            fit("parts", **SETTINGS, resume=True, after_step=after)
        stood.append(state(tmp_path / "parts")["position"])
    assert stood == [[0, 2], [1, 2], [1, 4], [2, 0], [3, 3]]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    fit("parts", **SETTINGS, resume=True)
    for name in ("last.pth", "best.pth", "model.pth"):
        assert same(state(tmp_path / "whole", name), state(tmp_path / "parts", name))
    assert rows(tmp_path / "whole") == rows(tmp_path / "parts")


def test_a_second_interrupt_ends_it_in_the_middle_of_a_step(fit, tmp_path, monkeypatch):
    step = Trainer.step

    def hangs(trainer, batch, number, sums):
        if number == 3:
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
                time.sleep(1.1)
            pytest.fail("it went on")
        return step(trainer, batch, number, sums)

    monkeypatch.setattr(Trainer, "step", hangs)
    with pytest.raises(KeyboardInterrupt):
        fit("out", **SETTINGS, save_steps=2)
    assert state(tmp_path / "out")["position"] == [0, 2]


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(images, tiny_index, zoo, start, tmp_path):
    """In a terminal it reaches the processes that decode as well."""
    given = ("train", "efficientnet_lite0", "--data", images, "--index", tiny_index, *RECIPE)
    out = tmp_path / "a b"
    process = start(*given, "--workers", "2", "--output", out, "--epochs", "400", group=True)
    deadline = time.monotonic() + 300
    while len(rows(out) if (out / "log.csv").exists() else ()) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    saved = re.search(
        rf"^interrupted: {out}/last\.pth holds the training after step (\d+) of 1600\n(.*)$",
        told,
        re.MULTILINE,
    )
    assert saved is not None, told
    after, again = saved.groups()
    epoch, step = state(out)["position"]
    assert int(after) == 4 * epoch + step
    program, *words = shlex.split(again.removeprefix("continue with: "))
    assert (program, words[-2:]) == ("zoo", ["--resume", "auto"])
    done = zoo(*words, "--max-steps", str(4 * epoch + step + 1))
    assert done.returncode == 0, done.stderr
    assert re.search(rf"going on after {epoch} epochs? and {step} steps?\n", done.stderr)
