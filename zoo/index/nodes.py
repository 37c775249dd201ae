"""The text of a file, and YAML text to nodes that know where they stand, within bounds.

The nodes are composed here from the parser's events, one after the other: PyYAML's own ``compose``
recurses and overflows the interpreter's stack on deeply nested text, and builds whatever an alias
bomb asks for. No tag is ever constructed; an index needs mappings, sequences and scalars only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import yaml

from zoo._util.files import NotRegularFileError, open_regular

MAX_BYTES = 32 * 2**20  # 10,000 variants as documented as ResNeSt's take 12 MB
MAX_DEPTH = 40  # a real index nests 6 deep
MAX_NODES = 2_000_000  # about 25,000 variants as documented as ResNeSt's are
MAX_ALIAS_NODES = 100_000  # what aliases may add to the text by being expanded
MAX_DOCUMENTS = 1_000
MAX_DIRECTIVES = 1_000  # libyaml compares each with all before it

_PREFIX = "tag:yaml.org,2002:"
# A tag may say that something is text, a list or a mapping, and nothing else.
_TAGS = {"scalar": _PREFIX + "str", "sequence": _PREFIX + "seq", "mapping": _PREFIX + "map"}
# What YAML allows in a stream, less the C1 controls that a terminal would obey.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What YAML makes of a plain scalar.
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = frozenset(
    form
    for word in ("yes", "no", "on", "off", "true", "false")
    for form in (word, word.capitalize(), word.upper())
)
# YAML 1.1 and 1.2 differ (1e3 is text to the one, a number to the other): what either takes for a
# number is one here, so that a name reads the same everywhere.
_NUMBER = re.compile(
    r"[+-]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(?::[0-5]?[0-9])*(?:\.[0-9_]*)?"
    r"(?:[eE][+-]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
_MAX_EXCERPT = 1_000
_DIRECTIVE = re.compile(r"^%", re.M)
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnreadableIndex(Exception):
    """The text is not the YAML of an index.

    Attributes:
        message, remedy: what is wrong, and what would be right.
        index: the place, as an offset in characters.
    """

    def __init__(self, message: str, remedy: str, index: int = 0) -> None:
        super().__init__(message)
        self.message, self.remedy, self.index = message, remedy, index


def read_text(path: str) -> str:
    """The text of a regular file of bounded size, other bytes than UTF-8 as lone surrogates.

    Raises:
        UnreadableIndex: it can't be read, or is too large.
    """
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except NotRegularFileError:
        raise UnreadableIndex("is not a regular file", "name a regular file") from None
    except (OSError, ValueError) as error:
        raise UnreadableIndex(f"can't be read: {reason_of(error)}", "make it readable") from None
    if len(data) > MAX_BYTES:
        raise UnreadableIndex(f"is larger than {MAX_BYTES:,} bytes", "split the file")
    # Bytes that are not UTF-8 are kept as surrogates here, to be reported where they stand.
    return data.decode("utf-8-sig", errors="surrogateescape")


def check_utf8(text: str) -> None:
    """Refuse a text with a byte that was no UTF-8.

    Raises:
        UnreadableIndex: it has one.
    """
    bad = _NOT_UTF8.search(text)
    if bad:
        what = f"is not UTF-8 (the byte 0x{ord(bad[0]) - 0xDC00:02X})"
        raise UnreadableIndex(what, "save the file as UTF-8", bad.start())


def reason_of(error: Exception) -> str:
    """Why a file can't be opened, as the system says it."""
    return getattr(error, "strerror", None) or str(error)


@dataclass(slots=True)
class Scalar:
    """A leaf: its text without quotes, and whether it was quoted (or tagged as a string).

    Attributes:
        written: what stands in the source where a reader had to say it in an index's own words,
            e.g. ``0.812`` for the text ``81.2%``; None where the text itself does.
        doubt: why a reader can't tell what the text means; it is then no claim.
        sure: a reader knows that it is a percentage, so that none, and less than one, are ones.
    """

    text: str
    quoted: bool
    start: int
    end: int
    tag: str | None = None
    written: str | None = None
    doubt: str | None = None
    sure: bool = False


@dataclass(slots=True)
class Sequence:
    """A list of nodes."""

    items: list[Node]
    start: int
    end: int
    tag: str | None = None


@dataclass(slots=True)
class Mapping:
    """Pairs in the order they are written, duplicates included.

    ``foreign`` marks the root of an index in a format with keys of its own, where null means that
    nothing is said.
    """

    pairs: list[tuple[Node, Node]]
    start: int
    end: int
    tag: str | None = None
    foreign: bool = False


