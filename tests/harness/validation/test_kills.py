"""A run that is killed goes on where it was: no image is counted twice, and none is dropped."""

from __future__ import annotations

import os
import random
import signal
import time

KILLS = 10
CLAIM = {"Top 1 Accuracy": "80.00%"}


def test_kills_at_random_moments_cost_no_image(zoo, mixed, tiled):
    draw = random.Random(7)
    index = zoo.index(CLAIM)
    command = ("validate", "efficientnet_*", "--index", index, "--data", mixed.place)
    kept: dict[str, object] = {}
    grew = 0
    for number in range(KILLS):
        process = zoo.start(*command, "--format", "json")
        if number % 2:
            # Somewhere after the next part, so that they have something to interrupt.
            end = time.monotonic() + 300
            while len(zoo.parts()) <= len(kept) and process.poll() is None:
                assert time.monotonic() < end, "no part was stored"
                time.sleep(0.02)
            time.sleep(draw.uniform(0, 0.2))
        else:
            time.sleep(draw.uniform(0, 2))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it was over before it was killed"
        now = dict(zoo.parts())
        tiled(list(now))
        # The seconds that each took are in its record: nothing kept is counted again.
        assert {part: now.get(part) for part in kept} == kept
        grew += len(now) > len(kept)
        kept = now
    assert grew >= KILLS // 2

    outcome = zoo.validate(index, mixed.place)
    top1, _, images = outcome.counts
    assert images == len(mixed.names)
    assert top1 == mixed.top1
    after = dict(zoo.parts())
    assert tiled(list(after)) == images
    assert {part: after[part] for part in kept} == kept
    unreadable = [name for body in after.values() for name, _ in body["value"]["unreadable"]]
    assert sorted(unreadable) == sorted(mixed.unreadable)

    # A run that nothing interrupts says the same, and leaves the same predictions.
    (file,) = (zoo.cache / "zoo" / "predictions-1").iterdir()
    left = file.read_bytes()
    assert len(left) == 24 * images
    again = zoo.call(
        "verify", *command[1:], "--checks", "accuracy", "--refresh", "--format", "json"
    )
    assert again.counts == outcome.counts
    assert again.finding() == outcome.finding()
    assert file.read_bytes() == left


def test_damaged_predictions_are_made_anew(zoo, made, flat, tmp_path):
    index, place = zoo.index(CLAIM), flat(made, tmp_path / "set", 100)
    first = zoo.validate(index, place)
    (file,) = (zoo.cache / "zoo" / "predictions-1").iterdir()
    left = file.read_bytes()

    def cut(data):
        return data[:-30]

    def flip(data):
        return data[:40] + bytes([data[40] ^ 4]) + data[41:]

    for damage in (cut, flip, lambda data: b""):
        file.write_bytes(damage(left))
        again = zoo.validate(index, place)
        assert "made anew" in again.err
        assert again.document["findings"] == first.document["findings"]
        assert file.read_bytes() == left
    assert "made anew" not in zoo.validate(index, place).err
