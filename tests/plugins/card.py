"""What the tests of a GPU start from: images, checkpoints, and what the machine does by itself.

They are measured on ``ZOO_GPU_TESTS_DEVICE``, ``cuda`` where it is not set. With ``cpu`` every test
takes the same way on images that are few and small, so that nothing in it waits for a card to be
tried; goals are then shown and not held. ``ZOO_GPU_TESTS_WORK`` is a folder for several runs.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

# On a busy machine, threads that wait for one another cost most; read as torch is loaded.
if os.environ.get("ZOO_GPU_TESTS_DEVICE") == "cpu":
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from harness.measure.accuracy.validator import preprocessing_of
from harness.measure.builders.native import NativeBuilder
from harness.measure.devices import full_float32
from harness.types import Recipe
from zoo._util.cores import usable_cores
from zoo.preprocessing import Preprocessing

DEVICE = os.environ.get("ZOO_GPU_TESTS_DEVICE") or "cuda"
ON_CPU = DEVICE == "cpu"
IMAGES = 24 if ON_CPU else 6144
# So many are also counted on the CPU, and in float64.
COMPARED = 16 if ON_CPU else 192 if usable_cores() >= 8 else 64
SIDE = 32 if ON_CPU else 224
SECONDS = 0.1 if ON_CPU else 1.0
VARIANTS = ("efficientnet_lite0", "resnest14d" if ON_CPU else "resnest50d")
_DRAWN = 256  # The others are links to them: drawing takes longer than reading.


def absent() -> str | None:
    """Why nothing can be measured on the device; None where it can."""
    if ON_CPU:
        return None
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else ", and this torch is built without it"
        return f"needs a CUDA device; torch sees none{built}"
    number = int(DEVICE.partition(":")[2] or 0)
    count = torch.cuda.device_count()
    return None if number < count else f"needs {DEVICE}; torch sees {count} CUDA devices"


def recipe_of(name: str) -> Recipe:
    """A variant at the size that the tests run it at."""
    return Recipe(name, image_size=(SIDE, SIDE))


def wait() -> None:
    """Wait for all that the device has been given."""
    if not ON_CPU:
        torch.cuda.synchronize(torch.device(DEVICE))


# Images and checkpoints.


def draw(folder: Path, count: int) -> list[Path]:
    """JPEGs of 500 x 375 pixels and some 60 KB, as ImageNet's are: shapes under a grain."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    paths = []
    for number in range(count):
        shapes = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        image = Image.fromarray(shapes).resize((500, 375), Image.Resampling.BICUBIC)
        grain = random.normal(0, 12, (375, 500, 1))
        pixels = (np.asarray(image) + grain).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"drawn-{number:04}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def image_folder(
    folder: Path, drawn: Sequence[Path], count: int, label: Callable[[int], int]
) -> Path:
    """A dataset of so many images, as links to those that were drawn, with their labels."""
    folder.mkdir(parents=True)
    names = [f"ILSVRC2012_val_{number + 1:08}.JPEG" for number in range(count)]
    for number, name in enumerate(names):
        os.link(drawn[number % len(drawn)], folder / name)
    lines = [f"{name} {label(number)}\n" for number, name in enumerate(names)]
    (folder / "labels.txt").write_text("".join(lines))
    return folder


def pixels_of(paths: Sequence[Path], preprocessing: Preprocessing) -> torch.Tensor:
    """The inputs of these files, float32 (n, 3, height, width)."""
    decoded = [torch.from_numpy(preprocessing.decode(path.read_bytes())) for path in paths]
    return preprocessing.to_tensor(torch.stack(decoded))


def make_checkpoint(path: Path, name: str, some: torch.Tensor) -> Path:
    """Random weights, always the same, whose norms have seen images: activations stay in range."""
    torch.manual_seed(0)
    model = NativeBuilder().build(name).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # The mean of all batches.
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        for batch in some.split(8):
            model(batch)
    torch.save(model.state_dict(), path)
    return path