@dataclass(slots=True)
class TableDocument(Mapping):
    """An index that a reader made of a table.

    ``faults`` are what is wrong with the table itself: the model, the key, and a `Wrong`.
    """

    faults: tuple[tuple[str | None, str, Any], ...] = ()


Node = Scalar | Sequence | Mapping


def pair(key: str, value: Node, start: int) -> tuple[Node, Node]:
    """A pair of a mapping whose key stands in no text, at the place of its value."""
    return Scalar(key, True, start, start), value


def lookup(node: Node | None, name: str) -> Node | None:
    """The value of a key in a mapping; None where it has none, or is something else."""
    pairs = node.pairs if isinstance(node, Mapping) else ()
    return next((v for k, v in pairs if isinstance(k, Scalar) and k.text == name), None)


def compose(text: str, offset: int = 0, length: int | None = None) -> list[Node]:
    """The documents of ``text[offset:offset + length]`` as nodes with offsets into ``text``.

    Raises:
        UnreadableIndex: the text is no YAML, or exceeds a bound of this module.
    """
    body = text[offset : None if length is None else offset + length]
    bad = _FORBIDDEN.search(body)
    if bad:
        raise UnreadableIndex(
            f"the character U+{ord(bad[0]):04X} is not allowed in YAML",
            "save the file as plain UTF-8 text",
            offset + bad.start(),
        )
    directives = [*islice(_DIRECTIVE.finditer(body), MAX_DIRECTIVES + 1)]
    if len(directives) > MAX_DIRECTIVES:
        raise UnreadableIndex(
            f"more than {MAX_DIRECTIVES:,} lines begin with %",
            "remove them: an index needs no directives",
            offset + directives[-1].start(),
        )
    return _Composer(offset).documents(_events(body, offset))


# What PyYAML and libyaml say, and what it means for an index.
_FAULTS = (
    ("',' or ']'", "a list in brackets is not closed, or a comma is missing"),
    ("',' or '}'", "a mapping in braces is not closed, or a comma is missing"),
    ("node content", "a value is missing here"),
    ("expected key", "this line is indented otherwise than the keys above it"),
    ("'-' indicator", "this line is no item of the list above it"),
    ("sequence entries are not allowed", "a list can't begin in the middle of a line"),
    ("mapping values are not allowed", "a key can't stand here"),
    ("expected ':'", "a key without its colon"),
    ("'\\t'", "a tab where spaces should be"),
    ("tab character", "a tab where spaces should be"),
    ("start any token", "a value that begins so has to be in quotes"),
    ("end of stream", "a quote is not closed"),
    ("document indicator", "a quote is not closed"),
    ("escape", "a backslash that means nothing within double quotes"),
    ("tag", "a tag that is not declared, or not whole"),
)
_NO_FIT = "indentation, quotes or brackets don't fit together"


