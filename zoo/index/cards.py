"""The numbers that a model card states in a list of its text, beside its front matter.

timm's cards on the Hub have them below ``**Model Stats:**``: ``Params (M): 25.6``, ``GMACs: 4.1``,
``Activations (M): 11.1``, ``Image size: train = 224 x 224, test = 288 x 288``. They are of the
model that the card is called after.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zoo.index.nodes import Mapping as Pairs
from zoo.index.nodes import Node, Scalar, Sequence, TableDocument, lookup
from zoo.index.schema import canonical

_HEADING = re.compile(r"^#[ \t]+Model [Cc]ard (?:for|of)[ \t]+`?([\w./-]+)`?", re.M)
_CREATED = re.compile(r"""\bcreate_model\(\s*['"]([\w./:-]+)['"]""")
_ITEM = re.compile(
    r"^[ \t]*[-*+][ \t]+(?:\*\*)?(?P<key>[A-Za-z][\w ()/]{0,30}?)(?:\*\*)?[ \t]*:(?:\*\*)?[ \t]*"
    r"(?P<value>(?:train[ \t]*=[ \t]*)?[0-9][^\r\n]{0,100}?)[ \t]*\r?$",
    re.M,
)
_SIZES = re.compile(r"(?:(train|test)[ \t]*=[ \t]*)?([0-9]+(?:[ \t]*[x\u00d7][ \t]*[0-9]+)?)")
_STATED = frozenset({"Parameters", "FLOPs", "Activations", "Image Size"})


def with_stats(text: str, documents: list[Node]) -> list[Node]:
    """The documents of a page, with what the list of its text says of the model.

    Where the page has one model of an index, that is the model; else the card's heading names it.
    """
    heading = _HEADING.search(text)
    if heading is None:
        return documents
    metadata = list(_stats(text, heading.end()))
    if not metadata:
        return documents
    at = metadata[0][0].start
    below = Scalar("Metadata", True, at, at), Pairs(list(metadata), at, at)
    lists = (lookup(document, "Models") for document in documents)
    models = [model for each in lists if isinstance(each, Sequence) for model in each.items]
    if len(models) == 1 and isinstance(models[0], Pairs):
        models[0].pairs.append(below)
        return documents
    if models:
        return documents  # of several, nothing tells which one is meant
    named = heading
    if lone := _CREATED.search(text, heading.end()):
        # The heading may name the organisation as well.
        named = lone if lone[1].endswith(heading[1].rpartition("/")[2]) else heading
    start, end = named.span(1)
    name = named[1].rpartition("/")[2]
    start = end - len(name)
    pairs: list[tuple[Node, Node]] = [
        (Scalar("Name", True, start, start), Scalar(name, True, start, end)),
        below,
    ]
    listed = Sequence([Pairs(pairs, start, end)], start, end)
    return [*documents, TableDocument([(Scalar("Models", True, start, start), listed)], start, end)]


def _stats(text: str, start: int) -> Iterator[tuple[Scalar, Node]]:
    """Each number of the list once, the first counts: later lists compare with other models."""
    taken: set[str] = set()
    for item in _ITEM.finditer(text, start):
        field = canonical(item["key"])
        if field not in _STATED or field in taken:
            continue
        taken.add(field)
        first = item.start("value")
        key = Scalar(item["key"], True, first, first)
        if field != "Image Size":
            yield key, Scalar(item["value"], False, first, item.end("value"))
            continue
        for size in _SIZES.finditer(text, first, item.end("value")):
            at, end = size.span(2)
            word = "Test Image Size" if size[1] == "test" else "Image Size"
            yield Scalar(word, True, at, at), Scalar(size[2], False, at, end)
