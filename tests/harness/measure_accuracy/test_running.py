"""Batch sizes, memory that runs out, compiled models, threads: none of it changes a count."""

from __future__ import annotations

import pytest
import torch
from cli import run_python
from torch import nn

import zoo
from harness.measure.accuracy.classifier import BatchTuner, load_model
from harness.measure.accuracy.validator import Validator, preprocessing_of
from harness.measure.builders.native import NativeBuilder
from harness.measure.devices import keep_freed_memory
from harness.types import Recipe
from zoo._util.memory import is_out_of_memory


def exhausted(kind):
    if kind == "MemoryError":
        return MemoryError()
    if kind == "torch":
        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"
    )


class Cramped(NativeBuilder):
    """Builds models that find no memory for more than ``limit`` images at once."""

    def __init__(self, limit, kind):
        self.limit, self.kind = limit, kind
        self.batches: list[int] = []

    def build(self, name):
        model = zoo.create_model(name)
        model.register_forward_pre_hook(self._check)
        return model

    def _check(self, module, inputs):
        self.batches.append(len(inputs[0]))
        if len(inputs[0]) > self.limit:
            raise exhausted(self.kind)


@pytest.mark.parametrize("kind", ["torch", "RuntimeError", "MemoryError"])
def test_a_batch_that_does_not_fit_is_halved(kind, recipe, checkpoint, tmp_path):
    transform = preprocessing_of(recipe)
    with Validator("cpu", cache_root=tmp_path, threads=1) as validator:
        plain = validator.count(recipe, checkpoint, "sample", transform, range(20))
    builder = Cramped(3, kind)
    with Validator("cpu", cache_root=tmp_path, threads=1, batch_size=16) as validator:
        found = validator.count(recipe, checkpoint, "sample", transform, range(20), builder=builder)
        tried = len([size for size in builder.batches if size > 3])
        again = validator.count(recipe, checkpoint, "sample", transform, range(20), builder=builder)
    for each in (found, again):
        assert [each[k] for k in ("images", "top1", "top5")] == [
            plain[k] for k in ("images", "top1", "top5")
        ]
    assert found["batch"] <= 3
    assert tried >= 1
    assert len([size for size in builder.batches if size > 3]) == tried, "it forgot the limit"


def test_no_memory_for_one_image_is_one_clear_error(recipe, checkpoint, tmp_path):
    with (
        Validator("cpu", cache_root=tmp_path, threads=2) as validator,
        pytest.raises(MemoryError, match="single image"),
    ):
        validator.count(
            recipe,
            checkpoint,
            "sample",
            preprocessing_of(recipe),
            range(20),
            builder=Cramped(0, "torch"),
        )


def test_what_a_model_raises_comes_out_of_its_lane(recipe, checkpoint, tmp_path):
    class Broken(NativeBuilder):
        def build(self, name):
            model = zoo.create_model(name)

            def fail(module, inputs):
                raise RuntimeError("shapes cannot be multiplied")

            model.register_forward_pre_hook(fail)
            return model

    with (
        Validator("cpu", cache_root=tmp_path, threads=2, decode_workers=1) as validator,
        pytest.raises(RuntimeError, match="cannot be multiplied"),
    ):
        validator.count(
            recipe, checkpoint, "sample", preprocessing_of(recipe), range(20), builder=Broken()
        )


def test_other_errors_are_no_lack_of_memory():
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


def settle(tuner, speed, limit=None):
    """Serves a tuner as a device would that does ``speed[size]`` images a second."""
    seen = []
    for _ in range(100):
        if not tuner.trying:
            break
        size = tuner.size
        seen.append(size)
        if limit is not None and size > limit:
            tuner.too_large(size)
        else:
            # The first batch of a size is slow, for reasons that don't last.
            first = seen.count(size) == 1
            tuner.report(size, size / speed[size] * (10 if first else 1))
    assert not tuner.trying
    return tuner.size


def test_a_batch_grows_until_that_no_longer_pays():
    sizes = (2, 4, 8, 16)
    assert settle(BatchTuner(sizes), {2: 50, 4: 80, 8: 100, 16: 101}) == 8
    assert settle(BatchTuner(sizes), {2: 100, 4: 80, 8: 300, 16: 300}) == 2
    assert settle(BatchTuner(sizes), {2: 10, 4: 20, 8: 40, 16: 80}) == 16
    assert settle(BatchTuner(sizes), {2: 10, 4: 20, 8: 40, 16: 80}, limit=10) == 8
    assert not BatchTuner((5,)).trying


def test_small_portions_do_not_disturb_the_choice():
    tuner = BatchTuner((8, 16))
    tuner.report(3, 1e-9)
    assert settle(tuner, {8: 10, 16: 100}) == 16


class Tiny(nn.Module):
    """A classifier that compiles quickly, with a table that no checkpoint holds."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 7, stride=4)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 1000)
        self.register_buffer("scale", torch.arange(1.0, 9.0), persistent=False)
        self.shift = torch.tensor(0.25)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu() * self.scale[:, None, None] + self.shift
        return self.fc(x.mean((2, 3)))


class TinyBuilder(NativeBuilder):
    """A third party's builder."""

    def build(self, name):
        return Tiny()


@pytest.fixture
def tiny(tmp_path):
    torch.manual_seed(0)
    model = Tiny().eval()
    nn.init.normal_(model.fc.weight)
    path = tmp_path / "tiny.pth"
    torch.save(model.state_dict(), path)
    return model, path


def test_what_no_checkpoint_holds_has_the_constructor_s_values(tiny):
    model, path = tiny
    loaded = load_model(TinyBuilder(), "tiny", path)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(loaded(x), model(x), rtol=0, atol=0)
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_model_with_values_of_its_own_counts_as_its_builder_made_it(tiny, generated, tmp_path):
    """Eager and compiled, with a last batch that is not full."""
    _, path = tiny
    recipe = Recipe("tiny", image_size=(64, 64))
    found = []
    for compiled in (False, True):
        with Validator("cpu", cache_root=tmp_path / "c", compile=compiled, threads=2) as validator:
            result = validator.count(
                recipe,
                path,
                str(generated),
                preprocessing_of(recipe),
                range(90),
                builder=TinyBuilder(),
            )
        found.append([result[k] for k in ("images", "top1", "top5")])
    assert found[0] == found[1]
    assert found[0][0] == 90


def test_freed_memory_is_kept_where_the_c_library_can():
    """Big blocks no longer cost a page fault per page; the effect is the test, not the call."""
    if not keep_freed_memory():
        pytest.skip("this C library has no mallopt")
    program = (
        "import sys, resource, torch\n"
        "from harness.measure.devices import keep_freed_memory\n"
        "if sys.argv[1] == 'yes': keep_freed_memory()\n"
        "def work():\n"
        "    for _ in range(20): torch.ones(12_000_000)\n"
        "work(); before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "work(); print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    faults = [int(run_python(["-c", program, word], check=True).stdout) for word in ("no", "yes")]
    assert faults[1] < faults[0] / 10
