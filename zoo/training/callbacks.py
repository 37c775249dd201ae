"""Callbacks of a training, and the reports that they are given."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepReport:
    """How far a training is.

    Attributes:
        epoch: the epoch that runs, from 1.
        epochs: how many there are to be.
        step: optimisation steps taken, of all epochs.
        steps: how many there are to be.
        loss: mean over the images of this epoch up to now, of all processes.
        lr: the learning rate of the step just taken.
        images_per_second: of this run, over all processes, validation left out.
        seconds_left: until the last step, at that speed, validation left out.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    lr: float
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch, as the log keeps it. Accuracies are percentages.

    Attributes:
        epoch: from 1.
        step: optimisation steps taken, of all epochs.
        lr: the learning rate of its last step.
        train_loss: mean over its images, augmented as they were.
        val_loss, top1, top5: of the validation images; None where there are none.
        images_per_second: over all processes, validation left out; what was done before the
            process was last started does not count, and None is left where that was all.
        seconds: of the same part of the epoch, and of the validation.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    val_loss: float | None
    top1: float | None
    top5: float | None
    images_per_second: float | None
    seconds: float


class Callbacks:
    """Callbacks that do nothing; override those that you need.

    Every process of a training has one. What all processes share is reported by the first alone.
    """

    def info(self, sentence: str) -> None:
        """What is about to be done, or was decided; in the first process."""

    def warn(self, sentence: str) -> None:
        """What is not as it should be, and does not stop the training; in the process it is of."""

    def step(self, report: StepReport) -> None:
        """Some steps more were taken; in the first process."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch is over, its validation too; in the first process."""
