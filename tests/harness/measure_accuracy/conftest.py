"""Real weights and real images, an independent way to run them, and sets made from both."""

from __future__ import annotations

import random

import pytest
import torch
from PIL import Image
from shipped import real_images, real_weights

from harness.measure.accuracy.validator import Validator
from harness.types import Recipe

GENERATED = 100
SIDE = 128  # a third of the arithmetic of 224, and the weights still tell the images apart


@pytest.fixture(scope="session")
def recipe():
    return Recipe(
        "efficientnet_lite0",
        image_size=(SIDE, SIDE),
        crop_pct=0.875,
        interpolation="bicubic",
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
    )


@pytest.fixture(scope="session")
def checkpoint():
    return real_weights()


@pytest.fixture(scope="session")
def photographs():
    """The 20 images; the class index is the end of the name."""
    return real_images()


@pytest.fixture(scope="session")
def peer(checkpoint):
    """The same weights in an implementation that is not ours."""
    package = pytest.importorskip("efficientnet_lite_pytorch")
    model = package.EfficientNet.from_name("efficientnet-lite0", image_size=[SIDE, SIDE])
    model.load_state_dict(torch.load(checkpoint, weights_only=True))
    return model.eval()


@pytest.fixture(scope="session")
def peer_logits(peer, recipe):
    """Logits as timm's pipeline and the independent implementation make them."""
    timm_data = pytest.importorskip("timm.data")
    transform = timm_data.create_transform(
        input_size=(3, *recipe.image_size),
        interpolation=recipe.interpolation,
        crop_pct=recipe.crop_pct,
        mean=recipe.mean,
        std=recipe.std,
    )

    @torch.inference_mode()
    def run(paths):
        found = []
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # Several would wait for each other where tests run side by side.
        for begin in range(0, len(paths), 4):
            images = [Image.open(p).convert("RGB") for p in paths[begin : begin + 4]]
            found.append(peer(torch.stack([transform(image) for image in images])))
        torch.set_num_threads(threads)
        return torch.cat(found)

    return run


def write_labels(folder, paths, labels):
    lines = [f"{path.name} {label}\n" for path, label in zip(paths, labels, strict=True)]
    (folder / "labels.txt").write_text("".join(lines))


@pytest.fixture(scope="session")
def labelled():
    """Writes the labels file of a folder of images."""
    return write_labels


@pytest.fixture(scope="session")
def generated(tmp_path_factory, photographs, peer_logits):
    """Crops and flips of the images, labelled by what the peer predicts."""
    folder = tmp_path_factory.mktemp("generated")
    draw = random.Random(0)
    paths = []
    for number in range(GENERATED):
        with Image.open(photographs[number % len(photographs)]) as image:
            width, height = draw.randint(230, 512), draw.randint(230, 512)
            left, top = draw.randint(0, 512 - width), draw.randint(0, 512 - height)
            cut = image.convert("RGB").crop((left, top, left + width, top + height))
        if draw.random() < 0.5:
            cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        path = folder / f"{number:04}.jpg"
        cut.save(path, quality=90)
        paths.append(path)
    write_labels(folder, paths, peer_logits(paths).argmax(1).tolist())
    return folder


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    """On the CPU, with a cache of its own, shared by a module's tests."""
    root = tmp_path_factory.mktemp("decoded")
    with Validator("cpu", cache_root=root, threads=2) as made:
        yield made
