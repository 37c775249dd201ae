"""Labelled images as folders: one folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from zoo.errors import BadInput
from zoo.images.io import SUFFIXES

# What Pillow reads, by the ends of names and, when a file is opened, by what is in it. PostScript
# is not among them: Pillow would start an interpreter on it.
ENDINGS = frozenset(SUFFIXES)
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_FOLDER, _FILE, _OTHER = "folder", "file", "other"
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
    inside = {name for name, kind in _listing(data) if kind == _FOLDER}
    both = inside >= {"train", "val"}
    if both and (len(inside) == 2 or (_has_folders(train) and _has_folders(val))):
        return train, val
    return data, None


def unused(data: Path, *used: Path) -> list[str]:
    """The folders beside those that are used, where ``data`` itself is none of them."""
    if data in used:
        return []
    folders = (name for name, kind in _listing(data) if kind == _FOLDER)
    known = {os.path.realpath(each) for each in used}
    return [name for name in folders if os.path.realpath(data / name) not in known]


def read_tree(root: Path, classes: Sequence[str] | None = None) -> Tree:
    """Lists the images below class folders, in the order of their names.

    Args:
        root: the folder of the class folders.
        classes: the classes that a model was given already; by default they are the folders.

    Raises:
        BadInput: there are no two classes, one is empty, or one is not among ``classes``.
    """
    found = [name for name, kind in _listing(root) if kind == _FOLDER]
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
    paths: list[str] = []
    labels: list[int] = []
    empty = []
    ignored = 0
    for name in found:
        inside = list(_files(root / name, name, (_number(root),)))
        # Anything else than a file may be a pipe, which would be waited for.
        images = [
            path for path, kind in inside if kind == _FILE and Path(path).suffix.lower() in ENDINGS
        ]
        if not images:
            empty.append(name)
        ignored += len(inside) - len(images)
        paths += images
        labels += [numbers[name]] * len(images)
    if empty:
        more = f" and {len(empty) - 1} more classes have" if len(empty) > 1 else " has"
        raise BadInput(f"{root}: the class {empty[0]}{more} no images; fill or remove the folder")
    return Tree(root, tuple(classes), tuple(paths), tuple(labels), ignored)


def read_val_split(data: Path, classes: Sequence[str] | None = None) -> Tree:
    """The images to measure on: of the ``val`` folder as `split` finds it, else of ``data``.

    Args:
        data: the folder.
        classes: as `read_tree` takes them.

    Raises:
        BadInput: as `read_tree`.
    """
    return read_tree(split(data)[1] or data, classes)


def _listing(folder: Path) -> list[tuple[str, str]]:
    """The names in a folder, sorted, and what each is; hidden ones are left out."""
    try:
        with os.scandir(folder) as items:
            found = [(item.name, _kind(item)) for item in items if not item.name.startswith(".")]
    except OSError as error:
        raise BadInput(f"{folder}: can't be listed: {error.strerror or error}") from error
    return sorted(found)


def _kind(item: os.DirEntry[str]) -> str:
    if item.is_dir():
        return _FOLDER
    return _FILE if item.is_file() else _OTHER


def _has_folders(folder: Path) -> bool:
    return any(kind == _FOLDER for _, kind in _listing(folder))


def _files(folder: Path, prefix: str, above: tuple[_Number, ...]) -> Iterator[tuple[str, str]]:
    """What lies in a folder at any depth, and what it is; ``above`` are the folders it lies in."""
    number = _number(folder)
    if number in above:
        raise BadInput(f"{folder}: is a link to a folder that it lies in; remove it")
    for name, kind in _listing(folder):
        if kind == _FOLDER:
            yield from _files(folder / name, f"{prefix}/{name}", (*above, number))
        else:
            yield f"{prefix}/{name}", kind


def _number(folder: Path) -> _Number:
    try:
        found = folder.stat()
    except OSError as error:
        raise BadInput(f"{folder}: can't be listed: {error.strerror or error}") from error
    return found.st_dev, found.st_ino
