"""The checkpoint cache: torch.hub's folder, and a folder of our own beside it.

torch.hub knows a file by its base name alone, so two URLs that end alike share a name. Here each
file that we fetch has a record of its URL, its SHA-256 and its identity on disk, and the rules are:

- a file whose record names this URL is used;
- a file recorded for another URL is not: this URL's file goes to ``DIGEST_NAME``, where DIGEST is
  the head of the URL's SHA-256;
- a file without a record (torch.hub or the user put it there) is used if the hash in its name
  agrees; if the name holds no hash it is used and recorded as found, for this URL only;
- a file that the hash in its name contradicts is corrupt: it stays until a good one is whole.

A record counts only while size, modification time and inode are what they were, and while its own
digest is that of what it says. One without a digest, of an earlier version, still says whose a file
is, and the file is hashed again. One that is damaged says nothing: a file that no hash in its name
vouches for is not used then, since it may be another URL's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo._util.files import (
    PRIVATE,
    FileStat,
    file_stat,
    hash_file,
    sync_folder,
    take_lock,
    usual_mode,
)
from zoo.weights.sources import HttpSource, WeightsSource, name_hash
from zoo.weights.types import UNREACHABLE, UNSAFE, Fetched, Interrupted

if TYPE_CHECKING:
    from filelock import FileLock

_NAME_LOCK_S = 60.0
_SMALL_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class CorruptFile:
    """A cached file that the hash in its name contradicts, or that changed behind its record."""

    path: Path
    expected: str
    sha256: str
    stat: FileStat


@dataclass(frozen=True, slots=True)
class UnusableFile:
    """Something at the file's place in the cache that is not read, and why."""

    path: Path
    why: str
    cause: str


@dataclass(frozen=True, slots=True)
class _Record:
    name: str
    url: str
    sha256: str
    size: int
    mtime_ns: int
    inode: int
    origin: Literal["cache", "found"]
    final_url: str | None = None
    etag: str | None = None
    # Of all the others; records of an earlier version have none.
    digest: str | None = None

    @property
    def stat(self) -> FileStat:
        return self.size, self.mtime_ns, self.inode

    def is_of(self, source: WeightsSource) -> bool:
        """Whether it is this source's; the records of old hold its URL as it is."""
        return self.url in {source.record_key, source.key}


def _names_it(source: WeightsSource) -> bool:
    """Whether a file that is called so may be this one: all repositories call theirs alike."""
    return not isinstance(source, HttpSource) or source.hub is None


def hub_dir() -> Path:
    """torch.hub's folder, without importing torch.

    The rules are those of ``torch.hub.get_dir``: ``TORCH_HOME``, else ``XDG_CACHE_HOME/torch``,
    else ``~/.cache/torch``, and in it ``hub``; a program with torch loaded may have set another.
    """
    hub = sys.modules.get("torch.hub")
    if hub is not None:
        return Path(hub.get_dir())
    cache = os.getenv("XDG_CACHE_HOME", "~/.cache")
    home = os.getenv("TORCH_HOME", os.path.join(cache, "torch"))
    return Path(os.path.expanduser(home)) / "hub"


