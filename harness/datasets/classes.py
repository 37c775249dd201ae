"""Which class a word means: a WordNet synset, a class index, or an English name.

Every form of image set is labelled with the standard order: class indices are the ranks of the
sorted synsets. The sorted order of other names would be another one, and silently wrong, so such
names are looked up and never ranked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from harness.datasets.types import IMAGENET_CLASSES
from zoo.labels import imagenet_categories, imagenet_synsets

_SYNSET = re.compile(r"n[0-9]{8}")
_NUMBER = re.compile(r"[0-9]{1,9}")


class UnknownClassError(ValueError):
    """A word that is no class; the text completes ``PLACE: ...``."""


def is_synset(word: str) -> bool:
    """Whether a word has the form of a synset."""
    return _SYNSET.fullmatch(word) is not None


def class_index(word: str) -> int:
    """The class index of a synset, or of a class index written out.

    Raises:
        UnknownClassError: it is neither, or not one of the 1,000.
    """
    if is_synset(word):
        index = _synset_indices().get(word)
        if index is None:
            raise UnknownClassError(f"{word} is not one of ImageNet's 1,000 synsets")
        return index
    if not _NUMBER.fullmatch(word):
        raise UnknownClassError(f"{_shown(word)} is neither a class index nor a synset")
    index = int(word)
    if index >= IMAGENET_CLASSES:
        raise UnknownClassError(
            f"class index {index} is out of range; they go from 0 to 999: of labels that count "
            "from 1 take 1 off, and of the development kit's IDs give its meta.mat"
        )
    return index


def folder_classes(names: Iterable[str]) -> dict[str, int] | None:
    """Class indices of folders named by classes; None if these are no class folders.

    All of them are synsets, or class indices as whole numbers (``7`` or ``007``), or names as
    torchvision spells them (blanks may be underscores). Case counts only between names that differ
    in nothing else, as Cardigan, a dog, and cardigan, a garment, do.

    Raises:
        UnknownClassError: most are of one kind, and one of them is no class, or may be two.
    """
    names = list(names)
    if not names:
        return None
    if any(map(is_synset, names)) or all(map(_NUMBER.fullmatch, names)):
        return {name: class_index(name) for name in names}
    found = {name: _named(name) for name in names}
    strangers = [name for name, index in found.items() if index is None]
    if len(strangers) > len(names) / 2:
        return None
    if strangers:
        raise UnknownClassError(f"{_shown(strangers[0])} is not the name of an ImageNet class")
    return {name: index for name, index in found.items() if index is not None}


@cache
def _synset_indices() -> dict[str, int]:
    return {synset: index for index, synset in enumerate(imagenet_synsets())}


def _named(name: str) -> int | None:
    """The class of a name, None where no class is called so.

    Raises:
        UnknownClassError: it is spelt as no class is, and may be one of several.
    """
    exact, folded = _name_indices()
    plain = _plain(name)
    if plain in exact:
        return exact[plain]
    meant = folded.get(plain.casefold(), ())
    if len(meant) > 1:
        categories = imagenet_categories()
        classes = " or ".join(f"{categories[index]!r} (class {index})" for index in meant)
        raise UnknownClassError(f"{_shown(name)} may be {classes}; write it as one of them")
    return meant[0] if meant else None


@cache
def _name_indices() -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """The classes by their names, and by names whose case was taken away."""
    exact: dict[str, int] = {}
    folded: dict[str, tuple[int, ...]] = {}
    for index, name in enumerate(map(_plain, imagenet_categories())):
        exact[name] = index
        folded[name.casefold()] = (*folded.get(name.casefold(), ()), index)
    return exact, folded


def _plain(name: str) -> str:
    return name.replace("_", " ").replace("/", " ")


def _shown(word: str) -> str:
    return repr(word if len(word) <= 60 else word[:57] + "...")