def ranked(name: str, checkpoint: Path, inputs: torch.Tensor, count: int = 7) -> list[list[int]]:
    """The best classes of each input, best first, in float64 on the CPU: no rounding sways them."""
    model = NativeBuilder().build(name).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    model.double()
    found: list[list[int]] = []
    with torch.inference_mode():
        for batch in inputs.split(8):
            found += model(batch.double()).topk(count).indices.tolist()
    return found


@contextmanager
def shared(folder: Path) -> Iterator[Path | None]:
    """The folder to make something in; None where it is made. One that was cut short goes."""
    if folder.is_dir():
        yield None
        return
    begun = folder.with_name(f"{folder.name}.begun")
    shutil.rmtree(begun, ignore_errors=True)
    begun.mkdir(parents=True)
    yield begun
    begun.rename(folder)


# What the machine does by itself.


def bare_forward(
    name: str, checkpoint: Path, batches: Sequence[int], seconds: float = SECONDS
) -> dict[tuple[int, str], float]:
    """Images per second of the model alone, by batch and memory format; inputs lie on the device.

    Nothing is waited for between passes, so that the host's work is hidden as far as it can be.
    """
    device = torch.device(DEVICE)
    full_float32()
    model = NativeBuilder().build(name).eval().requires_grad_(False).to(device)
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    found: dict[tuple[int, str], float] = {}
    for layout in (torch.channels_last, torch.contiguous_format):
        model.to(memory_format=layout)
        for batch in batches:
            inputs = torch.randn(batch, 3, SIDE, SIDE, device=device)
            inputs = inputs.contiguous(memory_format=layout)
            with torch.inference_mode():
                rate = _rate(partial(model, inputs), batch, seconds)
            found[batch, str(layout).rpartition(".")[2]] = rate
    return found


def _rate(one_pass: Callable[[], Any], batch: int, seconds: float) -> float:
    """Images per second, over some rounds of passes that are given out without a wait."""
    for _ in range(2 if ON_CPU else 5):  # Libraries are loaded, and choose their kernels.
        one_pass()
    wait()
    begin = time.perf_counter()
    one_pass()
    wait()
    passes = max(2, round(seconds / 3 / (time.perf_counter() - begin)))
    rates = []
    for _ in range(3):
        begin = time.perf_counter()
        for _ in range(passes):
            one_pass()
        wait()
        rates.append(passes * batch / (time.perf_counter() - begin))
    return statistics.median(rates)


def _decode(given: tuple[str, Preprocessing]) -> int:
    path, preprocessing = given
    return preprocessing.decode(Path(path).read_bytes()).nbytes


def bare_decoding(paths: Sequence[Path], name: str, workers: int) -> float:
    """Images per second that so many processes decode, and keep nowhere."""
    tasks = [(str(path), preprocessing_of(recipe_of(name))) for path in paths]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_decode, tasks[: 4 * workers], chunksize=2))  # They start, and import.
        begin = time.perf_counter()
        list(pool.map(_decode, tasks, chunksize=16))
        return len(tasks) / (time.perf_counter() - begin)


# What was found.


def record(check: str, variant: str, figure: str, goal: str = "", held: bool | None = None) -> None:
    """Add a row to the table, in the file that ``ZOO_GPU_TESTS_ROWS`` names; else print it."""
    step = os.environ.get("PYTEST_CURRENT_TEST", "").partition(".py")[0].rpartition("test_")[2]
    row = {"step": step, "check": check, "variant": variant, "figure": figure}
    row |= {"goal": goal, "held": held}
    place = os.environ.get("ZOO_GPU_TESTS_ROWS")
    if place is None:
        print(*filter(None, (check, variant, figure, goal)), sep=" | ")
        return
    with open(place, "a", encoding="utf-8") as rows:
        rows.write(json.dumps(row) + "\n")


def held(check: str, variant: str, ours: float, limit: float, least: float) -> bool:
    """Add a row of two speeds whose ratio has a goal; whether it is met, which a CPU need not."""
    ratio = ours / limit
    met = None if ON_CPU else ratio >= least
    figure = f"{ratio:.2f} ({ours:.0f} images/s of {limit:.0f})"
    record(check, variant, figure, f"at least {least}", met)
    return met is not False
