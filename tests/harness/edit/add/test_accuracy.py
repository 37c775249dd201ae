"""What is claimed of pictures, and of a file that is another one when they have been run."""

from __future__ import annotations

import os
import shutil

import pytest
import torch
import yaml

from harness.edit import add_measure
from harness.edit.add_measure import NotAdded, measure, measure_accuracy, open_labelled
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


def test_what_is_no_number_is_told_and_no_answer(run, folder, few, biased, states):
    biased(0, float("nan"))
    done = run("add", "seven.pth", *LITE, "--data", few)
    assert (done.status, "seven.pth: _fc.bias holds NaN" in done.err) == (2, True), done.err
    # Numbers that are finite by themselves, and not in what is made of them.
    state = states("efficientnet_lite0", 7)
    state["_bn1.weight"] += 3e38
    state["_bn1.bias"] += 3e38
    state["_fc.weight"] += 3e38
    torch.save(state, folder / "seven.pth")
    done = run("add", "seven.pth", *LITE, "--data", few)
    assert done.status == 2
    assert "none of 7 images is answered right (7 have no answer: " in done.err
    assert "not finite" in done.err


def test_a_part_of_a_data_set_is_called_by_the_whole(run, folder, few, biased):
    """The folder itself is called by its own name, and measured on ``val``."""
    biased(0)
    for whole, part in (
        ("roses", "/train"), ("tulips", "/val"), ("lilies", "/Validation"), ("poppies", "/test"),
        ("petals", ""),
    ):  # fmt: skip
        shutil.copytree(few, folder / whole / (part or "/val")[1:])
        (folder / whole / "train").mkdir(exist_ok=True)
        done = run("add", "seven.pth", *LITE, "--name", whole, "--data", whole + part)
        assert done.status == 0, done.err
        assert dataset(folder) == whole
        assert ("kept apart" in done.err) == (part == "/train")


def test_a_file_that_is_replaced_while_pictures_are_run(run, folder, few, monkeypatch):
    """Both files fit; the entry would have the hash of one and the accuracy of the other."""
    shutil.copy(folder / "seven.pth", folder / "new.pth")
    real = add_measure.answers

    def replaced(*given, **options):
        os.replace(folder / "new.pth", folder / "seven.pth")
        return real(*given, **options)

    monkeypatch.setattr(add_measure, "answers", replaced)
    done = run("add", "seven.pth", *LITE, "--data", few)
    assert (done.status, "7 images, called" in done.err) == (2, True), done.err
    assert "seven.pth: it changed while it was measured" in done.err
    assert not (folder / "model-index.yml").exists()


def test_a_file_that_is_gone_or_broken_when_pictures_are_run(folder, few):
    path = folder / "seven.pth"
    facts = measure(path, Recipe("efficientnet_lite0", image_size=(224, 224)), "mine")
    labelled = open_labelled(str(few), facts, ())
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
