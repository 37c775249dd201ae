"""How often a faster decoder changes what a model answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.datasets import DecodedSet
    from harness.measure.accuracy.classifier import Classifier
    from harness.measure.accuracy.variations import InputConfig

_BATCH = 16


def disagreement(
    model: Classifier,
    reading: InputConfig,
    sets: tuple[DecodedSet, DecodedSet],
    indices: Sequence[int] | NDArray[np.int64],
) -> dict[str, int]:
    """Compares the first class that a model names for images that were decoded in two ways.

    Args:
        model: the variant, ready to answer.
        reading: how it is fed.
        sets: the same images by either decoder.
        indices: those to compare.

    Returns:
        ``images``, those that both decoders can read, and ``differ``, those of them whose first
        class is another one.
    """
    import torch

    images = differ = 0
    with torch.inference_mode():
        for begin in range(0, len(indices), _BATCH):
            some = indices[begin : begin + _BATCH]
            batches = [each.get(some) for each in sets]
            both = batches[0].readable & batches[1].readable
            if not both.any():
                continue
            first, second = (
                model.logits(reading.inputs(torch.from_numpy(b.pixels[both]), model.device), _BATCH)
                for b in batches
            )
            images += int(both.sum())
            differ += int((first.argmax(1) != second.argmax(1)).sum())
    return {"images": images, "differ": differ}
