"""The documents of one file to collections, models and imports.

An entry is a model or a collection. Their keys are read alike, so that what a collection says of
all its variants is understood as what a variant says of itself.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from collections.abc import Mapping as Table
from dataclasses import dataclass, field, replace
from decimal import Decimal

from zoo._util.text import shown, truncate_middle, without_secrets
from zoo.index.claims import (
    ACCURACIES,
    DID_YOU_MEAN,
    ClaimReader,
    Level,
    Pair,
    raw_of,
    says_nothing,
    takes,
)
from zoo.index.nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    TableDocument,
    is_blank,
    kind_of,
    lookup,
)
from zoo.index.schema import FIELDS, NESTED, Field, misspelt_accuracy
from zoo.index.speeds import SPEEDS, speed_claims
from zoo.index.types import (
    SETTINGS,
    Claim,
    Collection,
    Location,
    Problem,
    SourceText,
    Variant,
)
from zoo.index.values import Wrong

_LINKS = frozenset({"weights", "link", "hash"})
_TOP_KEYS = frozenset({"Collections", "Models", "Import"})
_FILES = (".yml", ".yaml", ".md", ".mdx")  # a model may stand in a file of its own
_OF_A_MODEL = frozenset({"In Collection", "Metadata", "Results", "Weights"})
# What a Weights that is a mapping holds, and the keys that it stands for.
_OF_WEIGHTS = {"URL": "Weights", **{key: key for key in ("Mirrors", "SHA256", "File Size")}}
_MAX_TASK = 200  # characters of a task that decide what its metrics mean
# The keys that can stand in an entry, in a result, and beside the lists of an index.
_ENTRY: Table[str, Field | None] = {
    **FIELDS,
    **dict.fromkeys(NESTED.keys() - FIELDS.keys()),
    "Metadata": None,
    "Results": None,
}
_RESULT: Table[str, Field | None] = {
    **{key: FIELDS[key] for key in ("Task", "Dataset", "Images", *SETTINGS)},
    "Metrics": None,
}
_TOP: Table[str, Field | None] = {
    **dict.fromkeys(("Collections", "Models", "Import")),
    "Builder": FIELDS["Builder"],
}


@dataclass(slots=True)
class IndexContents:
    """What one file documents; collections are not yet resolved.

    ``is_index`` is False where the file holds nothing of a model-index; ``is_table`` where its
    variants are rows; ``builder`` is what it says of all its variants.
    """

    is_index: bool = False
    collections: list[Collection] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    imports: list[tuple[str, Location]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    claims_models: bool = False
    is_table: bool = False
    builder: Claim | None = None


def read_documents(source: SourceText, documents: list[Node]) -> IndexContents:
    """Everything that the documents of a source say, and what is wrong in them."""
    contents = IndexContents()
    reader = _DocumentReader(source, contents)
    for document in documents:
        reader.read(document)
    return contents


class _EntryReader(ClaimReader):
    """Reads the models and the collections of one source, their metadata and their results."""

    def entry(self, pairs: list[Pair]) -> list[Claim]:
        """The claims of a model or a collection, in the order they are written."""
        inner = self._metadata(pairs)
        self.level = Level.of(_ENTRY, (p for some in (pairs, *inner.values()) for p in some))
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
                claims += self._results(pair)
            elif pair.key == "Weights" and (mirrored := self._mirrored(value)):
                for each in mirrored:
                    claims += self._claims(each, FIELDS[each.key])
            elif pair.key in NESTED and isinstance(value, Mapping) and value.tag is None:
                claims += self._nested(pair, value)
            elif pair.key in SPEEDS:
                claims += speed_claims(self, pair)
            else:
                claims += self._claims(pair, FIELDS.get(pair.key))
        return claims

    def _claims(self, pair: Pair, field: Field | None, *, checked: bool = True) -> list[Claim]:
        """The claims of a key: of weights there may be several files, or none; so of licenses."""
        several = field is not None and (field.kind == "weights" or field.key == "License")
        if field is None or not (several or field.kind in _LINKS):
            return [self.claim(pair, field, checked=checked)]
        items = [pair.value]
        if several and isinstance(pair.value, Sequence) and pair.value.tag is None:
            items = pair.value.items
        return [
            self.claim(replace(pair, value=item), field, checked=checked)
            for item in items
            if not says_nothing(item) or (not several and is_blank(item))
        ]

    def _mirrored(self, value: Node) -> list[Pair]:
        """The keys of a ``Weights`` that is written as ``{URL: ..., Mirrors: [...]}``."""
        if not isinstance(value, Mapping) or value.tag is not None:
            return []
        pairs = [replace(p, key=_OF_WEIGHTS.get(p.key, p.key)) for p in self.pairs(value)]
        keys = {pair.key for pair in pairs}
        whole = {"Weights", "Mirrors"} <= keys <= {*_OF_WEIGHTS.values()}
        return pairs if whole else []

    def _nested(self, outer: Pair, mapping: Mapping) -> list[Claim]:
        """The claims of a ``Paper``, ``Code`` or ``Converted From``: ``Paper.URL`` and the like."""
        known = NESTED[outer.key]
        pairs = self.pairs(mapping)
        if not any(pair.key in known for pair in pairs):
            if not self.foreign:
                names = " and ".join(known)
                self.wrong_type(mapping, outer.written, f"a mapping of {names}", f"add {names}")
            return []
        level, self.level = self.level, Level.of(known, pairs)
        claims = [
            claim
            for pair in pairs
            for claim in self._claims(pair, known.get(pair.key), checked=False)
        ]
        self.level = level
        return [replace(claim, field=f"{outer.key}.{claim.field}") for claim in claims]

    def _results(self, pair: Pair) -> list[Claim]:
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
        tasks = (p.value.text for p in pairs if p.key == "Task" and isinstance(p.value, Scalar))
        task_of = next(tasks, "")[:_MAX_TASK]
        level, self.level = self.level, Level.of(_RESULT, pairs)
        for pair in pairs:
            if pair.key != "Metrics":
                claims.append(self.claim(pair, FIELDS.get(pair.key)))
                continue
            listed = self.foreign and isinstance(pair.value, Sequence)
            for metrics in pair.value.items if listed else [pair.value]:  # type: ignore[union-attr]
                if isinstance(metrics, Mapping) and metrics.tag is None:
                    named = self.pairs(metrics, metrics_of=task_of)
                    present = {each.key for each in named}
                    claims += (self._metric(each, task_of, present) for each in named)
                else:
                    remedy = "list the metrics below it"
                    self.wrong_type(metrics, pair.written, "a mapping", remedy)
        self.level = level
        first = {c.field: c.value for c in reversed(claims)}
        metric = next((c for c in claims if c.field not in ("Task", "Images", *SETTINGS)), None)
        if self.card and metric is not None and "Dataset" not in first:
            what = "names no dataset, so that it says nothing that can be checked"
            remedy = "add the result's dataset, with a name and a type"
            wrong = Wrong("schema.missing-dataset", what, remedy, mapping)
            self.report(wrong, metric.field, documented=metric.raw)
        self._check_order(claims)
        task, dataset, images = first.get("Task"), first.get("Dataset"), first.get("Images")
        stated = {c.field: c.value for c in claims if c.field in SETTINGS and not c.metric}
        return [
            replace(
                claim,
                task=task if isinstance(task, str) else None,
                dataset=without_secrets(dataset) if isinstance(dataset, str) else None,
                images=images if isinstance(images, int) else None,
                settings=tuple(sorted(stated.items())),
            )
            for claim in claims
        ]

    def _metric(self, pair: Pair, task_of: str, present: Container[str]) -> Claim:
        """A metric: an accuracy, or one of the many words that no check of an index knows.

        One that a slip keeps from being an accuracy, which is not ``present``, is noted.
        """
        if pair.key in ACCURACIES:
            return replace(self.claim(pair, FIELDS[pair.key]), metric=True)
        raw = raw_of(pair.value, self.source.text)
        where = self.source.locate(pair.value.start)
        meant = misspelt_accuracy(pair.written, task_of)
        if (
            meant is not None
            and meant not in present
            and takes(FIELDS[meant], pair.value, self.source.text)
        ):
            remedy = f"{DID_YOU_MEAN} {meant}? It is kept as text and not verified"
            wrong = Wrong("schema.unknown-key", "is not a known metric", remedy, pair.value)
            self.report(wrong, pair.written, at=pair.start, documented=raw)
        return Claim(pair.key, raw, raw, "text", None, where, metric=True)

    def _check_order(self, claims: list[Claim]) -> None:
        """An image that is right at rank 1 is right within rank 5."""
        by = {c.field: c for c in reversed(claims) if isinstance(c.value, Decimal)}
        top1, top5 = by.get("Top 1 Accuracy"), by.get("Top 5 Accuracy")
        if top1 is None or top5 is None or not top1.value > top5.value:  # type: ignore[operator]
            return
        # Which of the two is wrong is unknown here, so that both places are named.
        for claim, other, side in ((top1, top5, "above"), (top5, top1, "below")):
            what = f"is {shown(claim.raw)}, {side} the {other.field} of the same result, "
            self.problems.append(
                Problem(
                    "schema.out-of-range",
                    "error",
                    what + shown(other.raw),
                    "correct the wrong one of the two",
                    claim.location,
                    self.label,
                    claim.field,
                    truncate_middle(claim.raw),
                )
            )


class _DocumentReader(_EntryReader):
    """Reads whole documents into ``contents``."""

    def __init__(self, source: SourceText, contents: IndexContents) -> None:
        super().__init__(source, contents.problems)
        self.contents = contents

    def read(self, document: Node) -> None:
        """Read one document, if it holds anything of a model-index."""
        self.card = isinstance(document, Mapping) and document.foreign
        self.in_table = isinstance(document, TableDocument)
        self.foreign = self.card or self.in_table or _is_metafile(document)
        self.contents.is_table |= self.in_table
        if isinstance(document, Mapping) and _keys(document) & _TOP_KEYS:
            self._index(document)
        elif isinstance(document, Mapping) and _is_model(document):
            # A ``Type`` says no more than that this is a model-index.
            pairs = [p for p in document.pairs if not _is_type(p[0])]
            model = replace(document, pairs=pairs)
            self._models(Sequence([model], document.start, document.end))
        elif isinstance(document, Sequence) and any(map(_is_model, document.items)):
            self._models(document)

    def _index(self, document: Mapping) -> None:
        self.contents.is_index = True
        for self.label, key, wrong in getattr(document, "faults", ()):
            self.report(wrong, key)
        self.label = None
        for pair in self.pairs(document):
            if pair.written == "Collections":
                self._collections(pair.value)
            elif pair.written == "Models":
                self._models(pair.value)
            elif pair.written == "Import":
                self._imports(pair.value)
            elif pair.written != "Type":
                self.level = Level(_TOP)
                claim = self.claim(pair, _TOP.get(pair.key))
                if claim.field == "Builder" and self.contents.builder is None:
                    self.contents.builder = claim
            self.label = None

    def _imports(self, listed: Node) -> None:
        remedy = "write a list of paths, relative to this file"
        if not isinstance(listed, Sequence):
            self.wrong_type(listed, "Import", "a list of paths", remedy)
            return
        for item in listed.items:
            if isinstance(item, Scalar) and kind_of(item) == "text" and item.tag is None:
                self.contents.imports.append((item.text, self.source.locate(item.start)))
            else:
                self.wrong_type(item, "Import", "a path", remedy, part="an import")

    def _collections(self, listed: Node) -> None:
        if kind_of(listed) == "null":
            return
        for named, claims in self._entries(listed, "Collections", "collection"):
            self.contents.collections.append(Collection(named.raw, named.location, claims))

    def _models(self, listed: Node) -> None:
        self.contents.is_index = self.contents.claims_models = True
        for named, claims in self._entries(listed, "Models", "model"):
            made = Variant(named.raw, None, named.location, claims, in_table=self.in_table)
            self.contents.variants.append(made)

    def _entries(
        self, listed: Node, key: str, what: str
    ) -> Iterator[tuple[Claim, tuple[Claim, ...]]]:
        """The claim that names each entry of a list, and all claims of that entry."""
        remedy = f"write a list of {what}s, each with a Name"
        if not isinstance(listed, Sequence) or listed.tag:
            self.wrong_type(listed, key, "a list", remedy)
            return
        for item in listed.items:
            if what == "model":
                self.label = None
                if isinstance(item, Scalar) and item.tag is None and item.text.endswith(_FILES):
                    self.contents.imports.append((item.text, self.source.locate(item.start)))
                    continue
            if not isinstance(item, Mapping) or item.tag:
                self.wrong_type(item, key, "a mapping", remedy, part=f"a {what}")
                continue
            if what == "model":
                self.label = _label(item)
            pairs = self.pairs(item)
            claims = self.entry(pairs)
            named = self._name(pairs, claims, item, what)
            if named is not None:
                yield named, tuple(claims)

    def _name(
        self, pairs: list[Pair], claims: list[Claim], entry: Mapping, what: str
    ) -> Claim | None:
        """The claim that names an entry; None where it has no name that could be used."""
        node = next((p.value for p in pairs if p.key == "Name"), None)
        if node is None:
            what, remedy = f"is missing from a {what}", "add a Name as its first key"
            wrong = Wrong("schema.missing-name", what, remedy, entry)
            self.report(wrong, "Name", quotes=False)
            return None
        if not isinstance(node, Scalar) or is_blank(node):
            return None  # reported where the value was read
        here = self.source.locate(node.start)  # its Metadata may hold a Name as well
        return next((c for c in claims if c.field == "Name" and c.location == here), None)


def _is_metafile(document: Node) -> bool:
    """Whether this is OpenMMLab's kind of index: its models name a ``Config`` written in Python."""
    models = lookup(document, "Models")
    configs = (
        lookup(model, "Config") for model in (models.items if isinstance(models, Sequence) else ())
    )
    return any(isinstance(config, Scalar) and config.text.endswith(".py") for config in configs)


def _is_type(key: Node) -> bool:
    return isinstance(key, Scalar) and key.text == "Type"


def _keys(mapping: Mapping) -> set[str]:
    return {key.text for key, _ in mapping.pairs if isinstance(key, Scalar)}


def _is_model(node: Node) -> bool:
    """A mapping with a name and something that only a model of an index has."""
    keys = _keys(node) if isinstance(node, Mapping) else set()
    return "Name" in keys and bool(keys & _OF_A_MODEL)


def _label(model: Mapping) -> str | None:
    """What to call a model in messages: its Name, or its ID where it has no usable name."""
    name = lookup(model, "Name")
    if isinstance(name, Scalar) and not is_blank(name):
        return name.text
    ident = lookup(lookup(model, "Metadata"), "ID")
    return ident.text if isinstance(ident, Scalar) else None
