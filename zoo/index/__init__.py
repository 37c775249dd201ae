"""Reading model-indexes: what a zoo documents, with the place of every value.

    >>> from zoo.index import load_index, package_index
    >>> index = load_index([package_index()])
    >>> index.variants[0].claim("Parameters").value
    48280000

Nothing that an index holds is executed, and no file of any content raises an error: what is wrong
is in ``Index.problems``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from zoo.index.assembly import assemble
from zoo.index.files import FileReader
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
    "package_index",
]


def load_index(paths: Sequence[str | Path]) -> Index:
    """Read YAML files, Markdown pages with a model-index comment, or folders of either.

    A folder is searched through its subfolders, names sorted, hidden ones and links to folders left
    out; files in it that hold no model-index are passed over. No file is read twice.

    Args:
        paths: the files and folders; locations name them as they are written here.

    Returns:
        The index. Everything that is wrong in any file is in ``problems``, ordered by file and
        line, files in the order they were read; ``unusable`` names the paths that yielded no
        variant where one was expected.
    """
    reader = FileReader()
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


def default_index() -> Path:
    """``model-index/`` of the working folder if it is there, else the index in the package."""
    local = Path("model-index")
    return local if local.is_dir() else package_index()


def package_index() -> Path:
    """The index that ships with this package, as installed or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_index"
    return installed if installed.is_dir() else package.parent / "model-index"
