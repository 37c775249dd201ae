"""The byte-preserving editor of YAML: replace values, add keys, cut and insert lines.

A `YamlFile` is read as bytes. An edit is a list of `Replacement` of its text; everything else stays
as it is: line ends, byte order mark, comments, quotes, anchors. Who edits reads the result again
before it is saved.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from zoo._util.files import replace_file
from zoo.index.cells import plain_number
from zoo.index.entries import IndexContents, read_documents
from zoo.index.nodes import Mapping, Node, Scalar, Sequence, UnreadableIndex
from zoo.index.readers import Reader, built_in_for, read_with
from zoo.index.schema import canonical
from zoo.index.types import Location, SourceText

_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # a byte order mark, once it is decoded
_BREAK = re.compile(r"\r\n|\n|\r")
# What may stand before a value: an anchor, a tag.
_PROPERTIES = re.compile(r"(?:[&!][^\s\[\]{},]*[ \t]+)*")
_ALIAS = re.compile(r"[ \t]*:[ \t]+\*[^\s\[\]{},]+")
_REST = re.compile(r"[^\r\n]*")
_COMMENT = re.compile(r"[ \t]*(?:#.*)?")
# What may stand before a key in a block: indentation, and the dashes of lists.
_INDENT = re.compile(r"[ \t]*(?:-[ \t]+)*")
_SEVERAL_LINES = "it is written over several lines"


class EditRefused(Exception):
    """An edit that is not made; the message says why, in words that end a sentence."""


@dataclass(frozen=True, slots=True)
class KeyNode:
    """A key with its value, in the mapping that holds both."""

    mapping: Mapping
    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Replacement:
    """Text to put in place of ``text[start:end]`` of a file.

    ``adds`` names the key and the mapping (by its place) that an insertion belongs to.
    """

    start: int
    end: int
    text: str
    adds: tuple[int, str] | None = None


def apply_replacements(text: str, replacements: Iterable[Replacement]) -> str:
    """Make all replacements; those at one place in the order they are given."""
    parts: list[str] = []
    position = 0
    for change in sorted(replacements, key=lambda r: (r.start, r.end)):
        parts += text[position : change.start], change.text
        position = change.end
    return "".join([*parts, text[position:]])


@dataclass(frozen=True)
class YamlFile:
    """One reading of a YAML file, or of a Markdown page that holds YAML.

    Attributes:
        path: the file, as its user names it.
        data: its bytes.
        mark: the byte order mark it begins with, or nothing.
        text: the rest, line ends untouched.
    """

    path: str
    data: bytes
    mark: str = field(init=False)
    text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        whole = self.data.decode("utf-8")
        mark = _MARK if whole.startswith(_MARK) else ""
        object.__setattr__(self, "mark", mark)
        object.__setattr__(self, "text", whole[len(mark) :])

    @classmethod
    def read(cls, path: str) -> YamlFile:
        """Read the file as it is now.

        Raises:
            EditRefused: it can't be read, or is no text.
        """
        try:
            with open(path, "rb") as file:
                return cls(path, file.read())
        except OSError as error:
            raise EditRefused(f"{path} can't be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise EditRefused(f"{path} is no longer UTF-8") from error

    @cached_property
    def source(self) -> SourceText:
        """Offsets to lines and columns, as claims name them."""
        return SourceText(self.path, self.text)

    @cached_property
    def documents(self) -> list[Node]:
        """The text as nodes.

        Raises:
            EditRefused: it can't be read as an index.
        """
        reader = built_in_for(self.path)
        if reader is None:
            raise EditRefused(f"{os.path.basename(self.path)} is in a format that is only read")
        return self.documents_by(reader)

    def documents_by(self, reader: Reader) -> list[Node]:
        """The text as the nodes that a reader makes of it.

        Raises:
            EditRefused: it can't be read.
        """
        try:
            return read_with(reader, self.path, self.text)
        except UnreadableIndex as error:
            raise EditRefused(f"{self.path} can't be read: {error.message}") from error

    @cached_property
    def contents(self) -> IndexContents:
        """What the text documents as a model-index."""
        return read_documents(self.source, self.documents)

    def with_text(self, text: str) -> YamlFile:
        """The same file with another text.

        Raises:
            EditRefused: the text holds a lone surrogate.
        """
        try:
            return YamlFile(self.path, (self.mark + text).encode("utf-8"))
        except UnicodeEncodeError as error:
            raise EditRefused(
                f"{self.path}: it would hold a character that is not UTF-8"
            ) from error

    def key_nodes(self, fields: Iterable[str]) -> dict[Location, list[KeyNode]]:
        """Where the values of these keys stand; an aliased value has a node for each use."""
        wanted = frozenset(fields)
        found: dict[Location, list[KeyNode]] = {}
        for mapping in _mappings(self.documents):
            for key, value in mapping.pairs:
                if isinstance(key, Scalar) and canonical(key.text) in wanted:
                    node = KeyNode(mapping, key, value)
                    found.setdefault(self.source.locate(value.start), []).append(node)
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


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that an existing file may be replaced.

    Its owner may replace a file that is write-protected; the protection says not to.

    Raises:
        EditRefused: it is read-only.
        OSError: it is not there.
    """
    real = os.path.realpath(path)
    if not os.stat(real).st_mode & 0o222 or not os.access(real, os.W_OK):
        raise EditRefused(f"{path} is read-only")


