"""Calls by name: recorded for functions that were called by it, and torch is as it was after."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from harness.measure.functional_hooks import functional_calls


def everything():
    owners = (torch, F, torch.Tensor)
    return [dict(vars(owner)) for owner in owners]


def test_a_name_is_told_from_an_operator():
    found = []
    x = torch.zeros(2, 3)
    with functional_calls(found.append):
        y = torch.add(x, 1) + x
        z = F.relu(input=y.mul(x)).relu()
        z @ x.t()
    assert [(op.name, op.inputs) for op in found] == [
        ("torch.add", ((2, 3), None)),
        ("torch.Tensor.mul", ((2, 3), (2, 3))),
        ("torch.nn.functional.relu", ((2, 3),)),
        ("torch.Tensor.__matmul__", ((2, 3), (3, 2))),
    ]


def test_torch_is_left_as_it_was():
    before = everything()

    def fail():
        with functional_calls(lambda op: None):
            assert vars(torch)["add"] is not before[0]["add"]
            torch.mm(torch.zeros(2, 3), torch.zeros(2, 3))

    with pytest.raises(RuntimeError):
        fail()
    assert everything() == before


def test_kernels_written_in_python_name_nothing(record_of):
    """Upsampling is one of them on the meta device: it multiplies and adds by those names."""
    from harness.measure.record import Op, walk

    class Up(torch.nn.Module):
        def forward(self, x):
            return F.interpolate(x, scale_factor=2.0, mode="bicubic")

    record = record_of(Up(), (1, 3, 4, 5))
    ops = [op for _, call in walk(record) for op in call.calls if isinstance(op, Op)]
    assert [op.name for op in ops if op.name.startswith("torch.")] == [
        "torch.nn.functional.interpolate"
    ]
