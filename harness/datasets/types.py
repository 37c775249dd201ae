"""The nouns of image sets: where each image's bytes are, its label, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from zoo.images.io import UnreadableImage, reason

IMAGENET_VALIDATION = 50_000
IMAGENET_CLASSES = 1_000


class ImageSetError(Exception):
    """No usable image set; the message is one line: where, what is wrong, what would be right."""


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


@dataclass(frozen=True, slots=True)
class Population:
    """What an image set is a sample of.

    Attributes:
        images: how many images the set has.
        full: it is the whole ImageNet validation set: 50,000 images, 50 of each class.
        can_be_census: the set may be all that a claim speaks of. Never so for ``sample``.
    """

    images: int
    full: bool
    can_be_census: bool

    def covers(self, images: int) -> bool:
        """Whether the set is the whole of a population of that size."""
        return self.can_be_census and self.images == images


@dataclass(frozen=True, slots=True)
class Problems:
    """What is in an image set, and what is wrong with it, as far as was looked.

    Attributes:
        images, classes: how many images there are, and how many classes have one.
        unreadable: images that can't be read; they are among ``images``.
        ignored: files that are no images by their names, and so are not in the set.
        missing: images that the labels name and that are not there.
        decoded: every image was decoded; else only what its file begins with was looked at.
    """

    images: int
    classes: int
    unreadable: tuple[UnreadableImage, ...]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]
    decoded: bool


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
        population: what the set is a sample of.
        ignored, missing: see `Problems`.
    """

    form: str
    where: str
    names: tuple[str, ...]
    labels: tuple[int, ...]
    sources: tuple[ImageSource, ...] = field(repr=False)
    fingerprint: str
    population: Population
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
