"""What `zoo bench` says of a card is what the card does, with what it depends on."""

from __future__ import annotations

import card
import pytest
import torch

from zoo._util.cores import usable_cores

NAME = card.VARIANTS[1]
BATCH = 4 if card.ON_CPU else 128
NEAR = 0.15


@pytest.fixture
def bench(command):
    """Runs the command on an index of one variant, at the size of the tests."""
    command.index("zoo", (NAME,), card.SIDE)

    def run(*more, batches=(1, BATCH)):
        seconds = ("--seconds", card.SECONDS)
        sizes = ("--batch", ",".join(map(str, batches)))
        return command("bench", "--device", card.DEVICE, *seconds, *sizes, *more)

    return run


def test_the_figures_are_the_card_s(bench, given):
    one, many = bench()
    assert (one["batch"], many["batch"], many["precision"]) == (1, BATCH, "off")
    about = many["environment"]
    if card.ON_CPU:
        assert (about["device"], about["cores"]) == ("cpu", usable_cores())
    else:
        device = torch.device(card.DEVICE)
        properties = torch.cuda.get_device_properties(device)
        assert (about["device"], about["device_name"]) == ("cuda", properties.name)
        assert (about["cuda"], about["torch"]) == (torch.version.cuda, torch.__version__)
        # The weights are there at the least, and the card has no more than it has.
        assert 100e6 < many["peak_memory"] <= properties.total_memory
    rates = card.bare_forward(NAME, given.checkpoints[NAME], (BATCH,))
    bare = rates[BATCH, "channels_last"]
    ratio = many["images_per_second"] / bare
    held = None if card.ON_CPU else abs(ratio - 1) <= NEAR
    figure = f"{ratio:.2f} ({many['images_per_second']:.0f} images/s of {bare:.0f})"
    card.record(f"bench, batch {BATCH}, over the same by hand", NAME, figure, "0.85 to 1.15", held)
    latency = one["latency_ms"]
    card.record("latency of one image", NAME, f"p50 {latency['p50']:.2f} ms")
    assert latency["p50"] <= latency["p90"] <= latency["p99"]
    assert held is not False


def test_half_precision_is_said_to_be_that(bench):
    """And is faster than float32, where the card has units for it."""
    (full,), (half,) = (bench("--amp", amp, batches=(BATCH,)) for amp in ("off", "bf16"))
    assert (full["precision"], half["precision"]) == ("off", "bf16")
    ratio = half["images_per_second"] / full["images_per_second"]
    units = not card.ON_CPU and torch.cuda.get_device_capability(torch.device(card.DEVICE)) >= (
        8,
        0,
    )
    card.record("bf16 over float32", NAME, f"{ratio:.2f}", "above 1", ratio > 1 if units else None)
    assert ratio > 1 or not units
