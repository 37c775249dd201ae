"""The table of evaluation sets: what a claim's Dataset means, and which classes -A and -R have."""

from __future__ import annotations

import pytest

from zoo.known_datasets import KNOWN, class_subset, known_dataset
from zoo.labels import imagenet_synsets

SPELLINGS = {
    "imagenet-1k": "ImageNet|ImageNet-1K|imagenet_1k|ImageNet (1k)|ILSVRC2012|ImageNet-1k val",
    "imagenet-v2-matched-frequency": """ImageNet V2 matched frequency|ImageNet-V2|imagenetv2
        imagenetv2-matched-frequency-format-val|ImageNet V2 (matched-frequency)|IN-V2""",
    "imagenet-v2-threshold-0.7": "ImageNet V2 threshold 0.7|imagenetv2-threshold0.7-format-val",
    "imagenet-v2-top-images": "ImageNet-V2 top images|imagenetv2-top-images-format-val",
    "imagenet-real": "ImageNet-ReaL|ImageNet ReaL|imagenet_real|ImageNet-1k ReaL|ImageNet (ReaL)",
    "imagenet-a": "ImageNet-A|imagenet_a|ImageNet Adversarial|ImageNet-A test",
    "imagenet-r": "ImageNet-R|imagenet-r|ImageNet-Rendition|ImageNet Renditions",
    "imagenet-a-clean": "ImageNet-A clean|imagenet-a-clean|ImageNet-A (clean)",
    "imagenet-r-clean": "ImageNet-R clean|imagenet_r_clean",
    "imagenet-sketch": "ImageNet-Sketch|ImageNet Sketch|imagenet_sketch",
    "imagenet-1k-train": "ImageNet-1k train|ImageNet (train)|ImageNet training set",
}
NONE = """ImageNet-21k|ImageNet-C|ImageNet-100|Tiny ImageNet|CIFAR-10|IMAGENET1K_V2|ImageNet-1k V2
ImageNet-Real-V2|imagenette|ImageNet-V3|ImageNet-O|ImageNet-Hard|sketch|real|v2||ImageNet-1k 10%"""


def _names(text):
    return [name.strip() for line in text.splitlines() for name in line.split("|")]


def test_every_spelling_means_one_set():
    assert SPELLINGS.keys() == KNOWN.keys()
    for meant, text in SPELLINGS.items():
        for name in (*_names(text), meant, KNOWN[meant].name.upper()):
            assert getattr(known_dataset(name), "name", None) == meant, name
    assert [name for name in _names(NONE) if known_dataset(name) is not None] == []
    assert known_dataset(None) is None


def test_the_classes_of_a_and_r_are_those_of_timm():
    timm_data = pytest.importorskip("timm.data")
    from importlib.resources import files

    synsets = imagenet_synsets()
    for name in ("imagenet-a", "imagenet-r"):
        table = KNOWN[name].subset
        theirs = (files(timm_data) / "_info" / f"{table}_synsets.txt").read_text().split()
        assert [synsets[index] for index in class_subset(table)] == theirs
        assert KNOWN[f"{name}-clean"].images == 50 * len(theirs)
