"""Building without values, whatever a constructor does."""

from __future__ import annotations

import gc
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from harness.measure.meta import build_on_meta, without_initialisation
from harness.measure.profile import Profiler
from harness.types import Measurement, Recipe, Unmeasured


class AsksForAValue(nn.Module):
    def __init__(self):
        super().__init__()
        rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        self.layers = nn.Sequential(*(nn.Linear(4, 4) for _ in rates))
        self.register_buffer("table", torch.from_numpy(np.arange(4.0)) * torch.ones(4).numpy()[0])

    def forward(self, x):
        return self.layers(x)


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        raise RuntimeError("no such thing")


def build(kind):
    return build_on_meta(SimpleNamespace(build=lambda name: kind()), "any")


@pytest.mark.parametrize("kind", [lambda: nn.Linear(4, 4), AsksForAValue])
def test_all_of_a_model_lands_on_meta(kind):
    model = build(kind)
    assert {t.device.type for t in (*model.parameters(), *model.buffers())} == {"meta"}
    assert not model.training


def test_a_broken_constructor_says_what_it_said():
    with pytest.raises(RuntimeError, match="no such thing"):
        build(Broken)


def test_initialisation_is_back_after_an_error():
    from torch.nn import init

    before = dict(vars(init))
    with pytest.raises(RuntimeError):
        build(Broken)
    assert dict(vars(init)) == before
    assert nn.init.ones_(torch.zeros(3)).sum() == 3


def test_no_weight_is_initialised():
    with without_initialisation():
        tensor = torch.full((3,), 7.0)
        for fill in (nn.init.zeros_, nn.init.kaiming_uniform_, nn.init.trunc_normal_):
            assert fill(tensor) is tensor
        assert torch.equal(tensor, torch.full((3,), 7.0))


class OwnInitialiser(nn.Module):
    """Its values come from methods of tensors, and some of them decide what it is."""

    def __init__(self, sure):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, 4))
        with torch.no_grad():
            self.weight.uniform_(0, 1).mul_(2).add_(1).clamp_(1, 3)
        scale = torch.full((1,), 3.0).mul_(2)
        width = 6 if sure else int(scale.add_(1).clamp_(max=6))
        self.head = nn.Linear(4, width)


def test_methods_leave_tensors_without_values_as_they_are():
    before = dict(vars(torch.Tensor))
    for sure in (True, False):  # What reads a value is built on the CPU, where values are right.
        model = build(lambda sure=sure: OwnInitialiser(sure))
        assert model.head.weight.shape == (6, 4)
        assert model.weight.is_meta
    assert dict(vars(torch.Tensor)) == before
    with without_initialisation():
        assert torch.zeros(3).add_(2).sum() == 6
        leaf = nn.Parameter(torch.empty(3, device="meta"))
        with pytest.raises(RuntimeError, match="leaf"):
            leaf.zero_()


def test_a_model_too_large_for_memory_is_measured():
    """2e12 parameters, 8 terabytes: only its shapes exist."""
    started = time.monotonic()
    model = build(lambda: nn.Sequential(*(nn.Linear(10**6, 10**6, bias=False) for _ in range(2))))
    assert sum(p.numel() for p in model.parameters()) == 2 * 10**12
    assert time.monotonic() - started < 60


class Kind:
    def __init__(self, build):
        self.build = build

    def __call__(self):
        return self


@pytest.fixture
def builder(monkeypatch):
    """Makes a function the builder that is called ``test``."""
    from harness.measure import builders

    def install(function):
        monkeypatch.setitem(builders._BUILT_IN, "test", Kind(function))
        return Recipe("any", "test")

    return install


def test_what_a_builder_raises_is_a_fact(builder):
    def refuse(name):
        raise KeyError("first line\nsecond \x1b[31m line")

    facts = Profiler().measure(builder(refuse), ("flops", "structure"), ((8, 8), (9, 9)))
    assert [(f.kind, f.image_size) for f in facts] == [
        ("flops", (8, 8)),
        ("flops", (9, 9)),
        ("structure", None),
    ]
    assert all(isinstance(f, Unmeasured) and f.cause == "build.failed" for f in facts)
    assert all("KeyError" in f.why and "\n" not in f.why for f in facts)
    assert gc.isenabled()  # It is paused meanwhile.


def test_a_size_that_does_not_fit_costs_that_size_alone(builder):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    facts = Profiler().measure(
        builder(lambda name: model), ("structure", "flops"), ((8, 8), (9, 9), (2, 2))
    )
    structure, right, wrong, small = facts
    assert isinstance(structure, Measurement)
    assert structure.value["parameters"] == 4 * 28 + 145 * 2
    assert isinstance(right, Measurement)
    assert isinstance(wrong, Unmeasured)
    assert "9x9" in wrong.why
    assert isinstance(small, Unmeasured)


def test_input_channels_are_those_of_the_first_convolution(builder):
    model = nn.Sequential(nn.Conv2d(5, 4, 3))
    (fact,) = Profiler().measure(builder(lambda name: model), ("flops",), ((8, 8),))
    assert isinstance(fact, Measurement)
    assert fact.value["counts"][0]["value"] == 4 * 36 * 45


def test_a_stem_may_turn_pixels_into_channels(builder):
    """As TResNet's does: its first convolution takes no picture."""
    model = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, 4, 3))
    right, wrong = Profiler().measure(builder(lambda name: model), ("flops",), ((16, 16), (17, 17)))
    assert isinstance(right, Measurement)
    assert right.value["counts"][0]["value"] == 4 * 4 * 48 * 9
    assert isinstance(wrong, Unmeasured)
    assert "17" in wrong.why


def test_the_profile_lists_every_call(builder):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    (fact,) = Profiler().measure(builder(lambda name: model), ("profile",), ((8, 8),))
    assert isinstance(fact, Measurement)
    rows = {m["path"]: m for m in fact.value["modules"]}
    assert list(rows) == ["", "0", "1", "2", "3"]
    assert rows["0"] == {
        "path": "0",
        "class": "Conv2d",
        "macs": 4 * 36 * 27,
        "output": [1, 4, 6, 6],
        "parameters": 4 * 28,
    }
    assert rows[""]["macs"] == 4 * 36 * 27 + 288


def test_activations_are_what_convolutions_and_linear_layers_put_out(builder):
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)
    )
    (fact,) = Profiler().measure(builder(lambda name: model), ("flops",), ((8, 8),))
    assert isinstance(fact, Measurement)
    assert fact.value["activations"] == 4 * 36 + 2
