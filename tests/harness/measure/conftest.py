"""The conventions under test, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch


@pytest.fixture(scope="session")
def figure():
    """A record's count under a convention as named, or under one of its variations."""
    from harness.measure.flops import counts

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
    from harness.measure.flops import fvcore_by_operator

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


def _on_cpu(model):
    """Filled with zeros. On the meta device kernels written in Python call functions by name,

    which are those that the tools have replaced.
    """
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    return model


def _ptflops(model, *shapes):
    from ptflops import get_model_complexity_info

    inputs = [torch.zeros(shape) for shape in shapes]
    # Several are passed on by keyword.
    given = inputs[0] if len(inputs) == 1 else {f"x{i}": x for i, x in enumerate(inputs)}
    found, _ = get_model_complexity_info(
        _on_cpu(model), (1,), False, False, input_constructor=lambda _: given
    )
    return found


def _deepspeed(model, *shapes):
    from deepspeed.profiling.flops_profiler import get_model_profile

    inputs = [torch.zeros(shape) for shape in shapes]
    _, found, _ = get_model_profile(
        _on_cpu(model), args=inputs, print_profile=False, warm_up=0, as_string=False
    )
    return found


_TOOLS = {
    "thop": _thop,
    "torchinfo": _torchinfo,
    "ptflops": _ptflops,
    "deepspeed": _deepspeed,
}


@pytest.fixture(params=_TOOLS)
def tool(request) -> Tool:
    """Each of the tools, on models of the meta device."""
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return Tool(request.param, _TOOLS[request.param])
