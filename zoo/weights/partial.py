"""A partial file, and the sidecar that lets a later run go on with it.

The sidecar says of which version of which URL the bytes are, and holds a mark: so many bytes from
the start have this SHA-256. A later run hashes the kept head again up to the mark and goes on from
there, so that neither a kill, nor a power cut, nor anything else that touched the file can slip
wrong bytes into a checkpoint. Bytes behind the mark are dropped.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo._util.files import PRIVATE, take_lock
from zoo.weights.cache import Cache, read_json, remove_json, url_digest, write_json
from zoo.weights.retry import RetryPolicy
from zoo.weights.sources import WeightsSource, name_hash
from zoo.weights.types import Interrupted

if TYPE_CHECKING:
    from filelock import FileLock

_BLOCK = 1 << 20
_MOST_BYTES = 1 << 62
_INLINE = 128 << 10
_MAX_BLOCKS = 256  # one writev takes 1024
_SNIFFED = 1024


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """Which bytes a server is sending.

    Attributes:
        validator: what ``If-Range`` may hold: a strong ETag, or a Last-Modified that is old enough
            to be one; None where the server gives neither, and then nothing is resumed.
        etag: as the server sent it, weak ones too.
        length: of the whole file in bytes, None where the server doesn't say.
    """

    validator: str | None
    etag: str | None
    length: int | None


@dataclass(frozen=True, slots=True)
class _Sidecar:
    url: str
    name_hash: str | None
    validator: str | None
    etag: str | None
    length: int | None
    kept: int = 0
    kept_sha256: str = hashlib.sha256().hexdigest()

    def is_whole(self) -> bool:
        """Whether its texts can be sent in a header, and its numbers are some of bytes."""
        texts = [text for text in (self.validator, self.etag) if text is not None]
        numbers = [self.kept, *([] if self.length is None else [self.length])]
        return all(isinstance(t, str) and t.isascii() and t.isprintable() for t in texts) and all(
            type(n) is int and 0 <= n < _MOST_BYTES for n in numbers
        )


class PartialFile:
    """The partial file of one URL; its user holds the URL's lock.

    Attributes:
        path: the file.
        size: bytes received, those not yet written included.
        version: which bytes they are; None before the first answer.
    """

    def __init__(self, cache: Cache, source: WeightsSource, policy: RetryPolicy) -> None:
        stem = url_digest(source.key)
        self.path = cache.parts / f"{stem}.part"
        self.size = 0
        self.version: ServedVersion | None = None
        self._sidecar = cache.parts / f"{stem}.json"
        self._source = source
        self._mark_bytes = policy.mark_bytes
        self._marked = 0
        self._gone = False
        self._hash = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="hash")
        # Private until it is whole. Never through a symlink.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(self.path, flags, PRIVATE)

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._hasher.shutdown()
        if not self._gone:
            resumable = self.version is not None and self.version.validator is not None
            if not resumable or os.fstat(self._file).st_size == 0:
                self.remove()  # no later run could use it
        os.close(self._file)

    def resume(self) -> int:
        """Hash the kept head again; how many bytes can be kept, 0 where none can.

        At least one byte of a known length is left to ask for, so that the server says whether
        it still has the same version.
        """
        self._waiting, self._waiting_bytes = [], 0
        sidecar = self._read_sidecar()
        head = None
        if sidecar is not None and sidecar.validator is not None:
            kept = sidecar.kept
            if kept == sidecar.length:
                kept -= 1
            head = self._rehash(sidecar.kept, kept, sidecar.kept_sha256)
        if sidecar is None or head is None or kept < 1:
            os.ftruncate(self._file, 0)
            self.size, self._marked, self.version = 0, 0, None
            self._hash = hashlib.sha256()
            return 0
        os.ftruncate(self._file, kept)
        os.lseek(self._file, kept, os.SEEK_SET)
        self._hash, self.size, self._marked = head, kept, kept
        self.version = ServedVersion(sidecar.validator, sidecar.etag, sidecar.length)
        return kept

    def begin(self, version: ServedVersion) -> None:
        """Start from zero with this version of the file."""
        # The bytes go first: no kill may leave old bytes beside the new version's sidecar.
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._hash = hashlib.sha256()
        self._waiting, self._waiting_bytes, self.size = [], 0, 0
        self.version = version
        self._mark()

    def write(self, data: bytes) -> None:
        """Take the next bytes; they are on disk after `save` or `finish`."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self.size += len(data)
        full = self._waiting_bytes >= min(_BLOCK, self._mark_bytes)
        if full or len(self._waiting) >= _MAX_BLOCKS:
            self._flush()
            if self.size - self._marked >= self._mark_bytes:
                self._mark()

    def save(self) -> None:
        """Write what is waiting and mark it, so that a later run goes on from here."""
        self._flush()
        self._mark()

    def finish(self) -> str:
        """Write what is waiting, make it durable; the SHA-256 of the whole file."""
        self._flush()
        os.fsync(self._file)
        return self._hash.hexdigest()

    def head(self) -> bytes:
        """The first bytes that are on disk, enough to tell a page from a checkpoint."""
        return os.pread(self._file, _SNIFFED, 0)

    def moved(self) -> None:
        """The file has been moved to its place, where it must not be touched any more."""
        self._gone = True
        remove_json(self._sidecar)

    def reset(self) -> None:
        """Forget the bytes: the next attempt starts from zero."""
        self._waiting, self._waiting_bytes, self.size, self.version = [], 0, 0, None
        remove_json(self._sidecar)
        os.ftruncate(self._file, 0)

    def remove(self) -> None:
        """Leave nothing behind; no bytes can be taken afterwards."""
        # Only the names go. The file is not truncated: it may have been moved to its place by
        # a publishing that failed after the move.
        self._waiting, self._waiting_bytes, self.size, self.version = [], 0, 0, None
        self._gone = True
        remove_json(self._sidecar)
        self.path.unlink(missing_ok=True)

    def _flush(self) -> None:
        blocks, self._waiting, count, self._waiting_bytes = (
            self._waiting,
            [],
            self._waiting_bytes,
            0,
        )
        if count < _INLINE:
            self._digest(blocks)
            self._put(blocks)
            return
        # hashlib lets go of the interpreter, so hashing costs no time beside the writing.
        hashed = self._hasher.submit(self._digest, blocks)
        try:
            self._put(blocks)
        finally:
            hashed.result()

    def _digest(self, blocks: list[bytes]) -> None:
        for block in blocks:
            self._hash.update(block)

    def _put(self, blocks: list[bytes]) -> None:
        if not blocks:
            return
        written = os.writev(self._file, blocks)  # no copy to join them
        view = memoryview(b"".join(blocks))[written:] if written < sum(map(len, blocks)) else b""
        while view:
            view = view[os.write(self._file, view) :]

    def _mark(self) -> None:
        version = self.version
        if version is None:
            return
        sidecar = _Sidecar(
            self._source.record_key,
            name_hash(self._source.name),
            version.validator,
            version.etag,
            version.length,
            self.size,
            self._hash.hexdigest(),
        )
        write_json(self._sidecar, asdict(sidecar), durable=False)
        self._marked = self.size

    def _read_sidecar(self) -> _Sidecar | None:
        data = read_json(self._sidecar)
        try:
            sidecar = None if data is None else _Sidecar(**data)
        except TypeError:
            return None
        if sidecar is None or not sidecar.is_whole():
            return None
        ours = (self._source.record_key, name_hash(self._source.name))
        return sidecar if (sidecar.url, sidecar.name_hash) == ours else None

    def _rehash(self, marked: int, kept: int, expected: str) -> hashlib._Hash | None:
        """The hash of the first ``kept`` bytes, if the first ``marked`` are what the mark says."""
        if os.fstat(self._file).st_size < marked:
            return None
        digest, done = hashlib.sha256(), 0
        while done < kept:
            block = os.pread(self._file, min(_BLOCK, kept - done), done)
            if not block:
                return None
            digest.update(block)
            done += len(block)
        whole = digest.copy()
        whole.update(os.pread(self._file, marked - kept, kept))
        return digest if whole.hexdigest() == expected else None


