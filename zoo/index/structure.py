"""The documents of one file to collections, models and imports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from zoo.index.claims import Pair
from zoo.index.entries import EntryReader
from zoo.index.nodes import Mapping, Node, Scalar, Sequence
from zoo.index.scalars import is_blank, kind_of
from zoo.index.source import Source
from zoo.index.types import Claim, Collection, Location, Problem, Variant

_TOP = frozenset({"Collections", "Models", "Import"})
_FILES = (".yml", ".yaml", ".md", ".mdx")  # a model may stand in a file of its own
_OF_A_MODEL = frozenset({"In Collection", "Metadata", "Results", "Weights"})


@dataclass(slots=True)
class Contents:
    """What one file documents; collections are not yet resolved.

    ``is_index`` is False where the file holds nothing of a model-index.
    """

    is_index: bool = False
    collections: list[Collection] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    imports: list[tuple[str, Location]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    claims_models: bool = False


def read_documents(source: Source, documents: list[Node]) -> Contents:
    """Everything that the documents of a source say, and what is wrong in them."""
    contents = Contents()
    reader = EntryReader(source, contents.problems)
    for document in documents:
        reader.foreign = isinstance(document, Mapping) and (
            document.foreign or _is_metafile(document)
        )
        reader.card = isinstance(document, Mapping) and document.foreign
        if isinstance(document, Mapping) and _keys(document) & _TOP:
            _read_index(document, contents, reader)
        elif isinstance(document, Mapping) and _is_model(document):
            model = replace(document, pairs=[p for p in document.pairs if not _is_type(p[0])])
            _read_models(Sequence([model], document.start, document.end), contents, reader)
        elif isinstance(document, Sequence) and any(map(_is_model, document.items)):
            _read_models(document, contents, reader)
    return contents


def _is_metafile(document: Mapping) -> bool:
    """Whether this is OpenMMLab's kind of index: its models name a ``Config`` written in Python."""
    models = _find(document, "Models")
    configs = (
        _find(model, "Config")
        for model in (models.items if isinstance(models, Sequence) else ())
        if isinstance(model, Mapping)
    )
    return any(isinstance(config, Scalar) and config.text.endswith(".py") for config in configs)


def _is_type(key: Node) -> bool:
    """Whether a key is the ``Type`` that says no more than that this is a model-index."""
    return isinstance(key, Scalar) and key.text == "Type"


def _keys(mapping: Mapping) -> set[str]:
    return {key.text for key, _ in mapping.pairs if isinstance(key, Scalar)}


def _is_model(node: Node) -> bool:
    """A mapping with a name and something that only a model of an index has."""
    if not isinstance(node, Mapping):
        return False
    keys = _keys(node)
    return "Name" in keys and bool(keys & _OF_A_MODEL)


def _read_index(document: Mapping, contents: Contents, reader: EntryReader) -> None:
    contents.is_index = True
    reader.label = None
    for pair in reader.pairs(document):
        if pair.written == "Collections":
            _read_collections(pair, contents, reader)
        elif pair.written == "Models":
            _read_models(pair.value, contents, reader)
        elif pair.written == "Import":
            _read_imports(pair, contents, reader)
        elif pair.written != "Type":
            reader.top(pair)
        reader.label = None


def _read_imports(pair: Pair, contents: Contents, reader: EntryReader) -> None:
    remedy = "write a list of paths, relative to this file"
    if not isinstance(pair.value, Sequence):
        reader.wrong_type(pair.value, "Import", "a list of paths", remedy)
        return
    for item in pair.value.items:
        if isinstance(item, Scalar) and kind_of(item) == "text" and item.tag is None:
            contents.imports.append((item.text, reader.source.locate(item.start)))
        else:
            reader.wrong_type(item, "Import", "a path", remedy, part="an import")


def _read_collections(pair: Pair, contents: Contents, reader: EntryReader) -> None:
    remedy = "write a list of collections, each with a Name"
    if not isinstance(pair.value, Sequence) or pair.value.tag:
        if kind_of(pair.value) != "null":
            reader.wrong_type(pair.value, "Collections", "a list", remedy)
        return
    for item in pair.value.items:
        if not isinstance(item, Mapping) or item.tag:
            reader.wrong_type(item, "Collections", "a mapping", remedy, part="a collection")
            continue
        pairs = reader.pairs(item)
        claims = reader.entry(pairs)
        named = _name(pairs, claims, item, reader, "collection")
        if named is not None:
            contents.collections.append(Collection(named.raw, named.location, tuple(claims)))


def _read_models(models: Node, contents: Contents, reader: EntryReader) -> None:
    contents.is_index = contents.claims_models = True
    remedy = "write a list of models, each with a Name"
    if not isinstance(models, Sequence) or models.tag:
        reader.wrong_type(models, "Models", "a list", remedy)
        return
    for item in models.items:
        reader.label = None
        if isinstance(item, Scalar) and item.tag is None and item.text.endswith(_FILES):
            contents.imports.append((item.text, reader.source.locate(item.start)))
            continue
        if not isinstance(item, Mapping) or item.tag:
            reader.wrong_type(item, "Models", "a mapping", remedy, part="a model")
            continue
        reader.label = _label(item)
        pairs = reader.pairs(item)
        claims = reader.entry(pairs)
        named = _name(pairs, claims, item, reader, "model")
        if named is not None:
            contents.variants.append(Variant(named.raw, None, named.location, tuple(claims)))


def _label(model: Mapping) -> str | None:
    """What to call a model in messages: its Name, or its ID where it has no usable name."""
    name = _find(model, "Name")
    if isinstance(name, Scalar) and not is_blank(name):
        return name.text
    metadata = _find(model, "Metadata")
    ident = _find(metadata, "ID") if isinstance(metadata, Mapping) else None
    return ident.text if isinstance(ident, Scalar) else None


def _find(mapping: Mapping, name: str) -> Node | None:
    pairs = mapping.pairs
    return next((v for k, v in pairs if isinstance(k, Scalar) and k.text == name), None)


def _name(
    pairs: list[Pair], claims: list[Claim], entry: Mapping, reader: EntryReader, what: str
) -> Claim | None:
    """The claim that names an entry; None where it has no name that could be used."""
    node = next((p.value for p in pairs if p.key == "Name"), None)
    if node is None:
        reader.report(
            "schema.missing-name",
            f"is missing from a {what}",
            "add a Name as its first key",
            index=entry.start,
            key="Name",
            documented=None,
        )
        return None
    if not isinstance(node, Scalar) or is_blank(node):
        return None  # reported where the value was read
    here = reader.source.locate(node.start)  # its Metadata may hold a Name as well
    return next((c for c in claims if c.field == "Name" and c.location == here), None)
