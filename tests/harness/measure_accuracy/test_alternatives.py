"""Reading the images in other ways: each costs answers, and the right one gives them back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cli import run_python
from PIL import Image
from torch.nn import functional
from torchvision.transforms.v2 import functional as torchvision

from harness.measure.accuracy.validator import (
    InputConfig,
    alternatives,
    preprocessing_of,
)
from harness.measure.accuracy.variations import translated
from zoo.labels import imagenet_categories
from zoo.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

PICTURES = 100
# Nearly the normalisation of TensorFlow: few images, if any, can tell them apart.
TWINS = {"normalisation=half", "normalisation=tensorflow"}


@pytest.fixture(scope="module")
def top1(recipe, checkpoint, generated, validator):
    def count(config):
        found = validator.count(recipe, checkpoint, str(generated), config, range(PICTURES))
        return found["top1"]

    return count


@pytest.fixture(scope="module")
def all_right(recipe, checkpoint, generated, validator):
    """Whether every image is answered right; looks no further than the first that is not."""

    def ask(config):
        begin = 0
        for end in (2, 10, 40, PICTURES):
            found = validator.count(recipe, checkpoint, str(generated), config, range(begin, end))
            if found["top1"] < end - begin:
                return False
            begin = end
        return True

    return ask


def test_the_right_preprocessing_has_every_answer(recipe, top1):
    assert top1(preprocessing_of(recipe)) == PICTURES


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"mean": IMAGENET_MEAN, "std": IMAGENET_STD}, "normalisation=tensorflow"),
        ({"interpolation": "bilinear"}, "interpolation=bicubic"),
        ({"crop_pct": 1.0}, "crop_pct=0.875"),
    ],
)
def test_exactly_the_right_alternative_restores_a_wrong_preprocessing(
    wrong, remedy, recipe, top1, all_right
):
    documented = replace(preprocessing_of(recipe), **wrong)
    assert top1(documented) < PICTURES
    restoring = {a.name for a in alternatives(documented) if all_right(a.config)}
    assert remedy in restoring
    assert restoring - {remedy} <= (TWINS if remedy in TWINS else set())


def test_the_channel_order_and_the_order_of_labels(
    recipe, checkpoint, generated, validator, tmp_path, top1
):
    right = preprocessing_of(recipe)
    readings = {a.name: a.config for a in alternatives(right)}
    assert top1(readings["channels=BGR"]) < 0.9 * PICTURES
    assert top1(readings["labels=one later"]) < 0.05 * PICTURES

    # Sets that are wrong in one way: red and blue exchanged, labels of another order.
    lines = [line.split() for line in (generated / "labels.txt").read_text().splitlines()][:16]
    names = imagenet_categories()
    by_name = sorted(range(1000), key=lambda c: names[c])
    sets: dict[str, tuple[bool, Callable[[int], int]]] = {
        "channels=BGR": (True, lambda n: n),
        "labels=one later": (False, lambda n: n - 1),
        "labels=one earlier": (False, lambda n: n + 1),
        "labels=by name": (False, lambda n: by_name[n]),
    }
    for remedy, (exchanged, label) in sets.items():
        folder = tmp_path / remedy.replace(" ", "-")
        folder.mkdir()
        kept = []
        for name, word in lines:
            if not 0 <= label(int(word)) < 1000:
                continue
            with Image.open(generated / name) as image:
                pixels = np.array(image)
            pixels = pixels[..., ::-1] if exchanged else pixels
            Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{name}.png")
            kept.append(f"{name}.png {label(int(word))}\n")
        (folder / "labels.txt").write_text("".join(kept))
        counts = {
            a: validator.count(recipe, checkpoint, str(folder), r, range(len(kept)))["top1"]
            for a, r in {"": right, **{k: readings[k] for k in sets}}.items()
        }
        assert counts.pop(remedy) == len(kept)
        assert max(counts.values()) < 0.9 * len(kept)


def test_names_and_words_are_unique_and_differ_from_what_is_documented(recipe):
    right = preprocessing_of(recipe)
    found = alternatives(right)
    assert len({a.name for a in found}) == len({a.words for a in found}) == len(found)
    assert len({a.config for a in found}) == len(found)
    assert InputConfig(right) not in {a.config for a in found}
    names = {a.name for a in found}
    assert "normalisation=tensorflow" not in names
    assert "interpolation=bicubic" not in names
    assert "crop_pct=0.875" not in names
    lite1 = Preprocessing.from_settings(240, 0.875, "bicubic")
    assert "crop_pct=240/272" in {a.name for a in alternatives(lite1)}


def test_pixels_of_different_readings_are_kept_apart(recipe):
    right = preprocessing_of(recipe)
    keys = [
        a.config.preprocessing.pixels_key()
        for a in alternatives(right)
        if not a.name.startswith(("normalisation", "labels", "channels"))
    ]
    assert len({right.pixels_key(), *keys}) == len(keys) + 1


def reading_of(name, documented):
    return next(a for a in alternatives(documented) if a.name == name).config.preprocessing


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_resize_without_antialiasing_is_torchvision_s(interpolation, photographs):
    documented = Preprocessing.from_settings(224, 0.875, interpolation)
    with Image.open(photographs[0]) as opened:
        image = opened.convert("RGB").resize((500, 333))
    ours = reading_of("antialias=no", documented).to_pixels(image)
    planes = torchvision.to_dtype(torchvision.pil_to_tensor(image), torch.float32, scale=True)
    resized = torchvision.resize(
        planes, [256], interpolation=_MODES[interpolation], antialias=False
    )
    theirs = torchvision.center_crop(resized, [224, 224]).movedim(0, -1).numpy() * 255
    assert np.abs(ours - theirs.clip(0, 255)).max() < 0.51
    smooth = documented.to_pixels(image)
    assert np.abs(ours.astype(int) - smooth.astype(int)).max() > 20


_MODES = {
    "bilinear": torchvision.InterpolationMode.BILINEAR,
    "bicubic": torchvision.InterpolationMode.BICUBIC,
}


def test_a_resize_without_a_crop_has_the_whole_image():
    documented = Preprocessing.from_settings((96, 64), 0.875, "bilinear")
    pixels = torch.zeros(1, 1, 100, 300)
    pixels[..., :10] = 255  # a bar at the left edge, which a crop would lose
    image = Image.fromarray(pixels[0, 0].byte().numpy())
    whole = reading_of("crop=no", documented).to_pixels(image)
    assert whole.shape == (96, 64, 3)
    theirs = functional.interpolate(pixels, (96, 64), mode="bilinear", antialias=True)[0, 0]
    assert np.abs(whole[..., 0] - theirs.numpy()).max() <= 1
    assert documented.to_pixels(image)[..., 0].max() == 0


def test_labels_in_other_orders():
    labels = np.array([0, 5, 999])
    assert translated(labels, "as given").tolist() == [0, 5, 999]
    assert translated(labels, "one later").tolist() == [1, 6, 1000]
    assert translated(labels, "one earlier").tolist() == [-1, 4, 998]
    names = imagenet_categories()
    ranks = translated(np.arange(1000), "by name")
    assert sorted(ranks.tolist()) == list(range(1000))
    assert [names[c] for c in np.argsort(ranks)] == sorted(names)


def test_listing_alternatives_imports_nothing_heavy():
    program = (
        "import sys; from harness.measure.accuracy.validator import alternatives, preprocessing_of;"
        "from harness.types import Recipe; alternatives(preprocessing_of(Recipe('a')));"
        "print({'torch', 'torchvision', 'numpy'} & set(sys.modules))"
    )
    done = run_python(["-c", program], check=True, cwd=Path(__file__).parents[3])
    assert done.stdout == "set()\n"
