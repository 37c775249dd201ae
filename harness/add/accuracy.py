"""How many labelled pictures a checkpoint answers right."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from harness.add.errors import NotAdded
from harness.add.facts import Facts, check_unchanged
from harness.add.pictures import Labelled
from harness.measure.accuracy import preprocessing_of
from harness.measure.accuracy_answers import answers as judged
from harness.measure.accuracy_model import load_model
from harness.measure.builders import builder_of
from zoo._util.text import plural
from zoo.inference import answers
from zoo.pictures import Unreadable
from zoo.preprocessing import Preprocessing
from zoo.weights.tensors import CheckpointError

if TYPE_CHECKING:
    import torch

_STEP = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What was counted: right answers of ``images``; a picture without an answer is none.

    ``unanswered`` says of each such picture why: it can't be read, or the model gives what is no
    finite number.
    """

    dataset: str
    images: int
    top1: int
    top5: int
    unanswered: tuple[Unreadable, ...] = ()


def percent(right: int, images: int) -> Decimal:
    """A share as an entry has it, in hundredths of a percent."""
    return (Decimal(100 * right) / images).quantize(_STEP)


def preparation(facts: Facts) -> Preprocessing:
    """How a picture becomes the model's input.

    Raises:
        NotAdded: the origin says of it what can't be done.
    """
    try:
        return preprocessing_of(facts.recipe)
    except ValueError as error:
        raise NotAdded(f"--from: {error}") from error


def measure_accuracy(
    facts: Facts, checkpoint: Path, labelled: Labelled, device: torch.device, batch: int
) -> Accuracy:
    """Runs the checkpoint on the pictures, in float32, and counts its right answers.

    Raises:
        NotAdded: the file is not what was measured before, or answers next to nothing right.
    """
    transform = preparation(facts)
    try:
        found = _counted(facts, checkpoint, transform, labelled, device, batch)
    except (CheckpointError, OSError) as error:
        check_unchanged(checkpoint, facts)
        raise NotAdded(f"{checkpoint}: {error}") from error
    check_unchanged(checkpoint, facts)
    if not percent(found.top1, found.images):
        right = "none" if not found.top1 else f"no more than {found.top1:,}"
        raise NotAdded(
            f"{right} of {plural(found.images, 'picture')} is answered right{_excuse(found)}: are "
            "these the checkpoint's classes?"
        )
    return found


def _counted(
    facts: Facts,
    checkpoint: Path,
    transform: Preprocessing,
    labelled: Labelled,
    device: torch.device,
    batch: int,
) -> Accuracy:
    import torch

    recipe = facts.recipe
    model = load_model(builder_of(recipe), recipe.name, checkpoint).to(device)
    model = model.to(memory_format=torch.channels_last)
    top1 = top5 = 0
    unanswered = []
    told = answers(model, transform, labelled.pictures, batch_size=batch, device=device)
    for answer, label in zip(told, labelled.labels, strict=True):
        if isinstance(answer, Unreadable):
            unanswered.append(answer)
            continue
        right = judged(answer.output[None], torch.tensor([label]))
        top1 += int(right.top1)
        top5 += int(right.top5)
    return Accuracy(labelled.dataset, len(labelled.labels), top1, top5, tuple(unanswered))


def _excuse(found: Accuracy) -> str:
    if not found.unanswered:
        return ""
    first = found.unanswered[0]
    return f" ({len(found.unanswered):,} have no answer: {first.name}: {first.why})"
