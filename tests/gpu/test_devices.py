"""Two cards of one machine: each figure is of its own, and a validation uses both."""

from __future__ import annotations

import card
import pytest
import torch

from harness.measure.accuracy.validator import Validator
from harness.measure.speed import bench

COUNT = torch.cuda.device_count()
pytestmark = pytest.mark.skipif(
    not card.ON_CPU and COUNT < 2, reason=f"needs two CUDA devices; torch sees {COUNT}"
)
SECOND = "cpu" if card.ON_CPU else "cuda:1"
NAME = card.VARIANTS[0]


def test_the_second_counts_alike_and_leaves_the_first_alone(given):
    first = torch.device("cuda:0")
    if not card.ON_CPU:
        torch.cuda.init()  # The allocator knows no device before that.
        torch.cuda.reset_peak_memory_stats(first)
        before = torch.cuda.memory_allocated(first)
    recipe = card.recipe_of(NAME)
    with Validator(SECOND) as validator:
        found = given.count(validator, NAME, keep=True)
    assert (found["top1"], found["top5"]) == given.right(card.COMPARED)
    (timing,) = bench(
        recipe, device=SECOND, batch_sizes=(8,), seconds=card.SECONDS, image_size=(card.SIDE,) * 2
    )
    assert timing["images_per_second"] > 0
    if not card.ON_CPU:
        assert torch.cuda.max_memory_allocated(first) == before
        assert timing["peak_memory"] > 10e6
        assert timing["environment"]["device_name"] == torch.cuda.get_device_name(1)
    card.record("counts and figures of the second card", NAME, "its own", "its own", True)


def test_a_validation_uses_every_card(command, given):
    command.validated_index(tuple(f"net{number}" for number in range(2 * max(1, COUNT))))
    images = given.folder("everywhere", 16 if card.ON_CPU else 2000)
    kind = card.DEVICE.partition(":")[0]
    command("validate", "--data", images, "--device", kind, "--fail-on", "never")
    seen = sorted(set((command.folder / "seen").read_text().splitlines()))
    wanted = 1 if card.ON_CPU else COUNT
    held = None if card.ON_CPU else len(seen) == wanted
    card.record("cards that a validation uses", "", "; ".join(seen), f"{COUNT}", held)
    assert len(seen) == wanted, seen
