"""A card counts what a CPU counts, in float32, to the image."""

from __future__ import annotations

import card
import pytest

from harness.measure.accuracy.validator import Validator

COUNTS = ("images", "top1", "top5", "not_finite", "unreadable")


@pytest.mark.parametrize("name", card.VARIANTS)
def test_a_card_and_a_cpu_count_alike(name, given):
    """And as float64 counts, which made the labels: no bit of a logit sways them."""
    found = []
    for device in ("cpu", card.DEVICE):
        with Validator(device) as validator:
            counts = given.count(validator, name, keep=True)
        assert counts["not_decided"] is None
        assert counts["predictions"]
        found.append({key: counts[key] for key in COUNTS})
    right = given.right(card.COMPARED)
    figure = f"{found[0]['top1']}, {found[0]['top5']} of {card.COMPARED} and "
    figure += f"{found[1]['top1']}, {found[1]['top5']}"
    same = found[0] == found[1]
    record_held = same and (found[1]["top1"], found[1]["top5"]) == right
    card.record("top-1, top-5: CPU and card", name, figure, f"{right[0]}, {right[1]}", record_held)
    assert found[0] == found[1]
    assert (found[1]["images"], found[1]["top1"], found[1]["top5"]) == (card.COMPARED, *right)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_half_precision_runs_and_differs_on_few(amp, given):
    """Its counts are its own: they are near, and nothing is promised of them."""
    name = card.VARIANTS[1]
    with Validator(card.DEVICE) as validator:
        counts = given.count(validator, name, amp=amp)
    right = given.right(card.COMPARED)[1]
    card.record(f"top-5 in {amp}", name, f"{counts['top5']}, float32 {right}")
    assert (counts["images"], counts["not_finite"]) == (card.COMPARED, 0)
