"""What fetching a checkpoint can end in, what bounds it, and who may watch it.

These are plain values, cheap to import: a caller that only reads outcomes loads no HTTP client.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

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

    @property
    def from_cache(self) -> bool:
        """The file was in the checkpoint cache already; no server was asked for it."""
        return self.origin in {"cache", "found"}


@dataclass(frozen=True, slots=True)
class SizeOnly:
    """The server was asked for the size alone; ``size`` is None where it doesn't say."""

    url: str
    size: int | None


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


Outcome = Fetched | SizeOnly | NotFetched


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Timeouts, retries and backoff of a download. Times are in seconds.

    Attributes:
        connect_s: for resolving a name, and for connecting to one address.
        stall_s: without one byte, or with fewer than ``low_rate`` bytes per second, until an
            attempt counts as failed.
        low_rate: bytes per second.
        attempts: how many in a row may fail without bringing the file further.
        backoff_s, backoff_max_s: wait before the second attempt, doubled each time up to the
            maximum; a random part of up to a half is taken off, so that clients spread out.
        retry_after_max_s: a server that asks for a longer wait is not retried.
        total_s: for one file in all, waiting for another process included.
        plan_s: how long a server may be silent that is asked for a size beforehand.
        redirects: how many are followed.
        mark_bytes: how often the sidecar of a partial file notes the hash of what is there; at
            most this much is lost to a kill.
        stale_days: partial and quarantined files older than this are swept.
        quarantined: how many quarantined files are kept.
        grace_s: how long an interrupt waits for the workers to note where they were.
    """

    connect_s: float = 5.0
    stall_s: float = 30.0
    low_rate: int = 1024
    attempts: int = 5
    backoff_s: float = 0.5
    backoff_max_s: float = 20.0
    retry_after_max_s: float = 120.0
    total_s: float = 4 * 3600.0
    plan_s: float = 3.0
    redirects: int = 5
    mark_bytes: int = 4 << 20
    stale_days: float = 14.0
    quarantined: int = 4
    grace_s: float = 2.0


class DownloadProgress(Protocol):
    """Who watches a run. The methods are called from worker threads, several at a time."""

    def start(self, url: str, total: int | None) -> None:
        """A download begins, or begins anew from zero; ``total`` bytes where known."""

    def advance(self, url: str, count: int) -> None:
        """``count`` more bytes are there; the kept head of an earlier run counts too."""

    def done(self, url: str, outcome: Outcome) -> None:
        """The last word on this URL."""


class NoProgress:
    """Watches nothing."""

    def start(self, url: str, total: int | None) -> None:
        """Do nothing."""

    def advance(self, url: str, count: int) -> None:
        """Do nothing."""

    def done(self, url: str, outcome: Outcome) -> None:
        """Do nothing."""
