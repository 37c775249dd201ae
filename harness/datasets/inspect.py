"""Which dataset images are of, as far as they show it, and which of them can't be read.

Images in folders of ImageNet's classes need not be ImageNet's validation set: ImageNet-V2, -A, -R,
Sketch and the training images lie in the same folders, and no claim on ImageNet is about them.
Recognised are the names that datasets were published with, and counts that no other dataset has;
everything else stays unknown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from io import BytesIO

from harness.datasets.types import (
    IMAGENET_CLASSES,
    IMAGENET_VALIDATION,
    ImageSet,
    ImageSource,
    Problems,
)
from zoo.images.io import UnreadableImage, reason, to_rgb

IMAGENET_1K = "imagenet-1k"
"""The name of ImageNet's validation set of 2012, as it is stated and reported."""

_VALIDATION = re.compile(r"ILSVRC2012_val_([0-9]{8})(?:_n[0-9]{8})?\.[A-Za-z]+", re.IGNORECASE)

# The names that the images of other sets with ImageNet's classes were published with.
_OTHERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ImageNet's training images", re.compile(r"n[0-9]{8}_[0-9]+(?:_n[0-9]{8})?\.[A-Za-z]+")),
    ("ImageNet-Sketch", re.compile(r"sketch_[0-9]+\.[A-Za-z]+")),
    (
        "ImageNet-R",
        re.compile(
            r"(?:art|cartoon|deviantart|embroidery|graffiti|graphic|misc|origami|painting|"
            r"sculpture|sketch|sticker|tattoo|toy|videogame)_[0-9]+\.[A-Za-z]+"
        ),
    ),
    ("ImageNet-A", re.compile(r"[01]\.[0-9]+_.+_[01]\.[0-9]+\.[A-Za-z]+")),
    ("ImageNet-V2", re.compile(r"[0-9a-f]{40}\.[A-Za-z]+")),
)
# ImageNet-C keeps the names of the images that it spoils, in folders named KIND/SEVERITY.
_SPOILT = re.compile(
    r"(?:(?:gaussian|shot|impulse|speckle)_noise|(?:defocus|glass|motion|zoom|gaussian)_blur|"
    r"snow|frost|fog|brightness|contrast|elastic_transform|pixelate|jpeg_compression|spatter|"
    r"saturate)/[1-5](?:/|$)"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a set of images was recognised as.

    Attributes:
        dataset: `IMAGENET_1K`, or None where the images are not known to be of that set.
        evidence: by what; a clause that follows upon "the images".
        other: the set that they are in truth by their names, empty where nothing tells.
    """

    dataset: str | None
    evidence: str
    other: str = ""

    def contradicts(self, images: int) -> str:
        """Why so many images can't be ImageNet's validation set, empty where they may be."""
        if self.other:
            return f"the images {self.evidence}"
        if images > IMAGENET_VALIDATION:
            return f"there are {images:,} images, and that set has {IMAGENET_VALIDATION:,}"
        return ""


def identify(images: ImageSet) -> Identity:
    """Recognises an image set whose labels are ImageNet's classes."""
    if images.form == "sample":
        return Identity(IMAGENET_1K, "are the sample's")
    bases = [name.rpartition("/")[2] for name in images.names]
    numbers = [int(found[1]) for found in map(_VALIDATION.fullmatch, bases) if found]
    if len(numbers) == len(bases):
        return _by_number(images, numbers)
    for other, pattern in _OTHERS:
        if all(map(pattern.fullmatch, bases)):
            return Identity(None, f"have the names of {other}", other)
    if images.population.full:
        return Identity(
            IMAGENET_1K,
            f"are {IMAGENET_VALIDATION:,}, as many in each of {IMAGENET_CLASSES:,} classes",
        )
    known = f"{len(numbers):,} of {len(bases):,} are" if numbers else "they are not"
    return Identity(
        None,
        f"are not known to be of ImageNet's validation set ({known} named ILSVRC2012_val_..., and "
        f"they are not {IMAGENET_VALIDATION:,} with as many in each class)",
    )


def _by_number(images: ImageSet, numbers: list[int]) -> Identity:
    """What images with the validation set's names are."""
    place = images.where.replace("\\", "/")
    if _SPOILT.search(f"{place}/") or any(map(_SPOILT.search, images.names)):
        return Identity(None, "lie in the folders of ImageNet-C", "ImageNet-C")
    twice = [number for number, count in Counter(numbers).items() if count > 1]
    if twice or not 1 <= min(numbers) <= max(numbers) <= IMAGENET_VALIDATION:
        return Identity(
            None,
            "are not known to be of ImageNet's validation set (their names begin with "
            "ILSVRC2012_val_, and not each has a number of its own from 1 to "
            f"{IMAGENET_VALIDATION:,})",
        )
    return Identity(IMAGENET_1K, "are named ILSVRC2012_val_...")


_HEAD = 4096
_CHUNK = 64


def check(images: ImageSet, *, full: bool = False, pool: Executor | None = None) -> Problems:
    """Looks at every image of a set.

    Args:
        images: the set.
        full: decode each image whole; else only what its file begins with is looked at, which
            finds what is no image, is empty, or is larger than Pillow's limit, in a hundredth
            of the time.
        pool: of `decoding_pool`; None looks in this process.
    """
    ordered = sorted(zip(images.names, images.sources, strict=True), key=lambda p: p[1].place)
    chunks = [ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK)]
    results: Iterator[list[UnreadableImage]]
    if pool is None:
        results = (_look(chunk, full) for chunk in chunks)
    else:
        results = pool.map(_look, chunks, [full] * len(chunks))
    bad = {item.name: item for found in results for item in found}
    return Problems(
        images=len(images),
        classes=len(set(images.labels)),
        unreadable=tuple(bad[name] for name in images.names if name in bad),
        ignored=images.ignored,
        missing=images.missing,
        decoded=full,
    )


def _look(chunk: Sequence[tuple[str, ImageSource]], full: bool) -> list[UnreadableImage]:
    found = []
    for name, source in chunk:
        why = _why_unreadable(source, full)
        if why is not None:
            found.append(UnreadableImage(name, why))
    return found


def _why_unreadable(source: ImageSource, full: bool) -> str | None:
    from PIL import Image

    try:
        if full:
            with Image.open(BytesIO(source.read())) as image:
                to_rgb(image)
            return None
        try:
            with Image.open(BytesIO(source.head(_HEAD))):
                return None
        # Some formats say what they are at the end, and long metadata can come before the size.
        except Image.DecompressionBombError:
            raise
        except Exception:  # noqa: BLE001 - as below; the whole file decides
            with Image.open(BytesIO(source.read())):
                return None
    except MemoryError:
        raise  # The machine's fault and not the image's.
    # Pillow's readers raise errors of nearly every class on damaged or hostile files.
    except Exception as error:  # noqa: BLE001
        return reason(error)
