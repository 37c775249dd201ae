"""What the auditor's tests share: the documented index, and small ways to look at a record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def store_home(tmp_path, monkeypatch) -> Path:
    """A cache folder of the test's own."""
    home = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def record_of() -> Callable[..., Any]:
    """A model's record on the meta device: ``record_of(model, (1, 3, 224, 224), ...)``."""
    import torch

    from harness.measure.trace import trace

    def record(model, *shapes):
        return trace(model.eval(), [torch.empty(shape, device="meta") for shape in shapes])

    return record


@pytest.fixture(scope="session")
def on_meta() -> Callable[..., Any]:
    """Builds a model on the meta device, its weights never filled in."""
    import torch

    from harness.measure.meta import without_initialisation

    def build(make, *args, **kwargs):
        with without_initialisation(), torch.device("meta"):
            return make(*args, **kwargs).eval()

    return build


@pytest.fixture(scope="session")
def fvcore_run() -> Callable[..., dict[str, float]]:
    """The real fvcore on the CPU, operator by operator, those that count nothing left out."""
    import logging

    import torch
    from fvcore.nn import FlopCountAnalysis

    def run(model, *shapes):
        logging.getLogger("fvcore").setLevel(logging.ERROR)
        analysis = FlopCountAnalysis(model.eval(), tuple(torch.zeros(s) for s in shapes))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return {name: count for name, count in analysis.by_operator().items() if count}

    return run


@pytest.fixture(scope="session")
def torch_macs() -> Callable[..., int]:
    """Multiply-accumulates as torch's own counter has them, on the meta device."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def count(model, *shapes):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(*(torch.empty(shape, device="meta") for shape in shapes))
        flops = counter.get_total_flops()
        assert flops % 2 == 0
        return flops // 2

    return count
