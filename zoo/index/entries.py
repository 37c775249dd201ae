"""Nodes to claims: the entries of a model-index, each problem with its place.

An entry is a model or a collection. Their keys are read alike, so that what a collection says of
all its variants is understood as what a variant says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from zoo.index.nodes import Mapping, Node, Scalar, Sequence
from zoo.index.safe_text import shortened, shown
from zoo.index.scalars import excerpt, is_blank, kind_of
from zoo.index.schema import CHECKED, FIELDS, NESTED, Field, canonical, is_of_another_zoo, nearest
from zoo.index.source import Source
from zoo.index.types import Claim, Location, Problem, Severity
from zoo.index.values import UNITS, Wrong, read_value, remark

_NAMING = frozenset({"Name", "Models", "Collections", "Import"})
_NOTHING = frozenset({"none", "n/a", "-"})
_NOTES = frozenset({"schema.quoted-number", "schema.unknown-key"})
_MAX_KEY = 200
MAX_PROBLEMS = 100_000  # in one file; a file with more is not an index with mistakes


@dataclass(frozen=True, slots=True)
class Pair:
    """A key with its value; ``key`` is the schema's spelling, ``written`` the author's."""

    key: str
    written: str
    start: int
    value: Node


class EntryReader:
    """Reads the entries of one source; what is wrong goes to ``problems``.

    ``foreign`` is set for formats that have keys of their own: those are kept as text without a
    word, null says nothing, and only a value that is checked has to be of its field's kind.
    """

    def __init__(self, source: Source, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        self.label: str | None = None  # the variant being read
        self.foreign = False
        self.hints = 200  # look-ups of what a misspelt key may mean, which are slow

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
            documented = shortened(documented)
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

    def pairs(self, mapping: Mapping) -> list[Pair]:
        """The pairs of a mapping, merge keys followed; duplicates are reported and kept."""
        pairs: list[Pair] = []
        merged: list[Pair] = []
        seen: dict[str, Location] = {}
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
                merged += self._merged(value)
                continue
            pair = Pair(canonical(key.text), key.text, key.start, value)
            if self.foreign and pair.key not in _NAMING and _says_nothing(value):
                continue
            if pair.key in seen:
                self.report(
                    "schema.duplicate-key",
                    f"is written twice, first at {seen[pair.key]}",
                    "keep one of the two",
                    index=key.start,
                    key=key.text,
                    documented=excerpt(value, self.source.text),
                )
            else:
                seen[pair.key] = self.source.locate(key.start)
            pairs.append(pair)
        for pair in merged:
            if pair.key not in seen:
                seen[pair.key] = self.source.locate(pair.start)
                pairs.append(pair)
        return pairs

    def _merged(self, value: Node) -> list[Pair]:
        """What a YAML merge key (``<<: *defaults``) brings in; own keys win over it."""
        sources = value.items if isinstance(value, Sequence) else [value]
        found: list[Pair] = []
        for source in sources:
            if isinstance(source, Mapping):
                found += self.pairs(source)
            else:
                self.wrong_type(source, "<<", "a mapping", "name the anchor of a mapping")
        return found

    def entry(self, pairs: list[Pair]) -> list[Claim]:
        """The claims of a model or a collection, in the order they are written."""
        claims: list[Claim] = []
        for pair in pairs:
            value = pair.value
            if pair.key == "Metadata":
                if isinstance(value, Mapping) and value.tag is None:
                    claims += self.entry(self.pairs(value))
                else:
                    self.wrong_type(value, pair.written, "a mapping", "list the fields below it")
            elif pair.key == "Results":
                claims += self.results(pair)
            elif pair.key in NESTED and isinstance(value, Mapping) and value.tag is None:
                claims += self._nested(pair, value)
            else:
                claims.append(self.claim(pair, FIELDS.get(pair.key)))
        return claims

    def _nested(self, outer: Pair, mapping: Mapping) -> list[Claim]:
        """The claims of a ``Paper``, ``Code`` or ``Converted From``: ``Paper.URL`` and the like."""
        known = NESTED[outer.key]
        pairs = self.pairs(mapping)
        if not any(pair.key in known for pair in pairs):
            if self.foreign:
                return []
            names = " and ".join(known)
            self.wrong_type(mapping, outer.written, f"a mapping of {names}", f"add {names}")
            return []
        claims = [self.claim(pair, known.get(pair.key), checked=False) for pair in pairs]
        return [replace(claim, field=f"{outer.key}.{claim.field}") for claim in claims]

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
        raw = _raw(node, text)
        unit = UNITS[field.kind]
        if isinstance(node, Scalar) and node.doubt is not None:
            return self._doubted(pair, node, Claim(field.key, raw, None, unit, None, where))
        try:
            value, step, quoted = read_value(node, field, text)
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
        if quoted:
            self.report(
                "schema.quoted-number",
                "is a number in quotes",
                f"write {shown(raw)} without them",
                index=node.start,
                key=pair.written,
                documented=raw,
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
        return Claim(field.key, raw, value, unit, step, where, quoted)

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
        raw = _raw(pair.value, self.source.text)
        claim = Claim(pair.key, raw, raw, "text", None, where)
        if is_of_another_zoo(pair.key):
            return claim
        self.hints -= 1
        close = nearest(pair.written) if self.hints >= 0 else None
        if self.foreign and (close is None or not _is_slip(pair.written, close)):
            return claim
        remedy = "check its spelling; it is kept as text and not verified"
        if close is not None and close != pair.key:
            remedy = f"did you mean {close}? It is kept as text and not verified"
        self.report(
            "schema.unknown-key",
            "is not a known key",
            remedy,
            index=pair.start,
            key=pair.written,
            documented=raw,
        )
        return claim

    def results(self, pair: Pair) -> list[Claim]:
        """The claims of all results. An empty ``Results`` is what unevaluated models have."""
        remedy = "write a list of {Task, Dataset, Metrics}"
        if self.foreign and isinstance(pair.value, Mapping) and pair.value.tag is None:
            return self._result(pair.value)
        if not isinstance(pair.value, Sequence) or pair.value.tag:
            if kind_of(pair.value) != "null":
                self.wrong_type(pair.value, pair.written, "a list", remedy)
            return []
        claims: list[Claim] = []
        for item in pair.value.items:
            if isinstance(item, Mapping) and item.tag is None:
                claims += self._result(item)
            else:
                self.wrong_type(item, pair.written, "a mapping", remedy, part="a result")
        return claims

    def _result(self, mapping: Mapping) -> list[Claim]:
        claims: list[Claim] = []
        for pair in self.pairs(mapping):
            if pair.key != "Metrics":
                claims.append(self.claim(pair, FIELDS.get(pair.key)))
                continue
            listed = self.foreign and isinstance(pair.value, Sequence)
            for metrics in pair.value.items if listed else [pair.value]:  # type: ignore[union-attr]
                if isinstance(metrics, Mapping) and metrics.tag is None:
                    read = (self.claim(p, FIELDS.get(p.key)) for p in self.pairs(metrics))
                    claims += [replace(claim, metric=True) for claim in read]
                else:
                    remedy = "list the metrics below it"
                    self.wrong_type(metrics, pair.written, "a mapping", remedy)
        first = {c.field: c.value for c in reversed(claims)}
        task, dataset, images = first.get("Task"), first.get("Dataset"), first.get("Images")
        self._check_order(claims)
        return [
            replace(
                claim,
                task=task if isinstance(task, str) else None,
                dataset=dataset if isinstance(dataset, str) else None,
                images=images if isinstance(images, int) else None,
            )
            for claim in claims
        ]

    def _check_order(self, claims: list[Claim]) -> None:
        """A picture that is right at rank 1 is right within rank 5."""
        by = {c.field: c for c in reversed(claims) if isinstance(c.value, Decimal)}
        top1, top5 = by.get("Top 1 Accuracy"), by.get("Top 5 Accuracy")
        if top1 is None or top5 is None or not top1.value > top5.value:  # type: ignore[operator]
            return
        # Which of the two is wrong can't be told from here, so that both places are named.
        for claim, other, side in ((top1, top5, "above"), (top5, top1, "below")):
            severity: Severity = "error"
            self.problems.append(
                Problem(
                    "schema.out-of-range",
                    severity,
                    f"is {shown(claim.raw)}, {side} the {other.field} of the same result, "
                    f"{shown(other.raw)}",
                    "correct the wrong one of the two",
                    claim.location,
                    self.label,
                    claim.field,
                    shortened(claim.raw),
                )
            )


def _raw(node: Node, text: str) -> str:
    """The value as written: a scalar's text, a list's texts, or the source of anything else."""
    if isinstance(node, Sequence) and all(isinstance(item, Scalar) for item in node.items):
        return ", ".join(item.text for item in node.items if isinstance(item, Scalar))
    return excerpt(node, text)


def _says_nothing(node: Node) -> bool:
    """Whether a value is there for the sake of its key alone: null, ``None``, a dash."""
    return is_blank(node) or (isinstance(node, Scalar) and node.text.strip().lower() in _NOTHING)


def _is_slip(written: str, close: str) -> bool:
    """Whether a key can be a misspelt other one: formats with own keys have many that resemble."""
    return not is_of_another_zoo(close) and abs(len(written) - len(close)) <= 2


def _missing_name(pair: Pair, cause: str) -> str:
    return "schema.missing-name" if pair.key == "Name" and is_blank(pair.value) else cause
