"""A whole training: from settings to files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.training import data, distributed
from zoo.training.errors import TrainingError
from zoo.training.keeping import Folder, Position
from zoo.training.loop import Scores, Trainer
from zoo.training.planning import Plan, build, make_plan
from zoo.training.settings import Settings
from zoo.training.watch import EpochReport, StepReport, Watcher
from zoo.weights import variant_weights

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import DataLoader

    from zoo.index.types import Variant
    from zoo.training.distributed import Ranks

_REPORT_SECONDS = 0.5
_MOST_NAMED = 20
_NOBODY = Watcher()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a training.

    Attributes:
        output: the folder of ``model.pth`` (the state dict alone, of the best epoch where there was
            a validation, else of the last), ``classes.txt`` (the class of each output, one a
            line), ``last.pth`` and ``best.pth`` (the whole state), and ``log.csv``.
        epochs: the epochs done, of all runs.
        step: the optimisation steps taken, of all runs.
        best_epoch: the epoch of ``model.pth``.
        top1: its accuracy on the validation pictures in percent; None without any.
        unreadable: how many times a picture was left out in this run, since it could not be read.
    """

    output: Path
    epochs: int
    step: int
    best_epoch: int
    top1: float | None
    unreadable: int


def train(
    settings: Settings,
    watcher: Watcher = _NOBODY,
    *,
    fetch: Callable[[Variant], Path] = variant_weights,
    after_step: Callable[[Trainer, int, Tensor], None] | None = None,
) -> Outcome:
    """Trains a variant, or goes on with a training.

    Under torchrun every process calls this with the same settings.

    Args:
        settings: what to do.
        watcher: is told about it.
        fetch: gives a variant's published weights as a file; they are asked for where a fine-tuning
            begins.
        after_step: is called after each optimisation step, while the gradients are there, with the
            trainer, the step's number from 1, and the mean loss over this process's pictures.

    Raises:
        BadInput: it can't start with these settings, this data or this folder.
        TrainingError: it can't go on.
        zoo.weights.WeightsError: the published weights can't be had.
    """
    with distributed.joined(settings.device) as ranks:
        plan = make_plan(settings, ranks)
        run = _Run(plan, ranks, watcher, fetch, after_step)
        try:
            return run.run()
        finally:
            run.close()