class Cache:
    """One checkpoint cache.

    Attributes:
        checkpoints: where whole files are, under their final names.
        own: our folder, on the same file system, so that a move between the two is atomic.
    """

    def __init__(self, hub: Path | None = None) -> None:
        self.hub = hub or hub_dir()
        self.checkpoints = self.hub / "checkpoints"
        self.own = self.hub / "zoo-parts"
        with contextlib.suppress(OSError):  # one of the two isn't there yet
            # Users point the checkpoints folder at a larger disk.
            if self.checkpoints.stat().st_dev != self.hub.stat().st_dev:
                self.own = self.checkpoints / ".zoo-parts"

    @property
    def parts(self) -> Path:
        """Partial files and their sidecars."""
        return self.own / "parts"

    @property
    def quarantine(self) -> Path:
        """Whole files that are not what their names say."""
        return self.own / "quarantine"

    def prepare(self) -> None:
        """Make the folders; an OSError says why the cache can't be written."""
        for folder in (self.checkpoints, self.parts, self.own / "records", self.own / "locks"):
            folder.mkdir(parents=True, exist_ok=True)

    def lock(self, name: str) -> FileLock:
        """A lock between threads and processes; its file stays, since removing it would race."""
        from filelock import FileLock

        return FileLock(self.own / "locks" / f"{name}.lock", mode=PRIVATE, thread_local=False)

    def holds(self, source: WeightsSource) -> bool:
        """There seems to be a file for this source; a cheap look that reads no file."""
        own, shared = self._places(source)
        status = self._status(shared)
        record = self._record(shared.name, status) if isinstance(status, tuple) else None
        ours = _names_it(source) if record is None else record.is_of(source)
        return own.is_file() or (isinstance(status, tuple) and ours)

    def look_up(
        self, source: WeightsSource, *, rehash: bool = False, stop: threading.Event | None = None
    ) -> Fetched | CorruptFile | UnusableFile | None:
        """The file that is there for this source, verified as the module's rules say.

        Args:
            source: what to look for.
            rehash: read the file again even where a record vouches for it.
            stop: ends a long hashing.
        """
        problem: CorruptFile | UnusableFile | None = None
        for path in self._places(source):
            found = self._look_at(path, source, rehash, stop)
            if isinstance(found, Fetched):
                return found
            problem = problem or found
        return problem

    def publish(
        self,
        part: Path,
        source: WeightsSource,
        sha256: str,
        *,
        replaces: CorruptFile | None,
        final_url: str | None,
        etag: str | None,
    ) -> Fetched:
        """Move a whole, synced partial file to its final name.

        The record is written first: killed in between, it names a file that isn't there, which
        says nothing; the other way round, a file of ours would be taken for a found one.
        """
        status = file_stat(os.stat(part))
        with self._name_lock(source.name):
            target = self._target(source, replaces)
            record = _Record(
                target.name,
                source.record_key,
                sha256,
                *status,
                "cache",
                final_url=final_url,
                etag=etag,
            )
            self._write_record(record, durable=True)
            # A checkpoint is for all that the user lets read new files, its record is not.
            os.chmod(part, usual_mode(part))
            os.replace(part, target)
            sync_folder(target.parent)
        fetched = _fetched(target, source, record)
        return replace(fetched, origin="fetched")

    def set_aside(self, part: Path, source: WeightsSource, keep: int) -> Path:
        """Move a whole file that is not what it should be out of the way, and keep few of those."""
        self.quarantine.mkdir(exist_ok=True)
        target = self.quarantine / f"{url_digest(source.key)}_{source.name}"
        os.replace(part, target)
        held = sorted(self.quarantine.iterdir(), key=lambda path: path.lstat().st_mtime_ns)
        for path in held[: max(0, len(held) - keep)]:
            if path != target:
                path.unlink(missing_ok=True)
        return target

    def _places(self, source: WeightsSource) -> tuple[Path, Path]:
        """The name that is this URL's alone, then the one that torch.hub would use."""
        own = f"{url_digest(source.key)}_{source.name}"
        return self.checkpoints / own, self.checkpoints / source.name

    def _look_at(
        self, path: Path, source: WeightsSource, rehash: bool, stop: threading.Event | None
    ) -> Fetched | CorruptFile | UnusableFile | None:
        status = self._status(path)
        if not isinstance(status, tuple):
            return status
        record = self._record(path.name, status)
        if record is not None and not record.is_of(source):
            return None
        known = record if record is not None and record.digest is not None else None
        if known is not None and not rehash:
            return _fetched(path, source, known)
        try:
            sha256, status = hash_file(path, partial(raise_if, stop))
        except OSError as error:
            return UnusableFile(path, f"it can't be read: {error}", UNREACHABLE)
        expected = name_hash(source.name) if known is None else known.sha256
        if expected is not None and not sha256.startswith(expected):
            return CorruptFile(path, expected, sha256, status)
        # A name that only we give, or a damaged record, and no hash that says the file is whole.
        ours = path.name != source.name or self._is_damaged(path.name) or not _names_it(source)
        if known is None and not (expected is None and record is None and ours):
            known = self._adopt(
                source, _Record(path.name, source.record_key, sha256, *status, "found")
            )
        return None if known is None else _fetched(path, source, known)

    def _status(self, path: Path) -> FileStat | UnusableFile | None:
        try:
            if path.is_symlink():
                real = path.resolve()
                homes = (self.hub.resolve(), self.checkpoints.resolve())
                if not any(real.is_relative_to(home) for home in homes):
                    return UnusableFile(
                        path, f"it is a symlink out of the cache, to {real}", UNSAFE
                    )
            status = os.stat(path)
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError) as error:
            return UnusableFile(path, f"it can't be read: {error}", UNREACHABLE)
        if not stat.S_ISREG(status.st_mode):
            return UnusableFile(path, "it is not a regular file", UNSAFE)
        return file_stat(status)

    def _adopt(self, source: WeightsSource, found: _Record) -> _Record | None:
        """Note for which URL a found file is used; None if another URL was faster."""
        try:
            self.prepare()
            with self._name_lock(found.name):
                known = self._record(found.name, found.stat)
                if known is not None and not known.is_of(source):
                    return None
                if known is not None and known.digest is not None:
                    return known
                self._write_record(found, durable=False)
        except OSError:
            return found  # a cache that can't be written still serves the files it has
        return found

    def _target(self, source: WeightsSource, replaces: CorruptFile | None) -> Path:
        """Where this source's file goes, so that no other URL's file is overwritten."""
        own, shared = self._places(source)
        try:
            status = file_stat(os.lstat(shared))
        except FileNotFoundError:
            return shared
        record = self._record(shared.name, status)
        ours = record is not None and record.is_of(source)
        known_bad = replaces is not None and replaces.path == shared and replaces.stat == status
        return shared if ours or known_bad else own

    @contextlib.contextmanager
    def _name_lock(self, name: str) -> Iterator[None]:
        # Case folded: some file systems don't tell "A.pth" from "a.pth".
        lock = self.lock(f"name-{url_digest(name.casefold())}")
        if not take_lock(lock, _NAME_LOCK_S, name):
            raise TimeoutError(f"another process has held {name} for {_NAME_LOCK_S:g} s")
        try:
            yield
        finally:
            lock.release()

    def _record_path(self, name: str) -> Path:
        return self.own / "records" / f"{url_digest(name)}.json"

    def _record(self, name: str, status: FileStat) -> _Record | None:
        """The record of the file with that name and that identity on disk."""
        data = self._read_record(name)
        try:
            record = None if data is None else _Record(**data)
        except TypeError:
            return None
        if record is None or record.name != name or record.stat != status:
            return None
        texts = (record.url, record.sha256)
        return record if all(isinstance(text, str) for text in texts) else None

    def _is_damaged(self, name: str) -> bool:
        """Whether there is a record of that name, and it can't be believed."""
        there = self._record_path(name).exists()
        return there and self._read_record(name) is None

    def _write_record(self, record: _Record, *, durable: bool) -> None:
        data = asdict(record)
        data["digest"] = _digest(data)
        write_json(self._record_path(record.name), data, durable=durable)

    def _read_record(self, name: str) -> dict[str, Any] | None:
        """What a record holds; None where there is none, or its digest is not that of the rest."""
        data = read_json(self._record_path(name))
        try:
            whole = data is not None and data.get("digest") in (None, _digest(data))
        except RecursionError:
            return None
        return data if whole else None


