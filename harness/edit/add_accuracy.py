"""Measure a new checkpoint's accuracy on labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from harness.datasets import ImageSetError, open_image_set
from harness.edit.add_facts import Facts, NotAdded, check_unchanged, classes_of
from harness.measure.accuracy.classifier import load_model
from harness.measure.accuracy.scoring import answers as judged
from harness.measure.accuracy.validator import preprocessing_of
from harness.measure.builders import builder_of
from zoo._util.text import plural
from zoo.errors import BadInput, CheckpointError
from zoo.images import InputImage, UnreadableImage
from zoo.images.imagefolder import read_val_split
from zoo.images.io import read_regular
from zoo.inference import answers
from zoo.labels import is_imagenet
from zoo.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

_STEP = Decimal("0.01")
SAMPLE = "sample"
_TRAINING = "train"
# Folders that are called by their part of a data set, which the folder around them is called by.
_PARTS = frozenset({_TRAINING, "val", "validation", "test"})


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images with the index of each one's class, and what to call them.

    ``classes`` are the classes' names where the images' folders give them; ``note`` says what is
    doubtful about measuring on them.
    """

    dataset: str
    images: tuple[InputImage, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...] = ()
    note: str = ""


def open_labelled(
    data: str, facts: Facts, classes: Sequence[str], dataset: str | None = None
) -> LabelledImages:
    """Open the images at a path.

    Of a model with the thousand classes of ImageNet they are an image set as `zoo verify --data`
    takes it; of any other, one folder per class, or such folders below ``val``.

    Args:
        data: the path, or ``sample``.
        facts: of the model.
        classes: the names of its outputs where they are known; else the folders' own, sorted.
        dataset: what to call them; by default as their folder, or the one around it, is called.

    Raises:
        NotAdded: there are no such images, they are of other classes, or they are called by the
            name of others.
    """
    if facts.recipe.classes is None:
        return _imagenet(data, dataset)
    if data == SAMPLE:
        raise NotAdded(
            "--data: sample stands for images of ImageNet's classes, and the checkpoint's are "
            "others; give a folder with one folder per class"
        )
    called = dataset or _called(Path(data))
    if is_imagenet(called):
        given = "--dataset" if dataset else "--data"
        raise NotAdded(
            f"{given}: {called!r} stands for ImageNet's classes, and the checkpoint's "
            f"{classes_of(facts.outputs)} are its own; call these images something else with "
            "--dataset"
        )
    try:
        tree = read_val_split(Path(data).expanduser(), classes or None)
    except BadInput as error:
        raise NotAdded(f"--data: {error}") from error
    if len(tree.classes) != facts.outputs:
        raise NotAdded(
            f"--data: {tree.root} has {len(tree.classes)} class folders, and the checkpoint tells "
            f"{classes_of(facts.outputs)} apart; name the classes with --class-names"
        )
    images = tuple(_image(tree.root, path) for path in tree.paths)
    return LabelledImages(called, images, tree.labels, tree.classes, _doubt(tree.root))


def _imagenet(data: str, dataset: str | None) -> LabelledImages:
    try:
        opened = open_image_set(data)
    except ImageSetError as error:
        raise NotAdded(f"--data: {error}") from error
    if data == SAMPLE:
        called = "ImageNet sample images"
    else:
        called = "ImageNet" if opened.population.full else _called(Path(data))
    images = tuple(
        InputImage(name, source.read)
        for name, source in zip(opened.names, opened.sources, strict=True)
    )
    return LabelledImages(dataset or called, images, opened.labels, note=_doubt(Path(data)))


def _called(folder: Path) -> str:
    real = folder.resolve()
    around = real.parent.name if real.name.lower() in _PARTS else ""
    return around or real.name


def _doubt(folder: Path) -> str:
    if folder.resolve().name.lower() != _TRAINING:
        return ""
    return (
        f"{folder}: if these images were trained on, their accuracy says little of others; "
        "measure on images that were kept apart"
    )


def _image(root: Path, path: str) -> InputImage:
    return InputImage(path, lambda: read_regular(str(root / path))[0])


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What was counted: right answers of ``images``; an image without an answer is none.

    ``unanswered`` says of each such image why: it can't be read, or the model gives what is no
    finite number.
    """

    dataset: str
    images: int
    top1: int
    top5: int
    unanswered: tuple[UnreadableImage, ...] = ()


def percent(right: int, images: int) -> Decimal:
    """A share as an entry has it, in hundredths of a percent."""
    return (Decimal(100 * right) / images).quantize(_STEP)


def preparation(facts: Facts) -> Preprocessing:
    """How an image becomes the model's input.

    Raises:
        NotAdded: the origin says of it what can't be done.
    """
    try:
        return preprocessing_of(facts.recipe)
    except ValueError as error:
        raise NotAdded(f"--from: {error}") from error


def measure_accuracy(
    facts: Facts, checkpoint: Path, labelled: LabelledImages, device: torch.device, batch: int
) -> Accuracy:
    """Run the checkpoint on the images, in float32, and count its right answers.

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
            f"{right} of {plural(found.images, 'image')} is answered right{_excuse(found)}: are "
            "these the checkpoint's classes?"
        )
    return found


def _counted(
    facts: Facts,
    checkpoint: Path,
    transform: Preprocessing,
    labelled: LabelledImages,
    device: torch.device,
    batch: int,
) -> Accuracy:
    import torch

    recipe = facts.recipe
    model = load_model(builder_of(recipe), recipe.name, checkpoint).to(device)
    model = model.to(memory_format=torch.channels_last)
    top1 = top5 = 0
    unanswered = []
    answered = answers(model, transform, labelled.images, batch_size=batch, device=device)
    for answer, label in zip(answered, labelled.labels, strict=True):
        if isinstance(answer, UnreadableImage):
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
