"""Read a baseline: findings that a project accepts for now, each with its reason.

What a baseline accepts is one value of one field for one cause: another wrong value is a new
finding.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from shlex import quote

from harness.causes import CAUSES
from harness.config import UsageError
from zoo._util.files import open_regular
from zoo._util.text import nearest, shown
from zoo.index.nodes import Mapping, Node, Scalar, Sequence, UnreadableIndex, compose, kind_of
from zoo.index.types import Location, SourceText

DEFAULT = "known-findings.yml"
TOP = "accepted"
_KEYS = ("variant", "field", "cause", "documented", "reason", "expires", "file")
_MAX_BYTES = 8 * 2**20  # some 30,000 entries
_MOST_LINES = 20
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class AcceptedFinding:
    """One accepted finding.

    Attributes:
        variant: whose finding it is; None for one of the index itself.
        field: the key as the index writes it; empty where a finding has none.
        cause: its stable id.
        documented: the value as written; None where nothing is documented.
        reason: why it is accepted.
        location: where the entry stands in the baseline.
        expires: the last day on which it is accepted; None for no end.
        file: the absolute path of the index file that it is about; None for any.
    """

    variant: str | None
    field: str
    cause: str
    documented: str | None
    reason: str
    location: Location
    expires: date | None = None
    file: str | None = None

    @property
    def key(self) -> tuple[str | None, str, str, str | None]:
        """What it has in common with its finding, besides the file."""
        return (self.variant, self.field, self.cause, self.documented)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of one file, in its order; ``content`` is None if there is no such file yet."""

    path: str
    entries: tuple[AcceptedFinding, ...] = ()
    content: bytes | None = None


def read_baseline(
    path: Path | str, *, missing: bool = False, writer: str = "zoo verify --all"
) -> Baseline:
    """Read a baseline.

    Args:
        path: the file.
        missing: a file that is not there is an empty baseline, and no mistake.
        writer: the command whose findings it would hold.

    Raises:
        UsageError: it can't be read, or something in it is wrong; a line for each mistake.
    """
    name = os.fspath(path)
    try:
        with open_regular(name) as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        if missing:
            return Baseline(name)
        made = f"{writer} --write-baseline --baseline {quote(name)}"
        remedy = f"name a baseline, or make one with {made}"
        raise UsageError(f"{shown(name)}: can't be read: {error.strerror}; {remedy}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{shown(name)}: can't be read: {reason}") from error
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{shown(name)}: can't be read: it is larger than {_MAX_BYTES:,} bytes")
    return Baseline(name, parse_baseline(name, content), content)


def parse_baseline(name: str, content: bytes) -> tuple[AcceptedFinding, ...]:
    """The entries of a file of that name and content.

    Raises:
        UsageError: as `read_baseline` does.
    """
    parser = _Parser(name, content)
    entries = parser.entries()
    if parser.mistakes:
        more = len(parser.mistakes) - _MOST_LINES
        tail = [f"{shown(name)}: and {more} more mistakes"] if more > 0 else []
        raise UsageError(*parser.mistakes[:_MOST_LINES], *tail)
    return tuple(entries)


def accepted_node(document: Node) -> Node | None:
    pairs = document.pairs if isinstance(document, Mapping) else []
    return next((v for k, v in pairs if isinstance(k, Scalar) and k.text == TOP), None)


class _Parser:
    """Parses one file, and collects what is wrong in it."""

    def __init__(self, name: str, content: bytes) -> None:
        self.mistakes: list[str] = []
        self._folder = os.path.dirname(os.path.abspath(name))
        self._source = SourceText(name, "")
        self._documents: list[Node] = []
        try:
            self._source = SourceText(name, content.decode("utf-8-sig"))
            self._documents = compose(self._source.text)
        except UnicodeDecodeError as error:
            self._wrong(0, f"byte {error.start} is not UTF-8; save the file as UTF-8")
        except UnreadableIndex as error:
            self._wrong(error.index, f"{error.message}; {error.remedy}")

    def _wrong(self, index: int, message: str) -> None:
        where = self._source.locate(min(index, len(self._source.text)))
        self.mistakes.append(f"{where}: {message}")

    def entries(self) -> list[AcceptedFinding]:
        found = []
        seen: dict[object, int] = {}
        for item in [] if self.mistakes else self._items():
            entry = self._entry(item)
            if entry is None:
                continue
            first = seen.setdefault((entry.key, entry.file), entry.location.line)
            if first != entry.location.line:
                self._wrong(item.start, f"is the entry of line {first} again; delete one of them")
            found.append(entry)
        return found

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

    def _entry(self, item: Node) -> AcceptedFinding | None:
        known = len(self.mistakes)
        if not isinstance(item, Mapping):
            self._wrong(item.start, f"is no entry; write {_KEYS[0]}:, {_KEYS[1]}: and so on")
            return None
        values = self._values(item)
        if len(self.mistakes) > known:  # A key that is spelt wrong is not missing as well.
            return None

        def text(name: str) -> str | None:
            node = values.get(name)
            return None if node is None or kind_of(node) == "null" else node.text

        def required(name: str, what: str) -> str:
            found = text(name)
            if found is None or not found.strip():
                at = values[name].start if name in values else item.start
                self._wrong(at, f"an entry without a {name}; write {what}")
            return found or ""

        cause = required("cause", "the finding's, such as size.impossible")
        # Third parties' checks have causes of their own.
        near = [] if cause in CAUSES else nearest(cause, CAUSES, n=1, cutoff=0.85)
        if near:
            at = values["cause"].start
            self._wrong(at, f"there is no cause {shown(cause)!r}; did you mean {near[0]}?")
        if "documented" not in values:
            self._wrong(
                item.start,
                "an entry without a documented value would accept any other wrong one; write "
                "documented: as the index has it, or documented: null where nothing is documented",
            )
        file = text("file")
        entry = AcceptedFinding(
            variant=text("variant"),
            field=text("field") or "",
            cause=cause,
            documented=text("documented"),
            reason=required("reason", "why the finding is accepted"),
            location=self._source.locate(item.start),
            expires=self._expires(text("expires"), values),
            file=os.path.abspath(os.path.join(self._folder, file)) if file else None,
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
        present = {key.text for key, _ in item.pairs if isinstance(key, Scalar)}
        for key, value in item.pairs:
            name = key.text if isinstance(key, Scalar) else ""
            if name not in _KEYS:
                near = nearest(name, (key for key in _KEYS if key not in present), n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_KEYS)}"
                self._wrong(key.start, f"there is no key {shown(name)!r} in an entry; {hint}")
            elif name in values:
                self._wrong(key.start, f"{name} stands twice in this entry; delete one of them")
            elif not isinstance(value, Scalar) or value.tag is not None:
                self._wrong(value.start, f"{name} is no text; write one")
            else:
                values[name] = value
        return values

    def _expires(self, text: str | None, values: dict[str, Scalar]) -> date | None:
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
