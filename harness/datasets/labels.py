"""Labels of images: which class a word means, and which word each image has.

A word is a WordNet synset, a class index or, of a folder, an English name. Every form of image set
is labelled with the standard order: class indices are the ranks of the sorted synsets. The sorted
order of other names would be another one, and silently wrong, so names are looked up and never
ranked.

A labels file has one line per image, ``NAME LABEL`` (blank, tab or comma between them; LABEL is
a class index or a synset), or a synset alone on each line, in the sorted order of the images. The
development kit's ``ILSVRC2012_validation_ground_truth.txt`` is recognised by its name: one ID per
line, 1 to 1000, in the order of the images' numbers. These IDs are not the ranks of the sorted
synsets; ``meta.mat`` (MATLAB, read with SciPy) has the synset of each. Kits are found as unpacked
files, as their folder, and as the archive they come in.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from harness.datasets.types import IMAGENET_CLASSES, ImageSetError
from zoo._util.install import install_command
from zoo._util.text import plural
from zoo.images.io import reason
from zoo.labels import imagenet_categories, imagenet_synsets

_SYNSET = re.compile(r"[nN][0-9]{8}")
_NUMBER = re.compile(r"[0-9]{1,9}")


class UnknownClassError(ValueError):
    """A word that is no class; the text completes ``PLACE: ...``."""


def is_synset(word: str) -> bool:
    return _SYNSET.fullmatch(word) is not None


def named_synset(name: str) -> str | None:
    """The synset at the end of an image's file name, None for none."""
    found = _NAMED.search(name.rpartition("/")[2])
    return None if found is None else found[1].lower()


def numbered(name: str) -> int | None:
    """The number in an image's file name, as in ``ILSVRC2012_val_00000001``; None for none."""
    found = _NUMBERED.search(name.rpartition("/")[2])
    return None if found is None else int(found[1])


def class_index(word: str) -> int:
    """The class index of a synset, or of a class index written out.

    Raises:
        UnknownClassError: it is neither, or not one of the 1,000.
    """
    if is_synset(word):
        index = _synset_indices().get(word.lower())
        if index is None:
            raise UnknownClassError(f"{word} is not one of ImageNet's 1,000 synsets")
        return index
    if not _NUMBER.fullmatch(word):
        raise UnknownClassError(f"{_shown(word)} is neither a class index nor a synset")
    index = int(word)
    if index >= IMAGENET_CLASSES:
        raise UnknownClassError(
            f"class index {index} is out of range; they go from 0 to 999: of labels that count "
            "from 1 take 1 off, and of the development kit's IDs give its meta.mat"
        )
    return index


def folder_classes(names: Iterable[str]) -> dict[str, int] | None:
    """Class indices of folders named by classes; None if these are no class folders.

    All of them are synsets, or class indices as whole numbers (``7`` or ``007``), or names as
    torchvision spells them (blanks may be underscores). Case counts only between names that differ
    in nothing else, as Cardigan, a dog, and cardigan, a garment, do.

    Raises:
        UnknownClassError: most are of one kind, and one of them is no class, or may be two.
    """
    names = list(names)
    if not names:
        return None
    if any(map(is_synset, names)) or all(map(_NUMBER.fullmatch, names)):
        return {name: class_index(name) for name in names}
    found = {name: _named(name) for name in names}
    strangers = [name for name, index in found.items() if index is None]
    if len(strangers) > len(names) / 2:
        return None
    if strangers:
        raise UnknownClassError(f"{_shown(strangers[0])} is not the name of an ImageNet class")
    return {name: index for name, index in found.items() if index is not None}


@cache
def _synset_indices() -> dict[str, int]:
    return {synset: index for index, synset in enumerate(imagenet_synsets())}


def _named(name: str) -> int | None:
    """The class of a name, None where no class is called so.

    Raises:
        UnknownClassError: it is spelt as no class is, and may be one of several.
    """
    exact, folded = _name_indices()
    plain = _plain(name)
    if plain in exact:
        return exact[plain]
    meant = folded.get(plain.casefold(), ())
    if len(meant) > 1:
        categories = imagenet_categories()
        classes = " or ".join(f"{categories[index]!r} (class {index})" for index in meant)
        raise UnknownClassError(f"{_shown(name)} may be {classes}; write it as one of them")
    return meant[0] if meant else None


