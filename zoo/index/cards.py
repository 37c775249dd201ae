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
_WHICH = r"(?:train|test|eval|val|infer)(?:\w*)"
_ITEM = re.compile(
    r"^[ \t]*[-*+][ \t]+(?:\*\*)?(?P<key>[A-Za-z][\w ()/]{0,30}?)(?:\*\*)?[ \t]*:(?:\*\*)?[ \t]*"
    rf"(?P<value>(?:{_WHICH}[ \t]*[=:]?[ \t]*)?[0-9][^\r\n]{{0,100}}?)[ \t]*\r?$",
    re.M,
)
_SIDES = r"[0-9]{2,5}(?:[ \t]*[x\u00d7][ \t]*[0-9]{2,5})?"
_SIZES = re.compile(
    rf"(?:({_WHICH})(?:[ \t]+size)?[ \t]*[=:]?[ \t]*)?(?:[13][ \t]*[x\u00d7][ \t]*)?({_SIDES})"
    rf"(?:[ \t]*(?:px|pixels))?(?:[ \t]*\(({_WHICH})[^)]{{0,20}}\))?",
    re.I,
)
# What a number is of, behind it: ``13.1 (at 384)``, ``13.1 @ 384 x 384``.
_AT = re.compile(
    r"([0-9][0-9.,_]*[ \t]*[KMGB]?)"
    rf"(?:[ \t]*(?:\([ \t]*(?:at|@|for|input)?|at|@)[ \t]*({_SIDES})"
    r"(?:[ \t]*(?:px|pixels))?[ \t]*\)?)?"
)
_BOTH = re.compile(r"train\w*[ \t]*/[ \t]*(?:test|eval)", re.I)
_COUNTED_AT = "FLOPs Input"
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
        named = item["key"].partition("(")[0].strip() if _BOTH.search(item["key"]) else item["key"]
        field = canonical(named)
        if field not in _STATED or field in taken:
            continue
        taken.add(field)
        first, end = item.span("value")
        if field == "Image Size":
            yield from _sizes(text, first, end, in_order=named != item["key"])
            continue
        key, known = Scalar(item["key"], True, first, first), _AT.fullmatch(text, first, end)
        if known is None:
            doubt = "is not one number; it is not verified"
            yield key, Scalar(item["value"], False, first, end, doubt=doubt)
            continue
        yield key, Scalar(known[1].rstrip(), False, first, known.start(1) + len(known[1].rstrip()))
        if known[2] and field != "Parameters" and _COUNTED_AT not in taken:
            taken.add(_COUNTED_AT)
            at = known.start(2)
            yield Scalar(_COUNTED_AT, True, at, at), Scalar(known[2], False, *known.span(2))


def _sizes(text: str, start: int, end: int, *, in_order: bool) -> Iterator[tuple[Scalar, Node]]:
    """The size that it is trained at, and the one that it is tested at, by their words.

    Of several without a word the first is meant, unless the key says in which order they stand.
    """
    taken: set[str] = set()
    for number, size in enumerate(_SIZES.finditer(text, start, end)):
        word = (size[1] or size[3] or ("test" if in_order and number == 1 else "")).lower()
        field = "Image Size" if not word or word.startswith("train") else "Test Image Size"
        if field not in taken:
            taken.add(field)
            at = size.start(2)
            yield Scalar(field, True, at, at), Scalar(size[2], False, *size.span(2))
