"""What a scalar is to YAML: text, or something else that a reader would make of it."""

from __future__ import annotations

import re

from zoo.index.nodes import Mapping, Node, Scalar, Sequence

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
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")


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
