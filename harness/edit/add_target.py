"""Where an entry goes, and what is found there before anything is measured."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from harness.edit.add_facts import NotAdded
from harness.edit.yaml_edit import YamlFile
from zoo._util.text import nearest, shown
from zoo.index import Collection, Index, Variant, load_index, package_index
from zoo.index.schema import LinkError, check_weights
from zoo.weights.sources import locate
from zoo.weights.types import NotFetched

SUFFIXES = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class AddTarget:
    """Where an entry goes, and whom it takes after.

    Attributes:
        checkpoint: the file itself, links followed.
        weights: its path from the folder of the index, as Weights has it.
        origin: the variant whose architecture it has.
        collection: which one of the file's the entry joins.
    """

    checkpoint: Path
    weights: str
    origin: Variant
    collection: Collection | None

    @property
    def joins(self) -> str | None:
        """The collection's name."""
        return None if self.collection is None else self.collection.name


def find_target(checkpoint: Path, file: Path, origin: str, collection: str | None) -> AddTarget:
    """The place of a new entry in an index.

    Raises:
        NotAdded: there is no such checkpoint, variant or collection, or the file can't have any.
        EditRefused: the file can't be read.
    """
    weights, real = _weights(checkpoint, file)
    known = _known_index(file)
    base = _origin(origin, file, known)
    return AddTarget(real, weights, base, _collection(collection, base, file, known))


def _known_index(file: Path) -> Index | None:
    """What the file that is written to says already; None where there is no such file."""
    if file.suffix not in SUFFIXES:
        raise NotAdded(f"--index: {file}: name a file that ends in {' or '.join(SUFFIXES)}")
    if not str(file).isprintable():
        # Reports name a file by what can be shown, and weights are looked for beside it.
        raise NotAdded(f"--index: {file}: rename it: characters in its path can't be shown")
    if not file.exists():
        return None
    # What can't be read would else only seem to have no variant.
    _ = YamlFile.read(str(file)).documents
    return load_index([file])


def _weights(checkpoint: Path, file: Path) -> tuple[str, Path]:
    """The checkpoint's path from the folder of its index, as Weights has it, and its real one."""
    try:
        os.stat(checkpoint)
    except OSError as error:
        raise NotAdded(f"{checkpoint}: can't be read: {error.strerror or error}") from error
    folder = Path(os.path.realpath(file.parent))
    real = Path(os.path.realpath(checkpoint))
    if not folder.is_dir():
        raise NotAdded(f"{file.parent}: there is no such folder; make it first")
    if not real.is_relative_to(folder):
        raise NotAdded(
            f"{checkpoint}: it lies outside {file.parent}, and an index names weights of its own "
            "folder alone; move it there, or choose another --index"
        )
    try:
        # A first part with a colon would be taken for a scheme.
        weights = quote(real.relative_to(folder).as_posix(), safe="/")
        check_weights(weights)
    except UnicodeEncodeError as error:
        raise NotAdded(f"{checkpoint}: its name is not UTF-8, as an index is; rename it") from error
    except LinkError as error:
        raise NotAdded(f"{checkpoint}: as Weights its name {error}; rename it") from error
    source = locate(weights, index_dir=file.parent)
    if isinstance(source, NotFetched):
        raise NotAdded(f"{checkpoint}: {source.why}; rename it")
    return weights, real


def _origin(name: str, file: Path, known: Index | None) -> Variant:
    """The entry of that name, in the file that is written to or in the package's index."""
    from zoo.registry import is_model
    from zoo.variants import base_name

    own = () if known is None else known.variants
    variants = {v.name: v for v in (*load_index([package_index()]).variants, *reversed(own))}
    origin = variants.get(name)
    if origin is None:
        near = nearest(name, variants, cutoff=0.5)
        advice = f"did you mean {' or '.join(near)}?" if near else "zoo list shows the package's"
        raise NotAdded(
            f"--from: neither this package nor {file} (--index) has a variant {shown(name)!r}; "
            f"{advice}"
        )
    if not is_model(base_name(origin)):
        raise NotAdded(f"--from: {origin.location}: this package does not build {name}")
    return origin


def _collection(
    wanted: str | None, origin: Variant, file: Path, known: Index | None
) -> Collection | None:
    """The collection that the entry joins: the one asked for, else the origin's if it is there."""
    there = {} if known is None else {c.name: c for c in reversed(known.collections)}
    if wanted is None:
        return None if origin.collection is None else there.get(origin.collection.name)
    if wanted not in there:
        has = f"it has {', '.join(map(shown, sorted(there)))}" if there else "it has none"
        raise NotAdded(f"--collection: {file} has no collection {shown(wanted)!r}; {has}")
    return there[wanted]
