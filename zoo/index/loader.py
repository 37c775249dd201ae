"""Load an index: the files behind the given paths, nothing read twice, and what holds across them.

An index may import by patterns: none may take longer than its files are many.
"""

from __future__ import annotations

import gc
import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from zoo._util.files import TooMany, is_pattern, matches
from zoo._util.install import install_command
from zoo._util.text import shown, truncate_middle
from zoo.index.entries import IndexContents, read_documents
from zoo.index.nodes import UnreadableIndex, check_utf8, read_text, reason_of
from zoo.index.readers import EXTRAS, PACKAGES, Reader, built_in_for, read_with, reader_for
from zoo.index.schema import nearest
from zoo.index.types import Claim, Collection, Index, Location, Problem, SourceText, Variant

MAX_FILES = 10_000
MAX_IMPORT_DEPTH = 20
PACKAGE = "package:"
UNREADABLE = "schema.unreadable"
_NAMED = 12


def load_index(paths: Sequence[str | Path]) -> Index:
    """Read YAML files, Markdown pages, tables, folders of these, patterns of files, or a package.

    A folder is searched through its subfolders, names sorted, hidden ones and links to folders left
    out; files in it that hold no model-index are passed over, and so are those that match a
    pattern such as ``docs/**/*.mdx``. No file is read twice. ``package:torchvision`` stands for the
    weights metadata of the installed torchvision, which is not imported, ``package:zoo`` for the
    index that ships with this package.

    Args:
        paths: what to read; locations name the files as they are written here.

    Returns:
        The index. Everything that is wrong in any file is in ``problems``, ordered by file and
        line, files in the order they were read; ``unusable`` names the paths that yielded no
        variant where one was expected.
    """
    reader = FileReader()
    with _collector_paused():
        for path in paths:
            reader.add(os.fspath(path))
        variants, collections, problems = assemble(reader.contents)
    order = {file: number for number, file in enumerate(reader.files)}
    return Index(
        variants=variants,
        collections=collections,
        problems=tuple(
            sorted(
                (*reader.problems, *problems),
                key=lambda p: (order.get(p.location.file, -1), p.location),
            )
        ),
        files=tuple(reader.files),
        unusable=tuple(dict.fromkeys(reader.unusable)),
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Spares the search for cycles: what is read makes none, and millions of objects all at once.

    The search took two fifths of the time, and a growing part of it.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class FileReader:
    """Reads the files behind the given paths, each once, and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.contents: list[IndexContents] = []
        self.problems: list[Problem] = []
        self.files: list[str] = []
        self.unusable: list[str] = []
        self._seen: dict[str, bool] = {}  # real path -> whether it yielded a variant
        self._open: list[str] = []  # the imports being followed
        self._builder: Claim | None = None  # of the index that imports

    def add(self, path: str) -> None:
        """Read what the user named: a file, a folder, a pattern of files, or a package."""
        if path.startswith(PACKAGE):
            self._add_package(path)
            return
        if is_pattern(path) and not os.path.lexists(path):
            self._add_matches(path)
            return
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError) as error:
            remedy = "name an existing file or folder"
            if path in PACKAGES:
                remedy += f", or {PACKAGE}{path} for the installed package"
            self._refuse(path, f"can't be read: {reason_of(error)}", remedy)
            return
        if stat.S_ISDIR(mode):
            self._add_folder(path)
            return
        reader = self._reader(path)
        if reader is None:
            return
        if os.path.realpath(path) in self._seen:
            return
        known = len(self.problems)
        found = self._read(path, reader, os.path.dirname(path) or ".", named=True)
        if not found:
            self._refuse_empty(path, known)

    def _reader(self, path: str) -> Reader | None:
        try:
            reader = reader_for(path)
        except Exception as error:  # noqa: BLE001 - a third party's module may raise anything
            self._refuse(path, f"its reader failed: {error!r}", "mend or remove that reader")
            return None
        if reader is None:
            self._refuse(path, "is in no known format", "name a .yml, .yaml, .md or .mdx file")
        return reader

    def _add_folder(self, folder: str) -> None:
        files = ((path, folder) for path in self._walk(folder))
        self._add_many(folder, files, "name a folder of .yml, .md or .mdx files")

    def _add_matches(self, pattern: str) -> None:
        """Read the files that match a pattern; those without a model-index are passed over."""
        try:
            found = matches(pattern)
        except TooMany as error:
            what = f"has {error} to look at"
            self._refuse(pattern, what, "begin it with a folder further down")
            return
        if not found:
            self._refuse(pattern, "matches no file", "correct the pattern, or the folder it is in")
            return
        files = ((path, os.path.dirname(path) or ".") for path in found)
        self._add_many(pattern, files, "match .yml, .yaml, .md or .mdx files that hold one")

    def _add_many(self, named: str, files: Iterable[tuple[str, str]], remedy: str) -> None:
        """Read those of many files that hold a model-index, each with the folder it may import in.

        Args:
            named: what the user named, and what is to blame where none holds one.
            files: each file and the folder that its imports must not leave.
            remedy: what would be right where none holds one.
        """
        found, known = False, len(self.problems)
        passed_over: list[tuple[str, Reader, str]] = []
        for number, (path, root) in enumerate(files):
            if number >= MAX_FILES:
                self._refuse(named, f"holds more than {MAX_FILES:,} files", "name fewer files")
                return
            reader = built_in_for(path)
            if reader is not None:
                read = self._read(path, reader, root, named=False)
                found |= read
                if not read:
                    passed_over.append((path, reader, root))
        if not found and len(self.problems) == known:
            # Beside a model-index a table is no index; without one it is what there is.
            for path, reader, root in passed_over:
                del self._seen[os.path.realpath(path)]
                found |= self._read(path, reader, root, named=False, tables=True)
        if not found and len(self.problems) == known:
            self._refuse(named, "holds no model-index", remedy)

    def _add_package(self, spec: str) -> None:
        """Read what an installed package documents of its own models."""
        name = spec.removeprefix(PACKAGE)
        if name not in PACKAGES:
            known = " or ".join(PACKAGE + each for each in PACKAGES)
            self._refuse(spec, "is no package whose metadata is known", f"write {known}")
            return
        files = PACKAGES[name]()
        if files is None:
            remedy = install_command(name) if name in EXTRAS else f"install {name}"
            self._refuse(spec, "is not installed", remedy)
            return
        found, known_problems = False, len(self.problems)
        for path, reader in files:
            found |= self._read(path, reader, os.path.dirname(path), named=False)
        if not found and len(self.problems) == known_problems:
            self._refuse(spec, "documents no variant", f"install a later {name}")

    def _walk(self, folder: str) -> Iterator[str]:
        """The files of a folder: an index of imports first, then by name, then its folders.

        Hidden ones are left out, and links to folders are not followed, so that there are no loops.
        """

        def failed(error: OSError) -> None:
            where = os.fspath(error.filename or folder)
            self._refuse(where, f"can't be read: {reason_of(error)}", "make it readable")

        for here, folders, names in os.walk(folder, onerror=failed):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            names.sort(key=lambda name: (not name.startswith("model-index."), name))
            for name in names:
                if not name.startswith(".") and built_in_for(name):
                    yield os.path.join(here, name)

    def _read(
        self, path: str, reader: Reader, root: str, named: bool, tables: bool = False
    ) -> bool:
        """Read one file and what it imports; whether any variant came of it.

        Args:
            path: the file.
            reader: the reader of its format.
            root: the folder that its imports must not leave.
            named: a model-index is expected in it.
            tables: its tables are read as well as where it is named.
        """
        real = os.path.realpath(path)
        if real in self._seen:
            return self._seen[real]
        self._seen[real] = False
        known = len(self.problems)
        source = SourceText(path, "")
        try:
            source = SourceText(path, read_text(path))
            check_utf8(source.text)
            documents = read_with(reader, path, source.text, tables=named or tables)
            contents = read_documents(source, documents)
        except UnreadableIndex as error:
            where = source.locate(min(error.index, len(source.text)))
            self._refuse(path, error.message, error.remedy, where)
            return False
        except Exception as error:
            if built_in_for(path) is reader:
                raise
            self._refuse(path, f"its reader failed: {error!r}", "mend or remove that reader")
            return False
        if not contents.is_index:
            if named:
                remedy = "write Collections: and Models: in it, or name a table of models"
                self._refuse(path, "holds no model-index", remedy)
            return False
        self.files.append(path)
        self.contents.append(contents)
        self.problems += contents.problems
        found = bool(contents.variants)
        self._open.append(real)
        importer, self._builder = self._builder, contents.builder or self._builder
        contents.builder = self._builder
        expanded: set[str] = set()
        for target, where in contents.imports:
            if target in expanded:
                continue
            if is_pattern(target):
                expanded.add(target)
            for each in _expanded(path, target):
                found |= self._import(path, each, where, root)
        self._open.pop()
        self._builder = importer
        self._seen[real] = found
        if not found and (contents.claims_models or contents.imports):
            self._refuse_empty(path, known)
        return found

    def _refuse_empty(self, path: str, known: int) -> None:
        """Name a file that yielded no variant; say why unless problems after ``known`` do."""
        if len(self.problems) == known:
            self._refuse(path, "documents no variant", "write its models below Models:, or as rows")
        self.unusable.append(path)

    def _import(self, importer: str, target: str, where: Location, root: str) -> bool:
        path = os.path.join(os.path.dirname(importer), target)
        reader = built_in_for(path)
        fault = self._import_fault(path, target, root)
        if reader is None and fault is None:
            fault = "is in no known format", "name a .yml, .yaml, .md or .mdx file"
        if reader is not None and fault is None:
            return self._read(path, reader, root, named=True)
        what, remedy = fault or ("", "")
        message = f"{shown(target)!r} {what}"
        self.problems.append(
            Problem(UNREADABLE, "error", message, remedy, where, None, "Import", shown(target))
        )
        return False

    def _import_fault(self, path: str, target: str, root: str) -> tuple[str, str] | None:
        """What keeps a path from being imported, and what would be right; None if nothing."""
        fault = None
        try:
            real, base = os.path.realpath(path), os.path.realpath(root)
            if os.path.isabs(target) or os.path.commonpath([real, base]) != base:
                fault = "leaves the folder of the index", "name a file inside that folder"
            elif not os.path.isfile(real):
                fault = "names no file", "name a file relative to this one"
            elif real in self._open:
                fault = "closes a circle of imports", "remove it"
            elif len(self._open) >= MAX_IMPORT_DEPTH or len(self._seen) >= MAX_FILES:
                fault = "is one too many", f"import at most {MAX_IMPORT_DEPTH} levels deep"
        except (OSError, ValueError):
            fault = "is no path", "name a file relative to this one"
        return fault

    def _refuse(self, path: str, message: str, remedy: str, where: Location | None = None) -> None:
        """Report a file or folder that yields no variant, and why."""
        where = where or SourceText(path, "").locate(0)
        self.problems.append(Problem(UNREADABLE, "error", message, remedy, where))
        self.unusable.append(path)


def _expanded(importer: str, target: str) -> list[str]:
    """The files that an import names, relative to its own; one that names none is left to tell."""
    folder = os.path.dirname(importer)
    if not is_pattern(target) or os.path.lexists(os.path.join(folder, target)):
        return [target]
    if os.path.isabs(target) or os.pardir in target.split("/"):
        return [target]  # outside, where nothing is to be looked for
    try:
        found = matches(os.path.join(glob.escape(folder), target))
    except TooMany:
        return [target]
    return [os.path.relpath(path, folder or ".") for path in found] or [target]


def assemble(
    contents: Sequence[IndexContents],
) -> tuple[tuple[Variant, ...], tuple[Collection, ...], tuple[Problem, ...]]:
    """All variants with their collections, all collections, and the problems between them.

    A collection is looked for in the variant's own file first, since two zoos may both have a
    "ResNet".
    """
    everywhere: dict[str, Collection] = {}
    for file in contents:
        for collection in file.collections:
            everywhere.setdefault(collection.name, collection)
    problems: list[Problem] = []
    variants: list[Variant] = []
    for file in contents:
        here: dict[str, Collection] = {}
        for collection in file.collections:
            first = here.setdefault(collection.name, collection)
            if first is not collection:
                problems.append(_duplicate("collection", collection, first.location, None))
        said = () if file.builder is None else (file.builder,)
        variants += [
            _resolved(replace(v, of_index=said) if said else v, here, everywhere, problems)
            for v in file.variants
        ]
    # Tables say themselves what they have twice: models are listed at several sizes.
    tables = {v.location.file for c in contents if c.is_table for v in c.variants}
    problems += _duplicate_variants([v for v in variants if v.location.file not in tables])
    problems += _miscounted_classes(variants)
    collections = tuple(c for file in contents for c in file.collections)
    return tuple(variants), collections, tuple(problems)


def _resolved(
    variant: Variant,
    here: dict[str, Collection],
    everywhere: dict[str, Collection],
    problems: list[Problem],
) -> Variant:
    claim = variant.claim("In Collection")
    if claim is None or claim.value is None:
        return variant
    collection = here.get(claim.raw) or everywhere.get(claim.raw)
    if collection is not None:
        return replace(variant, collection=collection)
    some = tuple(islice(everywhere, _NAMED))  # a look-up among thousands takes long
    close = nearest(claim.raw, of=some)
    remedy = f"did you mean {shown(close)}?" if close else "add it to Collections"
    if some and not close:
        remedy += f", or name one of {', '.join(map(shown, some))}"
    what, key = f"is {shown(claim.raw)!r}, which names none", "In Collection"
    where = claim.location, variant.name, key, claim.raw
    problems.append(Problem("schema.unknown-collection", "error", what, remedy, *where))
    return variant


def _duplicate_variants(variants: list[Variant]) -> list[Problem]:
    first: dict[str, Variant] = {}
    problems = []
    for variant in variants:
        known = first.setdefault(variant.name, variant)
        if known is not variant:
            problems.append(_duplicate("model", variant, known.location, variant.name))
    return problems


def _miscounted_classes(variants: list[Variant]) -> Iterator[Problem]:
    """Class Names that are not as many as Classes, of which a collection may state either."""
    reported: set[tuple[Location, Location]] = set()
    for variant in variants:
        names, count = variant.effective("Class Names"), variant.effective("Classes")
        if names is None or count is None or (names.location, count.location) in reported:
            continue
        listed, stated = names.value, count.value
        if isinstance(listed, tuple) and isinstance(stated, int) and len(listed) != stated:
            # What a collection says of all its variants is wrong once.
            reported.add((names.location, count.location))
            own_names = variant.claim("Class Names") is names
            where = names if own_names or variant.claim("Classes") is None else count
            yield Problem(
                "schema.out-of-range", "error",
                f"has {len(listed):,} names, where Classes is {stated:,}",
                "name each class once, in the order of the outputs, or correct Classes",
                where.location, variant.name, "Class Names", truncate_middle(names.raw),
            )  # fmt: skip


def _duplicate(
    kind: str, entry: Variant | Collection, first: Location, variant: str | None
) -> Problem:
    what = f"is {shown(entry.name)!r}, the name of another {kind} at {first}"
    where = entry.location, variant, "Name", entry.name
    remedy = "rename or remove one of them"
    return Problem("schema.duplicate-name", "error", what, remedy, *where)
