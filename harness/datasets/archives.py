"""Images in tar archives, read where they lie: nothing is unpacked.

An archive's headers are walked once; after that an image is one read at its offset. Links and other
members that are no plain files are not followed.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from harness.datasets.labels import (
    Labelled,
    UnknownClassError,
    class_index,
    is_synset,
    label,
)
from harness.datasets.types import CHANGED, Entry, ImageSet, ImageSetError, image_set
from zoo.images.io import check_size, is_image, reason, regular

_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class TarSource:
    """A member's bytes: where they begin in the archive, and how many they are."""

    archive: str
    modified: int
    offset: int
    size: int

    @property
    def place(self) -> tuple[str, int]:
        return self.archive, self.offset

    def read(self) -> bytes:
        check_size(self.size)
        return self._read(self.size)

    def head(self, count: int) -> bytes:
        check_size(self.size)
        return self._read(min(count, self.size))

    def _read(self, count: int) -> bytes:
        # pread leaves no position behind, so that a forked process may share the descriptor.
        data = os.pread(_descriptor(self.archive, self.modified), count, self.offset)
        if len(data) < count:
            raise OSError("the archive ends before the image does")
        return data


@dataclass(frozen=True, slots=True)
class LinkSource:
    """A member of an image's name that is no file: an image that can't be read."""

    archive: str
    offset: int

    @property
    def place(self) -> tuple[str, int]:
        return self.archive, self.offset

    def read(self) -> bytes:
        raise OSError("it is a link or a special file in the archive, which is never followed")

    def head(self, count: int) -> bytes:
        return self.read()


def tar_set(where: Path, archives: Sequence[Path], labels: Path | None) -> ImageSet:
    """The images of uncompressed tar archives, such as ``ILSVRC2012_val.tar`` or WebDataset shards.

    Beside each image of a shard is its label, as ``KEY.cls`` or in ``KEY.json``, and the images of
    an archive that is named by a synset are of that class; else a labels file has them.

    Raises:
        ImageSetError: it is no such archive, or an image has no label.
    """
    entries: dict[str, Entry] = {}
    ignored: list[str] = []
    inside: dict[str, int] = {}
    bare = ""
    for path in archives:
        found = _walk(path)
        folder = f"{path.stem}/" if is_synset(path.stem) else ""
        texts = _shard_labels(found, path)
        own = None if texts.bare else texts
        if texts.bare and (inside or texts.labels or any(n.endswith(".cls") for n in found.texts)):
            bare = bare or f"{path}: {texts.bare}"
        for name, entry in found.entries.items():
            called = folder + (own.names.get(name, name) if own else name)
            if called in entries:
                called = f"{path.name}/{name}"
            entries[called] = replace(entry, name=called)
            if own:
                inside[called] = own.labels[name]
        # Texts beside images that are no labels are no images either.
        ignored += found.ignored if own else [*found.ignored, *found.texts]
    ordered = [entries[name] for name in sorted(entries)]
    if len(inside) == len(ordered):
        known = Labelled(tuple(inside[entry.name] for entry in ordered))
    else:
        try:
            known = label([entry.name for entry in ordered], labels, str(where))
        except ImageSetError as error:
            if not bare or labels is not None:
                raise
            raise ImageSetError(
                f"{bare} has no label beside it, as others have; put its KEY.cls there, or a label "
                "into its KEY.json"
            ) from error
    form = "WebDataset" if inside else "tar"
    return image_set(
        form, str(where), ordered, known.labels, ignored=ignored, missing=known.missing
    )


@dataclass(slots=True)
class _Archive:
    """What one archive holds: images by name, the texts beside them, and all else."""

    entries: dict[str, Entry] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