def save(old: YamlFile, data: bytes) -> None:
    """Replace a file's bytes, whole or not at all, if it still has those that were read.

    Raises:
        EditRefused: the file changed since it was read, or can't be written; it is left as it is.
    """

    def check_unchanged() -> None:
        with open(old.path, "rb") as file:
            if file.read(len(old.data) + 1) != old.data:
                raise EditRefused(f"{old.path} has changed since it was read")

    try:
        check_writable(old.path)
        check_unchanged()
        # Once more right before the end: writing may have taken its time.
        replace_file(old.path, data, check_unchanged)
    except OSError as error:
        raise EditRefused(f"{old.path} can't be written: {error.strerror or error}") from error


def save_new(path: str | os.PathLike[str], data: bytes) -> None:
    """Make a file, whole or not at all.

    Raises:
        EditRefused: it is there already, or can't be written.
    """

    def check_absent() -> None:
        if os.path.exists(path):
            raise EditRefused(f"{path} was made by another process meanwhile")

    try:
        replace_file(path, data, check_absent)
    except OSError as error:
        raise EditRefused(f"{path} can't be written: {error.strerror or error}") from error


# Values and keys.


def replace_value(file: YamlFile, node: Scalar, new: str) -> Replacement:
    """Replace a scalar's text; quotes, anchors and comments stay as they are.

    The new text is free of quotes, escapes and line breaks of its own.

    Raises:
        EditRefused: it is written in a way that a new text can't be fitted into.
    """
    span = file.text[node.start : node.end]
    begin = _length(_PROPERTIES, span)
    body = span[begin:]
    if body[:1] in ("|", ">"):
        old = node.text.strip()
        head = _BREAK.search(body)
        if head is None or body.count(old, head.end()) != 1:
            raise EditRefused(_SEVERAL_LINES)
        start = node.start + begin + body.index(old, head.end())
        return Replacement(start, start + len(old), new.strip())
    if _BREAK.search(body.rstrip()):
        raise EditRefused(_SEVERAL_LINES)
    if body[:1] in ("'", '"') and len(body) > 1 and body[-1] == body[0]:
        return Replacement(node.start + begin + 1, node.end - 1, new)
    old = body.rstrip()
    if node.text not in (old, plain_number(old), plain_number(old, comma=True)):
        raise EditRefused("it is written in a way that is only read")
    start = node.start + begin
    return Replacement(start, start + len(old), new)


def replace_sides(file: YamlFile, node: Sequence, size: tuple[int, int]) -> list[Replacement]:
    """Replace the last two items of a list: a height and a width."""
    sides = [item for item in node.items[-2:] if isinstance(item, Scalar)]
    if len(sides) != len(size):
        raise EditRefused("it is no list of a height and a width")
    pairs = zip(sides, size, strict=True)
    return [replace_value(file, item, str(side)) for item, side in pairs if item.text != str(side)]


