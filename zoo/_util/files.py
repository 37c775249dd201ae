"""Find, open, hash, lock and replace files safely: pipes, kills, power cuts and loops included.

One implementation for the library and the auditor; nothing else calls ``os.replace`` on a file or
opens a path that a user named. Patterns are matched here, since Python's own ``glob`` follows links
to folders, and so needs as long as their loops have it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import translate
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from filelock import BaseFileLock

SCRATCH_PREFIX = ".zoo-"
"""How the names of unfinished files begin; a kill may leave one behind."""

PRIVATE = 0o600
"""The mode of records: what was measured, fetched and logged is its user's alone."""

FileStat = tuple[int, int, int]
"""(size in bytes, modification time in nanoseconds, inode): the identity of a file on disk."""

StrPath = str | os.PathLike[str]

MAX_VISITED = 200_000
"""Files and folders that a search for a pattern may look at."""

_BLOCK = 1 << 20
_MAX_PARTS = 64
_MAGIC = re.compile(r"[*?\[]")
_ANY = "**"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
# Between a look at a path and its opening it may come to mean a pipe, which must not block us.
_READ = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


class NotRegularFileError(OSError):
    """The path names a folder, a pipe, a device or a socket; ``kind`` says which."""

    def __init__(self, mode: int) -> None:
        self.kind = (
            "a folder"
            if stat.S_ISDIR(mode)
            else "a pipe"
            if stat.S_ISFIFO(mode)
            else "a symbolic link"
            if stat.S_ISLNK(mode)
            else "a device or a socket"
        )
        super().__init__(f"{self.kind}, not a regular file")


def open_regular(path: StrPath, *, follow_links: bool = True) -> BinaryIO:
    """Open a regular file for reading; never wait for a pipe, never touch a device.

    Raises:
        NotRegularFileError: it is something else.
        OSError: it can't be opened.
    """
    mode = os.stat(path, follow_symlinks=follow_links).st_mode
    if not stat.S_ISREG(mode):
        raise NotRegularFileError(mode)
    flags = _READ if follow_links else _READ | getattr(os, "O_NOFOLLOW", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode):
        file.close()
        raise NotRegularFileError(mode)
    return file


def file_stat(status: os.stat_result) -> FileStat:
    """The identity of a file on disk."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def hash_file(
    path: StrPath, after_block: Callable[[], None] = lambda: None
) -> tuple[str, FileStat]:
    """SHA-256 of a regular file, with the identity of what was hashed.

    Args:
        path: the file.
        after_block: called after each block that is read; what it raises ends the reading.

    Raises:
        OSError: it can't be read, or it changed meanwhile.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        before = file_stat(os.fstat(file.fileno()))
        buffer = bytearray(_BLOCK)
        view = memoryview(buffer)
        while count := file.readinto(buffer):  # type: ignore[attr-defined]
            digest.update(view[:count])
            after_block()
        if file_stat(os.fstat(file.fileno())) != before:
            raise OSError(f"{path} changed while it was read")
    return digest.hexdigest(), before


