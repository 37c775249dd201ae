"""The command in real processes, real pictures, and lite0 as other people implement it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from cli import run_zoo, said
from shipped import real_images, real_weights

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Run:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @cached_property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def zoo() -> Callable[..., Run]:
    """Run the command: ``zoo("classify", ..., folder=..., stdin=b"...")``."""

    def run(*arguments: str | Path, folder: Path, stdin: bytes = b"", **changes: str) -> Run:
        own = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
        environment = os.environ | own | {"OMP_NUM_THREADS": "2"} | changes
        done = run_zoo(arguments, cwd=folder, environment=environment, stdin=stdin)
        # The first line says what the run is about, and no more.
        rest = re.sub(r"\A1 variant of index .*\n", "", done.stderr)
        return Run(done.returncode, done.stdout, said(rest))

    return run


@pytest.fixture(scope="session")
def pictures() -> dict[Path, int]:
    """The 20 real pictures, each with the class that ImageNet says it is of."""
    return {path: int(path.stem.rpartition("_")[2]) for path in real_images()}


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The real weights of lite0."""
    return real_weights()


@dataclass(frozen=True)
class Peer:
    """Somebody else's lite0 with the same weights, fed by torchvision's own transforms."""

    model: Any
    transform: Any

    def inputs(self, paths: Any) -> Any:
        import torch
        from PIL import Image

        return torch.stack([self.transform(Image.open(path).convert("RGB")) for path in paths])


@pytest.fixture(scope="session")
def peer(checkpoint: Path) -> Peer:
    lite = pytest.importorskip("efficientnet_lite_pytorch")
    import torch
    from torchvision import transforms

    model = lite.EfficientNet.from_name("efficientnet-lite0", image_size=[224, 224])
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    return Peer(
        model.eval(),
        transforms.Compose(
            [
                transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize([127 / 255] * 3, [128 / 255] * 3),
            ]
        ),
    )
