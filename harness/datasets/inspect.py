"""Which dataset images are of, as far as they show it, and which of them can't be read.

Images in folders of ImageNet's classes need not be ImageNet's validation set: ImageNet-V2, -A, -R,
Sketch and the training images lie in the same folders, and no claim on ImageNet is about them.
Recognised are the names that datasets were published with, and counts that no other dataset has
(`zoo.known_datasets`); everything else stays unknown. What the folder is called adds to that and is
never enough: it tells which of ImageNet-V2's three sets has the names of its images.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from io import BytesIO

from harness.datasets.types import ImageSet, ImageSource
from zoo.images.io import UnreadableImage, reason
from zoo.known_datasets import IMAGENET_1K, KNOWN, KnownDataset

_VALIDATION = re.compile(
    r"(?:n[0-9]{8}_)?ILSVRC2012_val_([0-9]{8})(?:_n[0-9]{8})?\.[A-Za-z]+", re.IGNORECASE
)
_TRAIN, _V2 = "imagenet-1k-train", "imagenet-v2-matched-frequency"
# The names that the images of other sets with ImageNet's classes were published with.
_OTHERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (_TRAIN, re.compile(r"(?i)n[0-9]{8}_[0-9]+(?:_n[0-9]{8})?\.[a-z]+")),
    # -R has sketches, too, and calls them ``sketch_0.jpg``.
    ("imagenet-sketch", re.compile(r"(?i:sketch)_[0-9]+\.JPEG")),
    (
        "imagenet-r",
        re.compile(
            r"(?i)(?:art|cartoon|deviantart|embroidery|graffiti|graphic|misc|origami|painting|"
            r"sculpture|sketch|sticker|tattoo|toy|videogame)_[0-9]+\.[a-z]+"
        ),
    ),
    ("imagenet-sketch", re.compile(r"(?i)sketch_[0-9]+\.[a-z]+")),
    ("imagenet-a", re.compile(r"[01]\.[0-9]+_.+_[01]\.[0-9]+\.[A-Za-z]+")),
    (_V2, re.compile(r"(?i)[0-9a-f]{40}\.[a-z]+")),
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
        dataset: its name in `zoo.known_datasets.KNOWN`, None where nothing tells one set.
        evidence: by what; a clause that follows upon "the images".
        other: a set that is in no table, which they are in truth by their names.
        family: they are one of the sets that have this name in common, and nothing tells which.
        weak: other sets may look the same, so that only counts contradict what is stated.
    """

    dataset: str | None
    evidence: str
    other: str = ""
    family: str = ""
    weak: bool = False

    def contradicts(self, images: ImageSet, stated: KnownDataset) -> str:
        """Why images can't be of the set that they are stated to be of, empty where they may be."""
        if not self.weak and (self.dataset is not None or self.other or self.family):
            named = self.dataset or self.other
            alike = bool(self.family) and self.family == stated.family
            ours = alike or (named and named in (stated.name, stated.images_of))
            return "" if ours else f"the images {self.evidence}"
        return _misfit(images, stated)


def _misfit(images: ImageSet, known: KnownDataset) -> str:
    """What of the counts speaks against a set, empty where nothing does."""
    most = KNOWN[known.images_of].images if known.images_of else known.images
    if len(images) > most:
        return f"there are {len(images):,} images, and that set has {most:,}"
    counts = Counter(images.labels)
    if known.each is not None and max(counts.values()) > known.each:
        number, many = counts.most_common(1)[0]
        return f"class {number} has {many:,} images, and that set has {known.each:,} of each class"
    strangers = [] if known.images_of else sorted(counts.keys() - set(known.classes))
    if strangers:
        return f"there are images of class {strangers[0]}, which is none of that set's"
    return ""


def identify(images: ImageSet) -> Identity:
    """Recognises an image set whose labels are ImageNet's classes."""
    if images.form == "sample":
        return Identity(IMAGENET_1K, "are the sample's")
    bases = [name.rpartition("/")[2] for name in images.names]
    numbers = [int(found[1]) for found in map(_VALIDATION.fullmatch, bases) if found]
    if len(numbers) == len(bases):
        return _by_number(images, numbers)
    counted = _by_counts(images)
    named = _by_names(images, bases)
    if named and named.dataset == _TRAIN and counted and counted.dataset == IMAGENET_1K:
        ours = f"and the counts of {KNOWN[IMAGENET_1K].title}"
        return Identity(None, f"{named.evidence}, {ours}")
    if named:
        return named
    if counted:
        mixed = _named_otherwise(bases, numbers, counted.dataset)
        unsure = f"have the counts of one dataset, and {mixed}"
        return Identity(None, unsure) if mixed else counted
    return Identity(
        None,
        "are not known to be of ImageNet's validation set "
        f"({f'{len(numbers):,} of {len(bases):,} are' if numbers else 'they are not'} named "
        f"ILSVRC2012_val_..., and they are not {KNOWN[IMAGENET_1K].images:,} with as many in each)",
    )