def wait_for(lock: FileLock, seconds: float, what: str, stop: threading.Event) -> bool:
    """Take a lock within so many seconds, see `take_lock`; False if its holder keeps it.

    Raises:
        Interrupted: the run is being stopped.
    """
    taken = take_lock(lock, seconds, what, stop.is_set)
    if not taken and stop.is_set():
        raise Interrupted
    return taken


def sweep(cache: Cache, policy: RetryPolicy) -> list[Path]:
    """Remove partial and quarantined files untouched for ``stale_days``.

    Returns:
        What was removed. Files whose lock is held, and those that can't be removed, stay.
    """
    oldest = time.time() - policy.stale_days * 86400
    scraps = [path for path in _old_files(cache.own / "records", oldest) if path.suffix == ".tmp"]
    removed: list[Path] = []
    for path in (*_old_files(cache.parts, oldest), *_old_files(cache.quarantine, oldest), *scraps):
        try:
            # All names begin with the digest of the URL, and so does the lock's.
            with cache.lock(path.name[:16]).acquire(timeout=0):
                # A run may have taken it up again between the look and the lock.
                if path.lstat().st_mtime < oldest:
                    path.unlink()
                    removed.append(path)
        except OSError:  # held (a Timeout is one), gone, or not ours to remove
            continue
    return removed


def _old_files(folder: Path, oldest: float) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.lstat().st_mtime < oldest]
    except OSError:
        return []
