"""Which data sets are ImageNet, for every part of the tool alike; its classes in both namings."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.errors import UnknownModelError
from zoo.labels import (
    are_of_imagenet,
    imagenet_categories,
    imagenet_synsets,
    is_imagenet,
    same_data,
)
from zoo.variants import categories

ARE = """ImageNet|imagenet|ImageNet_1K|ImageNet (1k)|imagenet/1k|ILSVRC2012|ILSVRC-2012|ILSVRC 2012
imagenet-1k|ImageNet-1K|ImageNet 1000|timm/imagenet-1k-wds|ILSVRC/imagenet-1k|ImageNet-1k (val)
ImageNet validation|ImageNet ILSVRC 2012|ILSVRC2012 (ImageNet-1k)|ImageNet-1K (ILSVRC2012)
ImageNet LSVRC 2012|imagenet2012|IN-1k|ilsvrc_2012_val|ILSVRC12|ImageNet-1k, 2012"""
ARE_NOT = """\
ImageNet-V2|ImageNetV2|imagenet-a|ImageNet-R|ImageNet ReaL|ImageNet/ReaL|ImageNet Sketch
imagenet-21k|ImageNet-22K|ImageNet-12k|timm/imagenet-12k-wds|ImageNet-100|ImageNet-10|ImageNet-C
Tiny ImageNet|tiny/imagenet|mini-imagenet|imagenette|imagewoof|frgfm/imagenette|ImageNet21K-P
ImageNet-1k (train)|ImageNet-1k 10%|imagenet_v2/1k|ILSVRC2010|in21k|IN|1k|12|CIFAR-10| |-"""


def _names(text: str) -> list[str]:
    return [name for line in text.splitlines() for name in line.split("|")]


def test_what_is_imagenet_and_what_only_bears_its_name():
    assert [name for name in _names(ARE) if not is_imagenet(name)] == []
    assert [name for name in _names(ARE_NOT) if is_imagenet(name)] == []


def test_other_spellings_are_the_same_data():
    assert {same_data(name) for name in _names(ARE)} == {"imagenet"}
    assert same_data("CIFAR-10") == same_data("cifar10") != same_data("CIFAR-100")
    assert same_data(None) is None


def test_there_is_one_rule(repository: Path):
    """No other module knows a second list of the names."""
    sources = [*(repository / "zoo").rglob("*.py"), *(repository / "harness").rglob("*.py")]
    others = [
        path.relative_to(repository).as_posix()
        for path in sources
        if '"imagenet1k"' in path.read_text() or '"ilsvrc2012"' in path.read_text()
    ]
    assert others == []


def test_the_synsets_are_those_of_the_classes():
    timm_data = pytest.importorskip("timm.data")
    ours, theirs = imagenet_synsets(), timm_data.ImageNetInfo("imagenet-1k").label_names()
    assert len(set(ours)) == 1000
    assert list(ours) == sorted(ours) == list(theirs)
    weights = pytest.importorskip("torchvision.models").ResNet50_Weights.IMAGENET1K_V1
    assert list(imagenet_categories()) == weights.meta["categories"]
    assert categories("resnest50d") == imagenet_categories()
    assert imagenet_categories()[ours.index("n02123045")] == "tabby"
    with pytest.raises(UnknownModelError):
        categories("resnest")


def test_other_names_and_another_order_are_not_imagenet_s():
    for names in (imagenet_synsets(), imagenet_categories()):
        assert are_of_imagenet(names)
        assert are_of_imagenet(list(names))
        assert not are_of_imagenet(names[::-1])
        assert not are_of_imagenet(names[:-1])
        assert not are_of_imagenet((*names[:-1], "another"))
