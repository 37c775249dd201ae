"""Where an entry can stand in the text of an index, however empty the index is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.add.entry import Entry
from harness.fix.page import Page, Refused, Replacement
from zoo.index.nodes import Mapping, Node, Scalar, Sequence
from zoo.index.scalars import kind_of

_TYPE, _MODELS = "Type: model-index", "Models:"
_OTHER_KEYS = frozenset({"Type", "Collections", "Import"})
_BREAK = re.compile(r"\r\n|\n|\r")
_NO_CONTENT = re.compile(r"[ \t]*(?:#.*)?")
_EMPTY_LIST = re.compile(r"\[\s*\]")


def spots(page: Page, entry: Entry) -> Iterator[Replacement]:
    """The changes that put an entry in, the best first.

    It stands behind the last content of the last model, else further down. The first entry of a
    file stands below Models, in place of a ``[]`` or a null; where there is no such key, that is
    put at the end.

    Raises:
        Refused: no entry can be put behind the models as they are written.
    """
    text, documents = page.text, page.documents
    ending = next(iter(_BREAK.findall(text)), "\n")
    found = _models(documents)
    if found is None:
        indent, keys = _missing(page)
        cuts = [(len(text), len(text))]
    else:
        document, key, models = found
        indent, keys = _before(text, document.start), ()
        if text[document.start] == "{" or indent.strip() or _is_in_brackets(text, models):
            raise _in_brackets(page)
        if isinstance(models, Sequence) and models.items:
            indent = _before(text, models.start)
            ends = (_end_of_content(text, models), _line_end(text, models.end))
            cuts = [(end, end) for end in dict.fromkeys(ends)]
        else:
            cuts = [_nothing(page, key, models)]
    added = "".join(f"{indent}{line}{ending}" for line in (*keys, *entry.lines()))
    for start, end in cuts:
        # What is cut away ends where the rest of its line, a comment, begins.
        rest = text[end : _line_end(text, end)] if start < end else ""
        whole = text[:start] + rest
        at_break = not whole or whole[-1] in "\r\n"
        yield Replacement(start, end + len(rest), rest + (added if at_break else ending + added))


def _models(documents: list[Node]) -> tuple[Mapping, Scalar, Node] | None:
    for document in documents:
        for key, value in document.pairs if isinstance(document, Mapping) else ():
            if isinstance(key, Scalar) and key.text == "Models":
                return document, key, value  # type: ignore[return-value]
    return None


def _missing(page: Page) -> tuple[str, tuple[str, ...]]:
    """The indent of a file without Models, and the lines that begin such a list.

    Raises:
        Refused: the file is something else than the beginning of a model-index.
    """
    text = page.text
    said = [node for node in page.documents if not _says_nothing(text, node)]
    if not said:
        return "", (_TYPE, _MODELS)
    (document, *others) = page.documents
    if not others and isinstance(document, Mapping) and text[document.start] != "{":
        keys = {key.text for key, _ in document.pairs if isinstance(key, Scalar)}
        if keys <= _OTHER_KEYS:
            return _before(text, document.start), (_MODELS,)
    raise Refused(f"{page.path}: it has no list of Models that an entry can be put behind")


def _says_nothing(text: str, node: Node) -> bool:
    return isinstance(node, Scalar) and not text[node.start : node.end].strip()


def _is_in_brackets(text: str, models: Node) -> bool:
    return isinstance(models, Sequence) and bool(models.items) and text[models.start] == "["


def _in_brackets(page: Page) -> Refused:
    return Refused(
        f"{page.path}: its Models are in brackets; write them one below the other, each behind a "
        "dash"
    )


def _nothing(page: Page, key: Scalar, models: Node) -> tuple[int, int]:
    """From where to where the value of a Models without a model is cut away.

    Raises:
        Refused: it is something.
    """
    text = page.text
    written = text[models.start : models.end].strip()
    is_null = isinstance(models, Scalar) and models.tag is None and kind_of(models) == "null"
    if is_null and not written:
        place = _line_end(text, key.end)
        return place, place
    if isinstance(models, Sequence) and not _EMPTY_LIST.fullmatch(written):
        raise _in_brackets(page)
    if not (is_null or isinstance(models, Sequence)):
        raise Refused(f"{page.path}: its Models are no list")
    colon = text.index(":", key.end) + 1
    return (models.start if text[colon : models.start].strip() else colon), models.end


def _before(text: str, place: int) -> str:
    """What stands before a place on its line."""
    return text[max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)) + 1 : place]


def _end_of_content(text: str, models: Sequence) -> int:
    """Behind the last line of the list that is neither blank nor a comment."""
    breaks = [found.end() for found in _BREAK.finditer(text, models.start, models.end)]
    starts = [models.start, *breaks]
    ends = [*breaks, models.end]
    for start, end in zip(reversed(starts), reversed(ends), strict=True):
        if not _NO_CONTENT.fullmatch(text[start:end].rstrip("\r\n")):
            return _line_end(text, end)
    return models.end


def _line_end(text: str, position: int) -> int:
    """Where the next line begins, or the text ends."""
    if position and text[position - 1] in "\r\n":
        return position
    found = _BREAK.search(text, position)
    return len(text) if found is None else found.end()
