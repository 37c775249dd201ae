"""Too little memory halves the batch, and changes no count."""

from __future__ import annotations

from contextlib import contextmanager

import card
import numpy as np
import torch

from harness.measure.accuracy import scoring
from harness.measure.accuracy.validator import Validator
from harness.measure.builders.native import NativeBuilder

NAME = card.VARIANTS[1]
ASKED = 32 if card.ON_CPU else 2048
ROOM = 3 * 2**30  # bytes that are left: a batch of 2048 needs some tens of GiB
_FITS = 8  # images, on the CPU, which has no hog


class Cramped(NativeBuilder):
    """Builds models that find no memory for a large batch, as a full card's do."""

    def build(self, name):
        model = super().build(name)

        def refuse(_, inputs):
            if len(inputs[0]) > _FITS:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

        model.register_forward_pre_hook(refuse)
        return model


@contextmanager
def hog():
    """Takes the card's memory but for a little."""
    if card.ON_CPU:
        yield
        return
    device = torch.device(card.DEVICE)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    taken = torch.empty(max(0, free - ROOM), dtype=torch.uint8, device=device)
    try:
        yield
    finally:
        del taken
        torch.cuda.empty_cache()


def test_a_batch_that_does_not_fit_is_halved_until_it_does(given, monkeypatch):
    """Each answer is decided in float64 here, too: that needs memory as well."""
    times = max(1, ASKED // card.COMPARED) + 1
    shard = np.tile(np.arange(card.COMPARED), times)
    builder = Cramped() if card.ON_CPU else None
    right = tuple(times * each for each in given.right(card.COMPARED))
    with Validator(card.DEVICE, batch_size=ASKED) as validator, hog():

        def count(indices):
            return given.count(validator, NAME, indices, builder=builder, keep=True)

        found = count(shard)
        monkeypatch.setattr(scoring, "_DOUBT", 10.0)
        exact = count(shard[: min(32, card.COMPARED)])
    fits = found["batch"]
    figure = f"{fits} of {ASKED} images; {found['top1']}, {found['top5']} right"
    held = fits < ASKED and (found["top1"], found["top5"]) == right
    card.record("batch beside a hog", NAME, figure, f"{right[0]}, {right[1]} right", held)
    assert fits < ASKED
    assert (found["images"], found["top1"], found["top5"]) == (len(shard), *right)
    some = min(32, card.COMPARED)
    assert (exact["top1"], exact["top5"]) == given.right(some)
    assert (exact["decided_exactly"], exact["not_decided"]) == (some, None)


def test_the_benchmark_says_which_batch_has_no_memory():
    from harness.measure.speed import bench

    with hog():
        timings = bench(
            card.recipe_of(NAME),
            device=card.DEVICE,
            batch_sizes=(1, ASKED),
            seconds=card.SECONDS,
            image_size=(card.SIDE, card.SIDE),
            builder=Cramped() if card.ON_CPU else None,
        )
    assert "failed" not in timings[0]
    words = timings[1].get("failed", "it ran")
    card.record("bench beside a hog", NAME, words, "a line", "failed" in timings[1])
    assert str(ASKED) in words
