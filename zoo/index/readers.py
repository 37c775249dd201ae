"""The readers of index files, by format, and where an index is when none is named.

A reader turns a text into YAML-like nodes; what the nodes mean is the same for all formats. Others
can be added through the entry point group ``zoo.readers``; they are asked only for a file that is
named outright and that no reader here takes.

Hugging Face model cards have the ``model-index`` of their front matter: field names and their
meaning follow the Hub's specification (huggingface/hub-docs, ``modelcard.md``). A card says results
and nothing else that an index knows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Listing
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from zoo.index import mmpretrain, timm, torchvision
from zoo.index.cards import with_stats
from zoo.index.nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    UnreadableIndex,
    compose,
    is_blank,
    kind_of,
    lookup,
)
from zoo.index.schema import accuracy_key
from zoo.index.tables import TableReader, read_tables
from zoo.index.units import NotANumber, OutOfRange, parse_number

_GROUP = "zoo.readers"
FOLDER = "model-index"
# In the order in which they are looked for; the first that is there is the index.
_NAMES = (FOLDER, "model-index.yml", "model-index.yaml", "model-index.md")
_TOP = "pyproject.toml"
_CARD = "model-index"
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*\r?$", re.S | re.M)
_PERCENT = re.compile(r"[0-9]*\.?[0-9]+[ ]?%|[0-9]+\.[ ]?%")
_WHOLE_SPLITS = frozenset({"validation", "val", "eval"})


class Reader(Protocol):
    """What a reader has to offer, built in or found through an entry point."""

    def takes(self, path: str) -> bool:
        """Whether this reader reads a file of that name."""

    def read(self, text: str) -> list[Node]:
        """The documents in the text, with offsets into it; empty where it holds no model-index.

        Raises:
            UnreadableIndex: the text should hold a model-index and can't be read.
        """


class YamlReader:
    """YAML files."""

    def takes(self, path: str) -> bool:
        """Whether the file's name ends as YAML files' do."""
        return path.lower().endswith((".yml", ".yaml"))

    def read(self, text: str) -> list[Node]:
        """All documents of the file."""
        return list(map(as_index, compose(text)))


class MarkdownReader:
    """Markdown pages with a model-index.

    It stands in an HTML comment, as timm's pages have it, or in the front matter, as Hugging Face's
    model cards have it.
    """

    # A fence, or a comment. What a fence shows is an example.
    _NEXT = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*$|<!--", re.M)
    # The space after the comment's opening is no indentation of a key on the same line.
    _SPACE = re.compile(r"[ \t]*")
    _TYPE = re.compile(r"\s*Type:[ \t]*model-index\b")

    def takes(self, path: str) -> bool:
        """Whether the file's name ends as Markdown pages' do."""
        return path.lower().endswith((".md", ".mdx"))

    def read(self, text: str) -> list[Node]:
        """The documents of the front matter and of all model-index comments of the page."""
        documents: list[Node] = []
        position = 0
        if front := front_matter(text):
            documents += map(as_index, compose(text, *front))
            position = sum(front)
        while found := self._NEXT.search(text, position):
            if found[1]:
                position = self._after_fence(text, found[1], found.end())
                continue
            # Space is passed over once: after many openings it would be searched anew for each.
            position = start = self._SPACE.match(text, found.end()).end()  # type: ignore[union-attr]
            if not self._TYPE.match(text, start):
                continue
            end = text.find("-->", start)
            if end < 0:
                raise UnreadableIndex(
                    "the model-index comment has no end", "close it with -->", found.start()
                )
            documents += compose(text, start, end - start)
            position = end + 3
        return documents

    @staticmethod
    def _after_fence(text: str, fence: str, position: int) -> int:
        closing = re.compile(rf"^ {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*\r?$", re.M)
        end = closing.search(text, position)
        return end.end() if end else len(text)


def package_index() -> Path:
    """The index that ships with this package, as installed or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_index"
    return installed if installed.is_dir() else package.parent / "model-index"


BUILT_IN: tuple[Reader, ...] = (YamlReader(), MarkdownReader(), TableReader())
PackageReaders = Callable[[], Listing[tuple[str, Reader]] | None]
# The installed packages that document their own models: their files, each with its reader, or None
# where the package is not installed.
PACKAGES: dict[str, PackageReaders] = {
    torchvision.NAME: torchvision.readers,
    timm.NAME: timm.readers,
    mmpretrain.NAME: mmpretrain.readers,
    "zoo": lambda: [(str(path), BUILT_IN[0]) for path in sorted(package_index().glob("*.yml"))],
}
# Those that an extra of this package brings, with what builds their models.
EXTRAS = (timm.NAME, mmpretrain.NAME)


def built_in_for(path: str) -> Reader | None:
    """The built-in reader that takes a file of that name."""
    return next((reader for reader in BUILT_IN if reader.takes(path)), None)


