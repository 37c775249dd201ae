"""One optimisation step, one validation, and the optimizer, schedule and average that they use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import TrainingError
from zoo.training.data import TrainBatch, derived
from zoo.training.state import fits

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import SequentialLR
    from torch.optim.swa_utils import AveragedModel

    from zoo.models._base import ImageClassifier
    from zoo.preprocessing import Preprocessing
    from zoo.training.config import Settings, TrainingRecipe
    from zoo.training.distributed import Ranks

# The rate is one of the settings that a training which goes on must have in common.
LOWER_LR = "begin again with a lower --lr, in another --output"
_PRECISIONS = {"bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True, slots=True)
class Scores:
    """Of the validation images: the mean loss, and accuracies in percent."""

    loss: float
    top1: float
    top5: float


class Trainer:
    """A model in training: what changes from step to step, and how.

    Args:
        model: on the CPU or already where it is to be trained.
        recipe: for the whole batch of all processes.
        settings: precision, moving average, what is frozen, the seed.
        preprocessing: how bytes become inputs.
        ranks: this process among the others.
        steps_per_epoch: of optimisation.
    """

    def __init__(
        self,
        model: ImageClassifier,
        recipe: TrainingRecipe,
        settings: Settings,
        *,
        preprocessing: Preprocessing,
        ranks: Ranks,
        steps_per_epoch: int,
    ) -> None:
        import torch
        from torchvision.transforms import v2

        self._settings = settings
        self._ranks = ranks
        self._preprocessing = preprocessing
        # Convolutions are fastest with the channels innermost, on CPUs and on tensor cores.
        self.model = model.to(ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if settings.freeze:
            model.requires_grad_(False)
            model.get_classifier().requires_grad_(True)
        self.optimizer = make_optimizer(model, recipe)
        total = recipe.epochs * steps_per_epoch
        warmup = min(round(recipe.warmup_epochs * steps_per_epoch), total - 1)
        self.scheduler = make_scheduler(self.optimizer, total, warmup)
        # With fp16 a step whose gradients are too large is left out, and nothing else reports it.
        self._stepped = False
        self.optimizer.register_step_post_hook(self._has_stepped)
        self._scaler = torch.amp.GradScaler(ranks.device.type, enabled=settings.amp == "fp16")
        self._average = make_average(model, settings.ema_decay) if settings.ema else None
        self._criterion = torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self._mixup = (
            v2.MixUp(alpha=recipe.mixup, num_classes=model.num_classes) if recipe.mixup else None
        )
        wrapped = ranks.wrapped(model)
        self._forward = torch.compile(wrapped) if settings.compile else wrapped

    @property
    def best_model(self) -> nn.Module:
        """What is validated and kept: the moving average, where there is one."""
        return self.model if self._average is None else self._average.module

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def training_mode(self) -> None:
        """Dropout on and norms learning, but for what is frozen."""
        self.model.train()
        if self._settings.freeze:
            for _, module in self.model.trunk():
                module.eval()
        if self._settings.freeze_norms:
            for module in _norms(self.model):
                module.eval()

    def step(self, batch: TrainBatch, number: int, sums: Tensor | None = None) -> Tensor:
        """One optimisation step, with the gradients of the mean over the images of all processes.

        However many of its images a process could read, each image counts alike. One that
        could read none takes part without weight, as the others wait for it.

        Args:
            batch: this process's share of the step's images. Where a single one of them is left,
                norms keep their statistics for this step: one image may have no spread.
            number: of the step, from 0 and counted over all epochs. With the seed it decides what
                Mixup, dropout and DropBlock draw: nothing of it has to be kept to go on later.
            sums: the sum of the losses, and how many images had one, are added to these two.

        Returns:
            The mean loss over the step's images, of all processes; a scalar on this one's device,
            without gradient.

        Raises:
            TrainingError: no process could read any image.
        """
        import torch

        seed = self._settings.seed
        count = len(batch.labels)
        images, labels = self._inputs(batch if count else self._blank())
        if self._mixup is not None:
            torch.manual_seed(derived(seed, "mixup", number))  # All processes mix alike.
            images, labels = self._mixup(images, labels)
        torch.manual_seed(derived(seed, "model", number, self._ranks.rank))
        self.optimizer.zero_grad(set_to_none=True)
        with self._resting_norms(count + len(batch.unreadable), count), self._precision():
            loss: Tensor = self._criterion(self._forward(images), labels)
        here = loss.new_full((), count, dtype=torch.float64)
        total = self._ranks.total(torch.stack([loss.detach().double() * here, here]))
        # The others' images are known on the device alone; no process waits for that count.
        if not count and not total[1].item():
            raise TrainingError("no image of a whole batch can be read; see the lines above")
        # The gradients are the means over the processes: what each adds is so many times as large.
        weight = (here * self._ranks.world / total[1]).to(loss.dtype)
        self._scaler.scale(loss * weight).backward()  # type: ignore[no-untyped-call]
        self._stepped = False
        self._scaler.step(self.optimizer)
        self._scaler.update()
        if self._stepped:
            self.scheduler.step()
            if self._average is not None:
                self._average.update_parameters(self.model)
        if sums is not None:
            sums += total
        return (total[0] / total[1]).to(loss.dtype)

    def evaluate(self, batches: Iterable[TrainBatch]) -> Scores:
        """Loss and accuracies of `best_model` over the images of all processes.

        The model is in evaluation mode afterwards: see `training_mode`.

        Raises:
            TrainingError: none of them could be read.
        """
        import torch
        from torch.nn.functional import cross_entropy

        model = self.best_model
        self._ranks.share_buffers(model)
        model.eval()
        sums = torch.zeros(4, dtype=torch.float64, device=self._ranks.device)
        with torch.inference_mode():
            for batch in batches:
                if not len(batch.labels):
                    continue
                images, labels = self._inputs(batch)
                with self._precision():
                    logits = model(images)
                logits = logits.float()
                loss = cross_entropy(logits, labels, reduction="sum")
                best = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
                found = (loss, best[:, 0].sum(), best.sum(), labels.new_tensor(len(labels)))
                sums += torch.stack([value.double() for value in found])
        loss, top1, top5, images = self._ranks.total(sums.clone()).tolist()
        if not images:
            raise TrainingError("none of the validation images can be read")
        return Scores(loss / images, 100 * top1 / images, 100 * top5 / images)

    def state(self) -> dict[str, Any]:
        """Tensors and plain values from which `load_state` goes on."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self._scaler.state_dict(),
            "ema": None if self._average is None else self._average.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Resume from a `state`.

        Raises:
            KeyError, ValueError: it has other parts than this trainer's; nothing was changed.
        """
        wanted = self.state()
        groups = self.optimizer.param_groups
        optimizer = state["optimizer"]
        if groups[0]["momentum"] and isinstance(optimizer, Mapping) and optimizer.get("state"):
            # An optimizer that has taken no step yet has none.
            trained = [parameter.detach() for group in groups for parameter in group["params"]]
            speeds = {number: {"momentum_buffer": like} for number, like in enumerate(trained)}
            wanted["optimizer"]["state"] = speeds
        for name, parts in wanted.items():
            if not fits(state[name], parts):
                raise ValueError(f"its {name} is of another model, or of another version of torch")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state_dict(state["ema"])

    def check_finite(self) -> None:
        """Check the weights, which a loss shows one step later.

        Raises:
            TrainingError: there is one that is no number.
        """
        import torch

        fine = [parameter.isfinite().all() for parameter in self.model.parameters()]
        # A norm's variance may overflow where its outputs, and so the training, are all right.
        fine += [~buffer.isnan().any() for buffer in self.model.buffers()]
        if not torch.stack(fine).all():
            raise TrainingError(f"the weights are no numbers any more; {LOWER_LR}")

    def _has_stepped(self, *_: object) -> None:
        self._stepped = True

    def _blank(self) -> TrainBatch:
        """One black image, of the first class."""
        import torch

        pixels = torch.zeros((1, *self._preprocessing.image_size, 3), dtype=torch.uint8)
        return TrainBatch(pixels, torch.zeros(1, dtype=torch.long), [])

    @contextmanager
    def _resting_norms(self, share: int, read: int) -> Iterator[None]:
        """Norms in evaluation mode where less than two images of a larger share can be read."""
        learning = [norm for norm in _norms(self.model) if norm.training and read < min(2, share)]
        for norm in learning:
            norm.eval()
        try:
            yield
        finally:
            for norm in learning:
                norm.train()

    def _inputs(self, batch: TrainBatch) -> tuple[Tensor, Tensor]:
        device = self._ranks.device
        images = self._preprocessing.to_tensor(
            batch.pixels, device=device, channels_last=True, exact=False
        )
        return images, batch.labels.to(device, non_blocking=True)

    def _precision(self) -> Any:
        import torch

        name = _PRECISIONS.get(self._settings.amp)
        dtype = None if name is None else getattr(torch, name)
        return torch.autocast(self._ranks.device.type, dtype=dtype, enabled=name is not None)


def _norms(model: nn.Module) -> list[nn.Module]:
    from torch import nn

    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    return [module for module in model.modules() if isinstance(module, kinds)]


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
    from torch.optim import SGD

    return SGD(
        parameter_groups(model, recipe.weight_decay),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
    )


def make_scheduler(optimizer: Optimizer, steps: int, warmup_steps: int) -> SequentialLR:
    """A linear warm-up, then half a cosine down to 0; one step of it per optimisation step.

    With the optimizer's own rate r as the highest one and W of T steps of warm-up, step t (from 0)
    is taken at r (t + 1) / (W + 1) while t < W, and at r (1 + cos(pi (t - W) / (T - W))) / 2 from
    there on ("SGDR", arXiv 1608.03983, equation 5, without restarts).
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

    class Average(AveragedModel):
        def update_parameters(self, model: nn.Module) -> None:
            # The count of updates is on the CPU. Torch's own method copies it to the device and
            # back in each step, and a GPU runs dry while the host waits for that.
            count = int(self.n_averaged)
            both = ((*each.parameters(), *each.buffers()) for each in (self.module, model))
            pairs = [(a.detach(), w.detach()) for a, w in zip(*both, strict=True)]
            decayed = [pair for pair in pairs if count and pair[0].is_floating_point()]
            if decayed:
                update = get_ema_multi_avg_fn(min(decay, (1 + count) / (10 + count)))  # type: ignore[no-untyped-call]
                update(*map(list, zip(*decayed, strict=True)), count)
            for average, weight in pairs:
                # Of a norm's count of batches there is no average.
                if not (count and average.is_floating_point()):
                    average.copy_(weight)
            self.n_averaged += 1

    return Average(model, use_buffers=True)
