"""ImageNet (ILSVRC 2012): the names it is published under, and its 1,000 classes in order.

``python -m zoo.labels`` writes the table of the classes' English names from torchvision's: a model
that classifies one image should not wait for the import of a library that it has no other use for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import cast

_DATA = Path(__file__).with_name("data")
# The name itself, in any order with the year and the number of classes, and the words for the set
# that accuracies are measured on. What else stands in a name makes it another set: V2, ReaL, 21k.
_YEAR = r"(?:20)?12"
_CLASSES = r"(?:1k|1000(?:classes)?|1kclasses)"
_NAME = re.compile(
    rf"(?:imagenet|i?lsvrc|in(?=1k)){_CLASSES}?"
    rf"(?:(?:i?lsvrc)(?:{_YEAR})?|2012)?(?:imagenet)?{_CLASSES}?"
    r"(?:classification)?(?:wds)?(?:val(?:idation)?)?(?:set|split)?"
)
_OF_LSVRC = re.compile(rf"(?:i?lsvrc){_YEAR}")
# Who publishes it under a name of their own: ``timm/imagenet-1k-wds``.
_OWNERS = frozenset({"timm", "ilsvrc", "imagenet", "huggingface", "hf", "tfds", "torchvision"})


@lru_cache(maxsize=1024)
def is_imagenet(name: str) -> bool:
    """Whether a data set of that name is ImageNet's validation set of 1,000 classes.

    ``ImageNet_1K``, ``ImageNet (1k)``, ``imagenet/1k``, ``ILSVRC2012`` and ``timm/imagenet-1k-wds``
    are; ImageNet-V2, -A, -R, -Sketch, -ReaL, ImageNet-21k, ImageNet-100 and Tiny ImageNet are not.
    """
    return _is_name(without_owner(name)) or _is_name(_squeezed(name[:200].lower()))


def without_owner(name: str) -> str:
    """The letters and digits of a data set's name, small, without who publishes it."""
    owner, slash, rest = name[:200].strip().lower().rpartition("/")
    return _squeezed(rest if slash and _squeezed(owner) in _OWNERS else f"{owner}{rest}")


def same_data(name: str | None) -> str | None:
    """A data set's name, as far as writing it differently does not make it another."""
    if name is None:
        return None
    return "imagenet" if is_imagenet(name) else _squeezed(name.lower()) or name


def _is_name(squeezed: str) -> bool:
    # The year stands right behind the challenge's name, or is a whole one: ImageNet-12k is another.
    plain = _OF_LSVRC.sub("ilsvrc", squeezed)
    return _NAME.fullmatch(plain) is not None


def _squeezed(name: str) -> str:
    return "".join(char for char in name if char.isalnum())


def are_of_imagenet(names: Sequence[str]) -> bool:
    """Whether these are ImageNet's classes in their usual order, as synsets or in English."""
    if len(names) != len(imagenet_synsets()):
        return False
    return tuple(names) in (imagenet_synsets(), imagenet_categories())


@cache
def imagenet_categories() -> tuple[str, ...]:
    """The English name of each class, as torchvision publishes them with its weights."""
    return _table("imagenet_classes.txt")


@cache
def imagenet_synsets() -> tuple[str, ...]:
    """The WordNet 3.0 synset of each class (``n01440764``); a class's index is its rank here."""
    return _table("imagenet_synsets.txt")


def _table(name: str) -> tuple[str, ...]:
    return tuple((_DATA / name).read_text(encoding="ascii").splitlines())


def write_categories() -> None:
    """Write the table of `imagenet_categories` anew, from the installed torchvision."""
    from torchvision.models import ResNet50_Weights

    from zoo._util.files import replace_file

    names = cast("list[str]", ResNet50_Weights.IMAGENET1K_V1.meta["categories"])
    text = "".join(f"{name}\n" for name in names)
    replace_file(_DATA / "imagenet_classes.txt", text.encode("ascii"))


if __name__ == "__main__":
    write_categories()
