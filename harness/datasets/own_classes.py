"""Images of classes that are not ImageNet's: one folder per class, as they are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.datasets.assemble import Entry, image_set
from harness.datasets.files import file_entry
from harness.datasets.types import ImageSet, ImageSetError
from zoo.training.errors import BadInput
from zoo.training.folders import read_kept_apart


def own_class_set(place: str | Path, classes: Sequence[str]) -> ImageSet:
    """The images in folders named by a variant's own classes, or in those of its ``val`` folder.

    They are found, and labelled, as `zoo train` and `zoo add` do.

    Args:
        place: the folder.
        classes: the names of the classes, in the order of the classifier's outputs.

    Raises:
        ImageSetError: there are no such folders, one is empty, or one is of another class.
    """
    try:
        tree = read_kept_apart(Path(place), classes)
    except BadInput as error:
        raise ImageSetError(str(error)) from error
    entries: list[Entry] = [file_entry(name, tree.root / name) for name in tree.paths]
    return image_set("folders of its own classes", str(tree.root), entries, tree.labels)