def read_with(reader: Reader, path: str, text: str, *, tables: bool = True) -> list[Node]:
    """The documents of a file; of one without a model-index, its tables of models.

    Raises:
        UnreadableIndex: it can't be read.
    """
    found = reader.read(text)
    if isinstance(reader, MarkdownReader):
        read, found = found, with_stats(text, found)
        return found if read or not tables else [*found, *read_tables(path, text)]
    return read_tables(path, text) if tables and isinstance(reader, TableReader) else found


def reader_for(path: str | os.PathLike[str]) -> Reader | None:
    """The reader for a file: a built-in one, else one of a third party, else None."""
    name = os.fspath(path)
    return built_in_for(name) or next((r for r in third_party() if r.takes(name)), None)


def third_party() -> Iterator[Reader]:
    """The readers that installed distributions offer."""
    from importlib.metadata import entry_points

    for point in entry_points(group=_GROUP):
        reader: Reader = point.load()
        yield reader


def local_index() -> Path | None:
    """The index of the working folder, else of the project that it is in; None if neither has one.

    The top of the project is the nearest folder upwards that holds a pyproject.toml. The path is
    relative to the working folder.
    """
    here = Path.cwd()
    top = next((f for f in (here, *here.parents) if (f / _TOP).is_file()), here)
    found = next(filter(None, map(index_in, dict.fromkeys((here, top)))), None)
    return None if found is None else Path(os.path.relpath(found, here))


def index_in(folder: Path) -> Path | None:
    """The index of that folder, None if it has none."""
    for name in _NAMES:
        path = folder / name
        if path.is_dir() if name == FOLDER else path.is_file():
            return path
    return None


def default_index() -> Path:
    """The index of the working folder or of its project if there is one, else the package's.

    For those who look a model up. Who judges an index takes `local_index` alone: the package's
    would stand for one that the user never wrote.
    """
    return local_index() or package_index()


# Model cards.


def front_matter(text: str) -> tuple[int, int] | None:
    """Where the YAML of a page's front matter starts, and how long it is; None without any.

    None too where it has no ``model-index``: what other pages keep there is not ours to judge.
    """
    found = _FRONT_MATTER.match(text)
    if found is None or not re.search(rf"^{_CARD}[ \t]*:", found[1], re.M):
        return None
    return found.start(1), len(found[1])


def as_index(document: Node) -> Node:
    """The ``model-index`` of a card's metadata as an index; any other document as it is."""
    if not isinstance(document, Mapping):
        return document
    entries = lookup(document, _CARD)
    if entries is None:
        return document
    models = [entries]
    if isinstance(entries, Sequence):
        license = _license(document)
        models = [_model(entry, license) for entry in entries.items]
    listed: Node = Sequence(_merged(models), entries.start, entries.end, entries.tag)
    if not isinstance(entries, Sequence):
        listed = entries
    pairs: list[tuple[Node, Node]] = [(_key("Models", entries), listed)]
    return Mapping(pairs, document.start, document.end, None, foreign=True)


def _text(mapping: Node | None, name: str) -> Scalar | None:
    node = lookup(mapping, name)
    return node if isinstance(node, Scalar) and not is_blank(node) and not node.tag else None


def _key(name: str, place: Node) -> Scalar:
    return Scalar(name, True, place.start, place.start)


def card_license(text: str) -> str | None:
    """The license that the front matter of a page states; None where there is none."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return None
    try:
        documents = compose(text, found.start(1), len(found[1]))
    except UnreadableIndex:
        return None
    license = _license(documents[0]) if documents and isinstance(documents[0], Mapping) else None
    return license.text if isinstance(license, Scalar) and not is_blank(license) else None


def _license(card: Mapping) -> Node | None:
    """The card's license: of one that the Hub has no id for, its ``license_name``."""
    license = lookup(card, "license")
    if isinstance(license, Scalar) and license.text.strip().lower() == "other":
        return lookup(card, "license_name") or license
    return license


def _model(entry: Node, license: Node | None) -> Node:
    """One entry of the card, its results in an index's words."""
    if not isinstance(entry, Mapping) or entry.tag:
        return entry
    pairs: list[tuple[Node, Node]] = []
    for key, value in entry.pairs:
        if isinstance(key, Scalar) and key.text == "name":
            pairs.append((_key("Name", key), value))
        elif isinstance(key, Scalar) and key.text == "results":
            pairs.append((_key("Results", key), _results(value)))
        else:
            pairs.append((key, value))
    if license is not None and lookup(entry, "License") is None:
        pairs.append((_key("License", license), license))
    return Mapping(pairs, entry.start, entry.end)


def _merged(models: list[Node]) -> list[Node]:
    """The models, those of one name as one: a card lists a model again for another result."""
    first: dict[str, Sequence] = {}
    kept: list[Node] = []
    for model in models:
        name, results = _text(model, "Name"), lookup(model, "Results")
        if name is None or not isinstance(results, Sequence):
            kept.append(model)
        elif name.text in first:
            first[name.text].items += results.items
        else:
            first[name.text] = results
            kept.append(model)
    return kept


