"""One optimisation step, one validation, and the state between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.training.data import Batch, derived
from zoo.training.errors import TrainingError
from zoo.training.optim import make_average, make_optimizer, make_scheduler

if TYPE_CHECKING:
    from torch import Tensor, nn

    from zoo.models._base import ImageClassifier
    from zoo.preprocessing import Preprocessing
    from zoo.training.distributed import Ranks
    from zoo.training.recipe import Recipe
    from zoo.training.settings import Settings

_PRECISIONS = {"bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True, slots=True)
class Scores:
    """Of the validation pictures: the mean loss, and accuracies in percent."""

    loss: float
    top1: float
    top5: float
    images: int


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
        recipe: Recipe,
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
        """The learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def training_mode(self) -> None:
        """Dropout on and norms learning, but for what is frozen."""
        from torch import nn

        self.model.train()
        if self._settings.freeze:
            for _, module in self.model.trunk():
                module.eval()
        if self._settings.freeze_norms:
            for module in self.model.modules():
                if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
                    module.eval()

    def step(self, batch: Batch, number: int) -> Tensor:
        """One optimisation step.

        Args:
            batch: this process's share of the step's pictures.
            number: of the step, from 0 and counted over all epochs. With the seed it decides what
                Mixup, dropout and DropBlock draw: nothing of it has to be kept to go on later.

        Returns:
            The mean loss over this process's pictures, a scalar on its device, without gradient.

        Raises:
            TrainingError: it is one picture, and norms need more.
        """
        import torch

        seed = self._settings.seed
        images, labels = self._inputs(batch)
        if self._mixup is not None:
            torch.manual_seed(derived(seed, "mixup", number))  # All processes mix alike.
            images, labels = self._mixup(images, labels)
        torch.manual_seed(derived(seed, "model", number, self._ranks.rank))
        self.optimizer.zero_grad(set_to_none=True)
        try:
            with self._precision():
                loss: Tensor = self._criterion(self._forward(images), labels)
        except ValueError as error:
            if len(images) > 1:
                raise
            # Where a map has one pixel, a norm has one value, and no spread to divide it by.
            raise TrainingError(
                f"step {number + 1} has one picture for a process, too few for this variant's "
                "norms; raise --batch-size, or leave norms as they are (--freeze-norms)"
            ) from error
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.scheduler.step()
        if self._average is not None:
            self._average.update_parameters(self.model)
        return loss.detach()

    def evaluate(self, batches: Iterable[Batch]) -> Scores:
        """Loss and accuracies of `best_model` over the pictures of all processes.

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
            raise TrainingError("none of the validation pictures can be read")
        return Scores(loss / images, 100 * top1 / images, 100 * top5 / images, int(images))

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
        """Goes on from what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state_dict(state["ema"])

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        device = self._ranks.device
        images = self._preprocessing.to_tensor(batch.pixels, device=device, channels_last=True)
        return images, batch.labels.to(device, non_blocking=True)

    def _precision(self) -> Any:
        import torch

        name = _PRECISIONS.get(self._settings.amp)
        dtype = None if name is None else getattr(torch, name)
        return torch.autocast(self._ranks.device.type, dtype=dtype, enabled=name is not None)
