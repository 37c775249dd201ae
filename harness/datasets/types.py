"""Evaluation datasets: where each image's bytes are, its label, the fixed order, and problems."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from zoo.images.io import UnreadableImage, reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGENET_VALIDATION = 50_000
IMAGENET_CLASSES = 1_000
CHANGED = "changed since the image set was opened"


class ImageSetError(Exception):
    """No usable image set; the message is one line: where, what is wrong, what would be right."""


class OwnClassFoldersError(ImageSetError):
    """The images lie in folders that are no ImageNet classes, and may be a variant's own."""


class ImageSource(Protocol):
    """Where the bytes of one image are. Small and picklable: a worker process reads with it."""

    @property
    def place(self) -> tuple[str, int]:
        """Sources in the order of their places are read fastest."""
        ...

    def read(self) -> bytes:
        """All bytes of the image's file.

        Raises:
            OSError: they can't be read; the text says why, without the image's name.
        """
        ...

    def head(self, count: int) -> bytes:
        """At least its first ``count`` bytes, or all of them. Raises as `read` does."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images with their labels, whatever form they lie in. Picklable, and safe to fork.

    Attributes:
        form: ``class folders``, ``labelled images``, ``tar``, ``parquet`` or ``sample``.
        where: the folder or file, or ``sample``.
        names: of each image, unique, as a report should show it.
        labels: of each image, the index of its class, 0 to 999.
        sources: where each image's bytes are.
        fingerprint: text that changes when an image, its label or their order does, as far as
            names, sizes and modification times tell. The same images in two forms may differ.
        digest: of the images' names and sizes, as far as their form tells sizes, whatever they lie
            in: the same for other folders around images whose names are unique.
        full: it is the whole ImageNet validation set: 50,000 images, 50 of each class.
        ignored: files that are no images by their names, and so are not in the set.
        missing: images that the labels name and that are not there.
    """

    form: str
    where: str
    names: tuple[str, ...]
    labels: tuple[int, ...]
    sources: tuple[ImageSource, ...] = field(repr=False)
    fingerprint: str
    digest: str
    full: bool
    ignored: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes | UnreadableImage:
        """The bytes of one image's file, or why they can't be had.

        An image that can't be read stays in the denominator, and is reported by name.
        """
        try:
            return self.sources[index].read()
        except OSError as error:
            return UnreadableImage(self.names[index], reason(error))


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
        digest=_digest(entries),
        full=_is_full(labels),
        ignored=tuple(ignored),
        missing=tuple(missing),
    )


def _digest(entries: Sequence[Entry]) -> str:
    names = [entry.name for entry in entries]
    bases = [name.rpartition("/")[2] for name in names]
    unique = len(set(bases)) == len(bases)
    sources = (entry.source for entry in entries)
    sizes = (str(getattr(each, "size", getattr(each, "among", ""))) for each in sources)
    lines = sorted(map("\0".join, zip(bases if unique else names, sizes, strict=True)))
    return hashlib.sha256("\0".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _is_full(labels: Sequence[int]) -> bool:
    counts = Counter(labels)
    each = IMAGENET_VALIDATION // IMAGENET_CLASSES
    return len(counts) == IMAGENET_CLASSES and set(counts.values()) == {each}


@lru_cache(maxsize=4)
def order(n: int) -> NDArray[np.int64]:
    """A fixed permutation of 0 .. n - 1.

    Images are sorted by the SHA-256 of ``0:INDEX``, so that no version of any library can
    change the order, and each head of it is a random draw without replacement.

    Returns:
        int64, (n,), read-only.
    """
    import numpy as np

    digests = [hashlib.sha256(f"0:{index}".encode()).digest() for index in range(n)]
    permutation = np.array(sorted(range(n), key=digests.__getitem__), dtype=np.int64)
    permutation.flags.writeable = False
    return permutation
