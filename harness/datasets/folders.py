"""Images that are files: class folders, labelled folders, a variant's own classes, the sample."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from harness.datasets.classes import UnknownClassError, class_index, folder_classes
from harness.datasets.labels import label
from harness.datasets.types import Entry, ImageSet, ImageSetError, image_set
from zoo.errors import BadInput
from zoo.images.imagefolder import read_val_split
from zoo.images.io import is_image, read_regular, reason

CHANGED = "it changed since the image set was opened"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file on disk, as it was when the set was opened: its size and modification time."""

    path: str
    size: int = -1
    modified: int = -1

    @property
    def place(self) -> tuple[str, int]:
        """Files have no better order than that of their names."""
        return self.path, 0

    def read(self) -> bytes:
        """As `ImageSource.read`; what is no regular file is not waited for."""
        return self._read(None)

    def head(self, count: int) -> bytes:
        """As `ImageSource.head`."""
        return self._read(count)

    def _read(self, count: int | None) -> bytes:
        data, status = read_regular(self.path, count)
        if (status.st_size, status.st_mtime_ns) != (self.size, self.modified):
            raise OSError(CHANGED)
        return data


def listing(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted by name, hidden things left out.

    Raises:
        ImageSetError: it can't be listed.
    """
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise ImageSetError(f"{folder}: it can't be listed: {reason(error)}") from None


def images(found: list[os.DirEntry[str]], prefix: str = "") -> Iterator[tuple[str, Entry | None]]:
    """Each thing that lies in a folder with its image, None where it is none.

    A link to a file counts as that file. A link to nothing, or a pipe, with an image's name stays
    in the set as one that can't be read.
    """
    for item in found:
        name = prefix + item.name
        if not is_image(item.name) or item.is_dir():
            yield name, None
            continue
        yield name, file_entry(name, item)


def file_entry(name: str, item: os.DirEntry[str] | Path) -> Entry:
    """One file as an image of that name; what can't be looked at stays in the set, unreadable."""
    try:
        status = item.stat()
        stamp: tuple[int, ...] = (status.st_size, status.st_mtime_ns)
    except OSError:
        stamp = ()
    return Entry(name, stamp, ImageFile(os.path.abspath(item), *stamp))


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
        tree = read_val_split(Path(place), classes)
    except BadInput as error:
        raise ImageSetError(str(error)) from error
    entries: list[Entry] = [file_entry(name, tree.root / name) for name in tree.paths]
    return image_set("folders of its own classes", str(tree.root), entries, tree.labels)


_PACKAGE = "foolbox"
_NAME = re.compile(r"foolbox/data/(imagenet_[0-9]+_([0-9]+)\.jpg)")


def sample_set() -> ImageSet:
    """The images, found in the metadata of the package that ships them: it is not imported.

    Raises:
        ImageSetError: the package is not installed, or not whole.
    """
    try:
        package = distribution(_PACKAGE)
    except PackageNotFoundError:
        raise ImageSetError(
            f"sample: its images come with the package {_PACKAGE}, which is not installed; "
            "pip install 'model-zoo-verify[sample]'"
        ) from None
    entries, labels = [], []
    for file in sorted(package.files or (), key=str):
        match = _NAME.fullmatch(file.as_posix())
        if match is None:
            continue
        try:
            labels.append(class_index(match.group(2)))
        except UnknownClassError as error:
            raise ImageSetError(f"sample: {file}: {error}") from None
        path = Path(str(package.locate_file(file))).resolve()
        try:
            status = path.stat()
        except OSError as error:
            raise ImageSetError(
                f"sample: {path}: {reason(error)}; pip install --force-reinstall {_PACKAGE}"
            ) from None
        # Not the time: the package installed again is the same images.
        version = (int(number) for number in re.findall(r"[0-9]+", package.version))
        source = ImageFile(str(path), status.st_size, status.st_mtime_ns)
        entries.append(Entry(match.group(1), (*version, status.st_size), source))
    return image_set("sample", "sample", entries, labels, can_be_census=False)
