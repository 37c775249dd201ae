"""From paths to the files of an index: folders walked, imports followed, nothing read twice.

Patterns are matched here, since Python's own ``glob`` follows links to folders, and so needs as
long as their loops have it. An index may import by patterns: none may take longer than its files
are many.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from fnmatch import translate

from zoo._util.files import NotRegularFileError, open_regular
from zoo._util.text import shown
from zoo.index.entries import IndexContents, read_documents
from zoo.index.nodes import UnreadableIndex
from zoo.index.readers import PACKAGES, Reader, built_in_for, reader_for
from zoo.index.types import Location, Problem, SourceText

MAX_BYTES = 32 * 2**20  # 10,000 variants as documented as ResNeSt's take 12 MB
MAX_FILES = 10_000
MAX_IMPORT_DEPTH = 20
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
PACKAGE = "package:"
UNREADABLE = "schema.unreadable"
MAX_VISITED = 200_000  # files and folders that a search may look at
MAX_PARTS = 64
_MAGIC = re.compile(r"[*?\[]")
_ANY = "**"


class FileReader:
    """Reads the files behind the given paths, each once, and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.contents: list[IndexContents] = []
        self.problems: list[Problem] = []
        self.files: list[str] = []
        self.unusable: list[str] = []
        self._seen: dict[str, bool] = {}  # real path -> whether it yielded a variant
        self._open: list[str] = []  # the imports being followed

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
            self._refuse(path, f"can't be read: {_reason(error)}", remedy)
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
        except TooMany:
            what = f"has more than {MAX_VISITED:,} files to look at"
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
        for number, (path, root) in enumerate(files):
            if number >= MAX_FILES:
                self._refuse(named, f"holds more than {MAX_FILES:,} files", "name fewer files")
                return
            reader = built_in_for(path)
            if reader is not None:
                found |= self._read(path, reader, root, named=False)
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
            self._refuse(spec, "is not installed", f"install {name}")
            return
        found, known_problems = False, len(self.problems)
        for path, reader in files:
            found |= self._read(path, reader, path, named=False)
        if not found and len(self.problems) == known_problems:
            self._refuse(spec, "documents no variant", f"install a later {name}")

    def _walk(self, folder: str) -> Iterator[str]:
        """The files of a folder: an index of imports first, then by name, then its folders.

        Hidden ones are left out, and links to folders are not followed, so that there are no loops.
        """

        def failed(error: OSError) -> None:
            where = os.fspath(error.filename or folder)
            self._refuse(where, f"can't be read: {_reason(error)}", "make it readable")

        for here, folders, names in os.walk(folder, onerror=failed):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            names.sort(key=lambda name: (not name.startswith("model-index."), name))
            for name in names:
                if not name.startswith(".") and built_in_for(name):
                    yield os.path.join(here, name)

    def _read(self, path: str, reader: Reader, root: str, named: bool) -> bool:
        """Read one file and what it imports; whether any variant came of it.

        Args:
            path: the file.
            reader: the reader of its format.
            root: the folder that its imports must not leave.
            named: a model-index is expected in it.
        """
        real = os.path.realpath(path)
        if real in self._seen:
            return self._seen[real]
        self._seen[real] = False
        known = len(self.problems)
        source = SourceText(path, "")
        try:
            source = SourceText(path, _text_of(path))
            _check_utf8(source.text)
            contents = read_documents(source, reader.read(source.text))
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
                self._refuse(path, "holds no model-index", "write Collections: and Models: in it")
            return False
        self.files.append(path)
        self.contents.append(contents)
        self.problems += contents.problems
        found = bool(contents.variants)
        self._open.append(real)
        for target, where in contents.imports:
            for each in _expanded(path, target):
                found |= self._import(path, each, where, root)
        self._open.pop()
        self._seen[real] = found
        if not found and (contents.claims_models or contents.imports):
            self._refuse_empty(path, known)
        return found

    def _refuse_empty(self, path: str, known: int) -> None:
        """Name a file that yielded no variant; say why unless problems after ``known`` do."""
        if len(self.problems) == known:
            self._refuse(path, "documents no variant", "write its models below Models:")
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


