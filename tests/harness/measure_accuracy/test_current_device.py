"""What runs on the second GPU is its own: on a fake CUDA, in all threads of the real loop."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch import nn

from harness.measure import cuda
from harness.measure.accuracy.lanes import CudaLane
from harness.measure.accuracy.validator import Validator, preprocessing_of
from harness.measure.devices import DeviceError
from harness.types import Recipe
from zoo.preprocessing import Preprocessing

SECOND = torch.device("cuda:1")
RECIPE = Recipe("net", image_size=(16, 16))


class Seen(threading.local):
    """The current device of a thread, as CUDA has it."""

    device = torch.device("cuda:0")


@pytest.fixture
def seen(monkeypatch):
    """What was done on which device: a list of (what, device); the process may be ended."""
    current, done = Seen(), []

    @contextmanager
    def selected(device):
        before, current.device = current.device, device
        yield
        current.device = before

    def note(what, device=None):
        done.append((what, device or current.device))

    real = torch.empty

    def empty(*shape, pin_memory=False, **options):
        if pin_memory:
            note("pinned")
        return real(*shape, **options)

    decode = Preprocessing.decode

    def decoded(self, data, *how):
        note("decode")
        return decode(self, data, *how)

    monkeypatch.setattr(Preprocessing, "decode", decoded)
    monkeypatch.setattr(torch.cuda, "device", selected)
    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(cuda._Process, "failure", "")
    return SimpleNamespace(note=note, done=done)


class Cuda:
    """Streams and events that note where they are."""

    def __init__(self, note):
        self.note = note

    def Stream(self, device):
        self.note("stream", device)
        return SimpleNamespace(wait_stream=lambda other: self.note("wait"))

    def Event(self, **how):
        self.note("event")
        return SimpleNamespace(
            record=lambda stream: self.note("record"), synchronize=lambda: self.note("synchronize")
        )

    @contextmanager
    def stream(self, stream):
        self.note("copy")
        yield

    def current_stream(self, device):
        return self.Stream(device)

    def synchronize(self, device):
        self.note("synchronize", device)


@pytest.fixture
def net(seen):
    """Builds a model that notes where it runs, and raises what it is told to."""

    class Net(nn.Module):
        failure = None

        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 1000)

        def forward(self, x):
            seen.note("forward")
            if Net.failure is not None:
                raise Net.failure
            return self.fc(x.mean((2, 3)))

    def build(name):
        seen.note("build")
        return Net()

    return Net, SimpleNamespace(build=build, knows=lambda name: True, identity=lambda name: "1")


@pytest.fixture
def count(seen, net, tmp_path):
    """Counts images on the fake second GPU."""
    images = tmp_path / "images"
    images.mkdir()
    for number in range(40):
        Image.new("RGB", (16, 16), (6 * number, 0, 0)).save(images / f"{number:02}.png")
    lines = "".join(f"{number:02}.png 0\n" for number in range(40))
    (images / "labels.txt").write_text(lines)
    torch.manual_seed(0)
    torch.save(net[0]().state_dict(), tmp_path / "w.pt")
    lane = CudaLane(SECOND, cuda=Cuda(seen.note))
    with Validator("cpu", cache_root=tmp_path / "c", decode_workers=0, lane=lane) as validator:
        yield lambda: validator.count(
            RECIPE,
            tmp_path / "w.pt",
            str(images),
            preprocessing_of(RECIPE),
            range(40),
            builder=net[1],
        )


def test_all_that_names_no_device_means_the_one_that_is_used(seen, count):
    """Also where memory of the ring is used again, which the second count does for certain."""
    assert count()["images"] == 40
    assert count()["images"] == 40
    done = [(what, device) for what, device in seen.done if what != "build"]
    whats = {what for what, _ in done}
    assert {"decode", "pinned", "event", "record", "copy", "forward"} <= whats
    assert [what for what, device in done if device != SECOND] == []


def test_a_process_in_which_cuda_has_ended_measures_nothing_more_on_it(seen, net, count):
    """Without a worker that could be replaced: what follows is refused, and says why."""
    net[0].failure = torch.AcceleratorError("CUDA error: an illegal memory access\nmore")
    with pytest.raises(torch.AcceleratorError):
        count()
    net[0].failure = None
    before = sum(what == "forward" for what, _ in seen.done)
    with pytest.raises(DeviceError, match=r"its error was: CUDA error: an illegal memory access$"):
        count()
    assert sum(what == "forward" for what, _ in seen.done) == before
    with cuda.on_device(torch.device("cpu")):
        pass  # The CPU is as good as before.


def test_an_error_that_model_code_keeps_to_itself_is_found(monkeypatch):
    def fails():
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(cuda._Process, "failure", "")
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "synchronize", fails)
    cuda.probe()
    assert cuda.failure() == ""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    cuda.probe()
    assert cuda.failure() == "CUDA error: unspecified launch failure"
