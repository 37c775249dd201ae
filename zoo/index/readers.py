"""The readers of index files, by format, and where an index is when none is named.

A reader turns a text into YAML-like nodes; what the nodes mean is the same for all formats. Others
can be added through the entry point group ``zoo.readers``; they are asked only for a file that is
named outright and that no reader here takes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from zoo.index import torchvision
from zoo.index.model_card import as_index, front_matter
from zoo.index.nodes import Node, UnreadableIndex, compose

_GROUP = "zoo.readers"
FOLDER = "model-index"
# In the order in which they are looked for; the first that is there is the index.
_NAMES = (FOLDER, "model-index.yml", "model-index.yaml", "model-index.md")
_TOP = "pyproject.toml"


class Reader(Protocol):
    """What a reader has to offer, built in or found through an entry point."""

    def takes(self, path: str) -> bool:
        """Whether this reader reads a file of that name."""

    def read(self, text: str) -> list[Node]:
        """The documents in the text, with offsets into it; empty where it holds no model-index.

        Raises:
            UnreadableIndex: the text should hold a model-index and can't be read.
        """


class YamlReader:
    """YAML files."""

    def takes(self, path: str) -> bool:
        """Whether the file's name ends as YAML files' do."""
        return path.lower().endswith((".yml", ".yaml"))

    def read(self, text: str) -> list[Node]:
        """All documents of the file."""
        return list(map(as_index, compose(text)))


class MarkdownReader:
    """Markdown pages with a model-index.

    It stands in an HTML comment, as timm's pages have it, or in the front matter, as Hugging Face's
    model cards have it.
    """

    # A fence, or a comment that starts as a model-index does. What a fence shows is an example. The
    # space after the comment's opening is no indentation of a key on the same line.
    _NEXT = re.compile(
        r"^ {0,3}(`{3,}|~{3,})[^\n]*$|<!--[ \t]*(?=\s*Type:[ \t]*model-index\b)", re.M
    )

    def takes(self, path: str) -> bool:
        """Whether the file's name ends as Markdown pages' do."""
        return path.lower().endswith((".md", ".mdx"))

    def read(self, text: str) -> list[Node]:
        """The documents of the front matter and of all model-index comments of the page."""
        documents: list[Node] = []
        position = 0
        if front := front_matter(text):
            documents += map(as_index, compose(text, *front))
            position = sum(front)
        while found := self._NEXT.search(text, position):
            if found[1]:
                position = self._after_fence(text, found[1], found.end())
                continue
            end = text.find("-->", found.end())
            if end < 0:
                raise UnreadableIndex(
                    "the model-index comment has no end", "close it with -->", found.start()
                )
            documents += compose(text, found.end(), end - found.end())
            position = end + 3
        return documents

    @staticmethod
    def _after_fence(text: str, fence: str, position: int) -> int:
        closing = re.compile(rf"^ {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*\r?$", re.M)
        end = closing.search(text, position)
        return end.end() if end else len(text)


def package_index() -> Path:
    """The index that ships with this package, as installed or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_index"
    return installed if installed.is_dir() else package.parent / "model-index"


BUILT_IN: tuple[Reader, ...] = (YamlReader(), MarkdownReader())
PackageReaders = Callable[[], Sequence[tuple[str, Reader]] | None]
# The installed packages that document their own models: their files, each with its reader, or None
# where the package is not installed.
PACKAGES: dict[str, PackageReaders] = {
    torchvision.NAME: torchvision.readers,
    "zoo": lambda: [(str(path), BUILT_IN[0]) for path in sorted(package_index().glob("*.yml"))],
}


def built_in_for(path: str) -> Reader | None:
    """The built-in reader that takes a file of that name."""
    return next((reader for reader in BUILT_IN if reader.takes(path)), None)


def reader_for(path: str | os.PathLike[str]) -> Reader | None:
    """The reader for a file: a built-in one, else one of a third party, else None."""
    name = os.fspath(path)
    return built_in_for(name) or next((r for r in third_party() if r.takes(name)), None)


def third_party() -> Iterator[Reader]:
    """The readers that installed distributions offer."""
    from importlib.metadata import entry_points

    for point in entry_points(group=_GROUP):
        reader: Reader = point.load()
        yield reader


def local_index() -> Path | None:
    """The index of the working folder, else of the project that it is in; None if neither has one.

    The top of the project is the nearest folder upwards that holds a pyproject.toml. The path is
    relative to the working folder.
    """
    here = Path.cwd()
    top = next((f for f in (here, *here.parents) if (f / _TOP).is_file()), here)
    for folder in dict.fromkeys((here, top)):
        for name in _NAMES:
            path = folder / name
            if path.is_dir() if name == FOLDER else path.is_file():
                return Path(os.path.relpath(path, here))
    return None


def default_index() -> Path:
    """The index of the working folder or of its project if there is one, else the package's.

    For those who look a model up. Who judges an index takes `local_index` alone: the package's
    would stand for one that the user never wrote.
    """
    return local_index() or package_index()
