"""ImageNet's development kit of 2012: labels as IDs of its own order, and the table of these IDs.

The ground truth is one ID per line, 1 to 1000, in the order of the images' numbers. The kit's IDs
are not the ranks of the sorted synsets; ``meta.mat`` (MATLAB, read with SciPy) has the synset of
each. Kits are found as unpacked files, as their folder, and as the archive they come in.
"""

from __future__ import annotations

import io
import tarfile
from importlib import import_module
from pathlib import Path

from harness.datasets.classes import UnknownClassError, class_index
from harness.datasets.types import IMAGENET_CLASSES, ImageSetError
from zoo.images.io import reason

TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_FOLDER = "ILSVRC2012_devkit_t12"
_META = "meta.mat"
_MAX_BYTES = 16 << 20
KITS = (TRUTH, f"{_FOLDER}/data/{TRUTH}", f"data/{TRUTH}", f"{_FOLDER}.tar.gz")


def kit_labels(path: Path) -> tuple[int, ...]:
    """The class index of each line of the ground truth.

    Args:
        path: the ground truth, with ``meta.mat`` beside it, or the kit's archive.

    Raises:
        ImageSetError: the table or SciPy is missing, or a file is not what its name says.
    """
    truth, meta = _from_archive(path) if path.name.endswith(".tar.gz") else _from_folder(path)
    classes = _classes_of_ids(meta, path)
    labels = []
    for number, word in enumerate(truth.split(), start=1):
        # int() of a long text takes long; an ID has four digits at most.
        index = classes.get(int(word)) if word.isdigit() and len(word) < 5 else None
        if index is None:
            shown = word[:20].decode("ascii", "replace")
            raise ImageSetError(f"{path}:{number}: {shown!r} is no ILSVRC ID, a number 1 to 1000")
        labels.append(index)
    return tuple(labels)


def _from_folder(path: Path) -> tuple[bytes, bytes]:
    meta = path.with_name(_META)
    if not meta.is_file():
        raise ImageSetError(
            f"{path}: its numbers are IDs of the development kit, which only the kit's {_META} "
            f"translates; put {_META} beside it, or give a labels.txt with lines NAME LABEL"
        )
    try:
        for file in (path, meta):
            if file.stat().st_size > _MAX_BYTES:
                raise ImageSetError(f"{file}: it has more than {_MAX_BYTES} bytes: not the kit's")
        return path.read_bytes(), meta.read_bytes()
    except OSError as error:
        raise ImageSetError(f"{path}: it can't be read: {reason(error)}") from None


def _from_archive(path: Path) -> tuple[bytes, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                base = member.name.rpartition("/")[2]
                file = archive.extractfile(member) if member.isreg() else None
                if base in (TRUTH, _META) and file is not None and member.size <= _MAX_BYTES:
                    found[base] = file.read()
                if len(found) == 2:
                    return found[TRUTH], found[_META]
    except (OSError, EOFError, tarfile.TarError) as error:
        raise ImageSetError(f"{path}: it can't be read: {reason(error)}") from None
    raise ImageSetError(f"{path}: it holds no {TRUTH} with its {_META}: not the development kit")


def _classes_of_ids(meta: bytes, path: Path) -> dict[int, int]:
    try:
        loadmat = import_module("scipy.io").loadmat  # It ships no types.
    except ImportError:
        raise ImageSetError(
            f"{path}: translating its IDs needs SciPy (pip install scipy); or give a labels.txt "
            "with lines NAME LABEL"
        ) from None
    try:
        rows = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        pairs = [(int(row["ILSVRC2012_ID"]), str(row["WNID"])) for row in rows]
        # Above 1000 are the inner nodes of WordNet's tree, which are no classes.
        classes = {id_: class_index(wnid) for id_, wnid in pairs if id_ <= IMAGENET_CLASSES}
    # A damaged file makes SciPy raise errors of nearly every class; all mean the same here.
    except Exception as error:  # noqa: BLE001
        cause = str(error) if isinstance(error, UnknownClassError) else "it is not the kit's"
        raise ImageSetError(f"{path}: its {_META} can't be used: {cause}") from None
    if len(classes) != IMAGENET_CLASSES or len(set(classes.values())) != IMAGENET_CLASSES:
        raise ImageSetError(f"{path}: its {_META} does not name {IMAGENET_CLASSES} classes")
    return classes
