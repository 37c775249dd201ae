"""The nouns of a model-index: what it documents, and where it says so.

Everything here is immutable and cheap to import: a claim stays what its author wrote.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from shlex import quote
from typing import Literal

from zoo._util.text import printable, quoted, shown

Unit = Literal["count", "bytes", "percent", "pixels", "ratio", "number", "url", "text", "list"]
Severity = Literal["error", "warning", "note"]
Result = tuple[str | None, str | None, int | None, tuple[tuple[str, "Value"], ...]]
"""Task, dataset, images and settings: what tells the results of a variant apart."""
SETTINGS = ("Image Size", "Crop Pct", "Crop Mode", "Interpolation", "Mean", "Std")
"""Keys of a variant that a result may state for itself."""
_BREAK = re.compile(r"\r\n|\n|\r")

# A normalised value. A size of pixels is (height, width); a list is a tuple of texts.
Value = int | float | Decimal | str | tuple[int, int] | tuple[float, ...] | tuple[str, ...] | None


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a file, counted from 1 as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Claim:
    """One documented value.

    Attributes:
        field: the key as the index writes it, e.g. ``Top 1 Accuracy``.
        raw: the text of the value as written, without its quotes.
        value: the normalised value in ``unit``; ``None`` where the text could not be understood
            (the index then carries a `Problem` at the same place).
        unit: the unit of ``value``. Percentages are 0 to 100; bytes and counts are whole.
        step: one unit of the last digit that the text claims, in ``unit``: ``Decimal("0.01")`` for
            ``82.88%``, 10000 for ``48280000`` (trailing zeros of an integer claim nothing, for
            Parameters and FLOPs alone). ``None`` where the value is not a number.
        location: where the value stands.
        quoted: the number was written as a quoted string.
        task, dataset: of a result; ``None`` elsewhere.
        images: the population a result speaks of, where it declares ``Images``.
        settings: those of `SETTINGS` that a result states, with their values: it was evaluated so,
            whatever the variant says.
        metric: it stands under the ``Metrics`` of a result.
        scale: the unit that stands in the key and not beside the value: ``M`` for ``Params (M)``.
            ``raw`` has it all the same, since the number alone says something else.
        macs: the key calls operations multiply-accumulates.
    """

    field: str
    raw: str
    value: Value
    unit: Unit
    step: Decimal | None
    location: Location
    quoted: bool = False
    task: str | None = None
    dataset: str | None = None
    images: int | None = None
    settings: tuple[tuple[str, Value], ...] = ()
    metric: bool = False
    scale: str = ""
    macs: bool = False

    @property
    def result(self) -> Result:
        """What tells the result that it stands in from the others of the variant."""
        return self.task, self.dataset, self.images, self.settings

    @property
    def is_setting(self) -> bool:
        """Whether a result states it of itself, so that it says nothing of the variant."""
        return bool(self.settings) and not self.metric and self.field in SETTINGS


def unusable(claim: Claim) -> ValueError:
    """What to raise where a claim has to be used, and its value can't be."""
    return ValueError(
        f"{claim.location}: {claim.field} is {quoted(claim.raw)}, which can't be used; zoo audit "
        f"--index {quote(claim.location.file)} says what would be right"
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in an index file itself, found while reading it.

    ``message`` and ``remedy`` leave out what the other attributes say: a message follows upon the
    ``field``, where there is one. ``str()`` is the one line a person needs:
    ``file:line:column: variant: field: what is wrong; what is right``.
    """

    cause: str
    severity: Severity
    message: str
    remedy: str
    location: Location
    variant: str | None = None
    field: str | None = None
    documented: str | None = None

    def __str__(self) -> str:
        about = [shown(part) for part in (self.variant, self.field) if part]
        return ": ".join([str(self.location), *about, f"{self.message}; {self.remedy}"])


def _first_claims(entry: Collection | Variant) -> dict[str, Claim]:
    """Field -> the entry's first claim of it, found once for all look-ups."""
    if not entry._first and entry.claims:
        for claim in entry.claims:
            if not claim.is_setting:
                entry._first.setdefault(claim.field, claim)
    return entry._first


@dataclass(frozen=True, slots=True)
class Collection:
    """A family of variants; its claims hold for every variant that makes none of its own."""

    name: str
    location: Location
    claims: tuple[Claim, ...] = ()
    _first: dict[str, Claim] = field(default_factory=dict, init=False, repr=False, compare=False)

    def claim(self, name: str) -> Claim | None:
        """The claim of that field, or None."""
        return _first_claims(self).get(name)


@dataclass(frozen=True, slots=True)
class Variant:
    """One entry of a model-index: a name, its collection, its claims.

    ``of_index`` is what its index says of all its variants: who builds them. An entry ``in_table``
    is a row, which has the keys of its columns and can be given no other.
    """

    name: str
    collection: Collection | None
    location: Location
    claims: tuple[Claim, ...] = ()
    of_index: tuple[Claim, ...] = ()
    in_table: bool = False
    _first: dict[str, Claim] = field(default_factory=dict, init=False, repr=False, compare=False)
    _results: dict[Result, dict[tuple[str, str], Claim]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def collection_name(self) -> str | None:
        """Its collection's name; None for a variant of none."""
        return None if self.collection is None else self.collection.name

    def claim(self, name: str) -> Claim | None:
        """The variant's first claim of that field, or None; its collection is not asked."""
        return _first_claims(self).get(name)

    def claims_of(self, *names: str) -> Iterator[Claim]:
        """All claims of these fields, in the order they are written."""
        return (c for c in self.claims if c.field in names)

    def in_result_of(self, metric: Claim) -> Iterable[Claim]:
        """The claims of the result that a metric stands in, each different one once."""
        if not self._results:
            for claim in self.claims:
                of_it = self._results.setdefault(claim.result, {})
                of_it.setdefault((claim.field, claim.raw), claim)
        return self._results.get(metric.result, {}).values()

    def effective(self, name: str) -> Claim | None:
        """Its own claim of that field, else its collection's, else its index's, else None."""
        found = self.claim(name)
        if found is None and self.collection is not None:
            found = self.collection.claim(name)
        if found is None and self.of_index:
            found = next((claim for claim in self.of_index if claim.field == name), None)
        return found

    def in_effect(self) -> tuple[Claim, ...]:
        """Its own claims, then those that it has of its collection and its index."""
        return (*self.claims, *self.inherited())

    def inherited(self) -> tuple[Claim, ...]:
        """Those of its collection, else of its index, in fields that it says nothing about."""
        found: list[Claim] = []
        said = {claim.field for claim in self.claims}
        for shared in (() if self.collection is None else self.collection.claims, self.of_index):
            found += (claim for claim in shared if claim.field not in said)
            said |= {claim.field for claim in shared}
        return tuple(found)

    def stated(self, name: str) -> Value:
        """The value of the effective claim of that field; None where there is no such claim.

        Raises:
            ValueError: there is one, and its value could not be understood. One line says where
                it is and what it holds.
        """
        claim = self.effective(name)
        if claim is not None and claim.value is None:
            raise unusable(claim)
        return None if claim is None else claim.value


@dataclass(frozen=True, slots=True)
class Index:
    """What the given files document: variants in order of appearance, and what is wrong in them.

    ``unusable`` names the files that yielded no variant at all where one was expected: the
    problems that explain it are in ``problems``.
    """

    variants: tuple[Variant, ...]
    collections: tuple[Collection, ...] = ()
    problems: tuple[Problem, ...] = ()
    files: tuple[str, ...] = ()
    unusable: tuple[str, ...] = field(default=())


class SourceText:
    """A text and the name its reader gave it.

    Args:
        file: the name to report, as the user wrote it.
        text: the decoded text, its line breaks untouched, without a byte order mark.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = printable(file)
        self.text = text
        # YAML 1.1 also breaks lines at NEL, LS and PS; editors don't, so the parser's own line
        # numbers would mislead.
        self._starts = [0, *(m.end() for m in _BREAK.finditer(text))]

    def locate(self, index: int) -> Location:
        """The line and column of an offset, both counted from 1, in characters."""
        line = bisect_right(self._starts, index)
        return Location(self.file, line, index - self._starts[line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """The offset of a line, counted from 1, and a column in bytes of UTF-8, counted from 0."""
        start = self._starts[line - 1]
        # No character is longer in text than in bytes, so that this much text is enough.
        return start + len(self.text[start : start + column].encode()[:column].decode())
