"""What is claimed of pictures, and of a file that is another one when they have been run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
import torch
import yaml

from harness.edit.add_accuracy import measure_accuracy, open_labelled
from harness.edit.add_facts import NotAdded, measure
from harness.types import Recipe

LITE = ("--from", "efficientnet_lite0")


@pytest.fixture
def biased(states, folder):
    """Writes a checkpoint that takes all pictures for one class: ``biased(index, by)``."""

    def write(index, by=1e4, file="seven.pth"):
        state = states("efficientnet_lite0", 7)
        state["_fc.bias"][index] = by
        torch.save(state, folder / file)

    return write


def dataset(folder):
    entry = yaml.safe_load((folder / "model-index.yml").read_text())["Models"][-1]
    return entry["Results"][0]["Dataset"]


def test_nothing_right_is_no_claim(run, folder, pictures, biased):
    """The classes are 7, and of the last one there is no picture."""
    shutil.copytree(pictures / "val", folder / "val")
    shutil.rmtree(folder / "val" / "class 6")
    (folder / "classes.txt").write_text("".join(f"class {n}\n" for n in range(7)))
    biased(6)
    done = run("add", "seven.pth", *LITE, "--data", "val")
    assert done.status == 2
    assert "none of 19 images is answered right (1 have no answer: class 0/zz.jpg: " in done.err
    assert "are these the checkpoint's classes?" in done.err
    assert not (folder / "model-index.yml").exists()


def test_what_is_no_number_is_told_and_no_answer(run, folder, pictures, biased):
    biased(0, float("nan"))
    done = run("add", "seven.pth", *LITE, "--data", pictures)
    assert done.status == 2
    assert "none of 21 images is answered right (21 have no answer: " in done.err
    assert "not finite" in done.err


@pytest.mark.parametrize("part", ["train", "val", "Validation", "test"])
def test_a_part_of_a_data_set_is_called_by_the_whole(run, folder, pictures, biased, part):
    biased(0)
    shutil.copytree(pictures / "val", folder / "roses" / part)
    done = run("add", "seven.pth", *LITE, "--data", f"roses/{part}")
    assert done.status == 0, done.err
    assert dataset(folder) == "roses"
    assert ("kept apart" in done.err) == (part == "train")


def test_a_whole_is_called_by_its_own_name_and_measured_on_val(run, folder, pictures, biased):
    biased(0)
    done = run("add", "seven.pth", *LITE, "--data", pictures)
    assert done.status == 0, done.err
    assert dataset(folder) == "petals"
    assert "kept apart" not in done.err


def test_a_file_that_is_replaced_while_pictures_are_run(folder, pictures):
    """Both files fit; the entry would have the hash of one and the accuracy of the other."""
    many = folder / "many"
    for label in range(7):
        (many / f"class {label}").mkdir(parents=True)
        for number in range(40):
            (many / f"class {label}" / f"{number}.jpg").symlink_to(pictures / "val/class 1/01.jpg")
    shutil.copy(folder / "seven.pth", folder / "new.pth")
    command = subprocess.Popen(
        [sys.executable, "-m", "zoo", "add", "seven.pth", *LITE, "--data", "many"],
        cwd=folder,
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
        stderr=subprocess.PIPE,
        text=True,
    )
    with command:
        assert "280 images, called" in command.stderr.readline()
        os.replace(folder / "new.pth", folder / "seven.pth")
        said = command.stderr.read()
    assert command.returncode == 2
    assert "seven.pth: it changed while it was measured" in said
    assert not (folder / "model-index.yml").exists()


def test_a_file_that_is_gone_or_broken_when_pictures_are_run(folder, pictures):
    path = folder / "seven.pth"
    facts = measure(path, Recipe("efficientnet_lite0", image_size=(224, 224)), "mine")
    labelled = open_labelled(str(pictures), facts, ())
    status = path.stat()
    # As long and as old as before: only reading it shows that it is another.
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(NotAdded, match=r"seven\.pth: "):
        measure_accuracy(facts, path, labelled, torch.device("cpu"), 8)
    path.unlink()
    with pytest.raises(NotAdded, match="No such file"):
        measure_accuracy(facts, path, labelled, torch.device("cpu"), 8)


def test_what_a_training_leaves_says_which_file_to_publish(run, folder, states):
    state = states("efficientnet_lite0", 7)
    average = {name: tensor.clone() for name, tensor in state.items()}
    whole = {"zoo_training": 1, "model": state, "ema": average, "position": [1, 0]}
    torch.save(whole, folder / "best.pth")
    done = run("add", "best.pth", *LITE, "--name", "alone")
    assert done.status == 0, done.err
    assert "best.pth: it also holds a moving average of the weights (ema)" in done.err
    assert "model.pth" not in done.err
    (folder / "seven.pth").rename(folder / "model.pth")
    done = run("add", "best.pth", *LITE)
    assert done.status == 0, done.err
    assert "model.pth has the average, which is what was validated" in done.err
    assert "the file to publish is model.pth" in done.err
    done = run("add", "model.pth", *LITE)
    assert (done.status, "publish" in done.err) == (0, False), done.err
    _, findings = run.verified("best")
    assert findings["File Size"]["cause"] == "size.extra-tensors"
    assert "publish its state dict alone" in findings["File Size"]["message"]
