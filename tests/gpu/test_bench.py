"""What `zoo bench` says of a card is what the card does, with what it depends on."""

from __future__ import annotations

import card
import torch

from harness.measure.accuracy.validator import preprocessing_of
from harness.measure.speed import bench
from zoo._util.cores import usable_cores

NAME = card.VARIANTS[1]
BATCH = 4 if card.ON_CPU else 128
NEAR = 0.15


def test_the_figures_are_the_card_s(command, given):
    """Those of the command, against the same passes by hand."""
    command.index("zoo", (NAME,), card.SIDE)
    how = ("--device", card.DEVICE, "--seconds", card.SECONDS, "--batch", f"1,{BATCH}")
    one, many = command("bench", *how)
    assert (one["batch"], many["batch"], many["precision"]) == (1, BATCH, "off")
    about = many["environment"]
    assert about["tf32"] is False
    if card.ON_CPU:
        assert (about["device"], about["cores"]) == ("cpu", usable_cores())
    else:
        device = torch.device(card.DEVICE)
        properties = torch.cuda.get_device_properties(device)
        capability = f"{properties.major}.{properties.minor}"
        assert (about["device"], about["device_name"]) == ("cuda", properties.name)
        assert (about["cuda"], about["torch"]) == (torch.version.cuda, torch.__version__)
        assert (about["capability"], about["cudnn"]) == (capability, torch.backends.cudnn.version())
        # The weights are there at the least, and the card has no more than it has.
        total = properties.total_memory
        assert 100e6 < many["peak_memory"] <= many["peak_reserved"] <= total
    bare = card.bare_forward(NAME, given.checkpoints[NAME], (BATCH,))[BATCH, "channels_last"]
    ratio = many["images_per_second"] / bare
    held = None if card.ON_CPU else abs(ratio - 1) <= NEAR
    figure = f"{ratio:.2f} ({many['images_per_second']:.0f} images/s of {bare:.0f})"
    card.record(f"bench, batch {BATCH}, over the same by hand", NAME, figure, "0.85 to 1.15", held)
    latency = one["latency_ms"]
    assert latency["p50"] <= latency["p90"] <= latency["p99"]
    assert held is not False


def test_each_way_to_run_is_recorded_and_answers_alike(given):
    """Half precision is faster than float32 where the card has units for it, and says what it is;
    what float32 answers does not hang on how it is run.
    """
    recipe, checkpoint = card.recipe_of(NAME), given.checkpoints[NAME]
    images = card.pixels_of(given.drawn[:8], preprocessing_of(recipe))

    def timed(batch=BATCH, **how):
        (found,) = bench(
            recipe,
            device=card.DEVICE,
            batch_sizes=(batch,),
            seconds=card.SECONDS,
            checkpoint=checkpoint,
            images=images,
            **how,
        )
        return found

    plain = timed()
    speed = plain["images_per_second"]
    card.record("bench, float32", NAME, shown(plain))
    for way, how in (
        ("contiguous", {"layout": "contiguous"}),
        ("TF32", {"tf32": True}),
        ("a bf16 model", {"precision": "bf16"}),
        ("bf16 by autocast", {"amp": "bf16"}),
    ):
        found = timed(**how)
        units = "precision" in how and not card.ON_CPU and major() >= 8
        held = found["images_per_second"] > speed if units else None
        goal = "above float32" if held is not None else ""
        card.record(f"bench, {way}", NAME, shown(found), goal, held)
        assert found["environment"]["tf32"] is ("tf32" in how and not card.ON_CPU)
        assert found["agreement"]["images"] == len(images)
        assert held is not False, (found["images_per_second"], speed)
        if way == "contiguous":
            assert found["agreement"]["same"] == len(images)
    assert plain["agreement"]["same"] == len(images)
    one = timed(1)
    graph, usual = one["graph_latency_ms"], one["latency_ms"]
    words = "none" if graph is None else f"{graph['p50']:.2f} ms"
    held = None if card.ON_CPU else graph is not None
    check, figure = "latency of one image: as it is, as a graph", f"{usual['p50']:.2f} ms, {words}"
    card.record(check, NAME, figure, "a graph", held)
    assert held is not False


def major():
    """Of the card's capability."""
    return torch.cuda.get_device_capability(torch.device(card.DEVICE))[0]


def shown(timing):
    """A timing in a few words."""
    joules, same = timing["joules_per_image"], timing["agreement"]
    energy = "" if joules is None else f", {joules:.3f} J an image"
    answers = f"{same['same']} of {same['images']} answers as the plain model's"
    return f"{timing['images_per_second']:.0f} images/s{energy}, {answers}"
