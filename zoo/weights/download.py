"""Download one checkpoint: requests, retries, resuming, and what holds before it gets its name.

What steers a download is the URL, the hash in the file's name, the server's own headers and the
byte limit. What an index claims about the file is not known here.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo._util.files import hash_file
from zoo._util.text import FOREIGN, truncate
from zoo.weights import hub
from zoo.weights.answers import content_length, content_range, says_page, validator
from zoo.weights.cache import Cache, CorruptFile, UnusableFile, raise_if, url_digest
from zoo.weights.headers import fetch_header
from zoo.weights.http import HttpClient
from zoo.weights.network import RequestClock
from zoo.weights.partial import PartialFile, ServedVersion, wait_for
from zoo.weights.retry import PermanentError, Retries, RetryPolicy, TransientError
from zoo.weights.sources import HttpSource, name_hash, shown_url
from zoo.weights.types import (
    DEFAULT_MAX_BYTES,
    HASH_MISMATCH,
    MISSING,
    UNREACHABLE,
    UNREADABLE,
    DownloadProgress,
    Fetched,
    Interrupted,
    NotFetched,
    Outcome,
    ServerFile,
)

if TYPE_CHECKING:
    import httpx

_PAGE_STARTS = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<!--")
_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BINARY_STARTS = (b"PK", b"\x80")


@dataclass
class FetchContext:
    """What all downloads of a run share.

    Attributes:
        cache: where checkpoints are kept; torch.hub's cache by default.
        offline: make no request; use the cache alone.
        no_download: ask servers for sizes only.
        headers: ask servers for sizes, hashes and the headers of safetensors files only.
        public_hosts_only: reach no host of this machine, or of a private network.
        rehash: read cached files again even where a record vouches for them.
        max_bytes: a download is cut off there.
        workers: how many files at a time.
        policy: timeouts and retries.
        progress: reports every step.
    """

    cache: Cache = field(default_factory=Cache)
    offline: bool = False
    no_download: bool = False
    headers: bool = False
    public_hosts_only: bool = False
    rehash: bool = False
    max_bytes: int = DEFAULT_MAX_BYTES
    workers: int = 4
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    progress: DownloadProgress = field(default_factory=DownloadProgress)

    def __post_init__(self) -> None:
        # What a plan has been told need not be asked for again.
        self.described: dict[str, ServerFile] = {}
        self.stop = threading.Event()
        self.client = HttpClient(self.policy, self.stop, public_only=self.public_hosts_only)


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """A complete partial file, before it is judged."""

    sha256: str
    final_url: str  # as it may be shown
    is_page: bool
    ends: bool  # the server said where the file ends


class Download:
    """Brings the partial file of one URL to its end."""

    def __init__(self, source: HttpSource, context: FetchContext, part: PartialFile) -> None:
        self._source = source
        self._context = context
        self._progress = context.progress
        self._part = part
        self._retries = Retries(context.policy, context.stop)

    def run(self, *, again: bool = False) -> DownloadedFile:
        """Attempts until one ends with a complete file.

        Args:
            again: what came before was not what it should be; caches on the way are bypassed.

        Raises:
            PermanentError: the last word of the server, or the retries are used up.
            Interrupted: the run is being stopped.
        """
        most = 0
        while True:
            try:
                return self._attempt(again)
            except TransientError as failure:
                if self._part.size > most:
                    self._retries.progressed(self._part.size - most)
                    most = self._part.size
                self._retries.retry(self._context.client, self._source, failure)

    def _attempt(self, again: bool) -> DownloadedFile:
        """One request, from where the partial file ends."""
        part = self._part
        kept = part.resume()
        # Compressed on the way, neither length nor range would be the file's.
        headers = {"Accept-Encoding": "identity"}
        if kept and part.version is not None and part.version.validator is not None:
            headers |= {"Range": f"bytes={kept}-", "If-Range": part.version.validator}
        if again:
            headers["Cache-Control"] = "no-cache"
        clock = RequestClock(self._context.policy.stall_s, self._retries.left())
        with self._context.client.ask("GET", self._source, headers, clock) as (response, url):
            if response.status_code != 200 and not (
                kept and _goes_on(response, part.version, kept)
            ):
                part.reset()
                raise TransientError(
                    f"the answer {response.status_code} doesn't go on at {kept}", wait=0
                )
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.strip().lower() not in {"", "identity"}:
                what = f"{shown_url(url)} is sent as {truncate(encoding, FOREIGN)!r}"
                raise PermanentError(UNREADABLE, f"{what}, which was not asked for")
            length, ends = _length(response, part.version)
            if response.status_code == 200:
                kept = 0
                part.begin(ServedVersion(validator(response), response.headers.get("ETag"), length))
            self._progress.start(self._source.url, length)
            if kept:
                self._progress.advance(self._source.url, kept)
            try:
                self._check_limit(length)
                self._receive(response, length)
            except (TransientError, PermanentError, Interrupted):
                part.save()
                raise
            sha256 = part.finish()
            is_page = _is_page(part.head(), response.headers.get("Content-Type", ""))
            return DownloadedFile(sha256, shown_url(url), is_page, ends)

    def _receive(self, response: httpx.Response, length: int | None) -> None:
        """Take the body until its end."""
        import httpx

        part = self._part
        try:
            for data in self._context.client.body(response):
                part.write(data)
                self._progress.advance(self._source.url, len(data))
                self._check_limit(part.size)
                if self._context.stop.is_set():
                    raise Interrupted
                if self._retries.left() <= 0:
                    why = f"not whole within {self._context.policy.total_s:g} s"
                    raise PermanentError(UNREACHABLE, why, permanent=False)
        except httpx.RemoteProtocolError as error:
            raise _cut_off(part.size, length) from error
        if length is not None and part.size != length:
            if part.size > length:
                part.reset()
            raise _cut_off(part.size, length)

    def _check_limit(self, size: int | None) -> None:
        limit = self._context.max_bytes
        if size is not None and size > limit:
            self._part.remove()
            # The limit is the user's own: it says nothing against the file.
            raise PermanentError(UNREACHABLE, f"it has {size} bytes or more, the limit is {limit}")


def _cut_off(size: int, length: int | None) -> TransientError:
    of = "" if length is None else f" of {length}"
    return TransientError(f"the server ended the file after {size}{of} bytes", cause=UNREADABLE)


def _goes_on(response: httpx.Response, version: ServedVersion | None, kept: int) -> bool:
    """The answer is the rest of the same version, from the byte that was asked for."""
    span = content_range(response)
    if response.status_code != 206 or span is None or version is None or span[0] != kept:
        return False
    same_length = version.length is None or span[1] in {None, version.length}
    return same_length and response.headers.get("ETag", version.etag) == version.etag


def _length(response: httpx.Response, version: ServedVersion | None) -> tuple[int | None, bool]:
    """Length of the whole file, and whether a body cut short would be noticed."""
    if response.status_code == 200:
        length = content_length(response)
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        return length, length is not None or chunked
    span = content_range(response)
    total = version.length if version is not None else None
    if total is None and span is not None:
        total = span[1]
    return total, total is not None


def _is_page(head: bytes, content_type: str) -> bool:
    """The file begins as a web page, or is called one and has nothing of a checkpoint."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGE_STARTS):
        return True
    return says_page(content_type) and b"\0" not in head and not head.startswith(_BINARY_STARTS)