def _text_of(path: str) -> str:
    """The text of a regular file of bounded size."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except NotRegularFileError:
        raise UnreadableIndex("is not a regular file", "name a regular file") from None
    except (OSError, ValueError) as error:
        raise UnreadableIndex(f"can't be read: {_reason(error)}", "make it readable") from None
    if len(data) > MAX_BYTES:
        raise UnreadableIndex(f"is larger than {MAX_BYTES:,} bytes", "split the file")
    # Bytes that are not UTF-8 are kept as surrogates here, to be reported where they stand.
    return data.decode("utf-8-sig", errors="surrogateescape")


def _check_utf8(text: str) -> None:
    bad = _NOT_UTF8.search(text)
    if bad:
        what = f"is not UTF-8 (the byte 0x{ord(bad[0]) - 0xDC00:02X})"
        raise UnreadableIndex(what, "save the file as UTF-8", bad.start())


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class TooMany(Exception):
    """The search would look at more than `MAX_VISITED` files and folders."""


def is_pattern(path: str) -> bool:
    """Whether a path holds a wildcard: ``*``, ``?``, ``[abc]`` or ``**`` for any folders."""
    return bool(_MAGIC.search(path))


def matches(pattern: str) -> list[str]:
    """The files that match, sorted, written as the pattern begins.

    Hidden files and folders match only where the pattern writes their dot, and links to folders
    are not followed.

    Raises:
        TooMany: the pattern begins too high up in too large a tree.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if len(parts) > MAX_PARTS:
        raise TooMany
    fixed = next((i for i, part in enumerate(parts) if is_pattern(part)), len(parts) - 1)
    base = "/" * pattern.startswith("/") + "/".join(parts[:fixed])
    found = _Search(parts[fixed:]).files(base or ".")
    return sorted(os.path.join(base, name) for name in found)


class _Search:
    """A walk that keeps, for each folder, which parts of the pattern may match inside it."""

    def __init__(self, parts: list[str]) -> None:
        self.parts = [None if part == _ANY else re.compile(translate(part)) for part in parts]
        self.hidden = [part.startswith(".") for part in parts]
        self.end = len(parts)
        self.visited = 0

    def files(self, base: str) -> Iterator[str]:
        """The matching files below ``base``, named from there."""
        waiting = [("", self.beyond({0}))]
        while waiting:
            inside, places = waiting.pop()
            for entry in self.entries(os.path.join(base, inside)):
                after = self.after(entry.name, places)
                name = inside + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if after - {self.end}:
                        waiting.append((f"{name}/", after))
                elif self.end in after and entry.is_file():
                    yield name

    def entries(self, folder: str) -> list[os.DirEntry[str]]:
        """What is in a folder; nothing where it can't be listed."""
        try:
            with os.scandir(folder) as listing:
                found = list(listing)
        except OSError:
            return []
        self.visited += len(found)
        if self.visited > MAX_VISITED:
            raise TooMany
        return found

    def beyond(self, places: set[int]) -> set[int]:
        """The places and those behind a ``**``, which may match nothing."""
        for place in sorted(places):
            while place < self.end and self.parts[place] is None:
                place += 1  # noqa: PLW2901 - how far it can go from there
                places.add(place)
        return places

    def after(self, name: str, places: set[int]) -> set[int]:
        """The places that a name leads to, from those before it; ``end`` where all is matched."""
        reached: set[int] = set()
        for place in places - {self.end}:
            part = self.parts[place]
            if name.startswith(".") and not self.hidden[place]:
                continue
            if part is None:
                reached.add(place)
            elif part.match(name):
                reached.add(place + 1)
        return self.beyond(reached)