@cache
def _name_indices() -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """The classes by their names, and by names whose case was taken away."""
    exact: dict[str, int] = {}
    folded: dict[str, tuple[int, ...]] = {}
    for index, name in enumerate(map(_plain, imagenet_categories())):
        exact[name] = index
        folded[name.casefold()] = (*folded.get(name.casefold(), ()), index)
    return exact, folded


def _plain(name: str) -> str:
    return name.replace("_", " ").replace("/", " ")


def _shown(word: str) -> str:
    return repr(word if len(word) <= 60 else word[:57] + "...")


TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_KIT_FOLDER = "ILSVRC2012_devkit_t12"
_META = "meta.mat"
_KIT_BYTES = 16 << 20
KITS = (TRUTH, f"{_KIT_FOLDER}/data/{TRUTH}", f"data/{TRUTH}", f"{_KIT_FOLDER}.tar.gz")


def kit_labels(path: Path) -> tuple[int, ...]:
    """The class index of each line of the ground truth or of the kit's archive.

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
            if file.stat().st_size > _KIT_BYTES:
                raise ImageSetError(f"{file}: it has more than {_KIT_BYTES} bytes: not the kit's")
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
                if base in (TRUTH, _META) and file is not None and member.size <= _KIT_BYTES:
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
            f"{path}: translating its IDs needs SciPy ({install_command('devkit')}); or give a "
            "labels.txt with lines NAME LABEL"
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


# Names under which people keep a labels file, the first that is there counts.
LABEL_FILES = ("labels.txt", "labels.csv", "val.txt", "val_labels.txt", "val.csv", "synsets.txt",
               "synset_labels.txt", "imagenet_2012_validation_synset_labels.txt")  # fmt: skip
_MAX_BYTES = 64 << 20
_NUMBERED = re.compile(r"_([0-9]{8})(?:[._]|$)")
_NAMED = re.compile(r"_([nN][0-9]{8})(?:\.|$)")
_HEADER = re.compile(r"[A-Za-z_ ]+[,\t ]+(label|class|target|index|synset|wnid)s?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of the given images, in their order, and names that have no image here."""

    labels: tuple[int, ...]
    missing: tuple[str, ...] = ()


def find_labels(*folders: Path, stem: str | None = None) -> Path | None:
    """The labels file or development kit in the first of these folders that has one.

    The file may also stand under ``STEM.txt`` or ``STEM.csv``.
    """
    own: tuple[str, ...] = (
        () if stem is None else (f"{stem}.txt", f"{stem}.csv", f"{stem}_labels.txt")
    )
    for folder in folders:
        for name in (*own, *LABEL_FILES, *KITS):
            if (folder / name).is_file():
                return folder / name
    return None


def label(names: Sequence[str], labels: Path | None, where: str) -> Labelled:
    """The labels of images by their names.

    Args:
        names: of the images, unique, as paths below the set's root, in sorted order.
        labels: the labels file, or None: then each name has to say its class, by its folder
            (``n01440764/x.JPEG``) or its end (``x_n01440764.JPEG``).
        where: the image set, for messages.

    Raises:
        ImageSetError: an image has no label, or a line of the file is wrong.
    """
    if labels is None:
        return _by_name(names, where)
    if labels.name in KITS:
        return Labelled(_by_line(names, kit_labels(labels), labels, where))
    lines = _lines(labels)
    if lines and all(is_synset(line) for _, line in lines):
        classes = [_class(line, labels, number) for number, line in lines]
        return Labelled(_by_line(names, classes, labels, where))
    return _by_pairs(names, lines, labels, where)


