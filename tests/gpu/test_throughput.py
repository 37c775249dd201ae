"""A validation keeps the card busy: against the forward pass, and against the decoders."""

from __future__ import annotations

import statistics
import time

import card
import pytest

from harness.check.shards import shard_names
from harness.run.facts import _GPU_PARTS
from harness.run.jobs import AccuracyJob, Job, dump_job, load_job
from harness.run.perform import Performer
from harness.types import Measurement
from zoo._util.cores import usable_cores

ROUNDS = 1 if card.ON_CPU else 3
BATCHES = (4,) if card.ON_CPU else (128, 512)
WARM, COLD = 0.9, 0.85


class Worker:
    """What a worker process does with jobs, in this one."""

    def __init__(self, name, checkpoint):
        self.recipe = card.recipe_of(name)
        self.checkpoint = str(checkpoint)
        self.performer = Performer()

    def speed(self, folder, images):
        """Images per second of a validation of so many, in jobs of some shards each."""
        shards, facts = shard_names(0, images), []
        begin = time.perf_counter()
        for first in range(0, len(shards), _GPU_PARTS):
            some = shards[first : first + _GPU_PARTS]
            counting = AccuracyJob(str(folder), some, device=card.DEVICE, limit=images)
            job = Job(self.recipe, ("accuracy",), (), self.checkpoint, counting=counting)
            facts += self.performer.perform(load_job(dump_job(job)))
        seconds = time.perf_counter() - begin
        assert all(isinstance(fact, Measurement) for fact in facts), facts
        assert sum(fact.value["images"] for fact in facts) == images
        return images / seconds

    @property
    def tunes(self):
        """Whether the batch size is still being looked for."""
        model = self.performer._validator[1]._model[1]
        return model.tuner(self.recipe.image_size).trying

    def close(self):
        """Ends the processes that decode."""
        if self.performer._validator is not None:
            self.performer._validator[1].close()


@pytest.mark.parametrize("name", card.VARIANTS)
def test_a_validation_is_as_fast_as_what_limits_it(name, given):
    """As a worker does it, once its processes and the model are there.

    Cold is held against the slower of decoding and forward pass, warm against the forward pass. It
    is about as many images as take 4 seconds warm, and 8 to decode.
    """
    checkpoint, cores = given.checkpoints[name], usable_cores()
    rates = card.bare_forward(name, checkpoint, BATCHES)
    best = max(rates, key=rates.get)
    paths = [*given.drawn] * (1 if card.ON_CPU else cores)
    decoding = card.bare_decoding(paths[: 64 * cores], name, cores)
    images = min(card.IMAGES, max(500, round(min(4 * rates[best], 8 * decoding))))
    worker = Worker(name, checkpoint)
    warm, bare = [], []
    try:
        # Loads the model, starts the decoders, and finds the batch: once per run, not per image.
        first = given.folder(f"first-{name}", images // 2)
        for _ in range(6):
            worker.speed(first, images // 2)
            if not worker.tunes:
                break
        card.record("finding the batch size", name, "not ended" if worker.tunes else "ended")
        cold = worker.speed(folder := given.folder(f"cold-{name}", images), images)
        for _ in range(ROUNDS):
            warm.append(worker.speed(folder, images))
            bare.append(card.bare_forward(name, checkpoint, best[:1])[best])
    finally:
        worker.close()
    forward, warm_speed = statistics.median(bare), statistics.median(warm)
    figure = f"{forward:.0f} images/s, batch {best[0]}, {best[1]}"
    card.record("bare forward, float32", name, figure)
    card.record(f"bare decoding, {cores} processes", "", f"{decoding:.0f} images/s")
    slower = min(decoding, forward)
    missed = [
        f"{check}: {ours / limit:.2f}"
        for check, ours, limit, goal in (
            ("warm validation over the forward pass", warm_speed, forward, WARM),
            ("cold validation over the slower of both", cold, slower, COLD),
        )
        if not card.held(check, name, ours, limit, goal)
    ]
    assert not missed
