"""The host never waits for a batch that it has just given out."""

from __future__ import annotations

import card
import numpy as np
import pytest

from harness.measure.accuracy.validator import Validator


@pytest.mark.parametrize("name", card.VARIANTS)
def test_more_batches_take_no_more_synchronisations(name, given, synchronisations):
    """Beginning and end may wait: a count of some batches is held against one of three times as
    many. Between them a wait is an error, which torch raises.
    """
    with Validator(card.DEVICE, batch_size=min(64, card.COMPARED), strict=True) as validator:

        def count(times):
            return given.count(validator, name, np.tile(np.arange(card.COMPARED), times), keep=True)

        count(1)  # Loads, decodes, and keeps the constants.
        waits = {}
        for times in (4, 12):
            with synchronisations() as found:
                counts = count(times)
            right = given.right(card.COMPARED)
            assert (counts["top1"], counts["top5"]) == tuple(times * each for each in right)
            waits[times * -(-card.COMPARED // counts["batch"])] = list(found)
    few, many = waits
    figure = f"{len(waits[few])} in {few} batches, {len(waits[many])} in {many}"
    held = None if card.ON_CPU else len(waits[many]) <= len(waits[few])
    card.record("synchronisations in the loop", name, figure, "none more in more", held)
    assert held is not False, waits[many][-5:]
