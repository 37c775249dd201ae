"""From the text of a baseline to its entries; all that is wrong in it is said at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from harness.baseline.types import Baseline, Entry
from harness.causes import CAUSES
from harness.run.request import UsageError
from zoo._util.files import open_regular
from zoo._util.text import nearest, shown
from zoo.index.nodes import Mapping, Node, Scalar, Sequence, Unreadable, compose
from zoo.index.scalars import kind_of
from zoo.index.source import Source

TOP = "accepted"
KEYS = ("variant", "field", "cause", "documented", "reason", "expires", "file")
MAX_BYTES = 8 * 2**20  # some 30,000 entries
_MOST_LINES = 20
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def read(path: Path | str, *, missing: bool = False) -> Baseline:
    """Reads a baseline.

    Args:
        path: the file.
        missing: a file that is not there is an empty baseline, and no mistake.

    Raises:
        UsageError: it can't be read, or something in it is wrong; a line for each mistake.
    """
    name = os.fspath(path)
    try:
        content = _content(name)
    except FileNotFoundError as error:
        if missing:
            return Baseline(name)
        remedy = "name a baseline, or make one with zoo verify --write-baseline"
        raise UsageError(f"{shown(name)}: can't be read: {error.strerror}; {remedy}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{shown(name)}: can't be read: {reason}") from error
    return Baseline(name, parse(name, content), content)


def parse(name: str, content: bytes) -> tuple[Entry, ...]:
    """The entries of a file of that name and content.

    Raises:
        UsageError: as `read` does.
    """
    reader = _Reader(name, content)
    entries = tuple(reader.entries())
    if reader.mistakes:
        more = len(reader.mistakes) - _MOST_LINES
        tail = [f"{shown(name)}: and {more} more mistakes"] if more > 0 else []
        raise UsageError(*reader.mistakes[:_MOST_LINES], *tail)
    return entries


def accepted_node(document: Node) -> Node | None:
    """The node below ``accepted``."""
    pairs = document.pairs if isinstance(document, Mapping) else []
    return next((v for k, v in pairs if isinstance(k, Scalar) and k.text == TOP), None)


def _content(path: str) -> bytes:
    with open_regular(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
    return content


class _Reader:
    """Reads one file, and collects what is wrong in it."""

    def __init__(self, name: str, content: bytes) -> None:
        self.mistakes: list[str] = []
        self._folder = os.path.dirname(os.path.abspath(name))
        self._source = Source(name, "")
        try:
            self._source = Source(name, content.decode("utf-8-sig"))
            self._documents = compose(self._source.text)
        except UnicodeDecodeError as error:
            self._documents = []
            self._wrong(0, f"byte {error.start} is not UTF-8; save the file as UTF-8")
        except Unreadable as error:
            self._documents = []
            self._wrong(error.index, f"{error.message}; {error.remedy}")

    def _wrong(self, index: int, message: str) -> None:
        where = self._source.locate(min(index, len(self._source.text)))
        self.mistakes.append(f"{where}: {message}")

    def entries(self) -> Iterator[Entry]:
        if self.mistakes:
            return
        items = self._items()
        seen: dict[object, int] = {}
        for item in items:
            entry = self._entry(item)
            if entry is None:
                continue
            first = seen.setdefault((entry.key, entry.file), entry.location.line)
            if first != entry.location.line:
                self._wrong(item.start, f"is the entry of line {first} again; delete one of them")
            yield entry

    def _items(self) -> list[Node]:
        remedy = f"write {TOP}: and under it a list of entries"
        if len(self._documents) != 1 or not isinstance(self._documents[0], Mapping):
            self._wrong(0, f"holds no baseline; {remedy}")
            return []
        document = self._documents[0]
        for key, _ in document.pairs:
            if not isinstance(key, Scalar) or key.text != TOP:
                self._wrong(key.start, f"is no key of a baseline; {remedy}")
        if self.mistakes:
            return []
        if len(document.pairs) > 1:
            self._wrong(document.pairs[1][0].start, f"{TOP} stands here again; write one list")
        node = accepted_node(document)
        if isinstance(node, Sequence):
            return node.items
        if node is None or kind_of(node) != "null":
            self._wrong(node.start if node else 0, f"{TOP} is no list; {remedy}")
        return []

    def _entry(self, item: Node) -> Entry | None:
        known = len(self.mistakes)
        if not isinstance(item, Mapping):
            self._wrong(item.start, f"is no entry; write {KEYS[0]}:, {KEYS[1]}: and so on")
            return None
        values = self._values(item)
        if len(self.mistakes) > known:  # A key that is spelt wrong is not missing as well.
            return None
        entry = Entry(
            variant=self._text(values, "variant"),
            field=self._text(values, "field") or "",
            cause=self._cause(values, item),
            documented=self._documented(values, item),
            reason=self._reason(values, item),
            location=self._source.locate(item.start),
            expires=self._expires(values),
            file=self._file(values),
        )
        if entry.variant is None and entry.file is None:
            self._wrong(
                item.start,
                "names neither a variant nor a file, so that it is about everything; add variant:, "
                "or file: with the path of the index file, relative to this one",
            )
        return entry if len(self.mistakes) == known else None

    def _values(self, item: Mapping) -> dict[str, Scalar]:
        values: dict[str, Scalar] = {}
        for key, value in item.pairs:
            name = key.text if isinstance(key, Scalar) else ""
            if name not in KEYS:
                present = {key.text for key, _ in item.pairs if isinstance(key, Scalar)}
                near = nearest(name, (key for key in KEYS if key not in present), n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KEYS)}"
                self._wrong(key.start, f"there is no key {shown(name)!r} in an entry; {hint}")
            elif name in values:
                self._wrong(key.start, f"{name} stands twice in this entry; delete one of them")
            elif not isinstance(value, Scalar) or value.tag is not None:
                self._wrong(value.start, f"{name} is no text; write one")
            else:
                values[name] = value
        return values

    def _text(self, values: dict[str, Scalar], name: str) -> str | None:
        node = values.get(name)
        return None if node is None or kind_of(node) == "null" else node.text

    def _required(self, values: dict[str, Scalar], item: Mapping, name: str, what: str) -> str:
        text = self._text(values, name)
        if text is None or not text.strip():
            at = values[name].start if name in values else item.start
            self._wrong(at, f"an entry without a {name}; write {what}")
        return text or ""

    def _cause(self, values: dict[str, Scalar], item: Mapping) -> str:
        cause = self._required(values, item, "cause", "the finding's, such as size.impossible")
        # Others' checks have causes of their own, which nobody here can know.
        near = [] if cause in CAUSES else nearest(cause, CAUSES, n=1, cutoff=0.85)
        if near:
            at = values["cause"].start
            self._wrong(at, f"there is no cause {shown(cause)!r}; did you mean {near[0]}?")
        return cause

    def _documented(self, values: dict[str, Scalar], item: Mapping) -> str | None:
        if not any(isinstance(key, Scalar) and key.text == "documented" for key, _ in item.pairs):
            self._wrong(
                item.start,
                "an entry without a documented value would accept any other wrong one; write "
                "documented: as the index has it, or documented: null where nothing is documented",
            )
        return self._text(values, "documented")

    def _reason(self, values: dict[str, Scalar], item: Mapping) -> str:
        return self._required(values, item, "reason", "why the finding is accepted")

    def _expires(self, values: dict[str, Scalar]) -> date | None:
        text = self._text(values, "expires")
        if text is None:
            return None
        try:
            if _DAY.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        at = values["expires"].start
        self._wrong(at, f"expires: {shown(text)!r} is no day; write one such as 2027-01-31")
        return None

    def _file(self, values: dict[str, Scalar]) -> str | None:
        text = self._text(values, "file")
        return None if not text else os.path.abspath(os.path.join(self._folder, text))
