"""Steps of the trainer, its schedule and its average, against the same written out by hand."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot

from zoo import create_model
from zoo.preprocessing import Preprocessing
from zoo.training import Settings, TrainingError, TrainingRecipe
from zoo.training.data import TrainBatch
from zoo.training.distributed import Ranks
from zoo.training.trainer import (
    Trainer,
    make_average,
    make_optimizer,
    make_scheduler,
    parameter_groups,
)

PREPROCESSING = Preprocessing(image_size=(32, 32), crop_pct=1.0)
ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.fixture
def batches() -> list[TrainBatch]:
    generator = torch.Generator().manual_seed(1)
    return [
        TrainBatch(
            torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8, generator=generator),
            torch.randint(0, 5, (4,), generator=generator),
            [],
        )
        for _ in range(3)
    ]


def trainer(recipe: TrainingRecipe, **settings) -> Trainer:
    torch.manual_seed(0)
    model = create_model("efficientnet_lite0", num_classes=5, drop_rate=recipe.dropout)
    return Trainer(
        model,
        recipe,
        Settings("efficientnet_lite0", "data", "out", **settings),
        preprocessing=PREPROCESSING,
        ranks=ALONE,
        steps_per_epoch=3,
    )


def test_steps_are_those_of_a_plain_loop(batches):
    """The loop that anybody would write, in NCHW, with nothing of this package but the model.

    Norms are in evaluation mode: over four pictures of one place each they would amplify the last
    bits, which differ between the layouts.
    """
    recipe = TrainingRecipe(epochs=4, lr=0.05, batch_size=4, label_smoothing=0.1)
    ours = trainer(recipe, freeze_norms=True)
    torch.manual_seed(0)
    model = create_model("efficientnet_lite0", num_classes=5)
    plain = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": plain, "weight_decay": 1e-4}, {"params": rest}], lr=0.05, momentum=0.9
    )
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (PREPROCESSING.mean, PREPROCESSING.std))
    ours.training_mode()
    model.eval()  # It has no dropout.
    for number, batch in enumerate(batches):
        # 12 steps, of which a tenth, 1.2 and so 1, is warm-up.
        rate = 0.025 if number == 0 else 0.025 * (1 + math.cos(math.pi * (number - 1) / 11))
        assert ours.lr == pytest.approx(rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs = (batch.pixels.permute(0, 3, 1, 2).float() / 255 - mean) / std
        loss = cross_entropy(model(inputs.contiguous()), batch.labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.testing.assert_close(ours.step(batch, number), loss.detach(), rtol=1e-4, atol=1e-5)
    for (name, value), other in zip(
        ours.model.state_dict().items(), model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(value, other, rtol=1e-3, atol=1e-4, msg=name)


def test_mixup_and_smoothing_are_those_of_the_formulas(batches):
    """Equation 1 of arXiv 1710.09412 with one share for the batch, and soft labels made by hand."""
    alone = trainer(TrainingRecipe(label_smoothing=0.1, mixup=0.4), freeze_norms=True)
    batch = batches[0]
    inputs = PREPROCESSING.to_tensor(batch.pixels)
    seen = []
    alone.model.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    alone.training_mode()
    twin = trainer(TrainingRecipe(), freeze_norms=True)
    twin.training_mode()
    loss = alone.step(batch, 0)
    (mixed,) = seen
    partner = inputs.roll(1, 0)
    difference = inputs - partner
    share = ((mixed - partner) * difference).sum() / difference.square().sum()
    assert 0 < share < 1
    torch.testing.assert_close(
        mixed.contiguous(), share * inputs + (1 - share) * partner, rtol=1e-4, atol=1e-4
    )
    hard = one_hot(batch.labels, 5).float()
    soft = share * hard + (1 - share) * hard.roll(1, 0)
    smooth = 0.9 * soft + 0.1 / 5
    with torch.no_grad():
        logs = twin.model(mixed).log_softmax(1)
    torch.testing.assert_close(loss, -(smooth * logs).sum(1).mean(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recipe", [TrainingRecipe(dropout=0.5), TrainingRecipe(mixup=0.2)])
def test_what_is_random_depends_on_the_step_and_not_on_what_was_before(batches, recipe):
    losses = []
    for disturbance in (1, 2):
        ours = trainer(recipe)
        ours.training_mode()
        torch.manual_seed(disturbance)
        losses.append([ours.step(batch, number).item() for number, batch in enumerate(batches)])
    assert losses[0] == losses[1]
    other = trainer(recipe, seed=9)
    other.training_mode()
    assert other.step(batches[0], 0).item() != losses[0][0]


def test_frozen_layers_and_norms_keep_their_state(batches):
    ours = trainer(TrainingRecipe(lr=0.1), finetune=True, freeze=True)
    before = {name: value.clone() for name, value in ours.model.state_dict().items()}
    ours.training_mode()
    assert ours.model.drop.training
    ours.step(batches[0], 0)
    changed = {n for n, v in ours.model.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"_fc.weight", "_fc.bias"}

    ours = trainer(TrainingRecipe(lr=0.1), freeze_norms=True)
    ours.training_mode()
    ours.step(batches[0], 0)
    changed = {n for n, v in ours.model.state_dict().items() if not torch.equal(v, before[n])}
    assert not any("running" in name or "num_batches" in name for name in changed)
    assert "_conv_stem.weight" in changed


def test_the_average_is_what_is_validated(batches):
    ours = trainer(TrainingRecipe(lr=0.5), ema=True, ema_decay=0.9)
    ours.training_mode()
    by_hand = torch.zeros(())
    for number, batch in enumerate(batches):
        ours.step(batch, number)
        kept = (1 + number) / (10 + number) if number else 0.0
        by_hand = kept * by_hand + (1 - kept) * ours.model.get_parameter("_fc.weight").detach()
    torch.testing.assert_close(ours.best_model.get_parameter("_fc.weight").detach(), by_hand)
    assert not torch.equal(by_hand, ours.model.get_parameter("_fc.weight"))
    scores = ours.evaluate(batches)
    model = create_model("efficientnet_lite0", num_classes=5).eval()
    model.load_state_dict(ours.best_model.state_dict())
    with torch.no_grad():
        inputs = torch.cat([PREPROCESSING.to_tensor(batch.pixels) for batch in batches])
        logits = model(inputs)
    labels = torch.cat([batch.labels for batch in batches])
    assert scores.top1 == pytest.approx(100 * (logits.argmax(1) == labels).float().mean().item())
    assert scores.top5 == 100  # of five classes
    assert scores.loss == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-3)


def test_bfloat16_is_near_and_not_equal(batches):
    losses = []
    for amp in ("off", "bf16"):
        ours = trainer(TrainingRecipe(), amp=amp)
        ours.training_mode()
        losses.append(ours.step(batches[0], 0).item())
        assert ours.model.get_parameter("_conv_stem.weight").dtype == torch.float32
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_a_step_that_fp16_leaves_out_changes_nothing(batches):
    ours = trainer(TrainingRecipe(lr=0.1), amp="fp16", ema=True)
    ours.training_mode()
    before = {name: value.clone() for name, value in ours.model.named_parameters()}
    ours._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    rate = ours.lr
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.step(batches[0], 0)
        assert all(torch.equal(p, before[name]) for name, p in ours.model.named_parameters())
        assert ours.lr == rate
        assert ours._average.n_averaged == 0
        # The scale is lower now, and the first step that is taken is the schedule's first.
        ours._scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
        ours.step(batches[1], 1)
    assert ours._average.n_averaged == 1
    assert ours.lr != rate
    assert not torch.equal(ours.model.get_parameter("_fc.weight"), before["_fc.weight"])


def without(batch: TrainBatch, kept: int) -> TrainBatch:
    """The batch with so many of its pictures; the others can't be read."""
    lines = ["unreadable"] * (len(batch.labels) - kept)
    return TrainBatch(batch.pixels[:kept], batch.labels[:kept], lines)


