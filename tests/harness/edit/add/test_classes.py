"""Whose classes a checkpoint tells apart: ImageNet's thousand, or its own."""

from __future__ import annotations

import shutil

import pytest
import torch
import yaml
from loops import each

from zoo.labels import imagenet_categories, imagenet_synsets

LITE = ("--from", "efficientnet_lite0")
OWN = [f"flower {number:04}" for number in range(1000)]


@pytest.fixture(scope="module")
def thousand(states, tmp_path_factory):
    """A checkpoint of a thousand classes that takes all pictures for the class of index 3."""
    state = states("efficientnet_lite0", 1000)
    state["_fc.bias"][3] = 1e4
    path = tmp_path_factory.mktemp("thousand") / "big.pth"
    torch.save(state, path)
    return path


@pytest.fixture
def big(thousand, folder):
    """In the working folder."""
    shutil.copy(thousand, folder / "big.pth")
    return folder


def write(folder, names, file="classes.txt"):
    (folder / file).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def entries(folder):
    return yaml.safe_load((folder / "model-index.yml").read_text())["Models"]


def test_a_thousand_own_classes_are_not_imagenet_s(run, big, real_pictures):
    write(big, OWN)
    for number, file in enumerate(real_pictures[:8]):
        inside = big / "garden" / OWN[3 if number % 4 else 900]
        inside.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, inside)
    done = run("add", "big.pth", *LITE, "--data", "garden")
    assert done.status == 0, done.err
    (entry,) = entries(big)
    assert entry["Metadata"]["Classes"] == 1000
    assert entry["Metadata"]["Class Names"] == OWN
    assert entry["Results"][0]["Dataset"] == "garden"
    assert entry["Results"][0]["Metrics"]["Top 1 Accuracy"] == "75.00%"  # 6 of 8
    assert "check it: zoo verify big --index model-index.yml --data garden" in done.err
    status, findings = run.verified("big", "--data", "garden")
    assert status == 0
    fields = ("Parameters", "FLOPs", "Weights", "Top 1 Accuracy")
    assert {findings[field]["status"] for field in fields} == {"match"}
    shown = run("classify", "big", real_pictures[0], "--index", "model-index.yml")
    assert "100.00%  flower 0003" in shown.out


@pytest.mark.parametrize("names", [imagenet_synsets, imagenet_categories])
def test_imagenet_s_own_names_are_no_others(run, big, names):
    write(big, names())
    done = run("add", "big.pth", *LITE)
    assert done.status == 0, done.err
    metadata = entries(big)[0]["Metadata"]
    assert not {"Classes", "Class Names"} & metadata.keys()


def test_a_thousand_classes_in_another_order_are_others(run, big):
    write(big, sorted(set(imagenet_synsets()), reverse=True))
    assert run("add", "big.pth", *LITE).status == 0
    assert entries(big)[0]["Metadata"]["Classes"] == 1000


def test_a_thousand_own_classes_of_the_origin_need_names(run, big):
    write(big, OWN)
    assert run("add", "big.pth", *LITE).status == 0
    (big / "classes.txt").unlink()
    shutil.copy(big / "big.pth", big / "next.pth")
    done = run("add", "next.pth", "--from", "big")
    assert (done.status, "--class-names" in done.err) == (2, True), done.err
    write(big, OWN, "names")
    assert run("add", "next.pth", "--from", "big", "--class-names", "names").status == 0
    assert entries(big)[1]["Metadata"]["Class Names"] == OWN


def test_the_classes_of_a_collection_hold_for_what_joins_it(run, big):
    own = [f"petal {number}" for number in range(7)]
    (big / "model-index.yml").write_text(
        "Collections:\n- Name: Petals\n  Metadata:\n    Classes: 7\n    Class Names:\n"
        + "".join(f"    - {name}\n" for name in own)
    )
    done = run("add", "big.pth", *LITE, "--collection", "Petals")
    assert done.status == 2
    assert "names 7 classes, and the checkpoint tells ImageNet's apart" in done.err
    done = run("add", "seven.pth", *LITE, "--collection", "Petals")
    assert done.status == 0, done.err
    assert entries(big)[0]["Metadata"]["Class Names"] == own
    assert "Petals" in done.err


@each("called", ["ImageNet", "imagenet-1k", "ILSVRC2012"])
def test_own_pictures_are_not_called_imagenet(run, folder, few, called):
    done = run("add", "seven.pth", *LITE, "--data", few, "--dataset", called)
    assert done.status == 2
    assert done.err.startswith("--dataset: ")
    shutil.copytree(few, folder / "other" / called / "val")
    for data in (f"other/{called}", f"other/{called}/val"):
        done = run("add", "seven.pth", *LITE, "--data", data)
        assert done.status == 2
        assert "call these images something else with --dataset" in done.err
    assert not (folder / "model-index.yml").exists()


@each(
    "text, words",
    [
        ("a\nb\n", ": it has 2 lines, and the checkpoint tells 7 classes apart"),
        ("a\n", ": it has 1 line, and the checkpoint tells 7 classes apart"),
        ("a\nb\n\nd\ne\nf\ng\n", ":3: the line is empty"),
        ("a\nb\nc\nd\ne\nf\ng\n\n", ":8: the line is empty"),
        ("a\nb\nc\nd\nb\nf\ng\n", ":5: 'b' is the class of line 2 as well"),
        ("a\nb\nc\nd\ne\x07\nf\ng\n", ":5: the line holds a character that can't be shown"),
        ("a\nb\nc\nd\ncaf\udce9\nf\ng\n", ": can't be read: it is not UTF-8"),
    ],
)
def test_a_list_of_classes_that_is_none(run, folder, text, words):
    (folder / "names.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    done = run("add", "seven.pth", *LITE, "--class-names", "names.txt")
    assert done.status == 2
    assert f"names.txt{words}" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_list_of_classes_as_notepads_write_it(run, folder):
    names = [f"Blüte {number}" for number in range(7)]
    (folder / "names.txt").write_bytes("\r\n".join(names).encode("utf-8-sig"))
    done = run("add", "seven.pth", *LITE, "--class-names", "names.txt")
    assert done.status == 0, done.err
    assert entries(folder)[0]["Metadata"]["Class Names"] == names


def test_the_sample_is_of_imagenet_s_classes(run, folder):
    done = run("add", "seven.pth", *LITE, "--data", "sample")
    assert done.status == 2
    assert "sample stands for images of ImageNet's classes" in done.err
