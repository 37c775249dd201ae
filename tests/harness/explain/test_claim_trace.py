"""The profile of small models as a tree: who stands below whom, and what each one costs."""

from __future__ import annotations

import pytest
from torch import nn

from harness.explain.claim_trace import module_tree
from harness.measure.profile import Profiler
from harness.types import Measurement, Recipe


class Stages(nn.Module):
    """Goes through its lists itself, in turns, as many models do."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.act = nn.ReLU()
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(2))
        self.stages = nn.ModuleList(
            nn.ModuleList([nn.Sequential(nn.Conv2d(4, 4, 1)), nn.ReLU()]) for _ in range(2)
        )
        self.unused = nn.ModuleList([nn.Linear(5, 5)])

    def forward(self, x):
        x = self.act(self.stem(x))
        for norm, (block, act) in zip(self.norms, self.stages, strict=True):
            x = self.act(act(block(norm(x))))
        return x


@pytest.fixture
def rows(monkeypatch):
    """The rows of the tree of a model, at images of 8 x 8 pixels."""

    def rows_of(model, depth=None):
        class Builds:
            def build(self, name):
                return model

        monkeypatch.setattr("harness.measure.profile.builder_of", lambda name: Builds())
        (fact,) = Profiler().measure(Recipe("any", "any"), ("profile",), ((8, 8),))
        assert isinstance(fact, Measurement), fact
        return module_tree(fact.value, depth)

    return rows_of


def test_uncalled_lists_have_rows(rows):
    macs = 64 * 4 * 4
    found = [
        (name, kind, parameters, cost) for name, kind, _, parameters, cost, _ in rows(Stages())
    ]
    assert found == [
        ("(model)", "Stages", str(16 + 2 * 8 + 2 * 20 + 30), f"{64 * 12 + 2 * macs:,}"),
        ("  stem", "Conv2d", "16", str(64 * 12)),
        ("  act", "ReLU", "0", "0"),
        ("  norms", "ModuleList", "16", "0"),
        ("    0", "BatchNorm2d", "8", "0"),
        ("    1", "BatchNorm2d", "8", "0"),
        ("  stages", "ModuleList", "40", f"{2 * macs:,}"),
        ("    0", "ModuleList", "20", f"{macs:,}"),
        ("      0", "Sequential", "20", f"{macs:,}"),
        ("        0", "Conv2d", "20", f"{macs:,}"),
        ("      1", "ReLU", "0", "0"),
        ("    1", "ModuleList", "20", f"{macs:,}"),
        ("      0", "Sequential", "20", f"{macs:,}"),
        ("        0", "Conv2d", "20", f"{macs:,}"),
        ("      1", "ReLU", "0", "0"),
        ("  act", "ReLU", "0", "0"),
        ("  act", "ReLU", "0", "0"),
    ]


def test_a_depth_cuts_below_the_lists(rows):
    names = [row[0] for row in rows(Stages(), 1)]
    assert names == ["(model)", "  stem", "  act", "  norms", "  stages", "  act", "  act"]
    assert len(rows(Stages(), 0)) == 1


def test_the_levels_below_a_list_share_out_all_that_it_costs(rows):
    shares = {row[0].strip(): row[5] for row in rows(Stages(), 1) if row[4] != "0"}
    assert shares == {"(model)": "100.0%", "stem": "27.3%", "stages": "72.7%"}


class Twice(nn.Module):
    """Calls one block two times, whose list is the block's own."""

    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        return self.block(self.block(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3, 3, 1)])

    def forward(self, x):
        return self.convs[0](x)


def test_a_block_that_is_called_twice_is_shown_twice(rows):
    macs = str(64 * 9)
    found = [(row[0], row[3], row[4]) for row in rows(Twice())]
    once = [("  block", "12", macs), ("    convs", "12", macs), ("      0", "12", macs)]
    assert found == [("(model)", "12", f"{2 * 64 * 9:,}"), *once, *once]
