"""mmpretrain's own metafiles, as its installed wheel ships them.

Nothing is imported or executed: they are YAML, in the folder ``.mim`` of the package.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from zoo.index.nodes import Mapping, Node, Scalar, compose

NAME = "mmpretrain"
_INDEX = (".mim", "model-index.yml")


def readers() -> list[tuple[str, MetafileReader]] | None:
    """The wheel's index, which imports the others; None where it is not installed."""
    spec = find_spec(NAME)  # finds it without importing it
    if spec is None or not spec.origin:
        return None
    return [(os.fspath(Path(spec.origin).parent.joinpath(*_INDEX)), MetafileReader())]


class MetafileReader:
    """A YAML index of models that mmpretrain builds."""

    def takes(self, path: str) -> bool:
        """Nothing by its name: only the installed package is read this way."""
        return False

    def read(self, text: str) -> list[Node]:
        """All documents of the file, each with its builder."""
        documents = compose(text)
        for document in documents:
            if isinstance(document, Mapping):
                key, value = (Scalar(word, True, 0, 0) for word in ("Builder", NAME))
                document.pairs.insert(0, (key, value))
        return documents