def insert_key(file: YamlFile, at: KeyNode, key: str, value: str) -> Replacement:
    """Insert a key right below another one, written as that one is.

    Raises:
        EditRefused: the other key stands where a line can't be put below it.
    """
    text = file.text
    if at.key.start == at.key.end:
        raise EditRefused(f"a table has no line below it for {key}")
    quote = text[at.key.start] if text[at.key.start] in ("'", '"') else ""
    end, separator = _end_of_value(text, at)
    # Where keys are in double quotes as in JSON, texts are as well.
    around = quote if quote == '"' else ""
    pair = f"{quote}{key}{quote}{separator}{around}{value}{around}"
    before = text[line_start(text, at.key.start) : at.key.start]
    rest = text[end : end + _length(_REST, text, end)]
    ending = line_break(text, end)
    adds = (at.mapping.start, key)
    after, below = end + len(rest), line_end(text, end)
    head = at.mapping.start + _length(_PROPERTIES, text, at.mapping.start)
    if text[head : head + 1] == "{":
        # On a line of its own where the other key has one, else on the same line.
        own_line = not before.strip() and after < len(text)
        tail = rest.lstrip(" \t")
        if own_line and tail[:1] == "," and _COMMENT.fullmatch(tail[1:]):
            return Replacement(below, below, f"{before}{pair},{ending}", adds)
        if own_line and not rest.strip():
            return Replacement(end, end, f",{ending}{before}{pair}", adds)
        return Replacement(end, end, f",{'' if separator == ':' else ' '}{pair}", adds)
    if not _INDENT.fullmatch(before):
        raise EditRefused("its key does not stand at the beginning of a line")
    indent = " " * len(before) if before.strip() else before
    if _COMMENT.fullmatch(rest) and after < len(text) and "-->" not in rest:
        return Replacement(below, below, f"{indent}{pair}{ending}", adds)
    return Replacement(end, end, f"{ending}{indent}{pair}", adds)


def _end_of_value(text: str, at: KeyNode) -> tuple[int, str]:
    """Where the value, or the alias in its place, ends, and what separates it from its key."""
    alias = _ALIAS.match(text, at.key.end)
    if alias is not None:
        return alias.end(), ": "
    if at.value.start < at.key.end:
        raise EditRefused("its value stands elsewhere")
    separator = text[at.key.end : at.value.start]
    end = at.value.start + len(text[at.value.start : at.value.end].rstrip())
    return end, separator if separator in (":", ": ", " : ") else ": "


def _length(pattern: re.Pattern[str], text: str, start: int = 0) -> int:
    """How much of the text, from there on, a pattern takes."""
    found = pattern.match(text, start)
    return 0 if found is None else found.end() - start


# Lines.


def line_start(text: str, position: int) -> int:
    start = text.rfind("\n", 0, position) + 1
    # After the last line feed alone: most texts have no carriage return at all.
    return max(start, text.rfind("\r", start, position) + 1)


def previous_line(text: str, position: int) -> int:
    """Where the line begins that ends there, its line break included."""
    return line_start(text, position - (2 if text.endswith("\r\n", 0, position) else 1))


def line_end(text: str, position: int) -> int:
    """Where the next line begins, or the text ends; the position itself where it begins a line."""
    if position and text[position - 1] in "\r\n":
        return position
    found = _BREAK.search(text, position)
    return len(text) if found is None else found.end()


def line_break(text: str, near: int = 0) -> str:
    """The line break in use there: the next one, else the last one before."""
    found = _BREAK.search(text, near)
    if found is None:
        start = line_start(text, near)
        found = _BREAK.search(text, max(0, start - 2), start)
    return "\n" if found is None else found[0]


def is_comment(line: str) -> bool:
    return line.lstrip(" \t").startswith("#")


def with_comments(text: str, position: int, floor: int = 0) -> int:
    """Where the comment lines right above the line of a position begin, at ``floor`` at the least.

    They belong to what stands on that line.
    """
    start = line_start(text, position)
    while start > floor:
        above = previous_line(text, start)
        if above < floor or not is_comment(text[above:start]):
            break
        start = above
    return start