class _Run:
    """One process's part of a training, from where it was left."""

    def __init__(
        self,
        plan: Plan,
        ranks: Ranks,
        watcher: Watcher,
        fetch: Callable[[Variant], Path],
        after_step: Callable[[Trainer, int, Tensor], None] | None,
    ) -> None:
        import torch

        self._plan = plan
        self._ranks = ranks
        self._watcher = watcher
        self._after_step = after_step
        self._folder = Folder(plan)
        state = self._folder.state()
        self._batches = data.EpochBatches(
            len(plan.train),
            plan.recipe.batch_size,
            seed=plan.settings.seed,
            rank=ranks.rank,
            world=ranks.world,
        )
        self._loader, self._val = self._loaders()
        self._trainer = Trainer(
            build(plan, fetch if state is None else None),
            plan.recipe,
            plan.settings,
            preprocessing=plan.preprocessing,
            ranks=ranks,
            steps_per_epoch=self._batches.steps,
        )
        sums = torch.zeros(2, dtype=torch.float64, device=ranks.device)
        self._at = Position(self._batches.steps, sums)
        if state is not None:
            self._trainer.load_state(state)
            self._at.load_state(state, first=ranks.first)
        total = plan.recipe.epochs * self._batches.steps
        self._last_step = min(total, plan.settings.max_steps or total)
        self._told: set[str] = set()
        self._unreadable = 0
        # Of this run, for its speed: pictures of all processes, and seconds.
        self._images, self._seconds = 0, 0.0

    def _loaders(self) -> tuple[DataLoader[data.Batch], DataLoader[data.Batch] | None]:
        """Of the training pictures, and of the validation pictures."""
        plan, ranks = self._plan, self._ranks
        on_gpu = ranks.device.type == "cuda"
        transform = data.transform_of(plan.preprocessing, plan.recipe.augment)
        train = data.loader(
            data.Pictures(plan.train, transform, plan.settings.seed),
            self._batches,
            workers=plan.workers,
            pin_memory=on_gpu,
            keep_workers=True,
        )
        if plan.val is None:
            return train, None
        share = plan.recipe.batch_size // ranks.world
        val = data.loader(
            data.Pictures(plan.val, plan.preprocessing.to_pixels),
            data.EveryPicture(len(plan.val), share, rank=ranks.rank, world=ranks.world),
            workers=plan.workers,
            pin_memory=on_gpu,
        )
        return train, val

    def run(self) -> Outcome:
        if self._ranks.first:
            self._begin()
        while self._at.step < self._last_step:
            self._train_epoch()
        if self._ranks.first and self._val is None:
            self._folder.model(self._trainer)
        epoch, top1 = self._at.best or (self._at.epoch, None)
        left_out = int(self._ranks.total(self._at.sums.new_tensor(self._unreadable)))
        return Outcome(self._folder.path, self._at.epoch, self._at.step, epoch, top1, left_out)

    def close(self) -> None:
        self._folder.close()

    def _begin(self) -> None:
        """Says what will be done, and makes the folder."""
        for sentence in self._plan.sentences:
            self._watcher.tell(sentence)
        for sentence in self._plan.warnings:
            self._watcher.warn(sentence)
        at = self._at
        if at.step:
            self._watcher.tell(f"going on after {at.epoch} epochs and {at.in_epoch} steps")
        self._folder.open(at)

    def _train_epoch(self) -> None:
        """The rest of an epoch, its validation, and what is kept of it."""
        at, trainer = self._at, self._trainer
        self._batches.epoch, self._batches.start = at.epoch, at.in_epoch
        trainer.training_mode()
        images_before, seconds_before = self._images, self._seconds
        started = begin = shown = time.perf_counter()
        lr = trainer.lr
        for batch in self._loader:
            self._note(batch.unreadable)
            count = len(batch.labels)
            if not count:
                raise TrainingError("no picture of a whole batch can be read; see the lines above")
            lr = trainer.lr
            loss = trainer.step(batch, at.step)
            at.sums[0] += loss.double() * count
            at.sums[1] += count
            at.in_epoch += 1
            self._images += count * self._ranks.world
            now = time.perf_counter()
            self._seconds, begin = self._seconds + now - begin, now
            if self._after_step is not None:
                self._after_step(trainer, at.step, loss)
            if now - shown > _REPORT_SECONDS or at.step == self._last_step:
                shown = now
                self._show(lr)
            if at.step == self._last_step:
                break
            if self._ranks.first:
                self._folder.step(trainer, at)
        total_loss, images = self._ranks.total(at.sums.clone()).tolist()
        _check_finite(total_loss, at.step)
        scores = None if self._val is None else trainer.evaluate(self._validation(self._val))
        speed = (self._images - images_before) / max(self._seconds - seconds_before, 1e-9)
        report = EpochReport(
            epoch=at.epoch + 1,
            step=at.step,
            lr=lr,
            train_loss=total_loss / images,
            val_loss=scores.loss if scores else None,
            top1=scores.top1 if scores else None,
            top5=scores.top5 if scores else None,
            images_per_second=speed,
            seconds=time.perf_counter() - started,
        )
        self._end_epoch(report, scores)

    def _end_epoch(self, report: EpochReport, scores: Scores | None) -> None:
        at = self._at
        if at.in_epoch == at.steps_per_epoch:
            at.end_epoch()
        best = scores is not None and (at.best is None or scores.top1 > at.best[1])
        if best and scores is not None:
            at.best = report.epoch, scores.top1
        if self._ranks.first:
            self._folder.epoch(report, self._trainer, at, best=best)
            self._watcher.epoch(report)

    def _validation(self, batches: Iterable[data.Batch]) -> Iterator[data.Batch]:
        for batch in batches:
            self._note(batch.unreadable)
            yield batch

    def _note(self, unreadable: Sequence[str]) -> None:
        """Names pictures that can't be read, each once, and counts how often one was left out."""
        self._unreadable += len(unreadable)
        for line in unreadable:
            if line in self._told or len(self._told) > _MOST_NAMED:
                continue
            self._told.add(line)
            named = len(self._told) <= _MOST_NAMED
            self._watcher.warn(f"left out: {line}" if named else "more are left out and counted")

    def _show(self, lr: float) -> None:
        if not self._ranks.first:
            return
        summed, count = self._at.sums.tolist()
        _check_finite(summed, self._at.step)
        speed = self._images / self._seconds
        left = (self._last_step - self._at.step) * self._plan.recipe.batch_size
        report = StepReport(
            epoch=self._at.epoch + 1,
            epochs=self._plan.recipe.epochs,
            step=self._at.step,
            steps=self._last_step,
            loss=summed / count,
            lr=lr,
            images_per_second=speed,
            seconds_left=left / speed,
        )
        self._watcher.step(report)
        self._folder.log.step(report)


def _check_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is no number any more at step {step}; try a lower --lr")
