"""The optimizer, the schedule of its learning rate, and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import SequentialLR
    from torch.optim.swa_utils import AveragedModel

    from zoo.training.recipe import TrainingRecipe


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters: those that decay, and norms and biases, which do not.

    Weights of convolutions and linear layers have two dimensions or more; what has one is a norm's
    weight or a bias ("Bag of Tricks", arXiv 1812.01187, section 3.1).
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]


def make_optimizer(model: nn.Module, recipe: TrainingRecipe) -> Optimizer:
    """SGD with the recipe's momentum and decay."""
    from torch.optim import SGD

    return SGD(
        parameter_groups(model, recipe.weight_decay),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
    )


def make_scheduler(optimizer: Optimizer, steps: int, warmup_steps: int) -> SequentialLR:
    """A linear warm-up, then half a cosine down to 0; one step of it per optimisation step.

    With a highest rate of r and W of T steps of warm-up, step t (from 0) is taken at
    r (t + 1) / (W + 1) while t < W, and at r (1 + cos(pi (t - W) / (T - W))) / 2 from there on
    ("SGDR", arXiv 1608.03983, equation 5, without restarts).

    Args:
        optimizer: its learning rates are the highest ones.
        steps: of the whole training.
        warmup_steps: less than ``steps``.
    """
    from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

    if not warmup_steps:
        return SequentialLR(optimizer, [CosineAnnealingLR(optimizer, steps)], [])
    warmup = LinearLR(optimizer, 1 / (warmup_steps + 1), 1.0, warmup_steps)
    cosine = CosineAnnealingLR(optimizer, steps - warmup_steps)
    return SequentialLR(optimizer, [warmup, cosine], [warmup_steps])


def make_average(model: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of the weights, and of the norms' statistics.

    After update n (from 1) of the average a with weights w, a is d a + (1 - d) w, where
    d = min(``decay``, (1 + n) / (10 + n)): a young average forgets the random weights that it
    began with (as TensorFlow's ExponentialMovingAverage with ``num_updates``). The very first
    update, n = 0, copies the weights.
    """
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    def update(
        averages: Sequence[Tensor], weights: Sequence[Tensor], updates: Tensor | int
    ) -> None:
        if averages[0].is_floating_point():
            count = int(updates)
            now = min(decay, (1 + count) / (10 + count))
            get_ema_multi_avg_fn(now)(averages, weights, updates)  # type: ignore[no-untyped-call]
            return
        for average, weight in zip(averages, weights, strict=True):
            average.copy_(weight)  # A norm's count of batches has no average.

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
