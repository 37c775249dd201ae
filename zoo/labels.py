"""Recognize ImageNet: the names under which its 1,000 classes of 2012 are published."""

from __future__ import annotations

import re
from functools import lru_cache

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
    name = name[:200].strip().lower()
    owner, slash, rest = name.rpartition("/")
    if slash and _squeezed(owner) in _OWNERS and _is_name(_squeezed(rest)):
        return True
    return _is_name(_squeezed(name))


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
