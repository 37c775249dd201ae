"""What is asked of the images of some shards, and what comes of it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.datasets import UnreadableImage
from harness.measure.accuracy.predictions import packed
from harness.measure.accuracy.variations import InputConfig, all_orders, translated

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

Told = Callable[[int, int, int, int, float], None]
"""Is given a shard's number, its images evaluated so far, those right by top-1 and by top-5, and
the seconds."""


@dataclass(slots=True)
class AccuracyCounts:
    """Counts of the images of a shard: seen, answered right, answered with what is no number.

    Attributes:
        images: how many are settled, those included that can't be read.
        exact: of these, decided in float64.
        kept: of some places of the shard, what is kept of them, where predictions are kept.
    """

    images: int = 0
    top1: int = 0
    top5: int = 0
    invalid: int = 0
    exact: int = 0
    unreadable: list[UnreadableImage] = field(default_factory=list)
    kept: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """What is said of the shard; images in the order of names, not of threads."""
        unreadable = sorted(self.unreadable, key=lambda item: item.name)
        return {
            "images": self.images,
            "top1": self.top1,
            "top5": self.top5,
            "unreadable": [[item.name, item.why] for item in unreadable],
            "not_finite": self.invalid,
            "decided_exactly": self.exact,
        }

    def add(self, other: AccuracyCounts) -> None:
        """Adds the counts of another thread."""
        self.images += other.images
        self.top1 += other.top1
        self.top5 += other.top5
        self.invalid += other.invalid
        self.exact += other.exact
        self.unreadable += other.unreadable
        self.kept += other.kept

    def predictions(self) -> str | None:
        """What was kept of the images, as base64; None where nothing was."""
        import numpy as np

        if not self.kept:
            return None
        places, values = (np.concatenate(each) for each in zip(*self.kept, strict=True))
        return b64encode(packed(values.astype(float), places, self.images)).decode()


Ended = Callable[[int, AccuracyCounts], None]


class EvalRequest(NamedTuple):
    """What is asked of the images of some shards, all on their way to a device at once.

    Attributes:
        config: how images are read.
        ends: of each shard, the place after its last image.
        labels: that images are judged by, (n,) or (n, most).
        judges: the same on the device.
        others: labels (n, m) there, that predictions may be scored by; None keeps no predictions.
    """

    config: InputConfig
    ends: NDArray[np.int64]
    labels: NDArray[np.int64]
    judges: Tensor
    others: Tensor | None

    @classmethod
    def of(
        cls,
        config: InputConfig,
        given: NDArray[np.int64],
        shards: Sequence[NDArray[np.int64]],
        device: torch.device,
        *,
        keep: bool,
        imagenet: bool,
        also: NDArray[np.int64] | None = None,
    ) -> EvalRequest:
        """What is asked of shards.

        Args:
            config: how images are read.
            given: the labels of the whole set, (images,) or (images, most).
            shards: of each, indices of images.
            device: where they are answered.
            keep: keep predictions.
            imagenet: the labels may be in one of ImageNet's orders.
            also: further labels that predictions may be scored by, (images, most).
        """
        import numpy as np
        import torch

        indices = np.concatenate(shards)
        labels, others = translated(given[indices], config.labels), None
        if keep:
            orders = all_orders(labels, imagenet=imagenet)
            more = orders[:, :0] if also is None else also[indices]
            others = torch.from_numpy(np.concatenate([orders, more], axis=1)).to(device)
        ends = np.cumsum([len(shard) for shard in shards])
        return cls(config, ends, labels, torch.from_numpy(labels).to(device), others)
