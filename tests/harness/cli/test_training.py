"""The command that trains: what it says, what it refuses, and what it needs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from cli import run_python, run_zoo, said
from PIL import Image

from harness.cli.train import TrainingProgress
from zoo.training.logs import EpochReport

ROOT = Path(__file__).parents[3]
INDEX = """\
Models:
- Name: efficientnet_lite0
  Metadata:
    Image Size: 32
    LR: 0.4
    Batch Size: 512
    Training Techniques: [Label Smoothing, Cutout]
- Name: efficientnet_lite1
- Name: of_another_zoo
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    for part, count in (("train", 6), ("val", 2)):
        for label in ("cat", "dog"):
            inside = tmp_path / "pets" / part / label
            inside.mkdir(parents=True)
            for number in range(count):
                noise = np.random.default_rng(number).integers(0, 255, (40, 40, 3))
                Image.fromarray(noise.astype(np.uint8)).save(inside / f"{number}.png")
    (tmp_path / "index.yml").write_text(INDEX)
    return tmp_path


@pytest.fixture
def train(environment, folder):
    """Run the command in the folder; its images are so small that no process helps to read them."""

    def run(*arguments: str, name: str = "efficientnet_lite0"):
        given = ["train", name, "--index", "index.yml", "--device", "cpu", *arguments]
        return run_zoo([*given, "--decode-workers", "0"], cwd=folder, environment=environment)

    return run


def test_what_it_will_do_is_said_and_the_files_are_there(train, folder):
    (folder / "pets" / "train" / "dog" / "3.png").write_bytes(b"no picture")
    (folder / "pets" / "train" / "dog" / "notes.txt").write_text("")
    done = train("--data", "pets", "--epochs", "2", "--batch-size", "4")
    assert done.returncode == 0, done.stderr
    first, *lines = done.stderr.splitlines()
    assert first == "1 variant of index index.yml, builder zoo: efficientnet_lite0, random weights"
    assert lines[0] == (
        "efficientnet_lite0 from random weights: 12 images of 2 classes, 4 to validate on; cpu, "
        "1 process"
    )
    assert lines[1].startswith(
        "2 epochs, batches of 4, LR 0.003125 (cosine, 0.2 epochs of warm-up)"
    )
    assert "label smoothing 0.1" in lines[1]
    assert lines[1].endswith("(named by the index, and of the usual strength: Label Smoothing)")
    assert lines[2] == (
        "LR 0.4 of the index is for batches of 512; by the linear rule it is 0.003125 for batches "
        "of 4 (--lr sets another)"
    )
    assert lines[3] == "the index also states Cutout: not done here"
    assert lines[4] == "pets/train: 1 file left out, as images have other names"
    left_out = [line for line in lines if "left out:" in line]
    assert left_out == ["left out: pets/train/dog/3.png: no image of a known format"]
    assert any(line.startswith("epoch 2: loss ") and " images/s" in line for line in lines)
    left_out, hint = lines[-2:]
    assert left_out == "images were left out 2 times, as they can't be read"
    assert hint.startswith("add it to an index: zoo add runs/efficientnet_lite0/model.pth --from ")
    out = Path("runs/efficientnet_lite0")
    assert done.stdout.startswith(f"{out}/model.pth  epoch ")
    assert "top-1 " in done.stdout
    names = {"model.pth", "last.pth", "best.pth", "classes.txt", "log.csv", ".lock"}
    assert {path.name for path in (folder / out).iterdir()} == names
    assert (folder / out / "classes.txt").read_text() == "cat\ndog\n"


def test_without_validation_the_last_weights_are_kept(train, folder):
    done = train("--data", "pets/train", "--epochs", "1", "--lr", "0.01", "-q")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "runs/efficientnet_lite0/model.pth  epoch 1\n"
    assert done.stderr == "the index also states Cutout: not done here\n"
    names = {"model.pth", "last.pth", "classes.txt", "log.csv", ".lock"}
    assert {path.name for path in (folder / "runs/efficientnet_lite0").iterdir()} == names


def test_an_epoch_of_which_only_the_validation_was_left_has_no_speed(capsys):
    progress = TrainingProgress(first=True, quiet=False)
    progress.epoch(EpochReport(3, 12, 0.1, 0.5, 0.4, 50.0, 100.0, None, 7.0))
    progress.epoch(EpochReport(4, 16, 0.1, 0.5, None, None, None, 12.5, 7.0))
    assert capsys.readouterr().err.splitlines() == [
        "epoch 3: loss 0.5000, top-1 50.00%, top-5 100.00%, 7s",
        "epoch 4: loss 0.5000, 12.5 images/s, 7s",
    ]


def test_an_epoch_that_was_cut_short_is_the_one_that_was_kept(train, folder):
    (folder / "pets" / "test").mkdir()
    done = train("--data", "pets", "--batch-size", "4", "--max-steps", "2")
    assert done.returncode == 0, done.stderr
    assert "pets: test in it is not used" in done.stderr.splitlines()
    path, words = done.stdout.strip().split("  ", 1)
    assert words.startswith("epoch 1  top-1 ")
    assert (folder / path).exists()


