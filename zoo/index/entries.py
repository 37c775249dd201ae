"""Nodes to claims: the entries of a model-index.

An entry is a model or a collection. Their keys are read alike, so that what a collection says of
all its variants is understood as what a variant says of itself.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from zoo._util.text import shown, truncate_middle
from zoo.index.claims import ACCURACIES, ClaimReader, Pair, raw_of, says_nothing
from zoo.index.hints import ENTRY, RESULT, TOP, Level
from zoo.index.nodes import Mapping, Scalar, Sequence
from zoo.index.scalars import is_blank, kind_of
from zoo.index.schema import FIELDS, NESTED, Field
from zoo.index.types import Claim, Problem, Severity

_LINKS = frozenset({"weights", "link", "hash"})


class EntryReader(ClaimReader):
    """Reads the models and the collections of one source, their metadata and their results."""

    def entry(self, pairs: list[Pair]) -> list[Claim]:
        """The claims of a model or a collection, in the order they are written."""
        inner = self._metadata(pairs)
        self.level = Level.of(ENTRY, (p.key for some in (pairs, *inner.values()) for p in some))
        return self._entry(pairs, inner)

    def _metadata(self, pairs: list[Pair]) -> dict[int, list[Pair]]:
        """Where a ``Metadata`` stands -> what is in it."""
        return {
            p.start: self.pairs(p.value)
            for p in pairs
            if p.key == "Metadata" and isinstance(p.value, Mapping) and p.value.tag is None
        }

    def _entry(self, pairs: list[Pair], inner: dict[int, list[Pair]]) -> list[Claim]:
        claims: list[Claim] = []
        for pair in pairs:
            value = pair.value
            if pair.key == "Metadata":
                if pair.start in inner:
                    below = inner[pair.start]
                    claims += self._entry(below, self._metadata(below))
                else:
                    self.wrong_type(value, pair.written, "a mapping", "list the fields below it")
            elif pair.key == "Results":
                claims += self.results(pair)
            elif pair.key in NESTED and isinstance(value, Mapping) and value.tag is None:
                claims += self._nested(pair, value)
            else:
                claims += self._claims(pair, FIELDS.get(pair.key))
        return claims

    def top(self, pair: Pair) -> None:
        """A key beside ``Collections`` and ``Models``, which nothing reads."""
        self.level = Level.of(TOP, ())
        self.claim(pair, None)

    def _claims(self, pair: Pair, field: Field | None, *, checked: bool = True) -> list[Claim]:
        """The claims of a key: of weights there may be several files, or none."""
        if field is None or field.kind not in _LINKS:
            return [self.claim(pair, field, checked=checked)]
        items = [pair.value]
        if field.kind == "weights" and isinstance(pair.value, Sequence) and pair.value.tag is None:
            items = pair.value.items
        return [
            self.claim(replace(pair, value=item), field, checked=checked)
            for item in items
            if not says_nothing(item) or (field.kind != "weights" and is_blank(item))
        ]

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
        level, self.level = self.level, Level.of(known, (pair.key for pair in pairs))
        claims = [
            claim
            for pair in pairs
            for claim in self._claims(pair, known.get(pair.key), checked=False)
        ]
        self.level = level
        return [replace(claim, field=f"{outer.key}.{claim.field}") for claim in claims]

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
        pairs = self.pairs(mapping)
        task_of = next(
            (p.value.text for p in pairs if p.key == "Task" and isinstance(p.value, Scalar)), ""
        )
        level, self.level = self.level, Level.of(RESULT, (p.key for p in pairs))
        for pair in pairs:
            if pair.key != "Metrics":
                claims.append(self.claim(pair, FIELDS.get(pair.key)))
                continue
            listed = self.foreign and isinstance(pair.value, Sequence)
            for metrics in pair.value.items if listed else [pair.value]:  # type: ignore[union-attr]
                if isinstance(metrics, Mapping) and metrics.tag is None:
                    claims += map(self._metric, self.pairs(metrics, metrics_of=task_of))
                else:
                    remedy = "list the metrics below it"
                    self.wrong_type(metrics, pair.written, "a mapping", remedy)
        self.level = level
        first = {c.field: c.value for c in reversed(claims)}
        if self.card and claims and "Dataset" not in first:
            self._without_dataset(mapping, claims)
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

    def _metric(self, pair: Pair) -> Claim:
        """A metric: an accuracy, or one of the many words that no check of an index knows."""
        if pair.key in ACCURACIES:
            return replace(self.claim(pair, FIELDS[pair.key]), metric=True)
        raw = raw_of(pair.value, self.source.text)
        where = self.source.locate(pair.value.start)
        return Claim(pair.key, raw, raw, "text", None, where, metric=True)

    def _without_dataset(self, result: Mapping, claims: list[Claim]) -> None:
        metrics = [c for c in claims if c.field not in ("Task", "Images")]
        if not metrics:
            return
        self.report(
            "schema.missing-dataset",
            "names no data set, so that it says nothing that can be checked",
            "add the result's dataset, with a name and a type",
            index=result.start,
            key=metrics[0].field,
            documented=metrics[0].raw,
        )

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
                    truncate_middle(claim.raw),
                )
            )