def _fetched(path: Path, source: WeightsSource, record: _Record) -> Fetched:
    return Fetched(
        path=path,
        size=record.size,
        sha256=record.sha256,
        origin=record.origin,
        url=source.url,
        final_url=record.final_url,
        etag=record.etag,
        stat=record.stat,
    )


def url_digest(text: str) -> str:
    """16 hex digits that stand for a URL or a name in file names."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def raise_if(stop: threading.Event | None) -> None:
    """Raises Interrupted once ``stop`` is set."""
    if stop is not None and stop.is_set():
        raise Interrupted


def write_json(path: Path, data: dict[str, Any], *, durable: bool) -> None:
    """Write a small JSON file so that it is there whole or as it was before.

    The caller holds the lock that guards it: its scratch file has one name.
    """
    scratch = _scratch(path)
    # Where a user's files come from is the user's own.
    with open(scratch, "w", encoding="utf-8", opener=partial(os.open, mode=0o600)) as file:
        json.dump(data, file)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(scratch, path)


def remove_json(path: Path) -> None:
    """Remove what `write_json` wrote, and what a kill in the middle of it left."""
    path.unlink(missing_ok=True)
    _scratch(path).unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """A small JSON object that `write_json` wrote, or None if there is none that can be read."""
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read(_SMALL_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _digest(record: dict[str, Any]) -> str:
    """Of all that a record holds beside its digest."""
    data = {key: value for key, value in record.items() if key != "digest"}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def _scratch(path: Path) -> Path:
    return path.with_name(f"{path.name}.tmp")