WRONG = [
    ("--data missing", "missing: there is no such file or folder; write where it is"),
    ("--data pets/train/cat", "no class folders in it"),
    ("--data pets --batch-size 13", "12 images fill no batch of 13"),
    ("--data pets --freeze", "there are no trained layers to keep; add --finetune"),
    ("--data pets --augment lots", "'lots' is not an augmentation; write"),
    ("--data pets --lr 0", "--lr: 0.0 is not a number above 0; write one"),
    ("--data pets --resume maybe", "--resume: 'maybe' is not a way to resume; write auto"),
    ("--data pets --device tpu", "auto, cpu, cuda or cuda:0"),
    ("--data pets --amp int8", "bf16"),
    ("", "is given no --data; write --data DIR"),
]


def test_a_mistake_is_one_line(train):
    done = train("-q", "--data", "pets", "--lr", "1e30", "--epochs", "9")
    told, error = said(done.stderr).splitlines()
    assert (done.returncode, "Cutout" in told, "no number any more" in error) == (3, True, True)
    for arguments, why in WRONG:
        done = train("-q", *arguments.split())
        errors = [line for line in said(done.stderr).splitlines() if "Cutout" not in line]
        assert (done.returncode, len(errors)) == (2, 1), done.stderr
        assert why in errors[0]


def test_only_a_model_of_this_package_can_be_trained(train):
    for name, why in {
        "of_another_zoo": "no model 'of_another_zoo' to train",
        "efficientnet_lite*": "names 2 variants",
    }.items():
        done = train("--data", "pets", name=name)
        assert (done.returncode, why in said(done.stderr).splitlines()[-1]) == (2, True)


def test_a_folder_that_can_t_be_written_to_is_one_line(train, folder):
    (folder / "runs").write_text("a file")
    done = train("--data", "pets", "-q")
    assert done.returncode in (2, 3)
    assert "runs/efficientnet_lite0: can't be made" in done.stderr


def test_on_a_terminal_there_is_a_bar(zoo_on_a_terminal):
    status, _, shown = zoo_on_a_terminal(
        "train", "efficientnet_lite0", "--index", "index.yml", "--device", "cpu", "--data", "pets",
        "--epochs", "1", "--batch-size", "6", "--decode-workers", "0",
    )  # fmt: skip
    assert status == 0
    assert not [part for part in ("images/s", "left", "2/2", "epoch 1/1") if part not in shown]


def test_help_and_wrong_use_need_no_torch():
    code = (
        "import sys; from harness.cli import main; status = main({0}); "
        "print(status, [n for n in ('torch', 'numpy', 'torchvision') if n in sys.modules])"
    )
    for arguments, status in (["train", "--help"], 0), (["train", "x", "--data", "nowhere"], 2):
        done = run_python(["-c", code.format(arguments)], cwd=ROOT, check=True)
        assert done.stdout.splitlines()[-1] == f"{status} []"


def test_the_first_line_names_model_and_weights_and_needs_no_torch(folder):
    (folder / "runs" / "efficientnet_lite1").mkdir(parents=True)
    (folder / "runs" / "efficientnet_lite1" / "last.pth").touch()
    listed = "efficientnet_lite0, weights efficientnet-lite0-57934424.pth"
    lite1 = ["train", "efficientnet_lite1", "--data", "pets", "--index", "index.yml"]
    cases = [
        (["classify", "efficientnet_lite0", "a.png"], listed),
        (["features", "efficientnet_lite0", "a.png", "-o", "a.npy"], listed),
        (["train", "efficientnet_lite0", "--data", "pets", "--finetune"], listed),
        (["train", "efficientnet_lite0", "--data", "pets"], "efficientnet_lite0, random weights"),
        ([*lite1, "--finetune"], "efficientnet_lite1, no weights listed"),
        (
            [*lite1, "--resume", "auto"],
            "efficientnet_lite1, weights of runs/efficientnet_lite1/last.pth",
        ),
    ]
    code = (
        "import sys; from harness.cli import main, options\n"
        "def first(line):\n"
        "    large = {'torch', 'numpy', 'PIL', 'httpx', 'urllib.request'} & {*sys.modules}\n"
        "    print(line, sorted(large))\n"
        "    raise KeyboardInterrupt\n"
        f"options.say = first\nfor words in {[words for words, _ in cases]}: main(words)"
    )
    done = run_python(["-c", code], cwd=folder, check=True)
    for (words, ends), line in zip(cases, done.stdout.splitlines(), strict=True):
        assert line.startswith("1 variant of index "), words
        assert f", builder zoo: {ends}" in line, words
        assert line.endswith(" []"), words


def test_top_5_of_five_classes_is_not_shown(train, folder):
    done = train("--data", "pets", "--epochs", "1", "--batch-size", "4")
    assert re.search(r"^epoch 1: loss [0-9.]+, top-1 [0-9.]+%, [0-9.]+ images/s", done.stderr, re.M)
    row = (folder / "runs" / "efficientnet_lite0" / "log.csv").read_text().splitlines()
    assert dict(zip(*(line.split(",") for line in row), strict=True))["top5"] == ""
