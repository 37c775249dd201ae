"""Reading model-indexes: what a zoo documents, with the place of every value.

    >>> from zoo.index import load_index, package_index
    >>> index = load_index([package_index()])
    >>> index.variants[0].claim("Parameters").value
    48280000

Nothing that an index holds is executed, and no file of any content raises an error: what is wrong
is in ``Index.problems``.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zoo.index.assembly import assemble
from zoo.index.files import FileReader
from zoo.index.places import default_index, local_index, package_index
from zoo.index.types import Claim, Collection, Index, Location, Problem, Variant

__all__ = [
    "Claim",
    "Collection",
    "Index",
    "Location",
    "Problem",
    "Variant",
    "default_index",
    "load_index",
    "local_index",
    "package_index",
]


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
