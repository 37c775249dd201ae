"""How many labelled pictures a checkpoint answers right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.add.errors import NotAdded
from harness.add.facts import Facts
from harness.images import ImageSetError, open_image_set
from harness.measure.accuracy import preprocessing_of
from harness.measure.accuracy_answers import answers as judged
from harness.measure.accuracy_model import load_model
from harness.measure.builders import builder_of
from zoo.inference import Answer, answers
from zoo.pictures import Picture, Unreadable
from zoo.pictures.files import read_regular
from zoo.training.errors import BadInput
from zoo.training.folders import read_tree, split

if TYPE_CHECKING:
    import torch

SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures with the index of each one's class, and what to call them.

    ``classes`` are the classes' names where the pictures' folders give them.
    """

    dataset: str
    pictures: tuple[Picture, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What was counted: right answers of ``images``; a picture that can't be read is none."""

    dataset: str
    images: int
    top1: int
    top5: int
    unreadable: tuple[Unreadable, ...]


def open_labelled(data: str, facts: Facts, classes: Sequence[str]) -> Labelled:
    """The pictures at a path.

    Of a model with the thousand classes of ImageNet they are an image set as `zoo verify --data`
    takes it; of any other, one folder per class, or such folders below ``val``.

    Args:
        data: the path, or ``sample``.
        facts: of the model.
        classes: the names of its outputs where they are known; else the folders' own, sorted.

    Raises:
        NotAdded: there are no such pictures, or they are of other classes.
    """
    if facts.recipe.classes is None:
        return _imagenet(data)
    try:
        _, validation = split(Path(data))
        root = validation or Path(data)
        tree = read_tree(root, classes or None)
    except BadInput as error:
        raise NotAdded(f"--data: {error}") from error
    if len(tree.classes) != facts.outputs:
        raise NotAdded(
            f"--data: {root} has {len(tree.classes)} class folders, and the checkpoint tells "
            f"{facts.outputs} classes apart; name the classes with --class-names"
        )
    pictures = tuple(_picture(root, path) for path in tree.paths)
    return Labelled(Path(data).resolve().name, pictures, tree.labels, tree.classes)


def measure_accuracy(
    facts: Facts, checkpoint: Path, labelled: Labelled, device: torch.device, batch: int
) -> Accuracy:
    """Runs the checkpoint on the pictures, in float32, and counts its right answers.

    Raises:
        zoo.weights.tensors.CheckpointError: the file is not what it was.
    """
    import torch

    recipe = facts.recipe
    model = load_model(builder_of(recipe), recipe.name, checkpoint).to(device)
    model = model.to(memory_format=torch.channels_last)
    top1 = top5 = 0
    unreadable = []
    for answer, label in _answers(model, recipe, labelled, device, batch):
        if isinstance(answer, Unreadable):
            unreadable.append(answer)
            continue
        right = judged(answer.output[None], torch.tensor([label]))
        top1 += int(right.top1)
        top5 += int(right.top5)
    return Accuracy(labelled.dataset, len(labelled.labels), top1, top5, tuple(unreadable))


def _answers(
    model: torch.nn.Module, recipe: object, labelled: Labelled, device: torch.device, batch: int
) -> Iterator[tuple[Answer | Unreadable, int]]:
    transform = preprocessing_of(recipe)  # type: ignore[arg-type]
    told = answers(model, transform, labelled.pictures, batch_size=batch, device=device)
    return zip(told, labelled.labels, strict=True)


def _imagenet(data: str) -> Labelled:
    try:
        images = open_image_set(data)
    except ImageSetError as error:
        raise NotAdded(f"--data: {error}") from error
    if data == SAMPLE:
        dataset = "ImageNet sample pictures"
    else:
        dataset = "ImageNet" if images.population.full else Path(data).resolve().name
    pictures = tuple(
        Picture(name, source.read)
        for name, source in zip(images.names, images.sources, strict=True)
    )
    return Labelled(dataset, pictures, images.labels)


def _picture(root: Path, path: str) -> Picture:
    return Picture(path, lambda: read_regular(str(root / path))[0])
