"""What fetching a checkpoint can end in, what bounds it, and who may watch it.

These are plain values, cheap to import: a caller that only reads outcomes loads no HTTP client.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo._util.files import FileStat

MISSING = "weights.missing"
UNREACHABLE = "weights.unreachable"
NOT_INSTALLED = "weights.not-installed"
HASH_MISMATCH = "weights.hash-mismatch"
UNREADABLE = "weights.unreadable"
UNSAFE = "weights.unsafe"
INSECURE = "weights.insecure-url"

DEFAULT_MAX_BYTES = 8 << 30
"""A download is cut off here unless the caller says otherwise: an index may name any URL."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The whole file is on disk at ``path``.

    Attributes:
        path: where it is: the checkpoint cache, or the source's own place if it is a local file.
        size, sha256: of the bytes on disk; ``sha256`` in full, lower-case hex.
        origin: ``fetched`` in this call, ``cache`` (fetched by us before), ``found`` (it was in
            torch.hub's cache and nothing says from which URL), ``local`` (a local source).
        url: as the index writes it.
        final_url: where the redirects ended, None if that is not known.
        etag: of the server's answer, None if there was none.
        stat: size, modification time (ns) and inode, read when the bytes were hashed.
    """

    path: Path
    size: int
    sha256: str
    origin: Literal["fetched", "cache", "found", "local"]
    url: str
    final_url: str | None
    etag: str | None
    stat: FileStat


@dataclass(frozen=True, slots=True)
class ServerFile:
    """A file that was not downloaded, as its server describes it.

    Attributes:
        url: as the index writes it.
        size: in bytes, None where the server doesn't say.
        sha256: that the Hub keeps the file by, None elsewhere.
        commit: of the Hub's repository that the answer is about.
        header: the file's own header in the checkpoint cache, where it was asked for
            (see `zoo.weights.headers`).
    """

    url: str
    size: int | None
    sha256: str | None = None
    commit: str | None = None
    header: Path | None = None


@dataclass(frozen=True, slots=True)
class NotFetched:
    """There is no file, and why.

    Attributes:
        cause: a stable id of the design's table, e.g. ``weights.missing``.
        why: one line for a person.
        url: as the index writes it.
        permanent: asking again would give the same answer; False for trouble on the way.
    """

    cause: str
    why: str
    url: str
    permanent: bool = True


class Interrupted(Exception):
    """The run is being stopped; the file is not needed any more."""


Outcome = Fetched | ServerFile | NotFetched


class DownloadProgress:
    """Who watches a run; this one does nothing.

    The methods are called from worker threads, several at a time.
    """

    def start(self, url: str, total: int | None) -> None:
        """A download begins, or begins anew from zero; ``total`` bytes where known."""

    def advance(self, url: str, count: int) -> None:
        """``count`` more bytes are there; the kept head of an earlier run counts too."""

    def done(self, url: str, outcome: Outcome) -> None:
        """The last word on this URL."""
