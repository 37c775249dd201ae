"""Find where an entry goes, and insert it: every other byte stays, and the result is read again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from harness.config.rules import OWN_BUILDER
from harness.edit.add_entry import NewEntry
from harness.edit.add_measure import NotAdded, fitting
from harness.edit.draft import Expected, objection
from harness.edit.yaml_edit import (
    EditRefused,
    Replacement,
    YamlFile,
    apply_replacements,
    check_writable,
    is_comment,
    line_break,
    line_end,
    line_start,
    previous_line,
    save,
    save_new,
)
from zoo._util.files import file_lock
from zoo._util.text import nearest, shown
from zoo.index import Collection, Index, Variant, load_index, package_index
from zoo.index.nodes import Mapping, Node, Scalar, Sequence, kind_of, lookup
from zoo.index.schema import LinkError, check_weights
from zoo.registry import list_models
from zoo.weights.checkpoint import CheckpointInfo, read_checkpoint
from zoo.weights.sources import locate
from zoo.weights.types import NotFetched

_SUFFIXES = (".yml", ".yaml")
_TYPE, _MODELS = "Type: model-index", "Models:"
_OTHER_KEYS = frozenset({"Type", "Builder", "Collections", "Import"})
_EMPTY_LIST = re.compile(r"\[\s*\]")
_NO_LIST = "it has no list of Models that an entry can be put behind"
_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class AddTarget:
    """Where an entry goes, and whom it takes after.

    Attributes:
        checkpoint: the file itself, links followed.
        weights: its path from the folder of the index, as Weights has it.
        origin: the variant whose architecture it has.
        collection: which one of the file's the entry joins.
        elsewhere: the file says that another builder builds its variants.
    """

    checkpoint: Path
    weights: str
    origin: Variant
    collection: Collection | None
    elsewhere: bool = False

    @property
    def joins(self) -> str | None:
        return None if self.collection is None else self.collection.name


def find_target(checkpoint: Path, file: Path, origin: str, collection: str | None) -> AddTarget:
    """The place of a new entry in an index.

    Raises:
        NotAdded: there is no such checkpoint, variant or collection, or the file can't have any.
        EditRefused: the file can't be read.
    """
    weights, real = _weights(checkpoint, file)
    known = _known_index(file)
    base = _origin(origin, file, known)
    joined = _collection(collection, base, file, known)
    said = None if joined is None else joined.claim("Builder")
    builders = [said.raw] if said is not None else []
    if said is None and known is not None:  # A file that says nothing else is no index yet.
        tops = [lookup(each, "Builder") for each in YamlFile.read(str(file)).documents]
        builders = [node.text for node in tops if isinstance(node, Scalar)]
    return AddTarget(real, weights, base, joined, any(each != OWN_BUILDER for each in builders))


def _known_index(file: Path) -> Index | None:
    """What the file that is written to says already; None where there is no such file."""
    if file.suffix not in _SUFFIXES:
        raise NotAdded(f"--index: {file}: name a file that ends in {' or '.join(_SUFFIXES)}")
    if not str(file).isprintable():
        # Reports name a file by what can be shown, and weights are looked for beside it.
        raise NotAdded(f"--index: {file}: rename it: characters in its path can't be shown")
    if not file.exists():
        return None
    # What can't be read would else only seem to have no variant.
    _ = YamlFile.read(str(file)).documents
    return load_index([file])


def _weights(checkpoint: Path, file: Path) -> tuple[str, Path]:
    """The checkpoint's path from the folder of its index, as Weights has it, and its real one."""
    try:
        os.stat(checkpoint)
    except OSError as error:
        raise NotAdded(f"{checkpoint}: can't be read: {error.strerror or error}") from error
    folder = Path(os.path.realpath(file.parent))
    real = Path(os.path.realpath(checkpoint))
    if not folder.is_dir():
        raise NotAdded(f"{file.parent}: there is no such folder; make it first")
    if not real.is_relative_to(folder):
        raise NotAdded(
            f"{checkpoint}: it lies outside {file.parent}, and an index names weights of its own "
            "folder alone; move it there, or choose another --index"
        )
    try:
        # A first part with a colon would be taken for a scheme.
        weights = quote(real.relative_to(folder).as_posix(), safe="/")
        check_weights(weights)
    except UnicodeEncodeError as error:
        raise NotAdded(f"{checkpoint}: its name is not UTF-8, as an index is; rename it") from error
    except LinkError as error:
        raise NotAdded(f"{checkpoint}: as Weights its name {error}; rename it") from error
    source = locate(weights, index_dir=file.parent)
    if isinstance(source, NotFetched):
        raise NotAdded(f"{checkpoint}: {source.why}; rename it")
    return weights, real


