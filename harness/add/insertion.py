"""An entry put into an index's file; every other byte stays, and what results is read again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.add.entry import Entry
from harness.fix.page import Page, Refused, Replacement, applied
from harness.fix.proposal import Rewrite
from harness.fix.recheck import Expected, objection
from harness.fix.writing import write
from zoo.index.nodes import Mapping, Node, Scalar, Sequence

SUFFIXES = (".yml", ".yaml")
_HEAD = "Type: model-index\nModels:\n"
_BREAK = re.compile(r"\r\n|\n|\r")
_NO_CONTENT = re.compile(r"[ \t]*(?:#.*)?")


def insert(path: Path, entry: Entry) -> None:
    """Puts an entry behind the last one of a file, or into a new file.

    Raises:
        Refused: the file can't be written, or is written in a way that no entry can be put in.
    """
    if not path.exists():
        _create(path, _HEAD + "".join(f"{line}\n" for line in entry.lines()), entry)
        return
    page = Page.read(str(path))
    why = ""
    for change in _places(page, entry):
        text = applied(page.text, (change,))
        why = _wrong(page, page.with_text(text), entry)
        if not why:
            write(Rewrite(page, text, (change,), ()))
            return
    raise Refused(f"{path}: {why or 'it has no list of Models that an entry can be put behind'}")


def _create(path: Path, text: str, entry: Entry) -> None:
    from zoo import atomic

    def check() -> None:
        if path.exists():
            raise Refused(f"{path} was made by somebody else meanwhile")

    empty = Page(str(path), b"Models: []\n")
    why = _wrong(empty, empty.with_text(text), entry)
    if why:
        raise Refused(f"{path}: {why}")
    try:
        atomic.replace(path, text.encode("utf-8"), check)
    except OSError as error:
        raise Refused(f"{path} can't be written: {error.strerror or error}") from error


def _places(page: Page, entry: Entry) -> Iterator[Replacement]:
    """Where the entry may stand: behind the last content of the last model, else further down."""
    found = _models(page.documents)
    if found is None:
        return
    key, models = found
    text = page.text
    ending = next(iter(_BREAK.findall(text)), "\n")
    if isinstance(models, Sequence) and models.items and text[models.start] == "-":
        begin = max(text.rfind("\n", 0, models.start), text.rfind("\r", 0, models.start)) + 1
        indent = text[begin : models.start]
        if indent.strip():
            return
        places = dict.fromkeys((_end_of_content(text, models), _line_end(text, models.end)))
    elif text[key.end : models.end].strip().removeprefix(":").strip() in ("", "~", "null"):
        indent, places = "", dict.fromkeys((_line_end(text, key.end),))
    else:
        return
    lines = "".join(f"{indent}{line}{ending}" for line in entry.lines())
    for place in places:
        at_break = place == 0 or text[place - 1] in "\r\n"
        yield Replacement(place, place, lines if at_break else ending + lines)


def _models(documents: list[Node]) -> tuple[Scalar, Node] | None:
    for document in documents:
        for key, value in document.pairs if isinstance(document, Mapping) else ():
            if isinstance(key, Scalar) and key.text == "Models":
                return key, value
    return None


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


def _wrong(old: Page, new: Page, entry: Entry) -> str:
    """What the new text says that it should not; empty where it says the entry and no more."""
    before, after = old.contents, new.contents
    added = after.variants[len(before.variants) :]
    why = objection(
        before, replace(after, variants=after.variants[: len(before.variants)]), Expected()
    )
    if why or len(added) != 1:
        return why or "the page would list other entries"
    said = {claim.field: claim.value for claim in added[0].claims}
    wanted = entry.claims
    odd = next((key for key in {**said, **wanted} if said.get(key) != wanted.get(key)), None)
    return "" if odd is None else f"{odd} can't be written so that it is read as it was measured"
