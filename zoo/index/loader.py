"""Load an index, and check what holds across entries and files: collections, unique names."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from zoo._util.text import shown, truncate_middle
from zoo.index.entries import IndexContents
from zoo.index.files import FileReader
from zoo.index.schema import nearest
from zoo.index.types import Collection, Index, Location, Problem, Variant

_NAMED = 12


def load_index(paths: Sequence[str | Path]) -> Index:
    """Read YAML files, Markdown pages, folders of either, patterns of files, or a package.

    A folder is searched through its subfolders, names sorted, hidden ones and links to folders left
    out; files in it that hold no model-index are passed over, and so are those that match a
    pattern such as ``docs/**/*.mdx``. No file is read twice. ``package:torchvision`` stands for the
    weights metadata of the installed torchvision, which is not imported, ``package:zoo`` for the
    index that ships with this package.

    Args:
        paths: what to read; locations name the files as they are written here.

    Returns:
        The index. Everything that is wrong in any file is in ``problems``, ordered by file and
        line, files in the order they were read; ``unusable`` names the paths that yielded no
        variant where one was expected.
    """
    reader = FileReader()
    with _collector_paused():
        for path in paths:
            reader.add(os.fspath(path))
        variants, collections, problems = assemble(reader.contents)
    order = {file: number for number, file in enumerate(reader.files)}
    return Index(
        variants=variants,
        collections=collections,
        problems=tuple(
            sorted(
                (*reader.problems, *problems),
                key=lambda p: (order.get(p.location.file, -1), p.location),
            )
        ),
        files=tuple(reader.files),
        unusable=tuple(dict.fromkeys(reader.unusable)),
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Spares the search for cycles: what is read makes none, and millions of objects all at once.

    The search took two fifths of the time, and a growing part of it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def assemble(
    contents: Sequence[IndexContents],
) -> tuple[tuple[Variant, ...], tuple[Collection, ...], tuple[Problem, ...]]:
    """All variants with their collections, all collections, and the problems between them.

    A collection is looked for in the variant's own file first, since two zoos may both have a
    "ResNet".
    """
    everywhere: dict[str, Collection] = {}
    for file in contents:
        for collection in file.collections:
            everywhere.setdefault(collection.name, collection)
    problems: list[Problem] = []
    variants: list[Variant] = []
    for file in contents:
        here: dict[str, Collection] = {}
        for collection in file.collections:
            first = here.setdefault(collection.name, collection)
            if first is not collection:
                problems.append(_duplicate("collection", collection, first.location, None))
        known = {**everywhere, **here}
        variants += [_resolved(variant, known, problems) for variant in file.variants]
    problems += _duplicate_variants(variants)
    problems += _miscounted_classes(variants)
    collections = tuple(c for file in contents for c in file.collections)
    return tuple(variants), collections, tuple(problems)


def _resolved(variant: Variant, known: dict[str, Collection], problems: list[Problem]) -> Variant:
    claim = variant.claim("In Collection")
    if claim is None or claim.value is None:
        return variant
    collection = known.get(claim.raw)
    if collection is not None:
        return replace(variant, collection=collection)
    some = tuple(islice(known, _NAMED))  # a look-up among thousands takes long
    close = nearest(claim.raw, of=some)
    remedy = f"did you mean {shown(close)}?" if close else "add it to Collections"
    if known and not close:
        remedy += f", or name one of {', '.join(map(shown, some))}"
    what, key = f"is {shown(claim.raw)!r}, which names none", "In Collection"
    where = claim.location, variant.name, key, claim.raw
    problems.append(Problem("schema.unknown-collection", "error", what, remedy, *where))
    return variant


def _duplicate_variants(variants: list[Variant]) -> list[Problem]:
    first: dict[str, Variant] = {}
    problems = []
    for variant in variants:
        known = first.setdefault(variant.name, variant)
        if known is not variant:
            problems.append(_duplicate("model", variant, known.location, variant.name))
    return problems


def _miscounted_classes(variants: list[Variant]) -> Iterator[Problem]:
    """Class Names that are not as many as Classes, of which a collection may state either."""
    reported: set[tuple[Location, Location]] = set()
    for variant in variants:
        names, count = variant.effective("Class Names"), variant.effective("Classes")
        if names is None or count is None or (names.location, count.location) in reported:
            continue
        listed, stated = names.value, count.value
        if isinstance(listed, tuple) and isinstance(stated, int) and len(listed) != stated:
            # What a collection says of all its variants is wrong once.
            reported.add((names.location, count.location))
            own_names = variant.claim("Class Names") is names
            where = names if own_names or variant.claim("Classes") is None else count
            yield Problem(
                "schema.out-of-range", "error",
                f"has {len(listed):,} names, where Classes is {stated:,}",
                "name each class once, in the order of the outputs, or correct Classes",
                where.location, variant.name, "Class Names", truncate_middle(names.raw),
            )  # fmt: skip


def _duplicate(
    kind: str, entry: Variant | Collection, first: Location, variant: str | None
) -> Problem:
    what = f"is {shown(entry.name)!r}, the name of another {kind} at {first}"
    where = entry.location, variant, "Name", entry.name
    remedy = "rename or remove one of them"
    return Problem("schema.duplicate-name", "error", what, remedy, *where)
