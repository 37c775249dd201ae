"""What a place with images is: which dataset, what is in it, what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.datasets.find import open_image_set, own_class_set
from harness.datasets.inspect import Identity, find_unreadable, identify
from harness.datasets.labels import KITS, TRUTH, named_synset, numbered
from harness.datasets.types import ImageSet, ImageSetError, OwnClassFoldersError
from zoo.errors import BadInput
from zoo.images.imagefolder import read_val_split
from zoo.known_datasets import KNOWN, KnownDataset
from zoo.labels import imagenet_synsets

_HEAD = 4096
# Of images labelled by a kit beside them, so many in a hundred have its own numbers as labels.
_MOST = 99


@dataclass(frozen=True, slots=True)
class Description:
    """What `zoo dataset` says of a place.

    Attributes:
        images: the set.
        identity: what it was recognised as; None for classes that are not ImageNet's.
        classes: the name of each class that has an image, and how many it has, in the set's order.
        unreadable: [name, why] of images that can't be read.
        duplicates: the names of images that are the same, byte for byte.
        labels: what speaks against the labels, a sentence each.
    """

    images: ImageSet
    identity: Identity | None
    classes: dict[str, int]
    unreadable: list[list[str]]
    duplicates: list[list[str]]
    labels: list[str]

    @property
    def known(self) -> KnownDataset | None:
        """The dataset, None where it is none of the table."""
        return KNOWN.get((self.identity and self.identity.dataset) or "")

    def document(self) -> dict[str, Any]:
        known, images, identity = self.known, self.images, self.identity
        return {
            "place": images.where,
            "form": images.form,
            "dataset": known and known.name,
            "family": (identity and identity.family) or None,
            "evidence": identity and f"the images {identity.evidence}",
            "images": len(images),
            "of": known and known.images,
            "digest": images.digest,
            "classes": self.classes,
            "unreadable": self.unreadable,
            "duplicates": self.duplicates,
            "ignored": list(images.ignored),
            "missing": list(images.missing),
            "labels": self.labels,
        }


def describe(place: str) -> Description:
    """Look at every image of a place.

    Raises:
        ImageSetError: there are no images in any form that is read; one line.
    """
    try:
        images, names = open_image_set(place), imagenet_synsets()
    except ImageSetError as error:
        images, names = _own(Path(place).expanduser(), error)
        identity = None
    else:
        identity = identify(images)
    counts = Counter(images.labels)
    unreadable = find_unreadable(images)
    return Description(
        images,
        identity,
        {names[label]: counts[label] for label in sorted(counts)},
        [[item.name, item.why] for item in unreadable],
        _duplicates(images, {item.name for item in unreadable}),
        [] if identity is None else list(_wrong_labels(images)),
    )


def _own(place: Path, error: ImageSetError) -> tuple[ImageSet, tuple[str, ...]]:
    """Folders of classes of one's own, where they can't be ImageNet's."""
    try:
        names = read_val_split(place).classes
        return own_class_set(place, names), names
    except BadInput as wrong:
        if not isinstance(error, OwnClassFoldersError):
            raise error from None
        raise ImageSetError(
            f"{place}: its folders are no ImageNet classes, and can't be read as those of a "
            f"variant's own: {wrong}"
        ) from None


def _duplicates(images: ImageSet, unreadable: set[str]) -> list[list[str]]:
    """Groups of equal images: by size, then by their beginnings, then by all that they hold."""

    def digest(read: Callable[[Any], bytes]) -> Callable[[int], Hashable]:
        return lambda index: hashlib.sha256(read(images.sources[index])).digest()

    groups = [[i for i, name in enumerate(images.names) if name not in unreadable]]
    for key in (
        lambda index: getattr(images.sources[index], "size", None),
        digest(lambda source: source.head(_HEAD)[:_HEAD]),
        digest(lambda source: source.read()),
    ):
        groups = [some for group in groups for some in _split(group, key)]
    return [[images.names[index] for index in group] for group in groups]


def _split(group: list[int], key: Callable[[int], Hashable]) -> Iterable[list[int]]:
    found = defaultdict(list)
    for index in group:
        try:
            found[key(index)].append(index)
        except OSError:  # Gone since it was looked at.
            continue
    return [some for some in found.values() if len(some) > 1]


def _wrong_labels(images: ImageSet) -> Iterable[str]:
    """What the images' names, or a development kit beside them, say against their labels."""
    synsets = imagenet_synsets()
    pairs = [
        (name, synset, synsets[label])
        for name, label in zip(images.names, images.labels, strict=True)
        if (synset := named_synset(name)) is not None
    ]
    others = [(name, synset, given) for name, synset, given in pairs if synset != given]
    if others:
        name, synset, given = others[0]
        yield (
            f"{len(others):,} of {len(pairs):,} images are named by another class than they are "
            f"labelled with: {name} says {synset}, and is labelled {given}"
        )
    raw = _kit_numbers(Path(images.where))
    numbers = [numbered(name) for name in images.names]
    known = [
        (raw[number - 1], label)
        for number, label in zip(numbers, images.labels, strict=True)
        if number is not None and 1 <= number <= len(raw)
    ]
    for less, words in ((1, "less one"), (0, "as they are")):
        alike = sum(identity - less == label for identity, label in known)
        if known and 100 * alike >= _MOST * len(known):
            yield (
                f"the labels are the development kit's IDs, {words}, which are not class indices: "
                f"put its meta.mat beside {TRUTH} and take the labels file away"
            )


def _kit_numbers(where: Path) -> list[int]:
    """The IDs of a development kit's ground truth in or beside the images, as they stand."""
    folder = where if where.is_dir() else where.parent
    for near in (folder, folder.parent):
        for name in (kit for kit in KITS if kit.endswith(TRUTH)):
            try:
                words = (near / name).read_text(encoding="ascii").split()
                return [int(word) for word in words]
            except (OSError, ValueError):
                continue
    return []
