"""Measure a checkpoint that is not documented yet, and its accuracy on labelled images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from harness.check.flops import figure, recommended
from harness.datasets import ImageSetError, open_image_set
from harness.measure.accuracy.classifier import load_model
from harness.measure.accuracy.scoring import answers as judged
from harness.measure.accuracy.validator import preprocessing_of
from harness.measure.builders import BuilderError, builder_of, get_builder
from harness.measure.meta import build_on_meta
from harness.measure.profile import Profiler
from harness.types import USUAL_SIZE, Measurement, Recipe, Size
from zoo._util.files import FileStat, file_stat, hash_file
from zoo._util.text import plural
from zoo.errors import BadInput, CheckpointError
from zoo.images import InputImage, UnreadableImage
from zoo.images.imagefolder import read_val_split
from zoo.images.io import read_regular
from zoo.inference import answers
from zoo.labels import is_imagenet
from zoo.preprocessing import Preprocessing
from zoo.weights.checkpoint import CheckpointInfo, read_checkpoint
from zoo.weights.match import Match, match, specs_of
from zoo.weights.sources import name_hash

if TYPE_CHECKING:
    import torch

# What `zoo train` leaves beside the states of a training.
_MODEL = "model.pth"
_STATE = "zoo_training"
# Groups of tensors that are named where a file does not fit: one line is to be read.
_GROUPS = 2
_STEP = Decimal("0.01")
SAMPLE = "sample"
_TRAINING = "train"
# Folders that are called by their part of a data set, which the folder around them is called by.
_PARTS = frozenset({_TRAINING, "val", "validation", "test"})


class NotAdded(Exception):
    """A checkpoint that can't become an entry; one line says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured.

    Attributes:
        recipe: how the variant is rebuilt: ``base``, and ``classes`` where they are not those that
            the architecture is published with, which are ImageNet's.
        parameters, flops: counts; ``flops`` under ``convention`` at ``image_size``.
        layers: where a rule counts them.
        outputs: how many classes the classifier has.
        size, sha256: of the file.
        stat: which file that was, on the disk.
        notes: what is unusual about the file.
    """

    recipe: Recipe
    parameters: int
    flops: int
    convention: str
    image_size: Size
    layers: int | None
    outputs: int
    size: int
    sha256: str
    stat: FileStat
    notes: tuple[str, ...] = ()


def measure(path: Path, base: Recipe, name: str, convention: str | None = None) -> Facts:
    """Measure a checkpoint as a variant of its own.

    Raises:
        NotAdded: the file is no checkpoint of that architecture, or not what its name says.
    """
    before = _stat(path)
    contents = read_checkpoint(path)
    if not isinstance(contents, CheckpointInfo):
        raise NotAdded(f"{path}: {contents}")
    recipe, outputs = _fitted(path, contents, base, name)
    size = base.image_size or USUAL_SIZE
    recipe = replace(recipe, image_size=size)
    found = {}
    kinds = ("structure", "checkpoint", "flops")
    for fact in Profiler().measure(recipe, kinds, (size,), str(path)):
        if not isinstance(fact, Measurement):
            raise NotAdded(f"{path}: {fact.why}")
        found[fact.kind] = fact.value
    try:
        sha256, after = hash_file(path)
    except OSError as error:
        raise NotAdded(f"{path}: can't be read: {error.strerror or error}") from error
    # The link may lead to a file whose own name, which the entry has, says another hash.
    head = name_hash(os.path.basename(os.path.realpath(path)))
    if before == after and found["checkpoint"]["refused"]:
        raise NotAdded(f"{path}: {found['checkpoint']['why']}")
    if before != after or not found["checkpoint"].get("fits"):
        raise _changed(path)
    if head is not None and not sha256.startswith(head):
        raise NotAdded(
            f"{path}: its name says that its SHA-256 begins with {head}, and it begins with "
            f"{sha256[: len(head)]}; rename the file"
        )
    # fvcore is the usual one, where it sees all of the model.
    chosen = convention or recommended(found["flops"], ("fvcore",))
    return Facts(
        recipe=recipe,
        parameters=found["structure"]["parameters"],
        flops=int(figure(found["flops"], chosen)),
        convention=chosen,
        image_size=size,
        layers=found["structure"]["layers"],
        outputs=outputs,
        size=after[0],
        sha256=sha256,
        stat=after,
        notes=(*found["checkpoint"]["notes"], *_of_a_training(path, contents)),
    )


def check_unchanged(path: Path, facts: Facts) -> None:
    """Check that a file is still the one that was measured.

    Raises:
        NotAdded: it is another one.
    """
    if _stat(path) != facts.stat:
        raise _changed(path)


def classes_of(number: int) -> str:
    """``1 class``, ``1,000 classes``."""
    return plural(number, "class", ",")


def _stat(path: Path) -> FileStat:
    try:
        return file_stat(os.stat(path))
    except OSError as error:
        raise NotAdded(f"{path}: can't be read: {error.strerror or error}") from error


def _changed(path: Path) -> NotAdded:
    return NotAdded(f"{path}: it changed while it was measured; wait until no process writes to it")


def _of_a_training(path: Path, contents: CheckpointInfo) -> Iterator[str]:
    """What to know of a file that holds more of a training than the weights that are measured."""
    beside = path.with_name(_MODEL)
    is_state = any(extra.name == _STATE for extra in contents.extras) and beside.is_file()
    averages = [extra.name for extra in contents.extras if extra.kind == "ema" and extra.tensors]
    if averages:
        validated = f"; {beside} has the average, which is what was validated" if is_state else ""
        yield (
            f"it also holds a moving average of the weights ({averages[0]}), and what is measured "
            f"are the plain ones{validated}"
        )
    if is_state:
        yield f"it is the whole state of a training; the file to publish is {beside}"


def _fitted(path: Path, contents: CheckpointInfo, base: Recipe, name: str) -> tuple[Recipe, int]:
    """The recipe whose tensors the file has, and the number of its outputs."""
    recipe = replace(base, name=name, base=base.architecture, weights=None, classes=None)
    for _ in range(2):
        try:
            model = build_on_meta(builder_of(recipe), name)
        except BuilderError as error:
            raise NotAdded(str(error)) from error
        result = match(contents.tensors, specs_of(model))
        if result.fits:
            return recipe, int(getattr(model, "num_classes", 0))
        if result.other_classes is None:
            break
        recipe = replace(recipe, classes=result.other_classes[1])
    raise NotAdded(_why_not(path, contents, base, result))


def _why_not(path: Path, contents: CheckpointInfo, base: Recipe, result: Match) -> str:
    """Whose checkpoint it is, where that is known; else what differs."""
    others = fitting(contents, base.builder)
    if others:
        names = " or ".join(others)
        return f"{path}: it is no checkpoint of {base.name}, but of {names}: give that as --from"
    return f"{path}: it is no checkpoint of {base.name}: {'; '.join(result.lines(_GROUPS))}"


def fitting(contents: CheckpointInfo, builder: str) -> list[str]:
    """The variants whose tensors these are, but for the number of classes."""
    made, found = get_builder(builder), []
    for name in made.names():
        result = match(contents.tensors, specs_of(build_on_meta(made, name)))
        if result.fits or result.other_classes is not None:
            found.append(name)
    return found


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
    """Open the images at a path, or the ``sample``.

    Of a model with the thousand classes of ImageNet they are an image set as `zoo verify --data`
    takes it; of any other, one folder per class, or such folders below ``val``, sorted where the
    classes' names are not known. They are called as their folder, or the one around it, unless
    ``dataset`` says otherwise.

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
        called = "ImageNet" if opened.full else _called(Path(data))
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