def _origin(name: str, file: Path, known: Index | None) -> Variant:
    """The entry of that name, in the file that is written to or in the package's index."""
    from zoo.registry import is_model
    from zoo.variants import base_name

    own = () if known is None else known.variants
    variants = {v.name: v for v in (*load_index([package_index()]).variants, *reversed(own))}
    origin = variants.get(name)
    if origin is None:
        near = nearest(name, variants, cutoff=0.5)
        advice = (
            f"did you mean {' or '.join(near)}?"
            if near
            else "zoo list --index package:zoo shows the package's"
        )
        raise NotAdded(
            f"--from: neither this package nor {file} (--index) has a variant {shown(name)!r}; "
            f"{advice}"
        )
    if not is_model(base_name(origin)):
        raise NotAdded(f"--from: {origin.location}: this package does not build {name}")
    return origin


def without_origin(path: Path) -> NotAdded:
    """That no variant is named whose checkpoint it is, and which of this package it may be of."""
    contents = read_checkpoint(path)
    if not isinstance(contents, CheckpointInfo):
        return NotAdded(f"{path}: {contents}")
    fits = fitting(contents, OWN_BUILDER)
    # The longest: resnest50d_1s4x24d.pth is not called after resnest50d. A folder may say it.
    written = [name for name in list_models() if name in path.absolute().as_posix()]
    called = max(written, key=len, default="")
    fits.sort(key=lambda name: name != called)
    theirs = " and ".join(fits) or "no variant of this package"
    if called and called not in fits:
        theirs += f", though it is called after {called}"
    names = " or ".join(f"--from {name}" for name in fits or ["VARIANT"])
    return NotAdded(
        f"zoo add is given no --from, and {path} has the tensors of {theirs}; write {names}"
    )


def _collection(
    wanted: str | None, origin: Variant, file: Path, known: Index | None
) -> Collection | None:
    """The collection that the entry joins: the one asked for, else the origin's if it is there."""
    there = {} if known is None else {c.name: c for c in reversed(known.collections)}
    if wanted is None:
        return None if origin.collection is None else there.get(origin.collection.name)
    if wanted not in there:
        has = f"it has {', '.join(map(shown, sorted(there)))}" if there else "it has none"
        raise NotAdded(f"--collection: {file} has no collection {shown(wanted)!r}; {has}")
    return there[wanted]


class NotWritable(EditRefused):
    """The file may not be changed, whatever is in it."""


def rehearse(path: Path, entry: NewEntry) -> None:
    """Find out what `insert` would say, and write nothing.

    Raises:
        NotWritable: the file, or a new one in its folder, can't be written.
        EditRefused: it is written in a way that no entry can be put in.
        NotAdded: it has a variant of that name.
    """
    _draft(path, entry)
    real = os.path.realpath(path)
    try:
        if os.path.exists(real):
            check_writable(path)
    except EditRefused as error:
        raise NotWritable(str(error)) from error
    if not os.access(os.path.dirname(real), os.W_OK):
        raise NotWritable(f"{path} can't be written: its folder is read-only")


def insert(path: Path, entry: NewEntry, check: Callable[[], None] = lambda: None) -> None:
    """Insert an entry behind the last one of a file, or into a new file.

    Processes that do so at once wait for each other, so that no entry is lost. ``check`` is called
    right before the file is replaced; what it raises leaves the file as it was.

    Raises:
        EditRefused: the file can't be written, or is written in a way that no entry can be put in.
        NotAdded: it has a variant of that name.
    """
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(path, _WAIT_S))
        except TimeoutError as error:
            why = f"{path}: another process has been writing to it for a minute"
            raise EditRefused(why) from error
        is_new = not path.exists()
        old, new = _draft(path, entry)
        check()
        if is_new:
            save_new(path, new.data)
        else:
            save(old, new.data)


def _draft(path: Path, entry: NewEntry) -> tuple[YamlFile, YamlFile]:
    """The file without and with the entry. A file that is not there is as good as an empty one."""
    file = YamlFile.read(str(path)) if path.exists() else YamlFile(str(path), b"")
    for variant in file.contents.variants:
        if variant.name == entry.name:
            raise NotAdded(
                f"{variant.location}: a variant called {entry.name!r} is there already; choose "
                "another name with --name"
            )
    why = ""
    for change in _places(file, entry):
        new = file.with_text(apply_replacements(file.text, (change,)))
        why = _wrong(file, new, entry)
        if not why:
            return file, new
    raise EditRefused(f"{path}: {why or _NO_LIST}")


