"""The command, in processes of its own and in this one, and checkpoints of a few classes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cli import run_zoo, said
from shipped import real_images

ROOT = Path(__file__).parents[4]
CLASSES = 7


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def zoo() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a folder: ``zoo(folder, "add", ...)``."""

    def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        own = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
        environment = os.environ | own | {"OMP_NUM_THREADS": "2"}
        return run_zoo(arguments, cwd=folder, environment=environment)

    return run


@pytest.fixture(scope="session")
def states() -> Callable[..., dict[str, Any]]:
    """The state dict of a model with random weights."""
    import torch

    from zoo.registry import create_model

    def build(name: str, classes: int) -> dict[str, Any]:
        torch.manual_seed(3)
        return dict(create_model(name, num_classes=classes).state_dict())

    return build


@pytest.fixture(scope="session")
def seven(states, tmp_path_factory) -> Path:
    """A checkpoint of lite0 with seven classes."""
    import torch

    path = tmp_path_factory.mktemp("seven") / "seven.pth"
    torch.save(states("efficientnet_lite0", 7), path)
    return path


@pytest.fixture
def folder(seven, tmp_path) -> Path:
    """A working folder with that checkpoint in it."""
    shutil.copy(seven, tmp_path / "seven.pth")
    return tmp_path


class Run:
    """Runs the command in this process, which has torch already: ``run("add", ...)``."""

    def __init__(self, shown: pytest.CaptureFixture[str]) -> None:
        self._shown = shown

    def __call__(self, *arguments: str | Path) -> Done:
        from harness.cli import main

        status = main([*map(str, arguments)])
        out, err = self._shown.readouterr()
        return Done(status, out, said(err))

    def verified(self, name: str, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
        """The exit status of a verification, and the findings by field."""
        done = self("verify", name, "--index", "model-index.yml", "--format", "json", *arguments)
        assert done.status in (0, 1), done.err
        return done.status, {f["field"]: f for f in json.loads(done.out)["findings"]}


@pytest.fixture
def run(folder, monkeypatch, capsys) -> Run:
    """The command in the working folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return Run(capsys)


@pytest.fixture(scope="session")
def real_pictures() -> list[Path]:
    """The 20 real pictures of the extra."""
    return real_images()


@pytest.fixture(scope="session")
def pictures(real_pictures, tmp_path_factory) -> Path:
    """The real pictures, in seven class folders by turns, and one that can't be read."""
    root = tmp_path_factory.mktemp("data") / "petals"
    for number, file in enumerate(real_pictures):
        folder = root / "val" / f"class {number % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / f"{number:02}.jpg")
    (root / "val" / "class 0" / "zz.jpg").write_text("no picture")
    (root / "train").mkdir()
    return root


@pytest.fixture(scope="session")
def few(tmp_path_factory) -> Path:
    """One small image for each of the seven classes."""
    from PIL import Image

    root = tmp_path_factory.mktemp("few")
    for number in range(CLASSES):
        (root / f"class {number}").mkdir()
        Image.new("RGB", (32, 32), (30 * number, 90, 60)).save(root / f"class {number}" / "a.png")
    return root
