"""From a path, or the word ``sample``, to the image set that lies there.

Images that are files are read here: class folders, labelled images, folders of a variant's own
classes, the sample. Archives and shards are in `harness.datasets.archives`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from harness.datasets.archives import tar_set
from harness.datasets.labels import (
    UnknownClassError,
    class_index,
    find_labels,
    folder_classes,
    is_synset,
    label,
)
from harness.datasets.parquet import parquet_set
from harness.datasets.types import (
    CHANGED,
    Entry,
    ImageSet,
    ImageSetError,
    OwnClassFoldersError,
    image_set,
)
from zoo._util.install import install_command
from zoo._util.text import shown as shown_name
from zoo.errors import BadInput
from zoo.images.imagefolder import class_files, is_folder, listing, read_val_split
from zoo.images.io import is_image, read_regular, reason

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.preprocessing import Preprocessing

SAMPLE = "sample"
_SPLITS = ("val", "validation")
_OTHER_SPLITS = ("train", "training", "test")
_FORMS = (
    "class folders (n01440764/...), images with a labels.txt, ILSVRC2012_val.tar, or Parquet shards"
)


def open_image_set(place: str | Path, classes: Sequence[str] | None = None) -> ImageSet:
    """The image set at a path, in whichever form it is.

    Of classes that are not ImageNet's, named in ``classes`` in the order of a classifier's outputs,
    see `zoo.images.imagefolder.read_val_split`. Else it is one of these:

    - ``sample``: the 20 real images of the extra ``sample``.
    - A folder of class folders, named by synsets, class indices, or names of classes.
    - A folder of images with a labels file in it or beside it (`harness.datasets.labels`), or with
      synsets at the ends of their names.
    - A tar archive, uncompressed, likewise; or several with a label beside each image, as
      WebDataset has them, in a folder or as a pattern (``val-*.tar``, ``val-{00..63}.tar``).
    - A Parquet file or a folder of them: of the validation split where names tell splits apart.
    - A folder with one of these in its ``val`` or ``validation`` folder, or with one tar archive.
    - A labels file beside the images, as a path of its own.

    Raises:
        ImageSetError: there is none; one line says what was found and what would be right.
    """
    try:
        if place != SAMPLE:
            path = Path(place).expanduser()
            return _at(path) if classes is None else own_class_set(path, classes)
    except BadInput as error:
        raise ImageSetError(str(error)) from error
    if classes is not None:
        raise ImageSetError(f"the images called {SAMPLE} are of ImageNet's classes")
    return sample_set()


def _at(path: Path) -> ImageSet:
    if not path.exists():
        several = _matching(path)
        if several:
            form = parquet_set if several[0].suffix == ".parquet" else None
            labels = None if form else find_labels(path.parent)
            return form(path, several) if form else tar_set(path, several, labels)
        raise ImageSetError(f"{path}: there is no such file or folder; expected {_FORMS}")
    if path.is_dir():
        return _folder(path, ())
    if not path.is_file():
        raise ImageSetError(f"{path}: it is no regular file; expected {_FORMS}")
    name = path.name.lower()
    if name.endswith(".parquet"):
        return parquet_set(path, [path])
    if name.endswith(".tar"):
        return tar_set(path, [path], find_labels(path.parent, stem=path.stem))
    if name.endswith((".txt", ".csv")):
        images = labelled_images(path.parent, listing(path.parent), path)
        if images is not None:
            return images
        raise ImageSetError(f"{path}: there are no images beside this labels file")
    if name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")):
        raise ImageSetError(f"{path}: a compressed archive can't be read in place; unpack it")
    raise ImageSetError(f"{path}: it is no image set; expected {_FORMS}")


def _folder(folder: Path, parents: tuple[Path, ...]) -> ImageSet:
    """As `open_image_set`; ``parents`` are folders above it that may hold its labels file."""
    found = listing(folder)
    names = {item.name for item in found}
    inner = next((folder / n for n in _SPLITS if n in names and (folder / n).is_dir()), None)
    if inner is not None and not parents:
        return _folder(inner, (folder,))
    images = None
    if any(is_folder(item) and (is_synset(item.name) or item.name.isdigit()) for item in found):
        images = class_folders(folder, found)
    # Images first: asking whether folders are named as classes costs the import of torchvision.
    if images is None and any(is_image(item.name) and not is_folder(item) for item in found):
        near = (folder, *parents, folder.parent)
        images = labelled_images(folder, found, find_labels(*near, stem=folder.name))
    if images is not None:
        return images
    shards = _shards(folder, names)
    if shards:
        return parquet_set(folder, shards)
    archives = _archives(folder, names)
    if archives:
        stem = archives[0].stem if len(archives) == 1 else folder.name
        where = archives[0] if len(archives) == 1 else folder
        return tar_set(where, archives, find_labels(folder, *parents, stem=stem))
    classes = class_folders(folder, found)
    if classes is not None:
        return classes
    # What an archive was unpacked into, which alone may say what the images are.
    alone = found[0] if len(found) == 1 and is_folder(found[0]) else None
    if alone is not None and not parents and alone.name not in _OTHER_SPLITS:
        return _folder(folder / alone.name, (folder,))
    shown = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
    own = sorted(item.name for item in found if is_folder(item) and _has_images(folder / item.name))
    if own and not parents:
        quoted = (json.dumps(shown_name(name), ensure_ascii=False) for name in own[:3])
        listed = ", ".join([*quoted, *(["..."] if len(own) > 3 else [])])
        raise OwnClassFoldersError(
            f"{folder}: there is no image set in it (it holds {shown}): these folders are no "
            "ImageNet classes, and no variant has Class Names that they could be; write Class "
            f"Names: [{listed}] into the entry whose classes they are"
        )
    raise ImageSetError(
        f"{folder}: there is no image set in it (it holds {shown or 'nothing'}); expected {_FORMS}"
    )


def _has_images(folder: Path) -> bool:
    return any(is_image(item.name) for item in listing(folder))


def _shards(folder: Path, names: set[str]) -> list[Path]:
    """The Parquet files of the validation split, or all of them where no name tells a split."""
    place = folder
    shards = sorted(name for name in names if name.endswith(".parquet"))
    if not shards and "data" in names and (folder / "data").is_dir():
        place = folder / "data"
        shards = sorted(n for n in os.listdir(place) if n.endswith(".parquet"))
    split = [name for name in shards if name.startswith(_SPLITS)]
    return [place / name for name in split or shards]


def _archives(folder: Path, names: set[str]) -> list[Path]:
    """The one archive of the validation split, or its shards: names that differ in numbers."""
    archives = sorted(name for name in names if name.endswith(".tar"))
    candidates = [name for name in archives if "val" in name] or archives
    series = {re.sub(r"[0-9]+", "0", name) for name in candidates}
    if len(series) > 1:
        raise ImageSetError(
            f"{folder}: it holds {len(candidates)} archives ({candidates[0]}, {candidates[1]}...); "
            "give the path of one, or of several as a pattern such as 'val-*.tar'"
        )
    return [folder / name for name in candidates]


_BRACES = re.compile(r"\{([0-9]{1,9})\.\.([0-9]{1,9})\}")
_MOST_SHARDS = 100_000


def _matching(path: Path) -> list[Path]:
    """The archives or shards that a pattern stands for: ``val-*.tar``, ``val-{00..63}.tar``."""
    names = [path.name]
    braces = _BRACES.search(path.name)
    if braces is not None:
        first, last = braces.groups()
        numbers = range(int(first), min(int(last) + 1, int(first) + _MOST_SHARDS))
        head, tail = path.name[: braces.start()], path.name[braces.end() :]
        names = [f"{head}{number:0{len(first)}}{tail}" for number in numbers]
    elif not set("*?[") & set(path.name) or not path.parent.is_dir():
        return []
    else:
        there = (item.name for item in listing(path.parent))
        names = [name for name in there if fnmatchcase(name, path.name)]
    suffixes = {Path(name).suffix for name in names}
    whole = len(suffixes) == 1 and suffixes <= {".tar", ".parquet"}
    return [path.with_name(name) for name in names] if whole else []


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
        return self._read(count)

    def _read(self, count: int | None) -> bytes:
        data, status = read_regular(self.path, count)
        if (status.st_size, status.st_mtime_ns) != (self.size, self.modified):
            raise OSError(f"it {CHANGED}")
        return data


def file_entry(name: str, path: Path) -> Entry:
    """One file as an image of that name; what can't be looked at stays in the set, unreadable.

    A link to a file counts as that file. A link to nothing, or a pipe, with an image's name stays
    in the set as one that can't be read.
    """
    try:
        status = path.stat()
        stamp: tuple[int, ...] = (status.st_size, status.st_mtime_ns)
    except OSError:
        stamp = ()
    return Entry(name, stamp, ImageFile(os.path.abspath(path), *stamp))


def class_folders(folder: Path, found: list[os.DirEntry[str]]) -> ImageSet | None:
    """A tree of class folders, None where the folders in it are no classes.

    Images lie right in their class's folder; what lies deeper, or beside the class folders, is
    listed as ignored.

    Raises:
        ImageSetError: most folders are classes, and one is not.
    """
    names = [item.name for item in found if is_folder(item)]
    try:
        classes = folder_classes(names)
    except UnknownClassError as error:
        raise ImageSetError(
            f"{folder}: {error}; name the folders by synsets (n01440764), by class indices (0 to "
            "999), or by the names of the classes"
        ) from None
    if classes is None:
        return None
    beside = [item.name for item in found if not is_folder(item)]
    paths, labels, ignored = class_files(folder, classes, deep=False)
    entries = [file_entry(name, folder / name) for name in paths]
    return image_set("class folders", str(folder), entries, labels, ignored=[*beside, *ignored])


def labelled_images(
    folder: Path, found: list[os.DirEntry[str]], labels: Path | None
) -> ImageSet | None:
    """The images right in a folder, with their labels; None where it holds none.

    Raises:
        ImageSetError: an image has no label, or the labels file is wrong.
    """
    inside = [item.name for item in found if is_image(item.name) and not is_folder(item)]
    if not inside:
        return None
    taken = {*inside, *(() if labels is None else (labels.name,))}
    ignored = [item.name for item in found if item.name not in taken]
    entries = [file_entry(name, folder / name) for name in inside]
    known = label(inside, labels, str(folder))
    return image_set(
        "labelled images",
        str(folder),
        entries,
        known.labels,
        ignored=ignored,
        missing=known.missing,
    )


def own_class_set(place: Path, classes: Sequence[str]) -> ImageSet:
    """The images in folders named by a variant's own classes, or in those of its ``val`` folder.

    They are found, and labelled, as `zoo train` and `zoo add` do; the classes are in the order of
    the classifier's outputs.

    Raises:
        BadInput: there are no such folders, one is empty, or one is of another class.
    """
    tree = read_val_split(place, classes)
    entries = [file_entry(name, tree.root / name) for name in tree.paths]
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
            f"{install_command('sample')}"
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
    return image_set("sample", "sample", entries, labels)


def sample_inputs(transform: Preprocessing) -> Tensor | None:
    """The sample images as a transform prepares them; None where they are not installed."""
    import torch

    try:
        images = sample_set()
    except ImageSetError:
        return None
    pixels = (transform.decode(source.read()) for source in images.sources)
    return torch.stack([transform.to_tensor(each) for each in pixels])
