"""Jobs that count, done as a worker does them: what the wire says is what happens."""

from __future__ import annotations

import sys
import time
from hashlib import sha256

import pytest
import torch
from distributions import install
from PIL import Image

from harness.measure.accuracy import validator as accuracy
from harness.run.engine_ray import cores_per_task
from harness.run.jobs import AccuracyJob, Job, dump_job, load_facts, load_job
from harness.run.perform import Performer, explain
from harness.types import Measurement, Recipe, Unmeasured
from zoo.preprocessing import IMAGENET_MEAN, IMAGENET_STD

BUILDER = """
import os
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, mode):
        super().__init__()
        self.mode = mode
        self.fc = nn.Linear(3, 10 if mode == "ten" else 1000)

    def forward(self, x):
        logits = self.fc(x.mean((2, 3)))
        if self.mode == "raises":
            raise ValueError("first line\\nsecond line")
        if self.mode == "cramped":
            raise MemoryError("allocator")
        if self.mode == "maps":
            return logits[..., None]
        return logits


class Builder:
    def knows(self, name):
        return True

    def names(self):
        return ["plain"]

    def identity(self, name):
        return "1"

    def build(self, name):
        return Net(name)
"""


@pytest.fixture(scope="module")
def builders(tmp_path_factory):
    """The builder ``small``, found by its entry point."""
    site = tmp_path_factory.mktemp("site")
    install(site, "small = small_builders:Builder", BUILDER)
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    torch.save({"fc.weight": torch.randn(1000, 3), "fc.bias": torch.randn(1000)}, tmp_path / "w.pt")
    return tmp_path / "w.pt"


@pytest.fixture
def ask(builders, weights, generated, store_home):
    """The fact of one part: ``ask("plain", "0-20", amp="bf16")``."""
    performer = Performer()

    def count(name, part="0-20", file=weights, images=str(generated), **how):
        recipe = Recipe(name, "small", image_size=(32, 32))
        counting = AccuracyJob(images, (part,), device="cpu", threads=1, **how)
        job = Job(recipe, ("accuracy",), (), str(file), counting=counting)
        (fact,) = performer.perform(load_job(dump_job(job)))
        assert fact.slot == ("accuracy", part)
        return fact

    return count


def test_a_part_is_what_its_name_says(ask, generated):
    """Two parts have the counts of the one that holds both, and no part's are another's."""
    found = [ask("plain", part) for part in ("0-90", "0-50", "50-90")]
    values = [fact.value for fact in found]
    assert [value["images"] for value in values] == [90, 50, 40]
    for key in ("top1", "top5"):
        assert values[0][key] == values[1][key] + values[2][key]


def test_several_parts_are_counted_as_by_themselves_and_reported_one_by_one(
    ask, weights, generated
):
    parts = ("0-20", "20-40", "channels=BGR@0-20")
    heard = []
    recipe = Recipe("plain", "small", image_size=(32, 32))
    counting = AccuracyJob(str(generated), parts, device="cpu", threads=1, limit=60)
    job = Job(recipe, ("accuracy",), (), str(weights), counting=counting)
    facts = Performer(heard.append).perform(load_job(dump_job(job)))
    early = [load_facts(interim.facts) for interim in heard if interim.facts]
    assert early == [[fact] for fact in facts]
    for part, fact in zip(parts, facts, strict=True):
        alone = ask("plain", part)
        assert fact.part == part
        assert {**fact.value, "seconds": 0} == {**alone.value, "seconds": 0}


