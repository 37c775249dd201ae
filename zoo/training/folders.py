"""Labelled pictures as folders: one folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.training.errors import BadInput

# What Pillow reads, by the ends of names and, when a file is opened, by what is in it. PostScript
# is not among them: Pillow would start an interpreter on it.
ENDINGS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")


@dataclass(frozen=True, slots=True)
class Tree:
    """The pictures of a tree of class folders.

    Attributes:
        root: the folder of the class folders.
        classes: their names, in the order of a classifier's outputs.
        paths: of the pictures, from ``root``.
        labels: the number of each picture's class.
        ignored: how many other files there are.
    """

    root: Path
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    ignored: int = 0

    def __len__(self) -> int:
        return len(self.paths)


def split(data: Path) -> tuple[Path, Path | None]:
    """The folders to train on and to validate on, where one folder holds ``train`` and ``val``."""
    train, val = data / "train", data / "val"
    inside = {name for name, is_folder in _listing(data) if is_folder}
    if inside == {"train", "val"}:
        return train, val
    return data, None


def read_tree(root: Path, classes: Sequence[str] | None = None) -> Tree:
    """Lists the pictures below class folders, in the order of their names.

    Args:
        root: the folder of the class folders.
        classes: the classes that a model was given already; by default they are the folders.

    Raises:
        BadInput: there are no two classes, one is empty, or one is not among ``classes``.
    """
    found = [name for name, is_folder in _listing(root) if is_folder]
    if not found:
        raise BadInput(f"{root}: there are no class folders in it; put the pictures in one each")
    odd = next((name for name in found if not name.isprintable()), None)
    if odd is not None:
        raise BadInput(f"{root}: the class folder {odd!r} has a name that can't be listed")
    if classes is None:
        if len(found) == 1:
            raise BadInput(f"{root}: {found[0]} is the only class; a classifier needs two")
        classes = found
    numbers = {name: number for number, name in enumerate(classes)}
    unknown = [name for name in found if name not in numbers]
    if unknown:
        raise BadInput(
            f"{root}: the class {unknown[0]} is not among the {len(classes)} that are trained"
        )
    paths: list[str] = []
    labels: list[int] = []
    empty = []
    ignored = 0
    for name in found:
        inside = list(_files(root / name, name))
        pictures = [path for path in inside if Path(path).suffix.lower() in ENDINGS]
        if not pictures:
            empty.append(name)
        ignored += len(inside) - len(pictures)
        paths += pictures
        labels += [numbers[name]] * len(pictures)
    if empty:
        more = f" and {len(empty) - 1} more classes have" if len(empty) > 1 else " has"
        raise BadInput(f"{root}: the class {empty[0]}{more} no pictures; fill or remove the folder")
    return Tree(root, tuple(classes), tuple(paths), tuple(labels), ignored)


def _listing(folder: Path) -> list[tuple[str, bool]]:
    """The names in a folder, sorted, and whether each is a folder; hidden ones are left out."""
    try:
        with os.scandir(folder) as items:
            found = [(item.name, item.is_dir()) for item in items if not item.name.startswith(".")]
    except OSError as error:
        raise BadInput(f"{folder}: can't be listed: {error.strerror or error}") from error
    return sorted(found)


def _files(folder: Path, prefix: str) -> Iterator[str]:
    for name, is_folder in _listing(folder):
        if is_folder:
            yield from _files(folder / name, f"{prefix}/{name}")
        else:
            yield f"{prefix}/{name}"