def _events(body: str, offset: int) -> Iterator[Any]:
    try:
        yield from yaml.parse(body, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = offset + min(mark.index if mark else 0, len(body))
        if "nesting depth" in str(error.problem):
            # libyaml 0.2.6 has a bound of its own, and looks ahead of the events that we count.
            raise _too_deep(place) from None
        # What is said of a line that begins with a tab is of every kind.
        problem = "'\\t'" if _after_tab(body, place - offset) else str(error.problem)
        why = next((ours for theirs, ours in _FAULTS if theirs in problem), _NO_FIT)
        raise UnreadableIndex(
            f"not YAML: {why}",
            "check indentation, quotes and brackets around here",
            place,
        ) from None
    except yaml.YAMLError:
        raise UnreadableIndex(f"not YAML: {_NO_FIT}", "save it as UTF-8 YAML", offset) from None


def _after_tab(body: str, place: int) -> bool:
    """Whether a tab is at a place, or in the indentation of its line."""
    line = body[body.rfind("\n", 0, place) + 1 :].partition("\n")[0]
    return "\t" in body[place : place + 1] + line[: len(line) - len(line.lstrip())]


def _too_deep(place: int) -> UnreadableIndex:
    return UnreadableIndex(
        f"nested more than {MAX_DEPTH} levels deep", "an index needs no more than 8 levels", place
    )


class _Composer:
    """Builds nodes from events with a stack of its own, counting as it goes."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.stack: list[tuple[Sequence | Mapping, list[Node], str | None, int]] = []
        self.heights: list[int] = []  # of what each node on the stack holds so far
        self.anchors: dict[str, tuple[Node, int, int]] = {}
        self.size = 0  # nodes composed so far, aliases expanded, long texts weighing more
        self.added = 0  # the part of it that aliases added
        self.roots: list[Node] = []

    def at(self, mark: Any) -> int:
        """A mark's offset in the whole text."""
        return self.offset + int(mark.index)

    def documents(self, events: Iterator[Any]) -> list[Node]:
        for event in events:
            self.take(event)
        return self.roots

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            start = self.at(event.start_mark)
            tag = _foreign(event.tag, "scalar")
            quoted = event.style not in (None, "") or event.tag in ("!", _PREFIX + "str")
            end = self.at(event.end_mark)
            size = 1 + len(event.value) // 64
            self.size += size
            self.done(Scalar(event.value, quoted, start, end, tag), event.anchor, size, 0)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self.open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.close(event)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.anchors.clear()
            if len(self.roots) >= MAX_DOCUMENTS:
                raise UnreadableIndex(
                    f"more than {MAX_DOCUMENTS} YAML documents in one file",
                    "write the models as one list",
                    self.at(event.start_mark),
                )

    def open(self, event: Any) -> None:
        start = self.at(event.start_mark)
        self.check_depth(0, start)
        node: Sequence | Mapping
        if isinstance(event, yaml.MappingStartEvent):
            node = Mapping([], start, start, _foreign(event.tag, "mapping"))
        else:
            node = Sequence([], start, start, _foreign(event.tag, "sequence"))
        self.size += 1
        self.stack.append((node, [], event.anchor, self.size))
        self.heights.append(0)

    def close(self, event: Any) -> None:
        node, children, anchor, before = self.stack.pop()
        node.end = self.at(event.end_mark)
        if isinstance(node, Mapping):
            node.pairs = list(zip(children[::2], children[1::2], strict=True))
        else:
            node.items = children
        self.done(node, anchor, self.size - before + 1, self.heights.pop() + 1)

    def alias(self, event: Any) -> None:
        start = self.at(event.start_mark)
        known = self.anchors.get(event.anchor)
        if known is None:
            # An anchor that is still open would make the node contain itself.
            raise UnreadableIndex(
                f"the alias *{event.anchor} names no anchor that is complete before it",
                "write the value out",
                start,
            )
        node, size, height = known
        self.check_depth(height - 1, start)
        self.added += size
        if self.added > MAX_ALIAS_NODES:
            raise UnreadableIndex(
                f"aliases expand to more than {MAX_ALIAS_NODES:,} values",
                "write the values out",
                start,
            )
        self.size += size
        self.done(node, None, size, height)

    def check_depth(self, height: int, start: int) -> None:
        if len(self.stack) + height >= MAX_DEPTH:
            raise _too_deep(start)

    def done(self, node: Node, anchor: str | None, size: int, height: int) -> None:
        if self.size > MAX_NODES:
            raise UnreadableIndex(
                f"more than {MAX_NODES:,} values in one file", "split the file", node.start
            )
        if anchor is not None:
            self.anchors[anchor] = (node, size, height)
        if self.stack:
            self.stack[-1][1].append(node)
            self.heights[-1] = max(self.heights[-1], height)
        else:
            self.roots.append(node)


def _foreign(tag: str | None, kind: str) -> str | None:
    """The tag where it is not one that the kind of node has anyway."""
    return None if tag is None or tag in ("!", _TAGS[kind]) else tag.replace(_PREFIX, "!!")


def kind_of(node: Node) -> str:
    """One of ``mapping``, ``list``, ``text``, ``number``, ``boolean``, ``date``, ``null``."""
    if isinstance(node, Mapping):
        return "mapping"
    if isinstance(node, Sequence):
        return "list"
    return "text" if node.quoted else kind_of_plain(node.text)


def kind_of_plain(text: str) -> str:
    """What YAML makes of an unquoted scalar, a word of `kind_of`."""
    if text in _NULL:
        return "null"
    if text in _BOOL:
        return "boolean"
    first = text[0]
    if first in "+-." or "0" <= first <= "9":
        if _NUMBER.fullmatch(text):
            return "number"
        if _DATE.fullmatch(text):
            return "date"
    return "text"


def is_blank(node: Node) -> bool:
    """Nothing is written after the key, or only a null, quotes or spaces."""
    return isinstance(node, Scalar) and (not node.text.strip() or kind_of(node) == "null")


def excerpt(node: Node, text: str) -> str:
    """The node as its author wrote it: a scalar's text, or the (first) source of anything else."""
    if isinstance(node, Scalar):
        return node.text if node.written is None else node.written
    return text[node.start : min(node.end, node.start + _MAX_EXCERPT)].strip()
