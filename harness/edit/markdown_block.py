"""Cut the model-index of one collection out of its files, byte by byte, for the end of a page.

A tool that harvests model-indexes from pages reads it back as the same claims. That is checked
here, and a block that would not be read so is refused: the text of an index is its author's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.edit.draft import claim_text
from harness.edit.yaml_edit import EditRefused, YamlFile, is_comment, line_start, with_comments
from zoo._util.text import printable
from zoo.index.entries import read_documents
from zoo.index.loader import assemble
from zoo.index.nodes import Mapping, Node, Scalar, UnreadableIndex
from zoo.index.nodes import Sequence as ListNode
from zoo.index.readers import MarkdownReader, reader_for
from zoo.index.schema import canonical
from zoo.index.types import Collection, Index, Location, SourceText, Variant

_TYPE = "Type: model-index"
_HAS_TYPE = re.compile(rf"\s*{_TYPE}\b")
_FOR_EDITORS = re.compile(r"\A# yaml-language-server:.*\n")
_ENDS_A_COMMENT = ("-->", "--!>")
_LISTS = ("Collections", "Models")
_ITEM = re.compile(r" *-[ \t]+")


class NoBlock(Exception):
    """The collection's model-index can't stand in a comment of a page; the message says why."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A collection or a model as it stands in a file; ``floor`` is where what precedes it ends."""

    list: str
    node: Node
    floor: int


@dataclass(slots=True)
class _File:
    text: str
    documents: list[Node]
    entries: dict[tuple[int, int], _Entry] = field(default_factory=dict)


class Blocks:
    """Cuts the blocks of an index's collections out of its files; each is read once.

    The files are as they were when the index was read.
    """

    def __init__(self, index: Index) -> None:
        self._paths = {printable(path): path for path in index.files}
        self._files: dict[str, _File] = {}

    def block(self, collection: Collection, variants: Sequence[Variant]) -> str:
        """The comments with the model-index of a collection, one for each file it stands in.

        A file that holds nothing else is taken whole, its own comments and all.

        Raises:
            NoBlock: no comment can hold it, or it would not be read back as the same claims.
        """
        wanted: dict[str, list[Location]] = {}
        entries: list[Collection | Variant] = [collection, *variants]
        for entry in entries:
            wanted.setdefault(entry.location.file, []).append(entry.location)
        try:
            bodies = [self._body(name, places) for name, places in wanted.items()]
        except (EditRefused, KeyError) as error:
            raise NoBlock("its file changed while it was read, or can't be cut") from error
        for body in bodies:
            end = _ends_a_comment(body)
            if end is not None:
                raise NoBlock(f"it holds {end}, which ends a comment of a page")
        text = "\n".join(f"<!--\n{body.rstrip()}\n-->" for body in bodies)
        if not _reads_back(text, collection, variants):
            raise NoBlock("cut out of its file, it would not be read as the same claims")
        return text

    def _body(self, name: str, places: Sequence[Location]) -> str:
        file = self._file(name)
        keys = [(place.line, place.column) for place in places]
        if set(keys) == file.entries.keys():
            whole = _whole(file)
            if whole is not None and not _ends_a_comment(whole):
                return whole
        lines = [_TYPE]
        for group in _LISTS:
            found = [e for e in map(file.entries.__getitem__, keys) if e.list == group]
            if found:
                lines += [f"{group}:", *(_cut(file.text, entry) for entry in found)]
        return "\n".join(lines)

    def _file(self, name: str) -> _File:
        if name not in self._files:
            path = self._paths[name]
            reader = reader_for(path)
            if reader is None:
                raise KeyError(path)
            read = YamlFile.read(path)
            file = self._files[name] = _File(read.text, read.documents_by(reader))
            for entry, named in _entries(file.documents):
                where = read.source.locate(named)
                file.entries[where.line, where.column] = entry
        return self._files[name]


def _ends_a_comment(text: str) -> str | None:
    return next((end for end in _ENDS_A_COMMENT if end in text), None)


def _entries(documents: list[Node]) -> Iterator[tuple[_Entry, int]]:
    """Each entry, and where its name stands."""
    for document in documents:
        groups: list[tuple[str, Node, int]] = [("Models", document, document.start)]
        if isinstance(document, Mapping):
            inner = [(k.text, v, k.end) for k, v in document.pairs if isinstance(k, Scalar)]
            alone = ListNode([document], document.start, document.end)
            groups = [each for each in inner if each[0] in _LISTS] or [
                ("Models", alone, document.start)
            ]
        for group, node, begin in groups:
            floor = begin
            for item in node.items if isinstance(node, ListNode) else ():
                for key, value in item.pairs if isinstance(item, Mapping) else ():
                    if isinstance(key, Scalar) and canonical(key.text) == "Name":
                        yield _Entry(group, item, floor), value.start
                        break
                floor = _end(item)


def _whole(file: _File) -> str | None:
    """All that a file says, where it is one plain document that can start with its type."""
    if len(file.documents) != 1 or not isinstance(file.documents[0], Mapping):
        return None
    document = file.documents[0]
    keys = {key.text for key, _ in document.pairs if isinstance(key, Scalar)}
    if not keys <= {"Type", *_LISTS}:
        return None
    head = file.text[: document.start]
    if all(not line.strip() or is_comment(line) for line in head.splitlines()):
        # A YAML file, which may begin with its author's comments; one for editors names a place
        # from where the file is, and no page is there.
        body = _FOR_EDITORS.sub("", file.text)
    else:
        body = file.text[line_start(file.text, document.start) : document.end]
    if "Type" not in keys:
        return f"{_TYPE}\n{body}"
    return body if _HAS_TYPE.match(body) else None


def _cut(text: str, entry: _Entry) -> str:
    """The lines of an entry, with the comments right above it."""
    node = entry.node
    if not _ITEM.fullmatch(text[line_start(text, node.start) : node.start]):
        return f"- {text[node.start : node.end].strip()}"  # in brackets, or a document of its own
    end = _end(node)
    if text[end - 1] != "\n":
        end = found if (found := text.find("\n", end)) >= 0 else len(text)
    return text[with_comments(text, node.start, entry.floor) : end].rstrip("\r\n")


def _end(node: Node) -> int:
    """Where the last value in a node ends: the node itself also takes the comments behind it."""
    last = node.start
    waiting = [node]
    while waiting:
        inner = waiting.pop()
        if inner.start < node.start:
            continue  # what an alias brings in stands elsewhere
        if isinstance(inner, Mapping) and inner.pairs:
            waiting += [each for pair in inner.pairs for each in pair]
        elif isinstance(inner, ListNode) and inner.items:
            waiting += inner.items
        else:
            last = max(last, inner.end)
    return last


def _reads_back(text: str, collection: Collection, variants: Sequence[Variant]) -> bool:
    try:
        contents = read_documents(SourceText("page", text), MarkdownReader().read(text))
    except UnreadableIndex:
        return False
    read, collections, _ = assemble([contents])
    wanted: list[Collection | Variant] = [collection, *variants]
    found: list[Collection | Variant] = [*collections, *read]
    return [(e.name, *map(claim_text, e.claims)) for e in wanted] == [
        (e.name, *map(claim_text, e.claims)) for e in found
    ] and all(v.collection is not None for v in read)
