"""Inference on images, batch by batch, for `zoo classify` and `zoo features`.

    >>> model = zoo.create_model("resnest50d", pretrained=True).eval()
    >>> with Web() as web:
    ...     for answer in answers(model, zoo.preprocess("resnest50d"), find(["cats/"], web)):
    ...         ...

However many images there are, no more are in memory than a batch and those being decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from zoo._util.cores import usable_cores
from zoo.images.io import UnreadableImage, reason
from zoo.images.sources import InputImage

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from zoo.preprocessing import Preprocessing

USUAL_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a model says of one image: float32 on the CPU, (outputs,)."""

    name: str
    output: Tensor


@dataclass(frozen=True, slots=True)
class Guess:
    """A class that an image may show; ``probability`` is 0 to 1."""

    index: int
    probability: float


def answers(
    model: Callable[[Tensor], Tensor],
    transform: Preprocessing,
    images: Iterable[InputImage | UnreadableImage],
    *,
    batch_size: int = USUAL_BATCH,
    device: str | torch.device = "cpu",
    decoders: int | None = None,
    upright: bool = False,
) -> Iterator[Answer | UnreadableImage]:
    """Run a model on images; what can't be read is skipped, and reported in its place.

    An answer that is not finite, of weights with NaN for example, is none, and reported likewise.
    Transparency is dropped: what is behind it shows.

    Args:
        model: takes (batch, 3, height, width) and gives (batch, outputs); it is on the device, and
            in evaluation mode.
        transform: of the model's variant.
        images: which; asked for as they are needed.
        batch_size: at most so many go through the model at once.
        device: where the model is.
        decoders: threads that read and decode images; by default one for each usable core.
        upright: turn images as their EXIF says, as people see them. The usual evaluations, whose
            accuracies are published, don't.

    Returns:
        For each image, in their order, its answer or why there is none.

    Raises:
        ValueError: ``batch_size`` or ``decoders`` is below 1, or the model is in training mode,
            in which its answers depend on the rest of the batch.
    """
    if decoders is None:
        decoders = max(2, usable_cores())  # One may wait for a disk, or for the web.
    if batch_size < 1 or decoders < 1:
        raise ValueError(f"batch_size {batch_size} and decoders {decoders} must be 1 or more")
    if getattr(model, "training", False):
        raise ValueError("the model is in training mode: call its eval() first")
    decoded = _decoded(images, partial(transform.decode, upright=upright), decoders)
    return _answers(model, transform, decoded, batch_size, device)


def _answers(
    model: Callable[[Tensor], Tensor],
    transform: Preprocessing,
    decoded: Iterator[_Decoded | UnreadableImage],
    batch_size: int,
    device: str | torch.device,
) -> Iterator[Answer | UnreadableImage]:
    import torch

    while group := list(islice(decoded, batch_size)):
        pixels = [item.pixels for item in group if isinstance(item, _Decoded)]
        outputs: Iterator[Tensor] = iter(())
        if pixels:
            with torch.inference_mode():
                stacked = torch.stack([torch.from_numpy(each) for each in pixels])
                batch = transform.to_tensor(stacked, device=device, channels_last=True)
                outputs = iter(model(batch).float().cpu())
        for item in group:
            yield _answer(item.name, next(outputs)) if isinstance(item, _Decoded) else item


def _answer(name: str, output: Tensor) -> Answer | UnreadableImage:
    if not output.isfinite().all():
        return UnreadableImage(name, "the model's answer to it is not finite")
    return Answer(name, output)


def best(logits: Tensor, count: int) -> list[Guess]:
    """The likeliest classes of one image's logits (classes,), likeliest first; of equal ones the
    lower index.
    """
    import torch

    # A classifier's logits are float32; the sum over a thousand classes need not be.
    probabilities = torch.softmax(logits.double(), dim=0)
    order = torch.sort(probabilities, descending=True, stable=True)
    return [
        Guess(index, probability)
        for index, probability in zip(
            order.indices[:count].tolist(), order.values[:count].tolist(), strict=True
        )
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    name: str
    pixels: NDArray[np.uint8]


def _decoded(
    images: Iterable[InputImage | UnreadableImage],
    decode: Callable[[bytes], NDArray[np.uint8]],
    decoders: int,
) -> Iterator[_Decoded | UnreadableImage]:
    """Read and decode in threads, a few images ahead: Pillow lets go of the interpreter."""
    waiting: deque[Future[_Decoded | UnreadableImage] | UnreadableImage] = deque()
    pool = ThreadPoolExecutor(decoders)
    try:
        for image in images:
            if isinstance(image, InputImage):
                waiting.append(pool.submit(_decode, image, decode))
            else:
                waiting.append(image)
            while len(waiting) > 2 * decoders:
                yield _outcome(waiting.popleft())
        while waiting:
            yield _outcome(waiting.popleft())
    finally:
        # Not waited for: after an interrupt a server may still be silent.
        pool.shutdown(wait=False, cancel_futures=True)


def _outcome(
    item: Future[_Decoded | UnreadableImage] | UnreadableImage,
) -> _Decoded | UnreadableImage:
    return item.result() if isinstance(item, Future) else item


def _decode(
    image: InputImage, decode: Callable[[bytes], NDArray[np.uint8]]
) -> _Decoded | UnreadableImage:
    try:
        return _Decoded(image.name, decode(image.read()))
    except MemoryError:
        return UnreadableImage(image.name, "there is not enough memory to read it")
    # Pillow's readers raise errors of nearly every class on damaged or hostile files; whichever it
    # is, the image is reported by its name.
    except Exception as error:  # noqa: BLE001
        return UnreadableImage(image.name, reason(error))
