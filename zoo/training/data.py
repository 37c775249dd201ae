"""From a tree of images to batches, the same ones however many processes make them.

What is random about an image depends on the seed, the epoch and the image alone, and the order
of an epoch on the seed and the epoch. Neither a worker nor a rank has a state of its own that
counts, so that a training can go on from any step as if it had never stopped.
"""

from __future__ import annotations

import gc
import math
import os
import signal
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.images.imagefolder import Tree, formats
from zoo.images.io import to_rgb

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor
    from torch.utils.data import DataLoader

    from zoo.preprocessing import Preprocessing
    from zoo.training.config import Augmentation

    Pixels = NDArray[np.uint8]

# A forked process has no threads but one. What is garbage in this one may join its threads, or end
# its processes, when it is collected, and so is never collected in a copy.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=gc.freeze)

_INTERRUPTS = ("SIGINT", "SIGHUP")
_LEAST_SHARE = {"light": 0.5, "crop": 0.08, "auto": 0.08}


class TrainBatch(NamedTuple):
    """Images as bytes: they travel at a quarter of the size, and are scaled where they arrive.

    Attributes:
        pixels: uint8, (images, height, width, 3).
        labels: int64, (images,).
        unreadable: a line for each image that is missing here because it can't be read.
    """

    pixels: Tensor
    labels: Tensor
    unreadable: list[str]


def derived(seed: int, *parts: int | str) -> int:
    """A seed for one part of the randomness; 63 bits that look like those of no other part."""
    text = b"".join(
        struct.pack("<q", part) if isinstance(part, int) else f"{part}/".encode()
        for part in (seed, *parts)
    )
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little") >> 1


@dataclass(frozen=True)
class TrainImages:
    """Images by (epoch, number): pixels and label, or a line about why there are none.

    ``seed`` is of what is random in ``transform``, from a Pillow image to pixels.
    """

    tree: Tree
    transform: Callable[[Image], Pixels]
    seed: int = 0

    def __getitem__(self, key: tuple[int, int]) -> tuple[Pixels, int] | str:
        import torch
        from PIL import Image

        epoch, number = key
        path = self.tree.root / self.tree.paths[number]
        # Only this generator: `torch.manual_seed` would seed GPUs too, once per image.
        generator = torch.default_generator
        before = generator.get_state()
        generator.manual_seed(derived(self.seed, "picture", epoch, number))
        try:
            with Image.open(path, formats=formats()) as image:
                return self.transform(image), self.tree.labels[number]
        except MemoryError:
            raise  # The machine's fault and not the image's.
        # Pillow's readers raise errors of nearly every class on damaged or hostile files.
        except Exception as error:  # noqa: BLE001
            return f"{path}: {_reason(error)}"
        finally:
            generator.set_state(before)

    def __len__(self) -> int:
        return len(self.tree)


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "no image of a known format"
    return " ".join(str(error).split())[:200] or type(error).__name__


class TrainTransform:
    """The augmentation of one image, on Pillow images, with torchvision's transforms v2."""

    def __init__(self, preprocessing: Preprocessing, augment: Augmentation) -> None:
        from torchvision.transforms import InterpolationMode, v2

        mode = InterpolationMode(preprocessing.interpolation)
        steps: list[Any] = [
            v2.RandomResizedCrop(
                preprocessing.image_size, scale=(_LEAST_SHARE[augment], 1.0), interpolation=mode
            ),
            v2.RandomHorizontalFlip(),
        ]
        if augment == "auto":
            # What a rotation uncovers has the colour that is scaled to 0.
            fill = [round(255 * value) for value in preprocessing.mean]
            steps.append(v2.AutoAugment(interpolation=InterpolationMode.BILINEAR, fill=fill))
        self._steps = v2.Compose(steps)

    def __call__(self, image: Image) -> Pixels:
        """Pixels of uint8, (height, width, 3)."""
        import numpy as np

        return np.array(self._steps(to_rgb(image)))


def transform_of(preprocessing: Preprocessing, augment: Augmentation) -> Callable[[Image], Pixels]:
    """What is done to each training image before it is a part of a batch."""
    if augment == "none":
        return preprocessing.to_pixels
    return TrainTransform(preprocessing, augment)


class EpochBatches:
    """The batches of one epoch as keys of `TrainImages`, from any step on.

    A step takes the next ``batch_size`` images of the epoch's order, and this process the
    ``rank``-th share of them: however many processes there are, they take the same images
    together. What is left at the end of an epoch and fills no batch is left out.

    Attributes:
        epoch: the epoch to give, from 0.
        start: the step of it to begin at.
    """

    def __init__(
        self, count: int, batch_size: int, *, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        self._count = count
        self._batch_size = batch_size
        self._seed = seed
        self._rank = rank
        self._share = batch_size // world
        self.epoch = 0
        self.start = 0

    @property
    def steps(self) -> int:
        """Steps of a whole epoch."""
        return self._count // self._batch_size

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        import torch

        generator = torch.Generator()
        generator.manual_seed(derived(self._seed, "order", self.epoch))
        order = torch.randperm(self._count, generator=generator)
        for step in range(self.start, self.steps):
            first = step * self._batch_size + self._rank * self._share
            yield [(self.epoch, n) for n in order[first : first + self._share].tolist()]


class EveryImage:
    """This process's share of all images in order, each of them once; the last batch is short."""

    def __init__(self, count: int, batch_size: int, *, rank: int = 0, world: int = 1) -> None:
        self._numbers = range(rank, count, world)
        self._batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._numbers) / self._batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for first in range(0, len(self._numbers), self._batch_size):
            yield [(0, n) for n in self._numbers[first : first + self._batch_size]]


def collate(items: Sequence[tuple[Pixels, int] | str]) -> TrainBatch:
    """A batch of what could be read."""
    import numpy as np
    import torch

    good = [item for item in items if not isinstance(item, str)]
    pixels = np.stack([pixels for pixels, _ in good]) if good else np.empty((0, 1, 1, 3), np.uint8)
    labels = torch.tensor([label for _, label in good], dtype=torch.long)
    bad = [item for item in items if isinstance(item, str)]
    return TrainBatch(torch.from_numpy(pixels), labels, bad)


def loader(
    images: TrainImages,
    batches: EpochBatches | EveryImage,
    *,
    workers: int,
    pin_memory: bool = False,
    keep_workers: bool = False,
) -> DataLoader[TrainBatch]:
    """torch's loader over these batches of images; with 0 ``workers`` this process decodes."""
    from torch.utils.data import DataLoader

    class Uninterrupted(DataLoader[TrainBatch]):
        def __iter__(self) -> Any:
            with _no_interrupt():
                return super().__iter__()

    return Uninterrupted(
        images,  # type: ignore[arg-type]
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        persistent_workers=keep_workers and workers > 0,
        worker_init_fn=_leave_interrupts,
    )


def _leave_interrupts(worker: int) -> None:
    """A terminal interrupts every process; this one decodes until the training has ended it."""
    for name in _INTERRUPTS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """A process that is begun within it is not interrupted before it leaves interrupts alone."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {getattr(signal, n) for n in _INTERRUPTS})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
