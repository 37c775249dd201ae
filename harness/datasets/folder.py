"""Folders of images: one folder per class, or all in one with a labels file."""

from __future__ import annotations

import os
from pathlib import Path

from harness.datasets.assemble import Entry, image_set
from harness.datasets.classes import UnknownClassError, folder_classes
from harness.datasets.files import images, listing
from harness.datasets.labels import label
from harness.datasets.types import ImageSet, ImageSetError


def class_folders(folder: Path, found: list[os.DirEntry[str]]) -> ImageSet | None:
    """A tree of class folders, None where the folders in it are no classes.

    Images lie right in their class's folder; what lies deeper, or beside the class folders, is
    listed as ignored.

    Args:
        folder: the root.
        found: its listing.

    Raises:
        ImageSetError: most folders are classes, and one is not.
    """
    names = [item.name for item in found if item.is_dir()]
    try:
        classes = folder_classes(names)
    except UnknownClassError as error:
        raise ImageSetError(
            f"{folder}: {error}; name the folders by synsets (n01440764), by class indices (0 to "
            "999), or by the names of the classes"
        ) from None
    if classes is None:
        return None
    entries: list[Entry] = []
    labels: list[int] = []
    ignored = [item.name for item in found if not item.is_dir()]
    for name, index in classes.items():
        for inner, entry in images(listing(folder / name), prefix=f"{name}/"):
            if entry is None:
                ignored.append(inner)
            else:
                entries.append(entry)
                labels.append(index)
    return image_set("class folders", str(folder), entries, labels, ignored=ignored)


def labelled_images(
    folder: Path, found: list[os.DirEntry[str]], labels: Path | None
) -> ImageSet | None:
    """The images right in a folder, with their labels; None where it holds none.

    Raises:
        ImageSetError: an image has no label, or the labels file is wrong.
    """
    entries: list[Entry] = []
    ignored: list[str] = []
    for name, entry in images(found):
        if entry is not None:
            entries.append(entry)
        elif labels is None or name != labels.name:
            ignored.append(name)
    if not entries:
        return None
    known = label([entry.name for entry in entries], labels, str(folder))
    return image_set(
        "labelled images",
        str(folder),
        entries,
        known.labels,
        ignored=ignored,
        missing=known.missing,
    )
