"""Train a variant: from settings to files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo._util.memory import is_out_of_memory
from zoo._util.signals import HeldSignals
from zoo._util.text import plural
from zoo.errors import BadInput, TrainingError
from zoo.training import data, distributed
from zoo.training.config import Settings
from zoo.training.logs import Callbacks, EpochReport, SkippedImages, StepReport, Throughput
from zoo.training.plan import Plan, build, make_plan, read_trees
from zoo.training.run_dir import RunDir
from zoo.training.state import LAST, Position
from zoo.training.trainer import LOWER_LR, Scores, Trainer
from zoo.weights import variant_weights

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import DataLoader

    from zoo.index.types import Variant
    from zoo.training.distributed import Ranks

_REPORT_SECONDS = 0.5
_ASK_STEPS = 8
_TOP = 5
_SILENT = Callbacks()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a training.

    Attributes:
        output: the folder of ``model.pth`` (the state dict alone, of the best epoch where there was
            a validation of a whole epoch, else of the last step), ``classes.txt`` (the class of
            each output, one a line), ``last.pth`` and ``best.pth`` (the whole state), and
            ``log.csv``.
        epochs: the epochs done, of all runs.
        step: the optimisation steps taken, of all runs.
        best_epoch: the epoch of ``model.pth``, from 1; one that was cut short counts.
        top1: its accuracy on the validation images in percent; None where it has not been
            measured.
        unreadable: how many times an image was left out in this run, since it could not be read.
    """

    output: Path
    epochs: int
    step: int
    best_epoch: int
    top1: float | None
    unreadable: int


def train(
    settings: Settings,
    callbacks: Callbacks = _SILENT,
    *,
    fetch: Callable[[Variant], Path] = variant_weights,
    after_step: Callable[[Trainer, int, Tensor], None] | None = None,
) -> Outcome:
    """Train a variant, or resume a training.

    Under torchrun every process calls this with the same settings. An interrupt waits for the end
    of the step that runs, of all processes, and what is done by then is saved.

    Args:
        settings: what to do.
        callbacks: is called as the training goes on.
        fetch: gives a variant's published weights as a file; they are asked for where a fine-tuning
            begins.
        after_step: is called after each optimisation step, while the gradients are there, with the
            trainer, the step's number from 1, and the mean loss over the step's images, of all
            processes.

    Raises:
        BadInput: it can't start with these settings, this data or this folder.
        TrainingError: it can't go on.
        KeyboardInterrupt: after the saving; a second one ends it in the middle of a step.
        zoo.errors.WeightsError: the published weights can't be had.
    """
    # Before torch is imported, which takes seconds; of several processes, once all are there.
    trees = read_trees(settings) if distributed.world_size() == 1 else None
    with _plain_errors(), distributed.joined(settings.device) as ranks:
        plan = make_plan(settings, ranks, trees or read_trees(settings))
        folder = RunDir(plan)
        try:
            return _Run(plan, ranks, folder, callbacks, fetch, after_step).run()
        finally:
            folder.close()


