"""What is kept of each image, and the scores that are worked out from it without the model."""

from __future__ import annotations

import random
from base64 import b64decode
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from harness.measure.accuracy.predictions import BYTES, Predictions, packed
from harness.measure.accuracy.scoring import predicted
from harness.measure.accuracy.validator import InputConfig, Validator, preprocessing_of
from harness.measure.accuracy.variations import Labels, translated
from harness.types import Recipe
from zoo.known_datasets import class_subset

IMAGES, CLASSES = 2000, 1000
SUBSETS = ("", "imagenet_a", "imagenet_r")


@pytest.fixture(scope="module")
def drawn():
    """Logits with ties at the borders, one row that is no number, and labels."""
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(IMAGES, CLASSES, generator=draw)
    logits[:500] = (logits[:500] * 2).round() / 2 - 0.0
    logits[7, 3] = torch.nan
    labels = logits.nan_to_num().argsort(1, descending=True)
    picked = torch.randint(0, 8, (IMAGES, 1), generator=draw)
    return logits, labels.gather(1, picked)[:, 0]


@pytest.fixture(scope="module")
def kept(drawn):
    logits, labels = drawn
    _, values = predicted(logits, labels[:, None])
    made = packed(values.numpy().astype(float), np.arange(IMAGES), IMAGES)
    assert len(made) == IMAGES * BYTES <= 1.5e6 * IMAGES / 50_000
    return Predictions(made)


def ranked(row, classes):
    """The five best by sorting in Python, equal ones by index."""
    return sorted(classes, key=lambda c: (-row[c], c))[:5]


def test_the_best_of_all_classes_and_of_each_subset_are_those_of_masked_logits(drawn, kept):
    logits, labels = drawn
    for subset in SUBSETS:
        classes = class_subset(subset) if subset else range(CLASSES)
        found = kept.best(subset)
        right = kept.right(labels.numpy(), subset)
        for n, row in enumerate(logits.tolist()):
            if n == 7 and not (subset and 3 not in classes):
                assert found[n].tolist() == [-1] * 5
                assert not right[n].any()
                continue
            assert found[n].tolist() == (best := ranked(row, classes)), (subset, n)
            assert right[n].tolist() == [int(labels[n]) == best[0], int(labels[n]) in best]
    assert kept.not_finite.nonzero()[0].tolist() == [7]
    assert not kept.unread.any()


def test_numbers_and_classes_are_those_of_the_logits(drawn, kept):
    logits, labels = drawn
    first = logits.softmax(1).amax(1).nan_to_num(0)
    assert np.abs(kept.probability - first.numpy()).max() < 1e-4
    six = logits.nan_to_num().topk(6).values
    margins = (six[:, 4] - six[:, 5]).numpy()
    some = np.arange(IMAGES) != 7
    assert np.allclose(kept.margin[some], margins[some], atol=2e-3)
    for subset in SUBSETS[1:]:  # Of a subset's best class, where no other class is better.
        inside = np.isin(logits.nan_to_num().argmax(1).numpy(), class_subset(subset))
        sure = kept.sureness(subset)
        assert 0 < inside[some].sum() < some.sum()
        assert np.array_equal(np.isnan(sure[some]), ~inside[some])
        assert np.abs(sure - first.numpy())[some & inside].max() < 1e-4
    right = kept.right(labels.numpy())[:, 0]
    for each, (images, hits) in kept.per_class(labels.numpy()).items():
        of_it = (labels == each).numpy()
        assert (images, hits) == (of_it.sum(), right[of_it].sum())


