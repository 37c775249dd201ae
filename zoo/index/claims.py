"""Keys and values to claims, each problem with its place."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from zoo._util.text import shown, truncate_middle
from zoo.index.hints import Level
from zoo.index.keys import MeasuredKey, measured_key
from zoo.index.nodes import Mapping, Node, Scalar, Sequence
from zoo.index.scalars import excerpt, is_blank, kind_of
from zoo.index.schema import (
    CHECKED,
    FIELDS,
    Field,
    canonical,
    is_of_another_zoo,
    metric_name,
)
from zoo.index.source import Source
from zoo.index.types import Claim, Location, Problem, Severity
from zoo.index.units import with_unit
from zoo.index.values import UNITS, Wrong, is_quoted_number, read_value, remark

_NAMING = frozenset({"Name", "Models", "Collections", "Import"})
_NOTHING = frozenset({
    "none", "null", "nil", "n/a", "n.a.", "na", "-", "--", "\u2013", "\u2014", "tbd", "tba", "todo",
    "?", "coming soon", "not available", "unavailable", "not released", "to be released",
    "to be announced",
})  # fmt: skip
_NOTES = frozenset({
    "schema.quoted-number", "schema.unknown-key", "schema.fraction", "schema.missing-dataset",
})  # fmt: skip
ACCURACIES = ("Top 1 Accuracy", "Top 5 Accuracy")
_MAX_KEY = 200
MAX_PROBLEMS = 100_000  # in one file; a file with more is not an index with mistakes


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

    def __init__(self, source: Source, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        self.label: str | None = None  # the variant being read
        self.foreign = False
        self.card = False  # a model card, which names the data set of each metric
        self.hints = 200  # look-ups of what a misspelt key may mean, which are slow
        self.level = Level.of({}, ())

    def report(
        self,
        cause: str,
        message: str,
        remedy: str,
        *,
        index: int,
        key: str,
        documented: str | None,
        is_note: bool = False,
    ) -> None:
        """Note one problem of the entry being read; ``is_note``: the value is read all the same."""
        severity: Severity = "note" if is_note or cause in _NOTES else "error"
        if len(self.problems) > MAX_PROBLEMS:
            return
        if len(self.problems) == MAX_PROBLEMS:
            cause, severity = "schema.wrong-type", "error"
            message = f"is one of more than {MAX_PROBLEMS:,} problems"
            remedy = "mend the first ones"
        if documented is not None:
            documented = truncate_middle(documented)
        where = self.source.locate(index)
        self.problems.append(
            Problem(cause, severity, message, remedy, where, self.label, key, documented)
        )

    def wrong_type(
        self, node: Node, key: str, expected: str, remedy: str, *, part: str | None = None
    ) -> None:
        """Note that the value of a key (or the ``part`` of it) is not what the structure needs."""
        kind = kind_of(node)
        got = "has no value" if kind == "null" else f"is a {kind}"
        self.report(
            "schema.wrong-type",
            f"{part + ' ' if part else ''}{got}, where {expected} is expected",
            remedy,
            index=node.start,
            key=key,
            documented=excerpt(node, self.source.text),
        )

    def pairs(self, mapping: Mapping, *, metrics_of: str | None = None) -> list[Pair]:
        """The pairs of a mapping, merge keys followed; duplicates are reported and kept.

        ``metrics_of`` is the task of a result whose metrics these are: no other key is known there.
        """
        pairs: list[Pair] = []
        merged: list[Pair] = []
        seen: dict[tuple[str, str, bool], Location] = {}
        for key, value in mapping.pairs:
            if not isinstance(key, Scalar) or key.tag or not key.text or len(key.text) > _MAX_KEY:
                self.wrong_type(
                    key,
                    shown(excerpt(key, self.source.text)),
                    "a short text",
                    "write the key as one line of text",
                    part="a key",
                )
                continue
            if key.text == "<<" and not key.quoted:
                merged += self._merged(value, metrics_of)
                continue
            pair = _pair(key, value, metrics_of)
            if self.foreign and pair.key not in _NAMING and says_nothing(value):
                continue
            if pair.twice in seen:
                self.report(
                    "schema.duplicate-key",
                    f"is written twice, first at {seen[pair.twice]}",
                    "keep one of the two",
                    index=key.start,
                    key=key.text,
                    documented=excerpt(value, self.source.text),
                )
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
        sources = value.items if isinstance(value, Sequence) else [value]
        found: list[Pair] = []
        for source in sources:
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
        node, text = pair.value, self.source.text
        where = self.source.locate(node.start)
        if field is None:
            return self._unknown(pair, where)
        raw = raw_of(node, text)
        unit = UNITS[field.kind]
        if isinstance(node, Scalar) and node.doubt is not None:
            return self._doubted(pair, node, Claim(field.key, raw, None, unit, None, where))
        scale = pair.says.scale if pair.says is not None else ""
        try:
            whole, raw = with_unit(node, raw, scale, field)
            value, step, quoted = read_value(whole, field, text)
        except Wrong as wrong:
            if self.foreign and not (checked and field.key in CHECKED):
                return Claim(field.key, raw, raw, "text", None, where)
            self.report(
                _missing_name(pair, wrong.cause),
                wrong.what,
                wrong.remedy,
                index=wrong.node.start,
                key=pair.written,
                documented=excerpt(wrong.node, text),
            )
            return Claim(field.key, raw, None, unit, None, where)
        if quoted or (scale and is_quoted_number(node)):
            self.report(
                "schema.quoted-number",
                "is a number in quotes",
                f"write {shown(excerpt(node, text))} without them",
                index=node.start,
                key=pair.written,
                documented=excerpt(node, text),
            )
        said = remark(field, value, node)
        if said is not None:
            self.report(
                said.cause,
                said.what,
                said.remedy,
                index=node.start,
                key=pair.written,
                documented=raw,
                is_note=True,
            )
        if field.key in ACCURACIES and isinstance(value, Decimal) and value <= 1:
            self._tiny(pair, node, value)
        macs = pair.says is not None and pair.says.macs
        scale = "" if whole is node else scale
        return Claim(field.key, raw, value, unit, step, where, quoted, scale=scale, macs=macs)

    def _tiny(self, pair: Pair, node: Node, value: Decimal) -> None:
        """An accuracy of at most one percent, which nobody publishes of a good model."""
        written = excerpt(node, self.source.text)
        if "%" in written:
            ways = f"write {_plain(100 - value)} if it is the share of wrong answers"
        else:
            right = value * 100
            ways = f"write {_plain(right)} if it is a fraction of one"
            if value < 1:
                ways += f", or {_plain(100 - right)} if it is the fraction of wrong answers"
        self.report(
            "schema.fraction",
            f"is {shown(written)}, and is read as a percentage",
            ways,
            index=node.start,
            key=pair.written,
            documented=written,
        )

    def _doubted(self, pair: Pair, node: Scalar, claim: Claim) -> Claim:
        self.report(
            "schema.unknown-key",
            f"is {shown(claim.raw)!r}, which {node.doubt}",
            "write a percentage with its sign",
            index=node.start,
            key=pair.written,
            documented=claim.raw,
        )
        return claim

    def _unknown(self, pair: Pair, where: Location) -> Claim:
        raw = raw_of(pair.value, self.source.text)
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
            remedy = f"did you mean {meant}? It is kept as text and not verified"
        self.report(
            "schema.unknown-key",
            what,
            remedy,
            index=pair.start,
            key=pair.written,
            documented=raw,
        )
        return claim


def raw_of(node: Node, text: str) -> str:
    """The value as written: a scalar's text, a list's texts, or the source of anything else."""
    if isinstance(node, Sequence) and all(isinstance(item, Scalar) for item in node.items):
        return ", ".join(item.text for item in node.items if isinstance(item, Scalar))
    return excerpt(node, text)


def says_nothing(node: Node) -> bool:
    """Whether a value is there for the sake of its key alone: null, ``None``, a dash."""
    return is_blank(node) or (isinstance(node, Scalar) and node.text.strip().lower() in _NOTHING)


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


def _missing_name(pair: Pair, cause: str) -> str:
    return "schema.missing-name" if pair.key == "Name" and is_blank(pair.value) else cause