def _by_names(images: ImageSet, bases: list[str]) -> Identity | None:
    """The set whose images were published with names such as these, None where there is none."""
    misfit = None
    for name, pattern in _OTHERS:
        if not all(map(pattern.fullmatch, bases)):
            continue
        known = KNOWN[name]
        title = known.family or known.title
        # Files are often named by a hash of what they hold.
        is_usual = name == _V2 and not _in_numbered_folders(images)
        why = _misfit(images, known)
        if not why:
            found = _recognised(images, known, f"have the names of {title}")
            return replace(found, weak=is_usual and found.dataset is None)
        if not is_usual:
            misfit = misfit or Identity(
                None, f"have the names of {title}'s, and {why}", other=title
            )
    return misfit


def _named_otherwise(bases: list[str], numbers: list[int], dataset: str | None) -> str:
    """What some of the names say against what all are by their counts, empty for nothing."""
    for name, pattern in _OTHERS:
        if name not in (dataset, _V2) and any(map(pattern.fullmatch, bases)):
            return f"some have the names of {KNOWN[name].title}'s"
    if numbers and (dataset != IMAGENET_1K or len(set(numbers)) < len(numbers)):
        return "some have names of the validation set's, which are not those of one image each"
    return ""


def _recognised(images: ImageSet, known: KnownDataset, evidence: str) -> Identity:
    """That set, or that which its folder's name tells of several with the like images."""
    if not known.family:
        return Identity(known.name, evidence)
    place = f"{images.where}/{images.names[0]}".replace("\\", "/").lower()
    words = re.sub(r"[^a-z0-9/]", "", place)
    forms = {"matchedfreq": _V2, "threshold": "imagenet-v2-threshold-0.7"}
    forms["topimages"] = "imagenet-v2-top-images"
    # The innermost folder that names one counts.
    told = max(((words.rfind(word), name) for word, name in forms.items()), default=(-1, ""))
    if told[0] < 0:
        return Identity(None, evidence, family=known.family)
    return Identity(told[1], f"{evidence}, in a folder named as {KNOWN[told[1]].title}")


def _by_counts(images: ImageSet) -> Identity | None:
    """The set that alone has so many images of these classes, None where there is none."""
    counts = Counter(images.labels)
    even = set(counts.values())
    for known in KNOWN.values():
        if known.images_of or len(images) != known.images or counts.keys() != set(known.classes):
            continue
        if known.each is None:
            whose = f"{len(counts):,} classes"
            # As many as -A, -R or Sketch have, of their classes: no other set is known to have.
            return Identity(known.name, f"are {len(images):,} of {known.title}'s {whose}")
        if even != {known.each} or (known.family and not _in_numbered_folders(images)):
            continue
        words = f"are {len(images):,}, as many in each of {len(counts):,} classes"
        if known.family:
            words += f", in folders 0 to {len(counts) - 1}, as those of {known.family}"
        # So many of the training images would look the same.
        return replace(_recognised(images, known, words), weak=known.name == IMAGENET_1K)
    return None


def _in_numbered_folders(images: ImageSet) -> bool:
    """Whether each image lies in a folder that is called by its class's index."""
    folders = (name.split("/")[-2:-1] for name in images.names)
    return all(
        folder and folder[0].isdigit() and len(folder[0]) < 5 and int(folder[0]) == label
        for folder, label in zip(folders, images.labels, strict=True)
    )


def _by_number(images: ImageSet, numbers: list[int]) -> Identity:
    """What images with the validation set's names are."""
    place = images.where.replace("\\", "/")
    if _SPOILT.search(f"{place}/") or any(map(_SPOILT.search, images.names)):
        return Identity(None, "lie in the folders of ImageNet-C", "ImageNet-C")
    most = KNOWN[IMAGENET_1K].images
    twice = [number for number, count in Counter(numbers).items() if count > 1]
    if twice or not 1 <= min(numbers) <= max(numbers) <= most:
        return Identity(
            None,
            "are not known to be of ImageNet's validation set (their names begin with "
            "ILSVRC2012_val_, and not each has a number of its own from 1 to "
            f"{most:,})",
        )
    return Identity(IMAGENET_1K, "are named ILSVRC2012_val_...")


_HEAD = 4096


def find_unreadable(images: ImageSet) -> tuple[UnreadableImage, ...]:
    """The images that can't be read, by what the file of each begins with.

    That finds what is no image, is empty, or is larger than Pillow's limit, in a hundredth of the
    time that it takes to decode it.
    """
    ordered = sorted(zip(images.names, images.sources, strict=True), key=lambda p: p[1].place)
    why = {name: _why_unreadable(source) for name, source in ordered}
    return tuple(UnreadableImage(name, found) for name in images.names if (found := why[name]))


def _why_unreadable(source: ImageSource) -> str | None:
    from PIL import Image

    try:
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