def fetch_http(source: HttpSource, context: FetchContext) -> Outcome:
    """The file of one URL, from the cache or from its server; never raises for either's faults.

    Raises:
        Interrupted: the run is being stopped; what has come is kept for the next one.
    """
    outcome = _fetch_one(source, context)
    other = source.fallback
    if other is None or not isinstance(outcome, NotFetched):
        return outcome
    # Offline, nobody says which of the two the repository has: the one that is here.
    absent = outcome.cause == MISSING or (_is_offline(source, context) and _is_here(other, context))
    return fetch_http(other, context) if absent else outcome


def _fetch_one(source: HttpSource, context: FetchContext) -> Outcome:
    old: CorruptFile | None = None
    try:
        shared = source.hub.cached() if source.hub is not None else None
        if shared is not None:
            sha256, status = hash_file(shared, lambda: raise_if(context.stop))
            return Fetched(shared, status[0], sha256, "found", source.url, None, None, status)
        held = context.cache.look_up(source, rehash=context.rehash, stop=context.stop)
        if isinstance(held, UnusableFile):
            raise PermanentError(held.cause, f"{held.path} is not used: {held.why}")
        if isinstance(held, CorruptFile):
            old = held
        elif held is not None:
            return held
        if _is_offline(source, context):
            raise _absent(source, context)
        if context.no_download or context.headers:
            described = _describe(source, context)
            return fetch_header(source, context, described) if context.headers else described
        return _fetch_locked(source, context, old)
    except PermanentError as refusal:
        outcome = NotFetched(refusal.cause, refusal.why, source.url, refusal.permanent)
    except OSError as error:
        why = f"the cache {context.cache.hub} can't be used: {_reason(error)}"
        outcome = NotFetched(UNREACHABLE, why, source.url, permanent=False)
    if old is None or outcome.cause == HASH_MISMATCH:
        return outcome
    why = (
        f"{old.path} has SHA-256 {old.sha256[:16]}... where {old.expected[:16]}... was expected; "
        f"it was left as it is, since a good one could not be fetched: {outcome.why}"
    )
    return NotFetched(HASH_MISMATCH, why, source.url, outcome.permanent)