def _wrong(old: YamlFile, new: YamlFile, entry: NewEntry) -> str:
    """What the new text says that it should not; empty where it says the entry and no more."""
    before, after = old.contents, new.contents
    known = len(before.variants)
    added = after.variants[known:]
    why = objection(before, replace(after, variants=after.variants[:known]), Expected())
    if why or len(added) != 1:
        return why or "the page would list other entries"
    found = {claim.field: claim.value for claim in added[0].claims}
    wanted = entry.claims
    odd = next((key for key in {**found, **wanted} if found.get(key) != wanted.get(key)), None)
    return "" if odd is None else f"{odd} can't be written so that it is read as it was measured"


def _places(file: YamlFile, entry: NewEntry) -> Iterator[Replacement]:
    """The changes that put an entry in, the best first.

    It stands behind the last content of the last model, else further down. The first entry of a
    file stands below Models, in place of a ``[]`` or a null; where there is no such key, that is
    put at the end.
    """
    text = file.text
    ending = line_break(text)
    found = _find_models(file.documents)
    keys: tuple[str, ...] = ()
    if found is None:
        indent, keys = _missing(file)
        cuts = [(len(text), len(text))]
    else:
        document, key, models = found
        indent = _before(text, document.start)
        listed = isinstance(models, Sequence) and bool(models.items)
        in_brackets = listed and text[models.start] == "["
        if text[document.start] == "{" or indent.strip() or in_brackets:
            raise _in_brackets(file)
        if listed:
            indent = _before(text, models.start)
            ends = (_end_of_content(text, models), line_end(text, models.end))
            cuts = [(end, end) for end in dict.fromkeys(ends)]
        else:
            cuts = [_nothing(file, key, models)]
    added = "".join(f"{indent}{line}{ending}" for line in (*keys, *entry.lines()))
    for start, end in cuts:
        # What is cut away ends where the rest of its line, a comment, begins.
        rest = text[end : line_end(text, end)] if start < end else ""
        whole = text[:start] + rest
        at_break = not whole or whole[-1] in "\r\n"
        yield Replacement(start, end + len(rest), rest + (added if at_break else ending + added))


def _find_models(documents: list[Node]) -> tuple[Mapping, Scalar, Node] | None:
    for document in documents:
        for key, value in document.pairs if isinstance(document, Mapping) else ():
            if isinstance(key, Scalar) and key.text == "Models":
                return document, key, value  # type: ignore[return-value]
    return None


def _missing(file: YamlFile) -> tuple[str, tuple[str, ...]]:
    """The indent of a file without Models, and the lines that begin such a list."""
    text, documents = file.text, file.documents
    if all(isinstance(n, Scalar) and not text[n.start : n.end].strip() for n in documents):
        return "", (_TYPE, _MODELS)
    (document, *others) = documents
    if not others and isinstance(document, Mapping) and text[document.start] != "{":
        keys = {key.text for key, _ in document.pairs if isinstance(key, Scalar)}
        if keys <= _OTHER_KEYS:
            return _before(text, document.start), (_MODELS,)
    raise EditRefused(f"{file.path}: {_NO_LIST}")


def _in_brackets(file: YamlFile) -> EditRefused:
    return EditRefused(
        f"{file.path}: its Models are in brackets; write them one below the other, each behind a "
        "dash"
    )


def _nothing(file: YamlFile, key: Scalar, models: Node) -> tuple[int, int]:
    """From where to where the value of a Models without a model is cut away."""
    text = file.text
    written = text[models.start : models.end].strip()
    is_null = isinstance(models, Scalar) and models.tag is None and kind_of(models) == "null"
    if is_null and not written:
        place = line_end(text, key.end)
        return place, place
    if isinstance(models, Sequence) and not _EMPTY_LIST.fullmatch(written):
        raise _in_brackets(file)
    if not (is_null or isinstance(models, Sequence)):
        raise EditRefused(f"{file.path}: its Models are no list")
    colon = text.index(":", key.end) + 1
    return (models.start if text[colon : models.start].strip() else colon), models.end


def _before(text: str, place: int) -> str:
    """What stands before a place on its line."""
    return text[line_start(text, place) : place]


def _end_of_content(text: str, models: Node) -> int:
    """Behind the last line of the list that is neither blank nor a comment."""
    end = models.end
    while end > models.start:
        start = max(models.start, previous_line(text, end))
        line = text[start:end]
        if line.strip(" \t\r\n") and not is_comment(line):
            return line_end(text, end)
        end = start
    return models.end