def _results(results: Node) -> Node:
    if not isinstance(results, Sequence) or results.tag:
        return results
    fractions = _are_fractions(results)
    items: list[Node] = []
    for result in results.items:
        items += _result(result, fractions) if isinstance(result, Mapping) else [result]
    return Sequence(items, results.start, results.end)


def _are_fractions(results: Sequence) -> bool:
    """Whether no accuracy of a model is above 1, so that those up to 1 are fractions.

    The Hub's ``accuracy`` is defined as a fraction, and many write percents all the same. One
    writer keeps to one of them, so that only numbers beside greater ones can be either.
    """
    return not any(
        number > 1
        for result in results.items
        for metric in _metrics(result)
        if _accuracy(result, metric) and (number := _number(_text(metric, "value"))) is not None
    )


def _metrics(result: Node) -> list[Node]:
    metrics = lookup(result, "metrics")
    return metrics.items if isinstance(metrics, Sequence) else []


def _is_verified(metric: Node) -> bool:
    verified = _text(metric, "verified")
    return verified is not None and verified.text.lower() == "true"


def _accuracy(result: Node, metric: Node) -> str | None:
    """The index's key for a metric that is a top-k accuracy of a classifier, else None.

    A metric's own name says which it is; its type ``accuracy`` alone is the top-1.
    """
    task = _text(lookup(result, "task"), "type") or _text(lookup(result, "task"), "name")
    words = (task.text if task is not None else "").lower().replace("-", " ")
    if "image classification" not in words:
        return None
    kind, name = _text(metric, "type"), _text(metric, "name")
    key = accuracy_key(name.text if name else "") or accuracy_key(kind.text if kind else "")
    if key is None and kind is not None and kind.text.lower() == "accuracy":
        plain = name is None or name.text.lower() in ("accuracy", "acc", "accuracy (%)")
        key = "Top 1 Accuracy" if plain else None
    return key


def _result(result: Mapping, fractions: bool) -> list[Node]:
    """One result of a card as results of an index: each has a metric's name once."""
    about: list[tuple[Node, Node]] = []
    task = lookup(result, "task")
    name = _text(task, "name") or _text(task, "type")
    if name is not None:
        about.append((_key("Task", name), _as_text(name)))
    dataset = _dataset(lookup(result, "dataset"))
    if dataset is not None:
        about.append((_key("Dataset", dataset), dataset))
    groups: list[dict[str, tuple[Node, Node]]] = [{}]
    for metric in _metrics(result):
        key, value = _accuracy(result, metric), lookup(metric, "value")
        label = _text(metric, "name") or _text(metric, "type")
        if value is None or label is None:
            continue  # nothing is claimed
        if key is not None and isinstance(value, Scalar):
            value = _percent(value, fractions or _is_verified(metric))
        word = key or label.text
        if word in groups[-1]:
            groups.append({})
        groups[-1][word] = _key(word, label), value
    found: list[Node] = []
    for group in groups:
        metrics = Mapping(list(group.values()), result.start, result.end)
        pairs = [*about, (_key("Metrics", result), metrics)]
        found.append(Mapping(pairs, result.start, result.end))
    return found


def _as_text(scalar: Scalar) -> Scalar:
    return Scalar(scalar.text, True, scalar.start, scalar.end)


def _dataset(dataset: Node | None) -> Scalar | None:
    """The dataset's name, with the split where that is not the one that accuracies are about."""
    if isinstance(dataset, Scalar):
        return None if is_blank(dataset) else _as_text(dataset)
    name = _text(dataset, "name") or _text(dataset, "type")
    if name is None:
        return None
    split = _text(dataset, "split")
    text = name.text
    if split is not None and split.text.lower() not in _WHOLE_SPLITS:
        text = f"{text} ({split.text})"
    return Scalar(text, True, name.start, name.end, None, name.text)


def _number(value: Scalar | None) -> Decimal | None:
    """A plain number that a quantity can have, None for anything else."""
    try:
        number = parse_number(value.text).value if value is not None else None
    except (NotANumber, OutOfRange):
        return None
    return number if number is not None and number >= 0 else None


def _percent(value: Scalar, fraction: bool) -> Scalar:
    """An accuracy as a percentage, with as many digits; one in doubt where it may be either."""
    text = value.text.strip()
    if _PERCENT.fullmatch(text):
        return Scalar(text, False, value.start, value.end, value.tag, value.text)
    if kind_of(value) == "null":
        return value
    doubt, number = None, _number(value)
    if number is None and kind_of(value) == "number":
        return value  # negative, infinite, endless: out of range, as anywhere
    if number is None:
        doubt = "is not a plain number; it is kept as text and not verified"
    elif number <= 1 and fraction:
        shifted = format(number.scaleb(2), "f")
        return Scalar(shifted, False, value.start, value.end, value.tag, value.text)
    elif number <= 1:
        doubt = (
            "may be a fraction or a percentage, since other accuracies of this model are above 1; "
            "it is not verified"
        )
    return Scalar(text, False, value.start, value.end, value.tag, value.text, doubt)
