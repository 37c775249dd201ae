"""A whole training: from settings to files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.training import checkpoints, data, distributed
from zoo.training.errors import BadInput, TrainingError
from zoo.training.logs import Log
from zoo.training.loop import Scores, Trainer
from zoo.training.planning import Plan, build, make_plan
from zoo.training.settings import Settings
from zoo.training.watch import EpochReport, StepReport, Watcher

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.training.distributed import Ranks

CLASSES = "classes.txt"
_REPORT_SECONDS = 0.5
_SAVE_SECONDS = 600.0
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
    after_step: Callable[[Trainer, int, Tensor], None] | None = None,
) -> Outcome:
    """Trains a variant, or goes on with a training.

    Under torchrun every process calls this with the same settings.

    Args:
        settings: what to do.
        watcher: is told about it.
        after_step: is called after each optimisation step, while the gradients are there, with the
            trainer, the step's number from 1, and the mean loss over this process's pictures.

    Raises:
        BadInput: it can't start with these settings, this data or this folder.
        TrainingError: it can't go on.
        zoo.weights.WeightsError: the published weights can't be had.
    """
    with distributed.joined(settings.device) as ranks:
        plan = make_plan(settings, ranks)
        run = _Run(plan, ranks, watcher, after_step)
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
        after_step: Callable[[Trainer, int, Tensor], None] | None,
    ) -> None:
        import torch

        self._plan = plan
        self._settings = plan.settings
        self._ranks = ranks
        self._watcher = watcher
        self._after_step = after_step
        self._output = Path(plan.settings.output)
        state = self._found()
        recipe, share = plan.recipe, plan.recipe.batch_size // ranks.world
        self._batches = data.EpochBatches(
            len(plan.train),
            recipe.batch_size,
            seed=plan.settings.seed,
            rank=ranks.rank,
            world=ranks.world,
        )
        on_gpu = ranks.device.type == "cuda"
        transform = data.transform_of(plan.preprocessing, recipe.augment)
        self._loader = data.loader(
            data.Pictures(plan.train, transform, plan.settings.seed),
            self._batches,
            workers=plan.workers,
            pin_memory=on_gpu,
            keep_workers=True,
        )
        self._val = None
        if plan.val is not None:
            self._val = data.loader(
                data.Pictures(plan.val, plan.preprocessing.to_pixels),
                data.EveryPicture(len(plan.val), share, rank=ranks.rank, world=ranks.world),
                workers=plan.workers,
                pin_memory=on_gpu,
            )
        self.trainer = Trainer(
            build(plan),
            recipe,
            plan.settings,
            preprocessing=plan.preprocessing,
            ranks=ranks,
            steps_per_epoch=self._batches.steps,
        )
        # Where the training stands: whole epochs, steps of the next, and what they summed up.
        self._epoch, self._in_epoch = 0, 0
        self._sums = torch.zeros(2, dtype=torch.float64, device=ranks.device)
        self._best: tuple[int, float] | None = None
        self._told: set[str] = set()
        self._unreadable = 0
        if state is not None:
            self._go_on(state)
        self._log: Log | None = None
        # Of this run, for its speed: pictures of all processes, and seconds.
        self._images, self._seconds = 0, 0.0

    @property
    def _step(self) -> int:
        return self._epoch * self._batches.steps + self._in_epoch

    @property
    def _steps(self) -> int:
        """Where this run ends."""
        total = self._plan.recipe.epochs * self._batches.steps
        return min(total, self._settings.max_steps or total)

    def run(self) -> Outcome:
        if self._ranks.first:
            self._begin()
        self._saved = time.monotonic()
        while self._step < self._steps:
            self._train_epoch()
        best = self._best[0] if self._best else self._epoch
        if self._ranks.first and self._val is None:
            self._keep_model()
        return Outcome(
            self._output,
            self._epoch,
            self._step,
            best,
            None if self._best is None else self._best[1],
            self._unreadable,
        )

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def _found(self) -> dict[str, Any] | None:
        """The state to go on from, if there is one and it is of this very training."""
        path = self._output / checkpoints.LAST
        if not path.exists():
            return None
        if not self._settings.resume:
            raise BadInput(
                f"{self._output}: holds a training already; go on with it (--resume auto), or "
                "choose another --output"
            )
        state = checkpoints.load_training(path)
        now = self._plan.identity()
        then = state.get("identity")
        if not isinstance(then, dict) or not {"position", "best", "model"} <= state.keys():
            raise BadInput(f"{path}: is no state of a training that this version can read")
        for name, value in now.items():
            if then.get(name) != value:
                raise BadInput(
                    f"{path}: was trained with another {name.replace('_', ' ')}"
                    f"{_both(then.get(name), value)}; give the same to go on, or another --output"
                )
        return state

    def _go_on(self, state: dict[str, Any]) -> None:
        import torch

        self.trainer.load_state(state)
        self._epoch, self._in_epoch = state["position"]
        if self._ranks.first:  # The sums are those of the process that wrote them.
            self._sums.copy_(torch.tensor(state["sums"], dtype=torch.float64))
        self._best = None if state["best"] is None else tuple(state["best"])

    def _begin(self) -> None:
        """Says what will be done, and makes the folder."""
        for sentence in self._plan.sentences:
            self._watcher.tell(sentence)
        for sentence in self._plan.warnings:
            self._watcher.warn(sentence)
        if self._step:
            self._watcher.tell(f"going on after {self._epoch} epochs and {self._in_epoch} steps")
        try:
            self._output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{self._output}: can't be made: {error.strerror or error}") from error
        names = "".join(f"{name}\n" for name in self._plan.train.classes)
        checkpoints.write_text(self._output / CLASSES, names)
        self._log = Log(
            self._output,
            epochs_done=self._epoch,
            steps_done=self._step,
            tensorboard=self._settings.tensorboard,
        )

    def _train_epoch(self) -> None:
        """The rest of an epoch, its validation, and what is kept of it."""
        self._batches.epoch, self._batches.start = self._epoch, self._in_epoch
        self.trainer.training_mode()
        images_before, seconds_before = self._images, self._seconds
        started = begin = shown = time.perf_counter()
        lr = self.trainer.lr
        for batch in self._loader:
            self._note(batch.unreadable)
            if not len(batch.labels):
                raise TrainingError("no picture of a whole batch can be read; see the lines above")
            lr = self.trainer.lr
            loss = self.trainer.step(batch, self._step)
            count = len(batch.labels)
            self._sums[0] += loss.double() * count
            self._sums[1] += count
            self._in_epoch += 1
            self._images += count * self._ranks.world
            now = time.perf_counter()
            self._seconds, begin = self._seconds + now - begin, now
            if self._after_step is not None:
                self._after_step(self.trainer, self._step, loss)
            if now - shown > _REPORT_SECONDS or self._step == self._steps:
                shown = now
                self._show(lr)
            if self._step == self._steps:
                break
            self._save_if_due()
        total_loss, images = self._ranks.total(self._sums.clone()).tolist()
        _check_finite(total_loss, self._step)
        scores = None if self._val is None else self.trainer.evaluate(self._validation())
        report = EpochReport(
            epoch=self._epoch + 1,
            step=self._step,
            lr=lr,
            train_loss=total_loss / images,
            val_loss=scores.loss if scores else None,
            top1=scores.top1 if scores else None,
            top5=scores.top5 if scores else None,
            images_per_second=(self._images - images_before)
            / max(self._seconds - seconds_before, 1e-9),
            seconds=time.perf_counter() - started,
        )
        if self._in_epoch == self._batches.steps:
            self._epoch, self._in_epoch = self._epoch + 1, 0
            self._sums.zero_()
        self._keep(report, scores)

    def _keep(self, report: EpochReport, scores: Scores | None) -> None:
        """Writes the row, then the files; what a kill in between leaves is written over."""
        best = scores is not None and (self._best is None or scores.top1 > self._best[1])
        if best and scores is not None:
            self._best = report.epoch, scores.top1
        if not self._ranks.first:
            return
        assert self._log is not None
        self._log.epoch(report)
        self._watcher.epoch(report)
        if best:
            self._save(checkpoints.BEST)
            self._keep_model()
        self._save(checkpoints.LAST)

    def _keep_model(self) -> None:
        state = checkpoints.portable(self.trainer.best_model.state_dict())
        checkpoints.save(state, self._output / checkpoints.MODEL)

    def _save_if_due(self) -> None:
        steps = self._settings.save_steps
        due = steps is not None and self._step % steps == 0
        if self._ranks.first and (due or time.monotonic() - self._saved > _SAVE_SECONDS):
            self._save(checkpoints.LAST)

    def _save(self, name: str) -> None:
        state = {
            "identity": self._plan.identity(),
            "position": [self._epoch, self._in_epoch],
            "sums": self._sums.tolist(),
            "best": None if self._best is None else list(self._best),
            **self.trainer.state(),
        }
        checkpoints.save_training(state, self._output / name)
        self._saved = time.monotonic()

    def _validation(self) -> Any:
        assert self._val is not None
        for batch in self._val:
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
        summed, count = self._sums.tolist()
        _check_finite(summed, self._step)
        speed = self._images / self._seconds
        left = (self._steps - self._step) * self._plan.recipe.batch_size
        report = StepReport(
            epoch=self._epoch + 1,
            epochs=self._plan.recipe.epochs,
            step=self._step,
            steps=self._steps,
            loss=summed / count,
            lr=lr,
            images_per_second=speed,
            seconds_left=left / speed,
        )
        self._watcher.step(report)
        if self._log is not None:
            self._log.step(report)


def _check_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        raise TrainingError(f"the loss is no number any more at step {step}; try a lower --lr")


def _both(then: object, now: object) -> str:
    """Two short values; lists of classes are too long to show."""
    if isinstance(then, list) or isinstance(now, list):
        return ""
    return f" ({then}, now {now})"
