"""Keys and values to claims, each problem with its place."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from decimal import Decimal

from zoo._util.text import is_slip, shown, truncate_middle
from zoo.index.nodes import Mapping, Node, Scalar, Sequence, excerpt, is_blank, kind_of
from zoo.index.schema import (
    CHECKED,
    FIELDS,
    NESTED,
    STRUCTURE,
    Field,
    canonical,
    is_of_another_zoo,
    metric_name,
    nearest_keys,
)
from zoo.index.types import Claim, Location, Problem, Severity, SourceText
from zoo.index.units import MeasuredKey, measured_key
from zoo.index.values import UNITS, Wrong, is_quoted_number, read_value, remark, with_unit

_NAMING = frozenset({"Name", "Models", "Collections", "Import"})
NOTHING = frozenset({
    "none", "null", "nil", "n/a", "n.a.", "na", "-", "--", "\u2013", "\u2014", "tbd", "tba", "todo",
    "?", "coming soon", "not available", "unavailable", "not released", "to be released",
    "to be announced",
})  # fmt: skip
_NOTES = frozenset({
    "schema.quoted-number", "schema.unknown-key", "schema.fraction", "schema.missing-dataset",
    "schema.not-literal",
})  # fmt: skip
ACCURACIES = ("Top 1 Accuracy", "Top 5 Accuracy")
DID_YOU_MEAN = "did you mean"
"""Of a note on a key or a metric that is one slip away from a known one."""
_MAX_KEY = 200
_MAX_PROBLEMS = 100_000  # in one file; a file with more is not an index with mistakes


@dataclass(frozen=True, slots=True)
class Level:
    """Where a key stands: which keys can be there, and which are there already."""

    known: Table[str, Field | None]
    present: frozenset[str] = frozenset()

    @classmethod
    def of(cls, known: Table[str, Field | None], pairs: Iterable[Pair]) -> Level:
        """The level with these pairs."""
        return cls(known, frozenset(pair.key for pair in pairs))

    def meant(self, written: str, value: Node, text: str) -> str | None:
        """The key that a misspelt one stands for, if one is clear.

        It is one letter or two away, missing here, and takes such a value; and no other zoo's key
        is as near.
        """
        for key in nearest_keys(written):
            if is_of_another_zoo(key):
                return None
            if (
                key in self.known
                and key not in self.present
                and is_slip(written, key)
                and _takes(key, self.known[key], value, text)
            ):
                return key
        return None


def _takes(key: str, field: Field | None, value: Node, text: str) -> bool:
    if key in STRUCTURE:
        return isinstance(value, Sequence if STRUCTURE[key] == "list" else Mapping)
    if field is None or (key in NESTED and isinstance(value, Mapping)):
        return isinstance(value, Mapping)
    return takes(field, value, text)


def takes(field: Field, value: Node, text: str) -> bool:
    """Whether the value is one that the field can have."""
    try:
        read_value(value, field, text)
    except Wrong:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Pair:
    """A key with its value; ``key`` is the schema's spelling, ``written`` the author's.

    ``says`` is set where the key names a unit, or calls its quantity by another usual noun.
    """

    key: str
    written: str
    start: int
    value: Node
    says: MeasuredKey | None = None

    @property
    def twice(self) -> tuple[str, str, bool]:
        """What no mapping has twice. One quantity in two units is written twice with intent."""
        says = self.says
        return self.key, says.scale if says else "", says is not None and says.macs


class ClaimReader:
    """Reads keys and values of one source; what is wrong goes to ``problems``.

    ``foreign`` is set for formats that have keys of their own: those are kept as text without a
    word, null says nothing, and only a value that is checked has to be of its field's kind.
    """

    def __init__(self, source: SourceText, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        self.label: str | None = None  # the variant being read
        self.foreign = False
        self.card = False  # a model card, which names the dataset of each metric
        self.hints = 200  # look-ups of what a misspelt key may mean, which are slow
        self.level = Level({})

    def report(
        self,
        wrong: Wrong,
        key: str,
        *,
        at: int | None = None,
        documented: str | None = None,
        quotes: bool = True,
        is_note: bool = False,
    ) -> None:
        """Note one problem of the entry being read.

        Args:
            wrong: what is wrong with which node.
            key: the key as its author wrote it.
            at: the place; by default the node's.
            documented: the text to quote; by default the node's.
            quotes: there is a text to quote.
            is_note: the value is read all the same.
        """
        cause, message, remedy = wrong.cause, wrong.what, wrong.remedy
        severity: Severity = "note" if is_note or cause in _NOTES else "error"
        if len(self.problems) > _MAX_PROBLEMS:
            return
        if len(self.problems) == _MAX_PROBLEMS:
            cause, severity = "schema.wrong-type", "error"
            message = f"is one of more than {_MAX_PROBLEMS:,} problems"
            remedy = "mend the first ones"
        if documented is None:
            documented = excerpt(wrong.node, self.source.text)
        quoted = truncate_middle(documented) if quotes else None
        where = self.source.locate(wrong.node.start if at is None else at)
        self.problems.append(
            Problem(cause, severity, message, remedy, where, self.label, key, quoted)
        )

    def wrong_type(
        self, node: Node, key: str, expected: str, remedy: str, *, part: str | None = None
    ) -> None:
        """Note that the value of a key (or the ``part`` of it) is not what the structure needs."""
        kind = kind_of(node)
        got = "has no value" if kind == "null" else f"is a {kind}"
        what = f"{part + ' ' if part else ''}{got}, where {expected} is expected"
        self.report(Wrong("schema.wrong-type", what, remedy, node), key)

    def pairs(self, mapping: Mapping, *, metrics_of: str | None = None) -> list[Pair]:
        """The pairs of a mapping, merge keys followed; duplicates are reported and kept.

        ``metrics_of`` is the task of a result whose metrics these are: no other key is known there.
        """
        pairs: list[Pair] = []
        merged: list[Pair] = []
        seen: dict[tuple[str, str, bool], Location] = {}
        for key, value in mapping.pairs:
            if not isinstance(key, Scalar) or key.tag or not key.text or len(key.text) > _MAX_KEY:
                what = shown(excerpt(key, self.source.text))
                remedy = "write the key as one line of text"
                self.wrong_type(key, what, "a short text", remedy, part="a key")
                continue
            if key.text == "<<" and not key.quoted:
                merged += self._merged(value, metrics_of)
                continue
            pair = _pair(key, value, metrics_of)
            if self.foreign and pair.key not in _NAMING and says_nothing(value):
                continue
            if pair.twice in seen:
                what = f"is written twice, first at {seen[pair.twice]}"
                wrong = Wrong("schema.duplicate-key", what, "keep one of the two", value)
                self.report(wrong, key.text, at=key.start)
            else:
                seen[pair.twice] = self.source.locate(key.start)
            pairs.append(pair)
        for pair in merged:
            if pair.twice not in seen:
                seen[pair.twice] = self.source.locate(pair.start)
                pairs.append(pair)
        return pairs

    def _merged(self, value: Node, metrics_of: str | None) -> list[Pair]:
        """What a YAML merge key (``<<: *defaults``) brings in; own keys win over it."""
        found: list[Pair] = []
        for source in value.items if isinstance(value, Sequence) else [value]:
            if isinstance(source, Mapping):
                found += self.pairs(source, metrics_of=metrics_of)
            else:
                self.wrong_type(source, "<<", "a mapping", "name the anchor of a mapping")
        return found

    def claim(self, pair: Pair, field: Field | None, *, checked: bool = True) -> Claim:
        """One value as a claim; its value is None where a problem was reported instead.

        Args:
            pair: the key and its value.
            field: the row of the schema, None for a key that is in none.
            checked: whether any check reads such a value where it stands.
        """
        node, text, key = pair.value, self.source.text, pair.written
        where = self.source.locate(node.start)
        raw = raw_of(node, text)
        if field is None:
            return self._unknown(pair, raw, where)
        unit = UNITS[field.kind]
        if isinstance(node, Scalar) and node.doubt is not None:
            what = f"is {shown(raw)!r}, which {node.doubt}"
            is_percent = field.kind == "percent"
            remedy = f"write one {'percentage, with its sign' if is_percent else 'number'}"
            self.report(Wrong("schema.unknown-key", what, remedy, node), key)
            return Claim(field.key, raw, None, unit, None, where)
        scale = pair.says.scale if pair.says is not None else ""
        try:
            whole, raw = with_unit(node, raw, scale, field)
            value, step, quoted = read_value(whole, field, text)
        except Wrong as wrong:
            if self.foreign and not (checked and field.key in CHECKED):
                return Claim(field.key, raw, raw, "text", None, where)
            if pair.key == "Name" and is_blank(node):
                wrong.cause = "schema.missing-name"
            if scale and wrong.remedy.endswith(f"such as {field.example}"):
                wrong.remedy = f"write the number in {scale}"
            self.report(wrong, key)
            return Claim(field.key, raw, None, unit, None, where)
        if quoted or (scale and is_quoted_number(node)):
            remedy = f"write {shown(excerpt(node, text))} without them"
            self.report(Wrong("schema.quoted-number", "is a number in quotes", remedy, node), key)
        noted = remark(field, value, node)
        if noted is not None:
            self.report(noted, key, is_note=True)
        is_sure = isinstance(node, Scalar) and node.sure
        if field.key in ACCURACIES and isinstance(value, Decimal) and value <= 1 and not is_sure:
            self._tiny(key, node, value)
        macs = pair.says is not None and pair.says.macs
        scale = "" if whole is node else scale
        return Claim(field.key, raw, value, unit, step, where, quoted, scale=scale, macs=macs)

    def _tiny(self, key: str, node: Node, value: Decimal) -> None:
        """An accuracy of at most one percent, which is published of no good model."""
        written = excerpt(node, self.source.text)
        if "%" in written:
            ways = f"write {_plain(100 - value)} if it is the share of wrong answers"
        else:
            right = value * 100
            ways = f"write {_plain(right)} if it is a fraction of one"
            if value < 1:
                ways += f", or {_plain(100 - right)} if it is the fraction of wrong answers"
        what = f"is {shown(written)}, and is read as a percentage"
        self.report(Wrong("schema.fraction", what, ways, node), key)

    def _unknown(self, pair: Pair, raw: str, where: Location) -> Claim:
        claim = Claim(pair.key, raw, raw, "text", None, where)
        if is_of_another_zoo(pair.key):
            return claim
        says = measured_key(pair.written)
        meant = None
        if says is None:
            self.hints -= 1
            if self.hints >= 0:
                meant = self.level.meant(pair.written, pair.value, self.source.text)
            if self.foreign and meant is None:
                return claim
        what, remedy = "is not a known key", "check its spelling; it is kept as text, not verified"
        if says is not None:
            what = f"is not read as {says.field}: its key says {shown(says.beside)}"
            remedy = f"write the {says.field} of the whole model under {says.field}"
        elif meant is not None:
            remedy = f"{DID_YOU_MEAN} {meant}? It is kept as text and not verified"
        wrong = Wrong("schema.unknown-key", what, remedy, pair.value)
        self.report(wrong, pair.written, at=pair.start, documented=raw)
        return claim


def raw_of(node: Node, text: str) -> str:
    """The value as written: a scalar's text, a list's texts, or the source of anything else."""
    if isinstance(node, Sequence) and all(isinstance(item, Scalar) for item in node.items):
        return ", ".join(item.text for item in node.items if isinstance(item, Scalar))
    return excerpt(node, text)


def says_nothing(node: Node) -> bool:
    """Whether a value is there for the sake of its key alone: null, ``None``, a dash."""
    return is_blank(node) or (isinstance(node, Scalar) and node.text.strip().lower() in NOTHING)


def _pair(key: Scalar, value: Node, metrics_of: str | None) -> Pair:
    if metrics_of is not None:
        return Pair(metric_name(key.text, metrics_of), key.text, key.start, value)
    known = canonical(key.text)
    says = measured_key(key.text) if known in FIELDS else None
    if says is not None and (says.field != known or says.beside):
        says = None
    return Pair(known, key.text, key.start, value, says)


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