def test_real_is_what_an_independent_scorer_says(drawn, kept):
    logits, labels = drawn
    draw = random.Random(5)
    several = [
        sorted({int(label), *draw.choices(range(CLASSES), k=draw.randrange(3))})
        if draw.random() < 0.9
        else []
        for label in labels
    ]
    hits = total = 0
    for n, (row, right) in enumerate(zip(logits.tolist(), several, strict=True)):
        if right:
            total += 1
            hits += n != 7 and max(range(CLASSES), key=lambda c: (row[c], -c)) in right
    matrix = np.full((IMAGES, 3), -1)
    for row, right in zip(matrix, several, strict=True):
        row[: len(right)] = right
    labelled = (matrix >= 0).any(1)
    assert (kept.right(matrix)[labelled, 0].sum(), labelled.sum()) == (hits, total)
    assert 0 < hits < total < IMAGES


def test_two_variants_agree_as_a_count_by_hand(drawn, kept):
    logits, labels = drawn
    _, values = predicted(logits + torch.randn(logits.shape) / 3, labels[:, None])
    other = Predictions(packed(values.numpy().astype(float), np.arange(IMAGES), IMAGES))
    pairs = list(zip(*(p.right(labels.numpy())[:, 0].tolist() for p in (kept, other)), strict=True))
    cases = [(True, True), (True, False), (False, True), (False, False)]
    found = kept.agreement(other, labels.numpy())
    assert list(found) == [pairs.count(case) for case in cases]
    assert min(found) > 0


class Colours(nn.Module):
    """Tells 1,000 classes by an image's mean colour."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(CLASSES, 3))

    def forward(self, x):
        return 20 * torch.cos(x.mean((2, 3)) @ self.weight.T)


class Builder:
    """A third party's builder."""

    def build(self, name):
        return Colours()


def test_every_order_of_labels_is_what_a_second_run_of_the_model_counts(tmp_path):
    draw = random.Random(1)
    weights = torch.randn(CLASSES, 3, generator=torch.Generator().manual_seed(1)) * 9
    torch.save({"weight": weights}, tmp_path / "weights.pth")
    folder = tmp_path / "images"
    folder.mkdir()
    names = [f"{number:03}.png" for number in range(150)]
    for name in names:
        Image.new("RGB", (32, 32), tuple(draw.randrange(256) for _ in "rgb")).save(folder / name)
    (folder / names[11]).write_bytes(b"no image")
    recipe = Recipe("colours", image_size=(32, 32), crop_pct=1.0)
    config = preprocessing_of(recipe)
    builder = Builder()

    def write(labels):
        pairs = zip(names, labels, strict=True)
        (folder / "labels.txt").write_text("".join(f"{name} {label}\n" for name, label in pairs))

    write([0] * len(names))
    with Validator("cpu", cache_root=tmp_path / "c", threads=2) as validator:

        def count(config, *, keep=False):
            found = validator.count(
                recipe, tmp_path / "weights.pth", str(folder), config, shard,
                builder=builder, keep=keep,
            )  # fmt: skip
            validator._images.clear()
            return found

        shard = [*draw.sample(range(12, len(names)), 120), 11]
        answered = Predictions(b64decode(count(config, keep=True)["predictions"]))
        best = dict(zip(shard, answered.best()[:, 1].tolist(), strict=True))
        orders = get_args(Labels)
        at = {order: translated(np.arange(CLASSES), order).tolist() for order in orders}
        # Of each ninth of the images the labels are right in one of the orders.
        write(
            at[order := orders[n % len(orders)]].index(best[n]) if best.get(n, -1) > 0 else 5
            for n in range(len(names))
        )
        first = count(config, keep=True)
        kept = Predictions(b64decode(first["predictions"]))
        labels = np.asarray(validator.open_images(str(folder)).labels)[shard]
        assert kept.unread.nonzero()[0].tolist() == [120]
        for order in orders:
            again = count(InputConfig(config, labels=order))
            assert again["predictions"] is None
            right = kept.right(translated(labels, order)).sum(0).tolist()
            assert right == [again["top1"], again["top5"]], order
            assert right[1] > 5
    assert (first["top1"], first["top5"]) == tuple(kept.right(labels).sum(0))
