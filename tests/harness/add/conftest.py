"""The command in real processes, and checkpoints of a few classes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def zoo() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a folder: ``zoo(folder, "add", ...)``."""

    def run(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "zoo", *map(str, arguments)],
            cwd=folder,
            env=os.environ
            | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
            | {"OMP_NUM_THREADS": "2"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

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