def test_images_are_gone_through_in_the_fixed_order(ask, weights, tmp_path):
    """Right are those that come first in it, by the rule that is published."""
    first = sorted(range(60), key=lambda n: sha256(f"0:{n}".encode()).digest())[:25]
    state = torch.load(weights, weights_only=True)
    folder = tmp_path / "colours"
    folder.mkdir()
    lines = []
    for number in range(60):
        colour = (4 * number, 250 - 3 * number, (37 * number) % 256)
        Image.new("RGB", (40, 40), colour).save(folder / f"{number:02}.png")
        values = (torch.tensor(colour) / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(
            IMAGENET_STD
        )
        best = int((state["fc.weight"] @ values + state["fc.bias"]).argmax())
        lines.append(f"{number:02}.png {best if number in first else (best + 500) % 1000}\n")
    (folder / "labels.txt").write_text("".join(lines))
    found = [ask("plain", part, images=str(folder)).value for part in ("0-25", "25-60")]
    assert [(value["images"], value["top1"]) for value in found] == [(25, 25), (35, 0)]


@pytest.mark.parametrize(
    ("name", "cause", "words"),
    [
        ("raises", "build.failed", "ValueError: first line second line"),
        ("cramped", "accuracy.undecided", "has not the memory for it"),
        ("maps", "accuracy.undecided", "a classifier gives one row of logits for each"),
        ("ten", "weights.tensors-differ", "1000 classes, the model's 10"),
    ],
)
def test_what_fails_says_whose_fault_it_is(ask, name, cause, words):
    fact = ask(name)
    assert isinstance(fact, Unmeasured)
    assert fact.cause == cause
    assert words in fact.why
    assert "\n" not in fact.why


def test_files_that_can_not_be_used_say_so(ask, tmp_path):
    (tmp_path / "page.pt").write_text("<html>404</html>")
    assert ask("plain", file=tmp_path / "page.pt").cause == "weights.unreadable"
    assert ask("plain", images="/nowhere").cause == "accuracy.no-data"
    gone = ask("plain", file=tmp_path / "gone.pt")
    assert gone.cause in ("accuracy.undecided", "weights.unreadable")
    assert "No such file" in gone.why


def test_a_process_that_was_ended_is_no_fault_of_the_model():
    from concurrent.futures.process import BrokenProcessPool

    cause, why = explain(BrokenProcessPool("abruptly"))
    assert cause == "accuracy.undecided"
    assert "decodes" in why


def test_no_part_is_begun_when_the_time_is_over(ask):
    for part in ("20-40", "channels=BGR@0-20"):
        late = ask("plain", part, until=time.time() - 1)
        assert isinstance(late, Unmeasured)
        assert "the time was over" in late.why
        assert isinstance(ask("plain", part, until=time.time() + 60), Measurement)
    # What is always looked at.
    assert isinstance(ask("plain", "0-20", until=time.time() - 1), Measurement)


@pytest.fixture
def built(monkeypatch):
    """What validators are made with."""
    made = []

    class Noted(accuracy.Validator):
        def __init__(self, device, **options):
            made.append((device, options))
            super().__init__(device, **options)

        def compare_decoders(self, *given):
            made[-1][1]["compared in"] = given[-1]
            return {}

        def count_shards(self, *given, **how):
            made[-1][1]["amp"] = how["amp"]
            raise RuntimeError("noted")

    monkeypatch.setattr(accuracy, "Validator", Noted)
    return made


def test_how_a_model_is_run_is_as_asked(ask, built):
    ask("plain", amp="bf16", compile=True, decode="fast", workers=1)
    ((device, options),) = built
    assert device == "cpu"
    assert options["threads"] == 1
    assert options["amp"] == options["compared in"] == "bf16"
    assert options["compile"] is True
    assert options["decoder"] == "fast"
    assert options["decode_workers"] == 1


def test_only_a_fast_decoder_is_compared_and_with_pillow(ask):
    assert "decoder" not in ask("plain", "0-60").value
    found = ask("plain", "0-60", decode="fast").value["decoder"]
    assert found["images"] == 60
    assert found["differ"] <= 6  # Its pixels are close.


def test_a_difference_of_decoders_is_seen(ask, monkeypatch):
    from zoo.preprocessing import Preprocessing

    real = Preprocessing._decode_jpeg

    def upside_down(self, data, device):
        return 255 - real(self, data, device)

    monkeypatch.setattr(Preprocessing, "_decode_jpeg", upside_down)
    found = ask("plain", "0-60", decode="fast").value["decoder"]
    assert found["images"] == 60
    assert found["differ"] > 30


def test_a_gpu_decoder_is_compared_as_the_fast_one_is(ask, monkeypatch):
    from torchvision import io

    real, devices = io.decode_jpeg, []

    def decode(data, *, mode, device):
        devices.append(device)
        return real(data, mode=mode)

    monkeypatch.setattr(io, "decode_jpeg", decode)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    refused = ask("plain", "0-60", decode="gpu")
    assert refused.cause == "accuracy.undecided"
    assert refused.why == "decode 'gpu': models are run on the CPU here; choose pillow or fast"
    monkeypatch.setattr(accuracy, "refuse_decoding", lambda device: None)
    found = ask("plain", "0-60", decode="gpu", workers=2).value
    assert (found["decoder"]["name"], found["decoder"]["images"]) == ("gpu", 60)
    # In this process, whatever was said: others would take the GPU's memory.
    assert set(devices) == {torch.device("cuda:1")}


def node(cores, gpus=0, alive=True):
    has = {"CPU": float(cores)} | ({"GPU": float(gpus)} if gpus else {})
    return {"Alive": alive, "Resources": has}


@pytest.mark.parametrize(
    ("nodes", "gpus", "cores"),
    [
        ([node(1), node(1)], 0, 1),
        ([node(0), node(4), node(6)], 0, 4),
        ([node(64)], 0, 8),
        ([node(2), node(64, alive=False)], 0, 2),
        ([node(16, 1), node(64)], 1, 16),
        ([node(16, 4), node(96, 8)], 1, 4),
        ([node(2, 8)], 1, 1),
        ([], 0, 1),
    ],
)
def test_a_task_asks_for_what_it_uses_and_every_node_has(nodes, gpus, cores):
    assert cores_per_task(nodes, gpus) == cores
