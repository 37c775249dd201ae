"""Shared by the tests of the model families: weights at which an error shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn


def _randomise(model: nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, fan_in**-0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1, generator=generator)
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                if name.endswith("bn3"):
                    # Else a hundred blocks would grow until every softmax saturates.
                    module.weight.mul_(0.3)
                module.bias.normal_(0, 0.1, generator=generator)
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                module.num_batches_tracked.zero_()


@pytest.fixture(scope="session")
def randomise() -> Callable[..., None]:
    """Fill a model with random weights and, unlike a fresh one, random norm statistics.

    A fresh model has all-zero last norms, which would hide what its blocks compute.
    """
    return _randomise
