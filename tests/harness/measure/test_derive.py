"""Counts are derived from a few passes where shapes alone change with the input, and only there."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from harness.measure.profile import _derived, _flops
from harness.measure.trace import Tracer

SIZES = [(n, n) for n in (32, 40, 48, 63, 64, 80, 99)] + [(n, int(n * 1.27)) for n in (32, 63, 99)]


class Built:
    def __init__(self, model):
        with torch.device("meta"):
            self.tracer = Tracer(model().eval())
        self.passes = {}

    def trace(self, size):
        if size not in self.passes:
            inputs = [torch.empty(1, 3, *size, device="meta")]
            self.passes[size] = self.tracer.trace(inputs)
        return self.passes[size]

    def trace_deployed(self, size):
        return None


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, stride=4)
        self.norm, self.qkv = nn.LayerNorm(16), nn.Linear(16, 48)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(x)).reshape(1, -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
        x = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.head(x.mean(1))


class Branches(nn.Module):
    """Grouped, dilated and pooled branches of one map, put side by side and resized."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2)
        self.one = nn.Sequential(nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
        self.two = nn.Conv2d(8, 4, (5, 3), stride=2, padding=(2, 1), groups=4)
        self.three = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.SiLU())
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(12, 5)

    def forward(self, x):
        x = self.stem(functional.pad(x, (1, 1, 1, 1)))
        y = torch.cat([self.one(x), self.two(x)], 1)
        y = y * self.three(x).mean(1, keepdim=True).mean((2, 3), keepdim=True)
        y = y + functional.interpolate(self.pool(y), size=y.shape[2:])
        return self.head(self.pool(y).flatten(1))


def plain():
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3),
        *(nn.Sequential(nn.Conv2d(8, 8, 3, 2, 2, 2), nn.ReLU()) for _ in range(2)),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 5),
    )


def test_derived_counts_are_those_of_the_passes_themselves():
    for model in (plain, Branches, Attention):
        built = Built(model)
        found = _derived(built, SIZES)
        assert len(found) >= 5, model.__name__
        for size, value in found.items():
            assert size not in built.passes
            assert value == _flops(built.trace(size), None), (model.__name__, size)


class PaddedToSevens(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 4, 7, stride=7)

    def forward(self, x):
        down, right = -x.shape[2] % 7, -x.shape[3] % 7
        return self.body(functional.pad(x, (0, right, 0, down)))


class SmallOnesResized(PaddedToSevens):
    def forward(self, x):
        return self.body(functional.interpolate(x, size=(56, 56)) if x.shape[2] < 40 else x)


class RefusesOdd(PaddedToSevens):
    def forward(self, x):
        assert x.shape[2] % 4 == 0
        return self.body(x)


def test_nothing_is_derived_where_an_input_steers_the_model():
    for model in (PaddedToSevens, SmallOnesResized, RefusesOdd):
        assert _derived(Built(model), SIZES) == {}, model.__name__


def test_a_few_inputs_are_passed_through_the_model_itself():
    built = Built(plain)
    assert _derived(built, SIZES[:4]) == {}
    assert not built.passes
