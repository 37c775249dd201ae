"""From a path, or the word ``sample``, to the image set that lies there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from harness.datasets.classes import is_synset
from harness.datasets.folders import (
    class_folders,
    labelled_images,
    listing,
    own_class_set,
    sample_set,
)
from harness.datasets.labels import find_labels
from harness.datasets.parquet import parquet_set
from harness.datasets.tar import tar_set
from harness.datasets.types import ImageSet, ImageSetError
from zoo.images.io import is_image

SAMPLE = "sample"
_SPLITS = ("val", "validation")
_FORMS = (
    "class folders (n01440764/...), images with a labels.txt, ILSVRC2012_val.tar, or Parquet shards"
)


def open_image_set(place: str | Path, classes: Sequence[str] | None = None) -> ImageSet:
    """The image set at a path, in whichever form it is.

    Of classes that are not ImageNet's, named in ``classes`` in the order of a classifier's outputs,
    see `harness.datasets.folders`. Else it is one of these:

    - ``sample``: the 20 real images of the extra ``sample``.
    - A folder of class folders, named by synsets, class indices, or names of classes.
    - A folder of images with a labels file in it or beside it (`harness.datasets.labels`), or with
      synsets at the ends of their names.
    - A tar archive, uncompressed, likewise.
    - A Parquet file or a folder of them: of the validation split where names tell splits apart.
    - A folder with one of these in its ``val`` or ``validation`` folder, or with one tar archive.
    - A labels file beside the images, as a path of its own.

    Raises:
        ImageSetError: there is none; one line says what was found and what would be right.
    """
    if place == SAMPLE and classes is not None:
        raise ImageSetError(f"the images called {SAMPLE} are of ImageNet's classes")
    if classes is not None:
        return own_class_set(Path(place).expanduser(), classes)
    if place == SAMPLE:
        return sample_set()
    path = Path(place).expanduser()
    if not path.exists():
        raise ImageSetError(f"{path}: there is no such file or folder; expected {_FORMS}")
    if path.is_dir():
        return _folder(path, ())
    if not path.is_file():
        raise ImageSetError(f"{path}: it is no regular file; expected {_FORMS}")
    name = path.name.lower()
    if name.endswith(".parquet"):
        return parquet_set(path, [path])
    if name.endswith(".tar"):
        return tar_set(path, find_labels(path.parent, stem=path.stem))
    if name.endswith((".txt", ".csv")):
        found = labelled_images(path.parent, listing(path.parent), path)
        if found is not None:
            return found
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
    if any(item.is_dir() and (is_synset(item.name) or item.name.isdigit()) for item in found):
        classes = class_folders(folder, found)
        if classes is not None:
            return classes
    # Images first: asking whether folders are named as classes costs the import of torchvision.
    if any(is_image(item.name) and not item.is_dir() for item in found):
        near = (folder, *parents, folder.parent)
        labels = find_labels(*near, stem=folder.name)
        images = labelled_images(folder, found, labels)
        if images is not None:
            return images
    shards = _shards(folder, names)
    if shards:
        return parquet_set(folder, shards)
    archive = _archive(folder, names)
    if archive is not None:
        return tar_set(archive, find_labels(folder, *parents, stem=archive.stem))
    classes = class_folders(folder, found)
    if classes is not None:
        return classes
    shown = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
    raise ImageSetError(
        f"{folder}: there is no image set in it (it holds {shown or 'nothing'}); expected {_FORMS}"
    )


def _shards(folder: Path, names: set[str]) -> list[Path]:
    """The Parquet files of the validation split, or all of them where no name tells a split."""
    place = folder
    shards = sorted(name for name in names if name.endswith(".parquet"))
    if not shards and "data" in names and (folder / "data").is_dir():
        place = folder / "data"
        shards = sorted(n for n in os.listdir(place) if n.endswith(".parquet"))
    split = [name for name in shards if name.startswith(_SPLITS)]
    return [place / name for name in split or shards]


def _archive(folder: Path, names: set[str]) -> Path | None:
    archives = sorted(name for name in names if name.endswith(".tar"))
    validation = [name for name in archives if "val" in name]
    candidates = validation or archives
    if len(candidates) > 1:
        raise ImageSetError(
            f"{folder}: it holds {len(candidates)} archives ({candidates[0]}, {candidates[1]}...); "
            "give the path of one"
        )
    return folder / candidates[0] if candidates else None
