"""The schedule against its closed form, the groups by kind of module, the average by hand."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import nn

from zoo import create_model
from zoo.training.config import TrainingRecipe
from zoo.training.trainer import make_average, make_optimizer, make_scheduler, parameter_groups


@pytest.mark.parametrize(("steps", "warmup"), [(100, 10), (40, 1), (30, 0), (5, 4), (1, 0)])
def test_the_schedule_is_its_closed_form(steps, warmup):
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler = make_scheduler(optimizer, steps, warmup)
        taken = []
        for _ in range(steps):
            taken.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    for step, lr in enumerate(taken):
        if step < warmup:
            right = 0.7 * (step + 1) / (warmup + 1)
        else:
            right = 0.35 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
        assert lr == pytest.approx(right, rel=1e-6, abs=1e-9), step
    assert max(taken) == pytest.approx(0.7)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["resnest14d", "efficientnet_lite0"])
def test_norms_and_biases_do_not_decay(name):
    model = create_model(name)
    decay, rest = parameter_groups(model, 1e-4)
    assert (decay["weight_decay"], rest["weight_decay"]) == (1e-4, 0.0)
    weights = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }
    assert {id(p) for p in decay["params"]} == weights
    everything = {id(p) for p in model.parameters()}
    assert {id(p) for p in rest["params"]} == everything - weights
    assert len(decay["params"]) + len(rest["params"]) == len(everything)


def test_what_is_frozen_is_not_optimized():
    model = create_model("efficientnet_lite0", num_classes=4).requires_grad_(False)
    model.get_classifier().requires_grad_(True)
    sizes = [[p.numel() for p in g["params"]] for g in parameter_groups(model, 0.1)]
    assert sizes == [[4 * 1280], [4]]


@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_are_those_of_sgd_written_out(nesterov):
    """w <- w - lr (g or g + m v), v = m v + g, g with the decay of weights alone."""
    layer = nn.Linear(3, 2).double()
    recipe = TrainingRecipe(lr=0.3, momentum=0.8, weight_decay=0.01, nesterov=nesterov)
    optimizer = make_optimizer(layer, recipe)
    values = {name: p.detach().clone() for name, p in layer.named_parameters()}
    speeds = {name: torch.zeros_like(value) for name, value in values.items()}
    inputs = torch.randn(3, 5, 3, dtype=torch.float64)
    for batch in inputs:
        optimizer.zero_grad()
        layer(batch).square().mean().backward()
        outputs = batch @ values["weight"].T + values["bias"]
        above = 2 * outputs / outputs.numel()
        gradients = {"weight": above.T @ batch + 0.01 * values["weight"], "bias": above.sum(0)}
        for name, gradient in gradients.items():
            speeds[name] = 0.8 * speeds[name] + gradient
            way = gradient + 0.8 * speeds[name] if nesterov else speeds[name]
            values[name] = values[name] - 0.3 * way
        optimizer.step()
    for name, p in layer.named_parameters():
        torch.testing.assert_close(p.detach(), values[name])


@pytest.mark.parametrize("decay", [0.5, 0.15, 0.0])
def test_the_average_is_that_of_a_calculation_by_hand(decay):
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = make_average(model, decay)
    by_hand = [0.0, 0.0]
    for update in range(6):
        weight, mean = float(update + 2), float(10 - update)
        with torch.no_grad():
            model[0].weight.fill_(weight)
            model[1].running_mean.fill_(mean)
            model[1].num_batches_tracked.fill_(update)
        average.update_parameters(model)
        # The first update copies; a young average keeps 2/11, 3/12, 4/13 ... of itself at most.
        kept = 0.0 if update == 0 else min(decay, (1 + update) / (10 + update))
        now = (weight, mean)
        by_hand = [kept * a + (1 - kept) * w for a, w in zip(by_hand, now, strict=True)]
        assert average.module[0].weight.item() == pytest.approx(by_hand[0], rel=1e-6)
        assert average.module[1].running_mean.item() == pytest.approx(by_hand[1], rel=1e-6)
        assert average.module[1].num_batches_tracked.item() == update
