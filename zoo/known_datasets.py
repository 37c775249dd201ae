"""The evaluation sets that published accuracies are about: one table, for claims and for images.

    >>> known_dataset("ImageNet V2 matched frequency").images
    10000
    >>> known_dataset("CIFAR-10") is None
    True

A claim's ``Dataset``, ``--dataset`` and what a folder of images is recognised as are all looked up
here, so that one word means one set of images everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from zoo.labels import is_imagenet, without_owner

# The metrics that images decide, as an index names them.
ACCURACIES = ("Top 1 Accuracy", "Top 5 Accuracy")
IMAGENET_1K = "imagenet-1k"
"""The name of ImageNet's validation set of 2012, as it is stated and reported."""

_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class KnownDataset:
    """One evaluation set.

    Attributes:
        name: as ``--dataset`` takes it and reports write it.
        title: its name in a sentence.
        images: how many it has.
        spelling: a regular expression of its names, without blanks and signs, in small letters.
        each: how many images every class has, None where classes differ.
        subset: the table of class indices that answers are scored over, empty for all 1,000.
        images_of: the set whose images they are, where it is another one's.
        labels: the rule of its labels, in a sentence.
        source: who published it.
        family: of sets that differ in the choice of their images alone, their common name.
    """

    name: str
    title: str
    images: int
    spelling: str
    labels: str
    source: str
    each: int | None = None
    subset: str = ""
    images_of: str = ""
    family: str = ""

    @property
    def classes(self) -> tuple[int, ...]:
        """The indices of its classes among ImageNet's 1,000."""
        return class_subset(self.subset) if self.subset else tuple(range(_CLASSES))


_IMAGENET = r"(?:imagenet|in(?=[1v]))"
_OF_1K = rf"{_IMAGENET}(?:1k|1000)?"
_SYNSETS = "one of ImageNet's 1,000 classes for each image"
_OF_200 = "one of 200 of ImageNet's classes; answers are scored over those 200 alone"
_V2 = "https://github.com/modestyachts/ImageNetV2"
_VERSION_2 = rf"{_IMAGENET}v2"
_A, _R = (
    "https://github.com/hendrycks/natural-adv-examples",
    "https://github.com/hendrycks/imagenet-r",
)

KNOWN: dict[str, KnownDataset] = {
    each.name: each
    for each in (
        KnownDataset(
            IMAGENET_1K,
            "ImageNet's validation set",
            50_000,
            "",  # `zoo.labels.is_imagenet` knows its names.
            _SYNSETS,
            "https://image-net.org/challenges/LSVRC/2012/",
            each=50,
        ),
        KnownDataset(
            "imagenet-v2-matched-frequency",
            "ImageNet-V2 (matched frequency)",
            10_000,
            # The form that every reader of the set takes where none is named.
            rf"{_VERSION_2}(?:matchedfreq(?:uency)?|mf)?",
            _SYNSETS,
            _V2,
            each=10,
            family="ImageNet-V2",
        ),
        KnownDataset(
            "imagenet-v2-threshold-0.7",
            "ImageNet-V2 (threshold 0.7)",
            10_000,
            rf"{_VERSION_2}threshold(?:ed)?(?:07)?",
            _SYNSETS,
            _V2,
            each=10,
            family="ImageNet-V2",
        ),
        KnownDataset(
            "imagenet-v2-top-images",
            "ImageNet-V2 (top images)",
            10_000,
            rf"{_VERSION_2}top(?:images)?",
            _SYNSETS,
            _V2,
            each=10,
            family="ImageNet-V2",
        ),
        KnownDataset(
            "imagenet-real",
            "ImageNet-ReaL",
            46_837,  # those of the 50,000 that have a label
            rf"{_OF_1K}real(?:labels)?",
            "all classes that are right of an image, none for some, which are left out",
            "https://github.com/google-research/reassessed-imagenet",
            images_of=IMAGENET_1K,
        ),
        KnownDataset(
            "imagenet-a",
            "ImageNet-A",
            7_500,
            rf"{_IMAGENET}a(?:dversarial)?",
            _OF_200,
            _A,
            subset="imagenet_a",
        ),
        KnownDataset(
            "imagenet-r",
            "ImageNet-R",
            30_000,
            rf"{_IMAGENET}r(?:enditions?)?",
            _OF_200,
            _R,
            subset="imagenet_r",
        ),
        KnownDataset(
            "imagenet-a-clean",
            "ImageNet's validation images of ImageNet-A's classes",
            10_000,
            rf"{_IMAGENET}aclean",
            _OF_200,
            _A,
            each=50,
            subset="imagenet_a",
            images_of=IMAGENET_1K,
        ),
        KnownDataset(
            "imagenet-r-clean",
            "ImageNet's validation images of ImageNet-R's classes",
            10_000,
            rf"{_IMAGENET}rclean",
            _OF_200,
            _R,
            each=50,
            subset="imagenet_r",
            images_of=IMAGENET_1K,
        ),
        KnownDataset(
            "imagenet-sketch",
            "ImageNet-Sketch",
            50_889,
            rf"{_IMAGENET}sketch",
            _SYNSETS,
            "https://github.com/HaohanWang/ImageNet-Sketch",
        ),
        KnownDataset(
            "imagenet-1k-train",
            "ImageNet's training images",
            1_281_167,
            rf"{_OF_1K}train(?:ing)?(?:images)?",
            _SYNSETS,
            "https://image-net.org/challenges/LSVRC/2012/",
        ),
    )
}

# What stands behind a name and makes no other set of it: how it is kept, and which split it is.
_BEHIND = re.compile(
    r"(?:format|dataset|(?<!top)(?<!training)images|wds|val(?:idation)?|test|set|split)+$"
)


@lru_cache(maxsize=1024)
def known_dataset(name: str | None) -> KnownDataset | None:
    """The set that a name means, in any of its spellings; None where it is none of the table's."""
    if name is None:
        return None
    if is_imagenet(name):
        return KNOWN[IMAGENET_1K]
    squeezed = without_owner(name)
    for form in (squeezed, _BEHIND.sub("", squeezed)):
        for known in KNOWN.values():
            if known.spelling and re.fullmatch(known.spelling, form):
                return known
    return None


@cache
def class_subset(table: str) -> tuple[int, ...]:
    """The class indices of a table of the package, ascending: ``imagenet_a`` or ``imagenet_r``."""
    path = Path(__file__).with_name("data") / f"{table}_classes.txt"
    lines = path.read_text(encoding="ascii").splitlines()
    return tuple(sorted(int(line) for line in lines if not line.startswith("#")))


def write_class_subsets() -> Iterator[Path]:
    """Write the tables from timm's own, which has them from the authors; the files written."""
    from importlib.metadata import version
    from importlib.resources import files

    info = files("timm") / "data" / "_info"
    for table in ("imagenet_a", "imagenet_r"):
        words = (info / f"{table}_indices.txt").read_text(encoding="ascii").split()
        path = Path(__file__).with_name("data") / f"{table}_classes.txt"
        source = f"timm {version('timm')}: {table}_indices.txt"
        head = f"# Indices of the classes of {table}, from {source}\n"
        path.write_text(head + "".join(f"{word}\n" for word in words), encoding="ascii")
        yield path


if __name__ == "__main__":
    for written in write_class_subsets():
        print(written)
