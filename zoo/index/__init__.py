"""Reading model-indexes: what a zoo documents, with the place of every value.

    >>> from zoo.index import load_index, package_index
    >>> index = load_index([package_index()])
    >>> index.variants[0].claim("Parameters").value
    48280000

Nothing that an index holds is executed, and no file of any content raises an error: what is wrong
is in ``Index.problems``.
"""

from __future__ import annotations

from zoo.index.loader import load_index
from zoo.index.readers import default_index, local_index, package_index
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
