"""A file of an index as it lies on the disk: its bytes, its text, and where its values stand."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from zoo.index.nodes import Mapping, Node, Scalar, Sequence, Unreadable
from zoo.index.readers import built_in_for
from zoo.index.schema import canonical
from zoo.index.source import Source
from zoo.index.structure import Contents, read_documents
from zoo.index.types import Claim, Collection, Location, Variant

_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # a byte order mark, once it is decoded


class Refused(Exception):
    """A fix that is not made; the message says why, in words that end a sentence."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A key with its value, in the mapping that holds both."""

    mapping: Mapping
    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Replacement:
    """Text to be put in place of ``text[start:end]`` of a page.

    ``adds`` names the key and the mapping (by its place) that an insertion belongs to.
    """

    start: int
    end: int
    text: str
    adds: tuple[int, str] | None = None


@dataclass(frozen=True)
class Page:
    """One reading of a file.

    Attributes:
        path: the file, as the index names it.
        data: its bytes.
    """

    path: str
    data: bytes
    mark: str = field(init=False)
    text: str = field(init=False, repr=False)
    _steps: dict[str, Counter[Decimal]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        whole = self.data.decode("utf-8")
        mark = _MARK if whole.startswith(_MARK) else ""
        object.__setattr__(self, "mark", mark)
        object.__setattr__(self, "text", whole[len(mark) :])

    @classmethod
    def read(cls, path: str) -> Page:
        """The file as it is now.

        Raises:
            Refused: it can't be read, or is no text.
        """
        try:
            with open(path, "rb") as file:
                return cls(path, file.read())
        except OSError as error:
            raise Refused(f"{path} can't be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise Refused(f"{path} is no longer UTF-8") from error

    @cached_property
    def source(self) -> Source:
        """Offsets to lines and columns, as claims name them."""
        return Source(self.path, self.text)

    @cached_property
    def documents(self) -> list[Node]:
        """The text as nodes.

        Raises:
            Refused: it can't be read as an index.
        """
        reader = built_in_for(self.path)
        if reader is None:
            raise Refused(f"{os.path.basename(self.path)} is in a format that is only read")
        try:
            return reader.read(self.text)
        except Unreadable as error:
            raise Refused(f"{self.path} can't be read: {error.message}") from error

    @cached_property
    def contents(self) -> Contents:
        """What the text documents."""
        return read_documents(self.source, self.documents)

    @cached_property
    def claims(self) -> dict[tuple[Location, str], Claim]:
        """Where, and of which key -> what is claimed there."""
        entries: list[Variant | Collection] = [*self.contents.variants, *self.contents.collections]
        return {(c.location, c.field): c for entry in entries for c in entry.claims}

    def steps(self, name: str) -> Counter[Decimal]:
        """What the integers of a field are rounded to on this page, and how many of them are."""
        if name not in self._steps:
            self._steps[name] = Counter(
                claim.step
                for (_, field_), claim in self.claims.items()
                if field_ == name and claim.step is not None and claim.raw.strip().isdigit()
            )
        return self._steps[name]

    def with_text(self, text: str) -> Page:
        """The same file with another text."""
        return Page(self.path, (self.mark + text).encode("utf-8"))

    def spots(self, fields: Iterable[str]) -> dict[Location, list[Spot]]:
        """Where the values of these keys stand; an aliased value has a spot for each use."""
        wanted = frozenset(fields)
        found: dict[Location, list[Spot]] = {}
        for mapping in _mappings(self.documents):
            for key, value in mapping.pairs:
                if isinstance(key, Scalar) and canonical(key.text) in wanted:
                    spot = Spot(mapping, key, value)
                    found.setdefault(self.source.locate(value.start), []).append(spot)
        return found


def _mappings(documents: Iterable[Node]) -> Iterator[Mapping]:
    """Every mapping once, whatever aliases name it."""
    seen: set[int] = set()
    waiting = list(documents)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Scalar) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Sequence):
            waiting += node.items
        else:
            yield node
            waiting += (part for pair in node.pairs for part in pair)


def applied(text: str, replacements: Iterable[Replacement]) -> str:
    """The text with all replacements made; those at one place in the order they are given."""
    parts: list[str] = []
    position = 0
    for change in sorted(replacements, key=lambda r: (r.start, r.end)):
        parts += text[position : change.start], change.text
        position = change.end
    return "".join([*parts, text[position:]])
