"""The labelled pictures that an accuracy is measured on, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.add.errors import NotAdded
from harness.add.facts import Facts, classes_of
from harness.images import ImageSetError, open_image_set
from zoo.labels import is_imagenet
from zoo.pictures import Picture
from zoo.pictures.files import read_regular
from zoo.training.errors import BadInput
from zoo.training.folders import read_kept_apart

SAMPLE = "sample"
_TRAINING = "train"
# Folders that are called by their part of a data set, which the folder around them is called by.
_PARTS = frozenset({_TRAINING, "val", "validation", "test"})


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures with the index of each one's class, and what to call them.

    ``classes`` are the classes' names where the pictures' folders give them; ``note`` says what is
    doubtful about measuring on them.
    """

    dataset: str
    pictures: tuple[Picture, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...] = ()
    note: str = ""


def open_labelled(
    data: str, facts: Facts, classes: Sequence[str], dataset: str | None = None
) -> Labelled:
    """The pictures at a path.

    Of a model with the thousand classes of ImageNet they are an image set as `zoo verify --data`
    takes it; of any other, one folder per class, or such folders below ``val``.

    Args:
        data: the path, or ``sample``.
        facts: of the model.
        classes: the names of its outputs where they are known; else the folders' own, sorted.
        dataset: what to call them; by default as their folder, or the one around it, is called.

    Raises:
        NotAdded: there are no such pictures, they are of other classes, or they are called by the
            name of others.
    """
    if facts.recipe.classes is None:
        return _imagenet(data, dataset)
    if data == SAMPLE:
        raise NotAdded(
            "--data: sample stands for pictures of ImageNet's classes, and the checkpoint's are "
            "others; give a folder with one folder per class"
        )
    called = dataset or _called(Path(data))
    if is_imagenet(called):
        given = "--dataset" if dataset else "--data"
        raise NotAdded(
            f"{given}: {called!r} stands for ImageNet's classes, and the checkpoint's "
            f"{classes_of(facts.outputs)} are its own; call these pictures something else with "
            "--dataset"
        )
    try:
        tree = read_kept_apart(Path(data).expanduser(), classes or None)
    except BadInput as error:
        raise NotAdded(f"--data: {error}") from error
    if len(tree.classes) != facts.outputs:
        raise NotAdded(
            f"--data: {tree.root} has {len(tree.classes)} class folders, and the checkpoint tells "
            f"{classes_of(facts.outputs)} apart; name the classes with --class-names"
        )
    pictures = tuple(_picture(tree.root, path) for path in tree.paths)
    return Labelled(called, pictures, tree.labels, tree.classes, _doubt(tree.root))


def _imagenet(data: str, dataset: str | None) -> Labelled:
    try:
        images = open_image_set(data)
    except ImageSetError as error:
        raise NotAdded(f"--data: {error}") from error
    if data == SAMPLE:
        called = "ImageNet sample pictures"
    else:
        called = "ImageNet" if images.population.full else _called(Path(data))
    pictures = tuple(
        Picture(name, source.read)
        for name, source in zip(images.names, images.sources, strict=True)
    )
    return Labelled(dataset or called, pictures, images.labels, note=_doubt(Path(data)))


def _called(folder: Path) -> str:
    real = folder.resolve()
    around = real.parent.name if real.name.lower() in _PARTS else ""
    return around or real.name


def _doubt(folder: Path) -> str:
    if folder.resolve().name.lower() != _TRAINING:
        return ""
    return (
        f"{folder}: if these pictures were trained on, their accuracy says little of others; "
        "measure on pictures that were kept apart"
    )


def _picture(root: Path, path: str) -> Picture:
    return Picture(path, lambda: read_regular(str(root / path))[0])