class AtomicFile:
    """A file under construction that takes its name once it is complete.

    Readers see the old bytes or the new ones, whatever happens between. A link stays a link. The
    file that is replaced hands on its owner and its permissions; a new one has those that the
    process gives to any new file. Leaving the ``with`` block without `publish` removes it.

    Attributes:
        path: the final name, links resolved.
        file: what to write to.
    """

    def __init__(self, path: StrPath, *, private: bool = False) -> None:
        self.path = Path(os.path.realpath(path))
        self._before = _status(self.path)
        self._private = private
        self._scratch = self.path.with_name(f"{SCRATCH_PREFIX}{secrets.token_hex(8)}")
        open_to_all = self._before is None and not private
        # What others may not read, they may not read while it is written either.
        handle = os.open(self._scratch, _NEW, 0o666 if open_to_all else PRIVATE)
        self.file = os.fdopen(handle, "wb")

    def __enter__(self) -> AtomicFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def settle(self) -> None:
        """Do all that can fail for want of space or rights; nothing is replaced yet."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if self._before is not None:
            if hasattr(os, "chown"):
                # Only an administrator may give a file away; anybody else owns both.
                with suppress(PermissionError):
                    os.chown(self._scratch, self._before.st_uid, self._before.st_gid)
            mode = PRIVATE if self._private else stat.S_IMODE(self._before.st_mode)
            os.chmod(self._scratch, mode)

    def publish(self) -> None:
        """Give the file its name; `settle` comes before."""
        os.replace(self._scratch, self.path)
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """Remove the file, unless it has been published."""
        with suppress(OSError):  # what is still to be written may not fit on the disk
            self.file.close()
        with suppress(OSError):
            os.unlink(self._scratch)


def replace_file(
    path: StrPath,
    data: bytes,
    check: Callable[[], None] = lambda: None,
    *,
    private: bool = False,
) -> None:
    """Replace a file's content, whole or not at all, as `AtomicFile` does.

    Args:
        path: the file; its folder is there.
        data: all that it is to hold.
        check: called when the content is on the disk and nothing is replaced yet; what it raises
            leaves the file as it was.
        private: no other user may read it.

    Raises:
        OSError: the file can't be written; it is as it was.
    """
    with AtomicFile(path, private=private) as new:
        new.file.write(data)
        new.settle()
        check()
        new.publish()


def make_private(path: StrPath) -> None:
    """Let no other user read a record: a file that is there, or one that is made, empty.

    Raises:
        OSError: it can't be made.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), PRIVATE)
    try:
        # One of another user's is for that one to guard.
        with suppress(OSError):
            if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
                os.chmod(path, PRIVATE)
    finally:
        os.close(handle)


def usual_mode(beside: StrPath) -> int:
    """The mode that a new file has there: asked of one, as other threads may set no umask.

    Raises:
        OSError: none can be made.
    """
    with AtomicFile(Path(beside).with_name(f"{secrets.token_hex(8)}")) as new:
        return stat.S_IMODE(os.fstat(new.file.fileno()).st_mode)


def sync_folder(folder: StrPath) -> None:
    """Make new names in a folder survive a loss of power, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# A wait that is longer is told of.
SILENT_SECONDS = 2.0


def take_lock(
    lock: BaseFileLock, seconds: float, what: str, stopped: Callable[[], bool] = lambda: False
) -> bool:
    """Take a lock; False where another process keeps it for longer, or ``stopped`` says so.

    A wait of more than two seconds is logged, once, as a warning: without a configuration of
    logging, that is a line on standard error.

    Args:
        lock: what `filelock` makes.
        seconds: how long to wait.
        what: is locked, for that line.
        stopped: asked a few times a second.

    Raises:
        OSError: the lock's file can't be made or locked.
    """
    from filelock import Timeout

    begun, said = time.monotonic(), False
    while True:
        waited = time.monotonic() - begun
        try:
            lock.acquire(timeout=min(0.2, max(0.0, seconds - waited)))
        except Timeout:
            if waited >= seconds or stopped():
                return False
            if waited >= SILENT_SECONDS and not said:
                said = True
                import logging

                from zoo._util.text import bounded

                logging.getLogger("zoo").warning(
                    "%s", bounded(f"{what}: another process holds it; waiting up to {seconds:g} s")
                )
        else:
            return True


@contextmanager
def file_lock(path: StrPath, seconds: float) -> Iterator[None]:
    """Let one process at a time read, check and replace a file; no lock is left beside it.

    Without locks there is no wait: the caller has to check that the file is unchanged.

    Raises:
        TimeoutError: another process holds the lock for longer than that.
    """
    from filelock import FileLock
    from platformdirs import user_cache_path

    # By any path that leads to it, a file is one.
    digest = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]
    folder = user_cache_path("zoo") / "locks"
    # Its file stays: a process that waits for it would else lock a file of its own.
    lock = FileLock(folder / f"{digest}.lock", mode=PRIVATE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = take_lock(lock, seconds, os.fspath(path))
    except (OSError, NotImplementedError):
        yield
        return
    if not taken:
        raise TimeoutError(f"{path} is locked")
    try:
        yield
    finally:
        lock.release()


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


class TooMany(Exception):
    """The search for a pattern would look at more than `MAX_VISITED` files and folders."""


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
    if len(parts) > _MAX_PARTS:
        raise TooMany(f"more than {MAX_VISITED:,} files")
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
            raise TooMany(f"more than {MAX_VISITED:,} files")
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