def _by_name(names: Sequence[str], where: str) -> Labelled:
    classes = []
    for name in names:
        folder, _, base = name.rpartition("/")
        parent = folder.rpartition("/")[2]
        word = parent if is_synset(parent) else named_synset(base)
        if word is None:
            raise ImageSetError(
                f"{where}: there is no label for {name}; put a file labels.txt beside the "
                "images, with lines NAME LABEL, or sort them into folders named by synsets"
            )
        try:
            classes.append(class_index(word))
        except UnknownClassError as error:
            raise ImageSetError(f"{where}: {name}: {error}") from None
    return Labelled(tuple(classes))


def _by_line(
    names: Sequence[str], classes: Sequence[int], labels: Path, where: str
) -> tuple[int, ...]:
    """Line N is of the image whose own number is N, else of the Nth in sorted order."""
    numbers = [number for number in map(numbered, names) if number is not None]
    if len(set(numbers)) == len(names) and min(numbers) >= 1 and max(numbers) <= len(classes):
        return tuple(classes[number - 1] for number in numbers)
    if len(names) != len(classes):
        raise ImageSetError(
            f"{labels}: it labels {plural(len(classes), 'image')} by their order, and {where} has "
            f"{len(names)}; name each image in it: NAME LABEL"
        )
    return tuple(classes)


def _by_pairs(
    names: Sequence[str], lines: Sequence[tuple[int, str]], labels: Path, where: str
) -> Labelled:
    known: dict[str, int] = {}
    first: dict[str, int] = {}
    find = _finder(names)
    missing = []
    for number, line in lines:
        if number == 1 and _HEADER.fullmatch(line):
            continue
        name, word = _pair(line, labels, number)
        if name in first:
            raise ImageSetError(
                f"{labels}:{number}: {name} is labelled twice, first on line {first[name]}; "
                "keep one of the two"
            )
        first[name] = number
        class_ = _class(word, labels, number)
        image = find(name)
        if image is None:
            missing.append(name)
        elif image in known:
            raise ImageSetError(f"{labels}:{number}: {name} means {image}, which has a label")
        else:
            known[image] = class_
    bare = [name for name in names if name not in known]
    if bare:
        raise ImageSetError(
            f"{where}: {len(bare)} of {len(names)} images have no line in {labels}, "
            f"{bare[0]} among them; add a line NAME LABEL for each"
        )
    return Labelled(tuple(known[name] for name in names), tuple(missing))


def _finder(names: Sequence[str]) -> Callable[[str], str | None]:
    """Finds an image by its path, its file name, or its name without suffix, if only one has it.

    Names are looked up and never opened, so that one with ``..`` in it leads nowhere.
    """
    exact = set(names)
    bases = [name.rpartition("/")[2] for name in names]
    short: dict[str, str | None] = {}
    for form in (bases, [base.rpartition(".")[0] for base in bases]):
        counts = Counter(form)
        for name, key in zip(names, form, strict=True):
            short.setdefault(key, name if counts[key] == 1 else None)

    def find(name: str) -> str | None:
        name = name.removeprefix("./")
        return name if name in exact else short.get(name)

    return find


def _pair(line: str, labels: Path, number: int) -> tuple[str, str]:
    match = re.fullmatch(r"(.*?)(?:\s*,\s*|\s+)(\S+)", line)
    if match is None:
        raise ImageSetError(
            f"{labels}:{number}: {line[:60]!r} is no line NAME LABEL, such as "
            "ILSVRC2012_val_00000001.JPEG 65"
        )
    return match.group(1).strip('"'), match.group(2).strip('"')


def _class(word: str, labels: Path, number: int) -> int:
    try:
        return class_index(word)
    except UnknownClassError as error:
        raise ImageSetError(f"{labels}:{number}: {error}") from None


def _lines(labels: Path) -> list[tuple[int, str]]:
    """The numbered lines that hold something; a byte order mark and any line end are taken off."""
    try:
        if labels.stat().st_size > _MAX_BYTES:
            raise ImageSetError(f"{labels}: it has more than {_MAX_BYTES} bytes: no labels file")
        text = labels.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise ImageSetError(f"{labels}: it can't be read: {reason(error)}") from None
    numbered = enumerate(text.split("\n"), start=1)
    return [(number, line.strip()) for number, line in numbered if line.strip()]