def test_one_picture_that_is_left_is_trained_with_norms_as_they_are(batches):
    """At 32 pixels the last maps have one place, of which a norm can't learn."""
    ours = trainer(TrainingRecipe(lr=0.1))
    ours.training_mode()
    before = {name: value.clone() for name, value in ours.model.state_dict().items()}
    ours.step(without(batches[0], 1), 0)
    changed = {n for n, v in ours.model.state_dict().items() if not torch.equal(v, before[n])}
    assert "_conv_stem.weight" in changed
    assert not any("running" in name or "num_batches" in name for name in changed)
    # The next step is one as any other.
    ours.step(without(batches[1], 2), 1)
    assert ours.model.state_dict()["_bn0.num_batches_tracked"] == 1


def test_a_batch_of_nothing_ends_the_training(batches):
    ours = trainer(TrainingRecipe(lr=0.1))
    ours.training_mode()
    before = {name: value.clone() for name, value in ours.model.state_dict().items()}
    with pytest.raises(TrainingError, match="no image of a whole batch can be read"):
        ours.step(without(batches[0], 0), 0)
    assert all(torch.equal(value, before[n]) for n, value in ours.model.state_dict().items())


def test_the_sums_are_those_of_the_pictures(batches):
    ours = trainer(TrainingRecipe(lr=0.1))
    ours.training_mode()
    sums = torch.zeros(2, dtype=torch.float64)
    losses = [
        ours.step(without(batch, count), number, sums).item()
        for number, (batch, count) in enumerate(zip(batches, (4, 3, 2), strict=True))
    ]
    assert sums[1] == 9
    assert sums[0].item() == pytest.approx(4 * losses[0] + 3 * losses[1] + 2 * losses[2])


def test_a_variance_that_overflows_ends_nothing_and_one_that_is_no_number_does():
    ours = trainer(TrainingRecipe())
    norm = ours.model.get_buffer("_bn0.running_var")
    norm[0] = math.inf
    ours.check_finite()
    norm[0] = math.nan
    with pytest.raises(TrainingError, match="no numbers any more"):
        ours.check_finite()


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


def test_the_average_asks_a_device_for_nothing():
    """On the meta device, where there is no value to ask for: a GPU would be waited for."""
    model = nn.Sequential(nn.Linear(1, 1, device="meta"), nn.BatchNorm1d(1, device="meta"))
    average = make_average(model, 0.5)
    for _ in range(3):
        average.update_parameters(model)
    assert int(average.state_dict()["n_averaged"]) == 3


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
