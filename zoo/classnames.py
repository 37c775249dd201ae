"""The 1,000 classes of ImageNet (ILSVRC 2012), in the order of a classifier's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import cast


def categories(name: str) -> tuple[str, ...]:
    """The names of the classes that a model tells apart: one per output, in its order.

    Args:
        name: a model of the index that ships with this package; all of them classify ImageNet.

    Raises:
        UnknownModelError: if the index has no model of that name.
    """
    from zoo.preprocessing import package_variant

    package_variant(name)
    return imagenet_categories()


def are_of_imagenet(names: Sequence[str]) -> bool:
    """Whether these are ImageNet's classes in their usual order, as synsets or in English."""
    if len(names) != len(imagenet_synsets()):
        return False
    # The English ones cost the import of torchvision.
    return tuple(names) == imagenet_synsets() or tuple(names) == imagenet_categories()


@cache
def imagenet_categories() -> tuple[str, ...]:
    """The English names of the classes, as torchvision ships them. Imports torchvision."""
    from torchvision.models import ResNet50_Weights

    return tuple(cast("list[str]", ResNet50_Weights.IMAGENET1K_V1.meta["categories"]))


@cache
def imagenet_synsets() -> tuple[str, ...]:
    """The WordNet 3.0 synset of each class (``n01440764``); a class's index is its rank here."""
    table = Path(__file__).with_name("data") / "imagenet_synsets.txt"
    return tuple(table.read_text(encoding="ascii").split())