class _Run:
    """One process's part of a training, from where it was left."""

    def __init__(
        self,
        plan: Plan,
        ranks: Ranks,
        folder: RunDir,
        callbacks: Callbacks,
        fetch: Callable[[Variant], Path],
        after_step: Callable[[Trainer, int, Tensor], None] | None,
    ) -> None:
        import torch

        self._plan = plan
        self._ranks = ranks
        self._folder = folder
        self._callbacks = callbacks
        self._after_step = after_step
        # Before weights are fetched; and for those on other hosts, who don't have the folder.
        state = ranks.from_first(folder.enter)
        self._batches = data.EpochBatches(
            len(plan.train),
            plan.recipe.batch_size,
            seed=plan.settings.seed,
            rank=ranks.rank,
            world=ranks.world,
        )
        self._loader, self._val = self._loaders()
        share = plan.recipe.batch_size // ranks.world
        self._trainer = Trainer(
            build(plan, share, fetch if state is None else None),
            plan.recipe,
            plan.settings,
            preprocessing=plan.preprocessing,
            ranks=ranks,
            steps_per_epoch=self._batches.steps,
        )
        sums = torch.zeros(2, dtype=torch.float64, device=ranks.device)
        self._at = Position(self._batches.steps, sums)
        if state is not None:
            self._load(state)
        total = plan.recipe.epochs * self._batches.steps
        self._last_step = min(total, plan.settings.max_steps or total)
        self._left_out = SkippedImages(callbacks)
        self._speed = Throughput()
        self._held = HeldSignals()
        # Of an epoch that was cut short, which is no candidate for the best one.
        self._scores: Scores | None = None

    def _load(self, state: Mapping[str, Any]) -> None:
        try:
            self._trainer.load_state(state)
            self._at.load_state(state, self._plan.recipe.epochs)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            missing = isinstance(error, KeyError)
            reason = f"{error} is missing" if missing else str(error).partition("\n")[0]
            raise BadInput(
                f"{self._folder.path}: can't go on from {LAST}: {reason}; choose another --output"
            ) from error

    def _loaders(self) -> tuple[DataLoader[data.TrainBatch], DataLoader[data.TrainBatch] | None]:
        """The loaders of the training and of the validation images."""
        plan, ranks = self._plan, self._ranks
        on_gpu = ranks.device.type == "cuda"
        transform = data.transform_of(plan.preprocessing, plan.recipe.augment)
        train = data.loader(
            data.TrainImages(plan.train, transform, plan.settings.seed),
            self._batches,
            workers=plan.workers,
            pin_memory=on_gpu,
            keep_workers=True,
        )
        if plan.val is None:
            return train, None
        share = plan.recipe.batch_size // ranks.world
        val = data.loader(
            data.TrainImages(plan.val, plan.preprocessing.to_pixels),
            data.EveryImage(len(plan.val), share, rank=ranks.rank, world=ranks.world),
            workers=plan.workers,
            pin_memory=on_gpu,
        )
        return train, val

    def run(self) -> Outcome:
        self._begin()
        at = self._at
        began = at.step
        # A process that was killed in a validation has left it to be done.
        try:
            while at.ending or at.step < self._last_step:
                self._train_epoch()
        except KeyboardInterrupt:
            self._interrupted()
            raise
        if self._ranks.first and at.best is None and at.step == began:
            self._folder.model(self._trainer)
        cut = None if self._scores is None else self._scores.top1
        epoch, top1 = at.best or (at.started, cut)
        left_out = int(self._ranks.total(at.sums.new_tensor(self._left_out.count)))
        return Outcome(self._folder.path, at.epoch, at.step, epoch, top1, left_out)

    def _begin(self) -> None:
        """Report the plan and open the log."""
        at = self._at
        if self._ranks.first:
            for sentence in self._plan.sentences:
                self._callbacks.info(sentence)
            for sentence in self._plan.warnings:
                self._callbacks.warn(sentence)
            if at.step:
                done = f"{plural(at.epoch, 'epoch')} and {plural(at.in_epoch, 'step')}"
                self._callbacks.info(f"going on after {done}")
        self._ranks.from_first(lambda: self._folder.begin(at))

    def _train_epoch(self) -> None:
        """The rest of an epoch, its validation, and what is kept of it."""
        at, speed = self._at, self._speed
        started, before = time.perf_counter(), (speed.images, speed.seconds)
        if not at.ending:
            self._train_steps()
            if self._ranks.first and at.ending and self._val is not None:
                self._folder.save(self._trainer, at)
        total_loss, images = at.sums.tolist()
        scores = None
        if self._val is not None:
            scores = self._trainer.evaluate(self._left_out.noted(self._val))
        report = EpochReport(
            epoch=at.epoch + 1,
            step=at.step,
            lr=at.lr,
            train_loss=total_loss / images,
            val_loss=scores.loss if scores else None,
            top1=scores.top1 if scores else None,
            top5=scores.top5 if scores and len(self._plan.train.classes) > _TOP else None,
            images_per_second=speed.since(*before),
            seconds=time.perf_counter() - started,
        )
        self._end_epoch(report, scores)

    def _interrupted(self) -> None:
        """Save what is done, unless it is saved, or a step was left in the middle."""
        if not self._ranks.first:
            return
        self._callbacks.interrupted()
        if not self._held.broken:
            try:
                with self._held:
                    self._folder.keep(self._trainer, self._at)
            except KeyboardInterrupt:
                pass  # One more, and it is saved.
            except TrainingError as error:
                self._callbacks.warn(str(error))
        kept, last = self._folder.kept, self._last_step
        path = self._folder.path / LAST
        self._callbacks.warn(
            f"interrupted: {path} holds the training after step {kept} of {last}"
            if kept
            else "interrupted: nothing is done yet that could be saved"
        )

    def _train_steps(self) -> None:
        """The rest of an epoch's steps, as far as they are wanted.

        Several processes stop after the same step: one that was left alone would wait for ever.
        """
        alone = self._ranks.world == 1
        with nullcontext() if alone else self._held:
            self._take_steps(alone=alone)
        if self._held.asked and not alone:
            raise KeyboardInterrupt

    def _take_steps(self, *, alone: bool) -> None:
        at, trainer = self._at, self._trainer
        self._batches.epoch, self._batches.start = at.epoch, at.in_epoch
        trainer.training_mode()
        self._speed.start(at.sums[1].item())
        shown = time.perf_counter()
        for batch in self._left_out.noted(self._loader):
            with self._held:
                at.lr = trainer.lr
                loss = trainer.step(batch, at.step, at.sums)
                at.in_epoch += 1
            if self._after_step is not None:
                self._after_step(trainer, at.step, loss)
            if not alone and self._agreed_to_stop():
                return
            last = at.step == self._last_step
            if last or time.perf_counter() - shown > _REPORT_SECONDS:
                self._show()
                shown = time.perf_counter()
            if last:
                break
            if self._ranks.first and not at.ending:
                self._folder.step(trainer, at)
        total_loss, images = at.sums.tolist()
        _check_finite(total_loss, at.step)
        self._speed.add(images)

    def _agreed_to_stop(self) -> bool:
        """Whether any process was asked to; a GPU is not made to wait for that after each step."""
        if self._at.step % (1 if self._ranks.device.type == "cpu" else _ASK_STEPS):
            return False
        asked = self._at.sums.new_tensor(float(self._held.asked))
        self._held.asked = bool(self._ranks.total(asked).item())
        return self._held.asked

    def _end_epoch(self, report: EpochReport, scores: Scores | None) -> None:
        with self._held:
            self._close_epoch(report, scores)

    def _close_epoch(self, report: EpochReport, scores: Scores | None) -> None:
        at = self._at
        # An epoch that was cut short is no candidate for the best: it will be done again, whole.
        self._scores = None if at.ending else scores
        if at.ending:
            at.end_epoch()
            if scores is not None and (at.best is None or scores.top1 > at.best[1]):
                at.best = report.epoch, scores.top1
        if self._ranks.first:
            self._folder.epoch(report, self._trainer, at)
            self._callbacks.epoch(report)

    def _show(self) -> None:
        if not self._ranks.first:
            return
        at = self._at
        total_loss, images = at.sums.tolist()
        _check_finite(total_loss, at.step)
        self._speed.add(images)
        speed = self._speed.since(0, 0) or math.inf
        left = (self._last_step - at.step) * self._plan.recipe.batch_size
        report = StepReport(
            epoch=at.epoch + 1,
            epochs=self._plan.recipe.epochs,
            step=at.step,
            steps=self._last_step,
            loss=total_loss / images,
            lr=at.lr,
            images_per_second=speed,
            seconds_left=left / speed,
        )
        self._callbacks.step(report)
        self._folder.log.step(report)


def _check_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is no number any more at step {step}; {LOWER_LR}")


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise torch's errors about too little memory as a plain `TrainingError`.

    Raises:
        TrainingError: a process that decodes died, or memory is short.
    """
    try:
        yield
    except MemoryError as error:
        raise TrainingError("memory is short; lower --workers or --batch-size") from error
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise TrainingError("the device's memory is short; lower --batch-size") from error
        # The loader has no class for it, and raises it wherever this process happens to be.
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        raise TrainingError(
            "a process that decodes images died, perhaps for lack of memory; lower --workers, "
            "and go on with --resume auto"
        ) from error