def _walk(path: Path) -> _Archive:
    found = _Archive()
    where = os.path.abspath(path)
    try:
        status = regular(path)
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                name = _safe_name(member.name, path)
                if not is_image(name):
                    text = None
                    if name.endswith(_TEXTS) and member.isreg() and member.size <= _MOST_TEXT:
                        text = archive.extractfile(member)
                    if text is None:
                        found.ignored.append(name)
                    else:
                        found.texts[name] = text.read()
                    continue
                if name in found.entries:
                    raise ImageSetError(f"{path}: it holds {name} twice; make the archive anew")
                found.entries[name] = _entry(name, member, where, status.st_mtime_ns)
            # tarfile takes a damaged header, or half a one, for the end: only zeros are the end.
            with open(path, "rb") as file:
                file.seek(archive.offset)
                if file.read(_BLOCK) != bytes(_BLOCK):
                    raise tarfile.ReadError(f"it breaks off or is damaged at {archive.offset}")
    except tarfile.ReadError as error:
        raise ImageSetError(
            f"{path}: it is no whole, uncompressed tar archive ({reason(error)}); get it anew, or "
            "uncompress it"
        ) from None
    except (OSError, tarfile.TarError) as error:
        raise ImageSetError(f"{path}: it can't be read: {reason(error)}") from None
    return found


# What stands beside an image of a shard, and how long it may be.
_TEXTS = (".cls", ".json")
_MOST_TEXT = 1 << 16
# The keys of a sample's JSON that name its class, and its own name before it was put there.
_LABEL_KEYS = ("label", "cls", "class_id", "class_index", "wnid", "synset", "class")
_NAME_KEYS = ("filename", "file_name", "path")


@dataclass(frozen=True, slots=True)
class _ShardLabels:
    """The label of each image of a shard, and the names of those that have one of their own.

    ``bare`` is an image that has no label beside it: then these are no labels of the shard.
    """

    labels: dict[str, int]
    names: dict[str, str]
    bare: str = ""


def _shard_labels(archive: _Archive, path: Path) -> _ShardLabels:
    """What the texts of a shard say."""
    labels: dict[str, int] = {}
    names: dict[str, str] = {}
    for name in archive.entries:
        words, about = (_beside(archive.texts, name, suffix) for suffix in _TEXTS)
        sample = _sample(about)
        found = [
            sample[key] for key in _LABEL_KEYS if isinstance(sample.get(key), str | int | float)
        ]
        if words is not None:
            found.insert(0, words.decode("ascii", "replace").strip())
        if not found:
            return _ShardLabels(labels, {}, bare=name)
        try:
            labels[name] = class_index(str(found[0]))
        except UnknownClassError as error:
            raise ImageSetError(f"{path}: {name}: its label: {error}") from None
        called = next((sample[key] for key in _NAME_KEYS if isinstance(sample.get(key), str)), "")
        if is_image(called) and ".." not in called and "\0" not in called:
            names[name] = "/".join(PurePosixPath(called.lstrip("/")).parts)
    unique = len(set(names.values())) == len(labels)
    return _ShardLabels(labels, names if unique else {})


def _beside(texts: Mapping[str, bytes], name: str, suffix: str) -> bytes | None:
    """The text of an image's sample, whose key ends at the first dot for WebDataset."""
    folder, slash, base = name.rpartition("/")
    keys = (base.rpartition(".")[0], base.partition(".")[0])
    return next((texts[t] for key in keys if (t := f"{folder}{slash}{key}{suffix}") in texts), None)


def _sample(text: bytes | None) -> Mapping[str, Any]:
    """A sample's JSON; nothing where there is none that can be read."""
    try:
        found = json.loads(text or b"null")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _entry(name: str, member: tarfile.TarInfo, where: str, modified: int) -> Entry:
    # A sparse member's bytes do not lie in one piece.
    if not member.isreg() or member.issparse():
        return Entry(name, (modified,), LinkSource(where, member.offset))
    source = TarSource(where, modified, member.offset_data, member.size)
    return Entry(name, (member.size, int(member.mtime), member.offset_data, modified), source)


def _safe_name(name: str, path: Path) -> str:
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in name:
        raise ImageSetError(
            f"{path}: its member {name[:80]!r} leads out of the archive; make the archive anew"
        )
    return "/".join(parts)


@cache
def _descriptor(archive: str, modified: int) -> int:
    descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(descriptor).st_mtime_ns != modified:
        os.close(descriptor)
        raise OSError(f"the archive {CHANGED}")
    return descriptor
