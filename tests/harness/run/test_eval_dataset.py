"""The images of a run: how many may be looked at, and what a count of them depends on."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from harness.check.decide import FIRST_LOOK
from harness.config import RunConfig
from harness.run import facts
from harness.run.eval_dataset import EvalDataset
from harness.run.eval_datasets import VariantImages
from harness.types import Measurement, Recipe, unmeasured
from zoo.preprocessing import package_variant

RECIPE = Recipe("net", image_size=(32, 32), crop_pct=0.875, interpolation="bicubic")
COUNT = 120


@pytest.fixture
def folder(tmp_path) -> Path:
    place = tmp_path / "set"
    place.mkdir()
    for number in range(COUNT):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(place / f"{number:03}.png")
    lines = [f"{number:03}.png {number % 7}\n" for number in range(COUNT)]
    (place / "labels.txt").write_text("".join(lines))
    return place


def counted(part, **value):
    value = {"not_kept": None, **value}
    return Measurement("accuracy", "net", "zoo", value, None, "", {}, "cpu", "", part)


def test_what_a_count_depends_on_is_in_its_key(folder, monkeypatch):
    kinds = {"auto": "a GPU", "cpu": "a processor"}
    monkeypatch.setattr("harness.measure.machine.arithmetic", lambda word: {"is": kinds[word]})
    request = RunConfig(data=(str(folder),))
    requests = [
        request,
        replace(request, amp="bf16"),
        replace(request, compile=True),
        replace(request, decode="fast"),
        replace(request, device="cpu"),
    ]
    keys = [tuple(EvalDataset(each).identity(RECIPE)) for each in requests]
    for change in (
        {"image_size": (33, 32)},
        {"crop_pct": 0.9},
        {"interpolation": "bilinear"},
        {"mean": (0.5, 0.5, 0.5)},
        {"std": (0.5, 0.5, 0.5)},
    ):
        keys.append(tuple(EvalDataset(request).identity(replace(RECIPE, **change))))
    (folder / "labels.txt").write_text((folder / "labels.txt").read_text().replace(" 6", " 5"))
    keys.append(tuple(EvalDataset(request).identity(RECIPE)))
    assert len(set(keys)) == len(keys)


def test_what_a_count_does_not_depend_on_is_not(folder):
    request = RunConfig(data=(str(folder),))
    keys = {
        tuple(EvalDataset(each).identity(RECIPE))
        for each in (
            request,
            replace(request, samples=50),
            replace(request, budget=9.0),
            replace(request, decode_workers=3),
            replace(request, part=7),
        )
    }
    assert len(keys) == 1


@pytest.mark.parametrize(("asked", "limit"), [(None, COUNT), (1, 1), (50, 50), (9999, COUNT)])
def test_no_more_images_than_asked_for(folder, asked, limit):
    images = EvalDataset(RunConfig(data=(str(folder),), samples=asked, part=40)).images
    assert (images.limit, images.count, images.classes) == (limit, COUNT, 7)
    assert images.shard_size == 40


def test_when_the_time_is_over_what_was_counted_is_all(folder):
    eval_dataset = EvalDataset(RunConfig(data=(str(folder),), budget=0.05))
    time.sleep(0.06)
    late = unmeasured(RECIPE, ("accuracy", "100-120"), "accuracy.undecided", "late")
    facts = [counted("0-50"), counted("50-100"), late, counted("crop=no@0-50")]
    images = eval_dataset.available({fact.slot: fact for fact in facts})
    assert (images.limit, images.over) == (100, True)
    # The first look is made in any case.
    assert eval_dataset.available({}).limit == FIRST_LOOK
    assert not EvalDataset(RunConfig(data=(str(folder),), budget=60.0)).available({}).over


def test_what_is_not_kept_is_said_once(folder):
    eval_dataset = EvalDataset(RunConfig(data=(str(folder),)))
    full = [counted("0-50", not_kept="the disk is full"), counted("50-100")]
    (line,) = eval_dataset.remarks(full)
    assert "the disk is full" in line
    assert eval_dataset.remarks(full) == []


@pytest.mark.parametrize(("gpus", "sizes"), [(0, [1] * 8), (1, [8, 8]), (2, [8, 8, 8, 3, 2])])
def test_a_gpu_is_given_many_shards_at_once(folder, monkeypatch, gpus, sizes):
    """Of the same images, prepared alike; and the next ones when so many are counted again."""
    monkeypatch.setattr(facts, "shares_here", lambda device: [None] * gpus)
    request = RunConfig(data=(str(folder),), part=4)
    variant = package_variant("resnest50d")
    images = VariantImages([EvalDataset(request)])
    run = facts.VariantFacts(variant, request, None, images=images)
    run.facts["file", None] = counted(None, path="w.pt", stat=[1, 2, 3])
    plain = [f"{begin}-{begin + 4}" for begin in range(0, 108, 4)]
    wanted = {("accuracy", part) for part in [*plain, "crop=no@0-4", "crop=no@4-8"]}
    jobs = run._jobs(wanted)
    assert [len(job.parts) for job in jobs] == sizes
    asked = [part for job in jobs for part in job.parts]
    assert asked == [*plain, "crop=no@0-4", "crop=no@4-8"][: len(asked)]
    assert {job.counting.limit for job in jobs} == {COUNT}
    # As facts come in, not a job for each of them.
    more: list[int] = []
    for part in asked:  # It grows.
        run.facts["accuracy", part] = counted(part)
        for job in run._jobs(wanted - run.facts.keys()):
            more.append(len(job.parts))
            asked += job.parts
    assert sum(sizes) + sum(more) == len(wanted)
    assert set(sizes + more) == {1} if not gpus else more.count(1) == 0