def planned(source: HttpSource, context: FetchContext) -> ServerFile | NotFetched | None:
    """What the server says of the file; None where the cache seems to hold it.

    It is asked once, and for a short time: a plan that waits is worse than one with a gap, and
    the download itself retries.
    """
    if _is_here(source, context):
        return None
    try:
        if _is_offline(source, context):
            if source.fallback is not None and _is_here(source.fallback, context):
                return None
            raise _absent(source, context)
        clock = RequestClock(context.policy.plan_s, brief=True)
        described = context.client.describe(source, clock)
        context.described[source.key] = described
        return described
    except PermanentError as refusal:
        if source.fallback is not None and refusal.cause == MISSING:
            return planned(source.fallback, context)
        return NotFetched(refusal.cause, refusal.why, source.url, refusal.permanent)
    except TransientError as failure:
        if failure.silent is not None:
            context.client.slow(failure.silent)
        return ServerFile(source.url, None)


def _is_here(source: HttpSource, context: FetchContext) -> bool:
    in_hub = source.hub is not None and source.hub.cached() is not None
    return in_hub or context.cache.holds(source)


def _is_offline(source: HttpSource, context: FetchContext) -> bool:
    return context.offline or (source.hub is not None and hub.offline())


def _absent(source: HttpSource, context: FetchContext) -> PermanentError:
    said = "--offline" if context.offline else "HF_HUB_OFFLINE"
    why = f"it is not in the cache, and {said} allows no request"
    return PermanentError(UNREACHABLE, why, permanent=False)


def _describe(source: HttpSource, context: FetchContext) -> ServerFile:
    if source.key in context.described:
        return context.described[source.key]
    retries = Retries(context.policy, context.stop)
    while True:
        try:
            return context.client.describe(source)
        except TransientError as failure:
            retries.retry(context.client, source, failure)


def _fetch_locked(source: HttpSource, context: FetchContext, old: CorruptFile | None) -> Outcome:
    """Fetch under the URL's lock: one process and thread at a time, the others find its file."""
    cache, policy = context.cache, context.policy
    cache.prepare()
    lock = cache.lock(url_digest(source.key))
    if not wait_for(lock, policy.total_s, source.name, context.stop):
        why = f"another process has been fetching it for {policy.total_s:g} s"
        raise PermanentError(UNREACHABLE, why, permanent=False)
    with contextlib.ExitStack() as held:
        held.callback(lock.release)
        now = cache.look_up(source, stop=context.stop)
        # A record still vouches for a file that has just been found changed on the disk.
        if isinstance(now, Fetched) and (old is None or now.stat != old.stat):
            return now
        part = held.enter_context(PartialFile(cache, source, policy))
        try:
            return _fetch_part(source, context, part, old)
        except OSError as error:
            if error.errno in _FULL_DISK:
                part.remove()  # a full disk is left no fuller than it was
            raise


def _fetch_part(
    source: HttpSource, context: FetchContext, part: PartialFile, old: CorruptFile | None
) -> Outcome:
    expected, refetched = name_hash(source.name), False
    download = Download(source, context, part)
    while True:
        whole = download.run(again=refetched)
        if whole.is_page:
            part.remove()
            raise PermanentError(
                UNREADABLE, f"{shown_url(whole.final_url)} answers with an HTML page, not a file"
            )
        if part.size == 0:
            raise PermanentError(
                UNREADABLE, f"{shown_url(whole.final_url)} answers with an empty file"
            )
        if expected is None and not whole.ends:
            part.remove()
            why = "the server doesn't say how long the file is, and its name holds no hash"
            raise PermanentError(UNREADABLE, f"{why}: a truncated file would look complete")
        if expected is None or whole.sha256.startswith(expected):
            break
        if refetched:
            aside = context.cache.set_aside(part.path, source, context.policy.quarantined)
            part.moved()
            why = f"its name says SHA-256 {expected}..., the server sends {whole.sha256[:16]}..."
            raise PermanentError(HASH_MISMATCH, f"{why}, twice; kept aside as {aside}")
        part.reset()
        refetched = True
    etag = part.version.etag if part.version else None
    fetched = context.cache.publish(
        part.path, source, whole.sha256, replaces=old, final_url=whole.final_url, etag=etag
    )
    part.moved()
    return fetched


def _reason(error: OSError) -> str:
    """What the system says, and which file it says it of."""
    if error.strerror is None:
        return str(error)
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
