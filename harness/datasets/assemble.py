"""From what a form found, entries and labels, to an `ImageSet`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.datasets.types import (
    IMAGENET_CLASSES,
    IMAGENET_VALIDATION,
    ImageSet,
    ImageSetError,
    ImageSource,
    Population,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One image as a form finds it: its name, what tells a change, and where its bytes are."""

    name: str
    stamp: tuple[int, ...]
    source: ImageSource


def image_set(
    form: str,
    where: str,
    entries: Sequence[Entry],
    labels: Sequence[int],
    *,
    can_be_census: bool = True,
    ignored: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> ImageSet:
    """Puts a set together, in the order of the entries.

    Raises:
        ImageSetError: there is no image.
    """
    if not entries:
        raise ImageSetError(
            f"{where}: there is no image in it (a name that ends in .jpeg, .jpg, .png, ...)"
        )
    digest = hashlib.sha256()
    for entry, label in zip(entries, labels, strict=True):
        # A line can't be mistaken for two: names hold no NUL.
        stamp = ",".join(map(str, entry.stamp))
        digest.update(f"{entry.name}\0{label}\0{stamp}\0".encode("utf-8", "surrogateescape"))
    return ImageSet(
        form=form,
        where=where,
        names=tuple(entry.name for entry in entries),
        labels=tuple(labels),
        sources=tuple(entry.source for entry in entries),
        fingerprint=f"{form} {len(entries)} {digest.hexdigest()}",
        population=Population(len(entries), _is_full(labels), can_be_census),
        ignored=tuple(ignored),
        missing=tuple(missing),
    )


def _is_full(labels: Sequence[int]) -> bool:
    counts = Counter(labels)
    each = IMAGENET_VALIDATION // IMAGENET_CLASSES
    return len(counts) == IMAGENET_CLASSES and set(counts.values()) == {each}
