"""Where exactly an edit changes a text: the characters of a value, or the line below it."""

from __future__ import annotations

import re

from harness.fix.page import Page, Refused, Replacement, Spot
from zoo.index.nodes import Mapping, Scalar, Sequence

# What may stand before a value: an anchor, a tag.
_PROPERTIES = re.compile(r"(?:[&!][^\s\[\]{},]*[ \t]+)*")
_ALIAS = re.compile(r"[ \t]*:[ \t]+\*[^\s\[\]{},]+")
_REST = re.compile(r"[^\r\n]*")
_COMMENT = re.compile(r"[ \t]*(?:#.*)?")
_BREAK = re.compile(r"\r\n|\n|\r")
# What may stand before a key in a block: indentation, and the dashes of lists.
_INDENT = re.compile(r"[ \t]*(?:-[ \t]+)*")
_SEVERAL_LINES = "it is written over several lines"


def value_replaced(page: Page, node: Scalar, new: str) -> Replacement:
    """The replacement of a scalar's text; quotes, anchors and comments stay as they are.

    Args:
        page: the page.
        node: the scalar as it is.
        new: its text as it shall be, free of quotes, escapes and line breaks of its own.

    Raises:
        Refused: it is written in a way that a new text can't be fitted into.
    """
    span = page.text[node.start : node.end]
    begin = _PROPERTIES.match(span).end()  # type: ignore[union-attr]  # matches nothing as well
    body = span[begin:]
    if body[:1] in ("|", ">"):
        old = node.text.strip()
        head = _BREAK.search(body)
        if head is None or body.count(old, head.end()) != 1:
            raise Refused(_SEVERAL_LINES)
        start = node.start + begin + body.index(old, head.end())
        return Replacement(start, start + len(old), new.strip())
    if _BREAK.search(body.rstrip()):
        raise Refused(_SEVERAL_LINES)
    if body[:1] in ("'", '"') and len(body) > 1 and body[-1] == body[0]:
        return Replacement(node.start + begin + 1, node.end - 1, new)
    if body.rstrip() != node.text:
        raise Refused("it is written in a way that is only read")
    start = node.start + begin
    return Replacement(start, start + len(node.text), new)


def sides_replaced(page: Page, node: Sequence, size: tuple[int, int]) -> list[Replacement]:
    """The replacements of the last two items of a list: a height and a width."""
    sides = [item for item in node.items[-2:] if isinstance(item, Scalar)]
    if len(sides) != len(size):
        raise Refused("it is no list of a height and a width")
    pairs = zip(sides, size, strict=True)
    return [value_replaced(page, item, str(side)) for item, side in pairs if item.text != str(side)]


def key_added(page: Page, spot: Spot, key: str, value: str) -> Replacement:
    """The insertion of a key right below another one, written as that one is.

    Raises:
        Refused: the other key stands where a line can't be put below it.
    """
    text = page.text
    quote = text[spot.key.start] if text[spot.key.start] in ("'", '"') else ""
    end, separator = _end_of_value(page, spot)
    # Where keys are in double quotes as in JSON, texts are as well.
    around = quote if quote == '"' else ""
    pair = f"{quote}{key}{quote}{separator}{around}{value}{around}"
    start_of_line = max(text.rfind("\n", 0, spot.key.start), text.rfind("\r", 0, spot.key.start))
    before = text[start_of_line + 1 : spot.key.start]
    rest = _REST.match(text, end)[0]  # type: ignore[index]  # matches nothing as well
    adds = (spot.mapping.start, key)
    if _is_flow(page, spot.mapping):
        return _added_in_flow(page, end, before, rest, (pair, separator == ":"), adds)
    if not _INDENT.fullmatch(before):
        raise Refused("its key does not stand at the beginning of a line")
    indent = " " * len(before) if before.strip() else before
    line_break = _line_break(text, end)
    after = end + len(rest)
    if _COMMENT.fullmatch(rest) and after < len(text) and "-->" not in rest:
        at = after + len(_BREAK.match(text, after)[0])  # type: ignore[index]  # rest ends at one
        return Replacement(at, at, f"{indent}{pair}{line_break}", adds)
    return Replacement(end, end, f"{line_break}{indent}{pair}", adds)


def _added_in_flow(
    page: Page,
    end: int,
    before: str,
    rest: str,
    written: tuple[str, bool],
    adds: tuple[int, str],
) -> Replacement:
    """Between braces: on a line of its own where the key has one, else on the same line.

    ``written`` is the key with its value, and whether the page does without spaces.
    """
    pair, is_tight = written
    after = end + len(rest)
    line_break = _line_break(page.text, end)
    own_line = not before.strip() and after < len(page.text)
    if own_line and rest.lstrip(" \t")[:1] == "," and _COMMENT.fullmatch(rest.lstrip(" \t")[1:]):
        at = after + len(_BREAK.match(page.text, after)[0])  # type: ignore[index]  # as above
        return Replacement(at, at, f"{before}{pair},{line_break}", adds)
    if own_line and not rest.strip():
        return Replacement(end, end, f",{line_break}{before}{pair}", adds)
    space = "" if is_tight else " "
    return Replacement(end, end, f",{space}{pair}", adds)


def _end_of_value(page: Page, spot: Spot) -> tuple[int, str]:
    """Where the value, or the alias in its place, ends, and what separates it from its key."""
    alias = _ALIAS.match(page.text, spot.key.end)
    if alias is not None:
        return alias.end(), ": "
    if spot.value.start < spot.key.end:
        raise Refused("its value stands elsewhere")
    separator = page.text[spot.key.end : spot.value.start]
    end = spot.value.start + len(page.text[spot.value.start : spot.value.end].rstrip())
    return end, separator if separator in (":", ": ", " : ") else ": "


def _is_flow(page: Page, mapping: Mapping) -> bool:
    head = _PROPERTIES.match(page.text, mapping.start).end()  # type: ignore[union-attr]  # as above
    return page.text[head : head + 1] == "{"


def _line_break(text: str, near: int) -> str:
    """The line break that the page uses there: the next one, else the last one before."""
    found = _BREAK.search(text, near)
    if found is not None:
        return found[0]
    before = list(_BREAK.finditer(text, 0, near))
    return before[-1][0] if before else "\n"
