"""The card's own decoder: its images are close to Pillow's, and what that changes is counted."""

from __future__ import annotations

import time

import card
import pytest

from harness.measure.accuracy.validator import Validator, preprocessing_of
from harness.measure.devices import DeviceError

NAME = card.VARIANTS[0]
# On the CPU, the other decoder whose pixels are not Pillow's.
DECODER = "fast" if card.ON_CPU else "gpu"


def test_the_card_s_decoder_changes_few_answers(given):
    """Of a model that tells classes apart by a hair: its weights are random."""
    recipe, checkpoint = card.recipe_of(NAME), given.checkpoints[NAME]
    folder, shard = str(given.compared[NAME]), range(card.COMPARED)
    try:
        validator = Validator(card.DEVICE, decoder=DECODER)
    except DeviceError as error:
        pytest.skip(str(error))
    with validator:
        begin = time.perf_counter()
        counts = validator.count(recipe, checkpoint, folder, preprocessing_of(recipe), shard)
        speed = card.COMPARED / (time.perf_counter() - begin)
        compared = validator.compare_decoders(recipe, checkpoint, folder, shard)
    assert (counts["images"], counts["unreadable"]) == (card.COMPARED, [])
    assert compared["images"] == card.COMPARED
    figure = f"{compared['differ']} of {compared['images']} answers differ; {speed:.0f} images/s"
    held = None if card.ON_CPU else compared["differ"] <= card.COMPARED // 4
    card.record(f"--decode {DECODER}, with loading", NAME, figure, "a quarter at most", held)
    assert held is not False
