"""Which images of a set count, in the fixed order, and by which labels."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from harness.datasets.real import real_labels
from harness.datasets.types import ImageSet, order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@lru_cache(maxsize=2)
def truth_of(names: tuple[str, ...], truth: str) -> NDArray[np.int64] | None:
    """The labels of a file in place of the images' own, see `real_labels`; None for no file."""
    return real_labels(truth, names) if truth else None


@lru_cache(maxsize=8)
def members_of(images: ImageSet, subset: str, truth: str) -> NDArray[np.int64]:
    """The indices of the images that count, in the fixed order of all of the set.

    Arguments as for `places_of`.
    """
    found: NDArray[np.int64] = order(len(images))[places_of(images, subset, truth)]
    return found


@lru_cache(maxsize=8)
def places_of(images: ImageSet, subset: str, truth: str) -> NDArray[np.int64]:
    """The places, in the fixed order of all of the set, of the images that count, ascending.

    Those are the images of a subset's classes (see `zoo.known_datasets`), and those that have a
    label in the file ``truth``; all where either is empty.
    """
    import numpy as np

    from zoo.known_datasets import class_subset

    labels = truth_of(images.names, truth)
    if labels is not None:
        inside = np.asarray((labels >= 0).any(1))
    elif subset:
        inside = np.isin(images.labels, class_subset(subset))
    else:
        return np.arange(len(images))
    found: NDArray[np.int64] = np.flatnonzero(inside[order(len(images))])
    return found
