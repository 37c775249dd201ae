"""mmpretrain's own metafiles, as its installed wheel ships them.

Nothing is imported or executed: they are YAML, in the folder ``.mim`` of the package.
"""

from __future__ import annotations

import os

from zoo._util.install import package_folder
from zoo.index.literals import PackageReader
from zoo.index.nodes import Mapping, Node, Scalar, compose, pair

NAME = "mmpretrain"
_INDEX = (".mim", "model-index.yml")


def readers() -> list[tuple[str, MetafileReader]] | None:
    """The wheel's index, which imports the others; None where it is not installed."""
    folder = package_folder(NAME)
    return None if folder is None else [(os.fspath(folder.joinpath(*_INDEX)), MetafileReader())]


class MetafileReader(PackageReader):
    """A YAML index of models that mmpretrain builds."""

    def read(self, text: str) -> list[Node]:
        """All documents of the file, each with its builder."""
        documents = compose(text)
        for document in documents:
            if isinstance(document, Mapping):
                document.pairs.insert(0, pair("Builder", Scalar(NAME, True, 0, 0), 0))
        return documents
