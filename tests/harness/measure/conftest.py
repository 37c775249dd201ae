"""The conventions under test, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch


@pytest.fixture(scope="session")
def figure():
    """A record's count under a convention as named, or under one of its variations."""
    from harness.measure.conventions import counts

    def value(record, convention, variation=""):
        return next(
            c.value
            for c in counts(record)
            if (c.convention, c.variation) == (convention, variation)
        )

    return value


@pytest.fixture(scope="session")
def by_operator():
    """The record's ``fvcore`` counts, operators that count nothing left out."""
    from harness.measure.conventions import fvcore_by_operator

    return lambda record: {k: n for k, n in fvcore_by_operator(record).items() if n}


@dataclass(frozen=True)
class Tool:
    """A counter that others wrote: the convention that is named after it, and its own count."""

    name: str
    count: Callable[..., int]


def _thop(model, *shapes):
    from thop import profile

    inputs = tuple(torch.empty(shape, device="meta") for shape in shapes)
    total, _ = profile(model.eval(), inputs, verbose=False)
    assert total == int(total) < 2**53
    return int(total)


def _torchinfo(model, *shapes):
    from torchinfo import summary

    inputs = [torch.empty(shape, device="meta") for shape in shapes]
    return summary(model, input_data=inputs, verbose=0).total_mult_adds


_TOOLS = {"thop": _thop, "torchinfo": _torchinfo}


@pytest.fixture(params=_TOOLS)
def tool(request) -> Tool:
    """Each of the tools, on models of the meta device."""
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return Tool(request.param, _TOOLS[request.param])
