"""Labelled images as folders, one per class: the one reader of class folders.

`read_tree` reads them for training, by the folders' own names, at any depth. An evaluation dataset
(`harness.datasets.find`) knows its classes and looks right in their folders. Both list folders
with `listing` and the images of classes with `class_files`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from zoo._util.text import plural
from zoo.errors import BadInput
from zoo.images.io import is_image, reason

# What Pillow reads, by what is in a file. PostScript is not among them: Pillow would start an
# interpreter on it.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_NAMED = 3
_Number = tuple[int, int]  # what a folder has alone, by whatever name it is reached


@cache
def formats() -> tuple[str, ...]:
    """Those formats that the installed Pillow can read: not every one has AVIF."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@dataclass(frozen=True, slots=True)
class Tree:
    """The images of a tree of class folders.

    Attributes:
        root: the folder of the class folders.
        classes: their names, in the order of a classifier's outputs.
        paths: of the images, from ``root``.
        labels: the number of each image's class.
        ignored: how many other files there are.
    """

    root: Path
    classes: tuple[str, ...]
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    ignored: int = 0

    def __len__(self) -> int:
        return len(self.paths)

    def identity(self) -> str:
        """How many images there are, and a digest of their paths and classes."""
        lines = (f"{label} {path}\0" for label, path in zip(self.labels, self.paths, strict=True))
        digest = blake2b("".join(lines).encode("utf-8", "surrogateescape"), digest_size=6)
        return f"{len(self)} images, digest {digest.hexdigest()}"


def split(data: Path) -> tuple[Path, Path | None]:
    """The folders to train on and to validate on, where one folder holds ``train`` and ``val``.

    Where there are other folders too, such as ``test``, both must hold folders: else all of them
    may be classes. The others are not looked at; `unused` names them.
    """
    train, val = data / "train", data / "val"
    inside = set(_folders(data))
    both = inside >= {"train", "val"}
    if both and (len(inside) == 2 or (_folders(train) and _folders(val))):
        return train, val
    return data, None


def unused(data: Path, *used: Path) -> list[str]:
    """The folders beside those that are used, where ``data`` itself is none of them."""
    if data in used:
        return []
    known = {os.path.realpath(each) for each in used}
    return [name for name in _folders(data) if os.path.realpath(data / name) not in known]


def read_tree(root: Path, classes: Sequence[str] | None = None) -> Tree:
    """Lists the images below class folders, in the order of their names.

    The classes are the folders, or those that a model was given already.

    Raises:
        BadInput: there are no two classes, one is empty, or one is not among ``classes``.
    """
    found = _folders(root)
    if not found:
        raise BadInput(f"{root}: there are no class folders in it; put the images in one each")
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
            f"{root}: the class {unknown[0]} is not among the {len(classes)} of the classifier"
        )
    paths, labels, ignored = class_files(root, {name: numbers[name] for name in found}, deep=True)
    full = set(labels)
    empty = [name for name in found if numbers[name] not in full]
    if empty:
        names = ", ".join(empty[:_NAMED]) + (" ..." if empty[_NAMED:] else "")
        raise BadInput(
            f"{root}: {plural(len(empty), 'class folder')} without images: {names}; fill or remove "
            "them"
        )
    return Tree(root, tuple(classes), tuple(paths), tuple(labels), len(ignored))


def read_val_split(data: Path, classes: Sequence[str] | None = None) -> Tree:
    """The images to measure on: of the ``val`` folder as `split` finds it, else of ``data``.

    Raises:
        BadInput: as `read_tree`.
    """
    return read_tree(split(data)[1] or data, classes)


def class_files(
    root: Path, classes: Mapping[str, int], *, deep: bool
) -> tuple[list[str], list[int], list[str]]:
    """The images of class folders, in the order of the folders and of the names in them.

    Args:
        root: the folder of the class folders.
        classes: the class of each folder, by its name.
        deep: look into the folders of a class as well, and take regular files alone: training
            would wait for a pipe. Else a pipe or a dead link with an image's name is an image, one
            that can't be read, and a folder is ignored.

    Returns:
        The images' paths from ``root``, the class of each, and the paths of what is no image.

    Raises:
        BadInput: a folder can't be listed, or is a link to one that it lies in.
    """
    paths: list[str] = []
    labels: list[int] = []
    ignored: list[str] = []
    for name, number in classes.items():
        for path, item in _inside(root / name, name, (_number(root),) if deep else None):
            wanted = _answer(item.is_file) if deep else not is_folder(item)
            if wanted and is_image(item.name):
                paths.append(path)
                labels.append(number)
            else:
                ignored.append(path)
    return paths, labels, ignored


def listing(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted by name, hidden things left out.

    Raises:
        BadInput: it can't be listed.
    """
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise _unlisted(folder, error) from error


def is_folder(item: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or leads to one; a link that leads nowhere, or to itself, is none."""
    return _answer(item.is_dir)


def _answer(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except OSError:
        return False


def _folders(folder: Path) -> list[str]:
    return [item.name for item in listing(folder) if is_folder(item)]


def _inside(
    folder: Path, prefix: str, above: tuple[_Number, ...] | None
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What lies in a folder, at any depth where ``above`` names the folders that it lies in."""
    if above is not None:
        number = _number(folder)
        if number in above:
            raise BadInput(f"{folder}: is a link to a folder that it lies in; remove it")
        above = (*above, number)
    for item in listing(folder):
        path = f"{prefix}/{item.name}"
        if above is not None and is_folder(item):
            yield from _inside(folder / item.name, path, above)
        else:
            yield path, item


def _number(folder: Path) -> _Number:
    try:
        found = folder.stat()
    except OSError as error:
        raise _unlisted(folder, error) from error
    return found.st_dev, found.st_ino


def _unlisted(folder: Path, error: OSError) -> BadInput:
    return BadInput(f"{folder}: it can't be listed: {reason(error)}")
