"""The classes of ImageNet, by synsets and in English."""

from __future__ import annotations

import pytest

from zoo.errors import UnknownModelError
from zoo.labels import are_of_imagenet, categories, imagenet_categories, imagenet_synsets


def test_the_synsets_are_those_of_the_classes() -> None:
    timm_data = pytest.importorskip("timm.data")
    ours, theirs = imagenet_synsets(), timm_data.ImageNetInfo("imagenet-1k").label_names()
    assert len(set(ours)) == 1000
    assert list(ours) == sorted(ours) == list(theirs)
    assert categories("resnest50d") == imagenet_categories()
    assert imagenet_categories()[ours.index("n02123045")] == "tabby"
    with pytest.raises(UnknownModelError):
        categories("resnest")


@pytest.mark.parametrize("names", [imagenet_synsets(), imagenet_categories()])
def test_other_names_and_another_order_are_not_imagenet_s(names: tuple[str, ...]) -> None:
    assert are_of_imagenet(names)
    assert are_of_imagenet(list(names))
    assert not are_of_imagenet(names[::-1])
    assert not are_of_imagenet(names[:-1])
    assert not are_of_imagenet((*names[:-1], "another"))
