"""Which images of a set count, in the fixed order, and by which labels; those of ImageNet-ReaL.

These name all classes that are right of each of ImageNet's validation images: one JSON list of
50,000 lists of class indices, in the order of the images' numbers, as the authors publish it
(``real.json``). An image without any is left out. They are looked for in and beside the images, and
in an installed timm, which ships them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from harness.datasets.labels import numbered
from harness.datasets.types import (
    IMAGENET_CLASSES,
    IMAGENET_VALIDATION,
    ImageSet,
    ImageSetError,
    order,
)
from zoo.images.io import reason

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


_REAL_NAMES = ("real.json", "imagenet_real_labels.json")
_SHIPPED = "timm/data/_info/imagenet_real_labels.json"


def find_real_labels(where: str) -> Path | None:
    """The labels in the folder of the images, or beside it, or in timm; None where they are not."""
    place = Path(where).expanduser()
    folder = place if place.is_dir() else place.parent
    for near in (folder, folder.parent):
        for name in _REAL_NAMES:
            if (near / name).is_file():
                return near / name
    try:
        shipped = Path(str(distribution("timm").locate_file(_SHIPPED)))
    except PackageNotFoundError:
        return None
    return shipped if shipped.is_file() else None


def real_labels(path: str | Path, names: Sequence[str]) -> NDArray[np.int64]:
    """The classes of images by the numbers in their names, int64 (n, most), filled with -1.

    Raises:
        ImageSetError: the file is not that list, or an image has no such number.
    """
    import numpy as np

    rows = _rows(path, names)
    found = np.full((len(rows), max(1, *map(len, rows), 1)), -1, dtype=np.int64)
    for row, classes in zip(found, rows, strict=True):
        row[: len(classes)] = classes
    return found


def count_labelled(path: str | Path, names: Sequence[str]) -> int:
    """How many images have a label, by the numbers in their names. Needs no NumPy.

    Raises:
        ImageSetError: as `real_labels`.
    """
    return sum(map(bool, _rows(path, names)))


def digest_of(path: str | Path) -> str:
    """What tells these labels from others."""
    _read(str(path))
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def _rows(path: str | Path, names: Sequence[str]) -> list[list[int]]:
    known, rows = _read(str(path)), []
    for name in names:
        number = numbered(name)
        if number is None or not 1 <= number <= len(known):
            raise ImageSetError(f"{path}: it has no labels for {name}")
        rows.append(known[number - 1])
    return rows


@lru_cache(maxsize=2)
def _read(path: str) -> list[list[int]]:
    try:
        found = json.loads(Path(path).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ImageSetError(f"{path}: it can't be read: {reason(error)}") from None
    right = isinstance(found, list) and len(found) == IMAGENET_VALIDATION
    if not right or not all(isinstance(row, list) and all(map(_is_class, row)) for row in found):
        raise ImageSetError(
            f"{path}: it is no list of {IMAGENET_VALIDATION:,} lists of class indices, 0 to 999"
        )
    return found  # type: ignore[no-any-return]


def _is_class(value: object) -> bool:
    return type(value) is int and 0 <= value < IMAGENET_CLASSES
