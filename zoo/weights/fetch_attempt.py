"""The attempts to bring one partial file to its end: requests, resuming, pace and patience."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.weights.cache import Cache
from zoo.weights.disk import Interrupted
from zoo.weights.http import HttpClient, PermanentError, TransientError
from zoo.weights.http_headers import content_length, content_range, validator
from zoo.weights.parts import PartialFile, ServedVersion
from zoo.weights.sources import HttpSource
from zoo.weights.types import UNREACHABLE, UNREADABLE, DownloadProgress, RetryPolicy

if TYPE_CHECKING:
    import httpx

_PAGE_STARTS = (b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<!--")
_BINARY_STARTS = (b"PK", b"\x80")


@dataclass(frozen=True, slots=True)
class FetchContext:
    """What all fetches of a run share."""

    cache: Cache
    client: HttpClient
    policy: RetryPolicy
    progress: DownloadProgress
    stop: threading.Event
    max_bytes: int
    offline: bool
    no_download: bool
    rehash: bool


@dataclass(frozen=True, slots=True)
class DownloadedFile:
    """A complete partial file, before it is judged."""

    sha256: str
    final_url: str
    is_page: bool
    ends: bool  # the server said where the file ends


class Retries:
    """Counts failed attempts in a row, and waits between them."""

    def __init__(self, policy: RetryPolicy, stop: threading.Event) -> None:
        self._policy = policy
        self._stop = stop
        self._failed = 0
        self._deadline = time.monotonic() + policy.total_s

    def left(self) -> float:
        """Seconds that this file may still take."""
        return self._deadline - time.monotonic()

    def progressed(self) -> None:
        """The last attempt brought the file further."""
        self._failed = 0

    def after(self, trouble: TransientError) -> None:
        """Wait before the next attempt.

        Raises:
            PermanentError: there have been enough attempts, or they took too long.
            Interrupted: the run is being stopped.
        """
        self._failed += 1
        policy = self._policy
        backoff = min(policy.backoff_max_s, policy.backoff_s * 2.0 ** min(self._failed - 1, 30))
        # Up to half is taken off by chance: many clients that failed together don't return so.
        wait = backoff * random.uniform(0.5, 1.0)
        if trouble.wait is not None:
            wait = trouble.wait
        tries = f"{self._failed} attempts" if self._failed > 1 else "1 attempt"
        if self._failed >= policy.attempts:
            raise PermanentError(trouble.cause, f"{trouble.why} ({tries})", permanent=False)
        if wait > policy.retry_after_max_s:
            why = f"{trouble.why}, and asks to come back in {wait:.0f} s"
            raise PermanentError(trouble.cause, why, permanent=False)
        if wait > self.left():
            why = f"{trouble.why}; not whole within {policy.total_s:g} s"
            raise PermanentError(trouble.cause, why, permanent=False)
        if self._stop.wait(wait):
            raise Interrupted

    def retry(self, client: HttpClient, source: HttpSource, trouble: TransientError) -> None:
        """As `after`; a host that broke away for good is noted, for the other URLs on it."""
        try:
            self.after(trouble)
        except PermanentError:
            if trouble.host:
                client.lost(source.key, trouble.why)
            raise


class Download:
    """Brings the partial file of one URL to its end."""

    def __init__(self, source: HttpSource, context: FetchContext, part: PartialFile) -> None:
        self._source = source
        self._context = context
        self._client = context.client
        self._progress = context.progress
        self._policy = context.policy
        self._stop = context.stop
        self._part = part
        self._patience = Retries(context.policy, context.stop)

    def run(self, *, again: bool = False) -> DownloadedFile:
        """Attempts until one ends with a complete file.

        Args:
            again: what came before was not what it should be; caches on the way are bypassed.

        Raises:
            PermanentError: the last word of the server, or of our patience.
            Interrupted: the run is being stopped.
        """
        most = 0
        while True:
            try:
                return self._attempt(again)
            except TransientError as trouble:
                if self._part.size > most:
                    most = self._part.size
                    self._patience.progressed()
                self._patience.retry(self._client, self._source, trouble)

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
        with self._client.ask("GET", self._source, headers) as (response, url):
            if response.status_code != 200 and not (
                kept and _goes_on(response, part.version, kept)
            ):
                part.reset()
                raise TransientError(
                    f"the answer {response.status_code} doesn't go on at {kept}", wait=0
                )
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.strip().lower() not in {"", "identity"}:
                raise PermanentError(
                    UNREADABLE, f"{url} is sent as {encoding!r}, which was not asked for"
                )
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
            return DownloadedFile(sha256, url, is_page, ends)

    def _receive(self, response: httpx.Response, length: int | None) -> None:
        """Take the body until its end, watching its pace."""
        import httpx

        part, policy = self._part, self._policy
        since, count = time.monotonic(), 0
        try:
            for data in response.iter_raw():
                part.write(data)
                self._progress.advance(self._source.url, len(data))
                self._check_limit(part.size)
                if self._stop.is_set():
                    raise Interrupted
                count += len(data)
                elapsed = time.monotonic() - since
                if elapsed >= policy.stall_s:
                    if count < policy.low_rate * elapsed:
                        raise TransientError(
                            f"the server sends next to nothing: {count} B in {elapsed:.0f} s"
                        )
                    since, count = time.monotonic(), 0
                if self._patience.left() <= 0:
                    why = f"not whole within {policy.total_s:g} s"
                    raise PermanentError(UNREACHABLE, why, permanent=False)
        except httpx.RemoteProtocolError as error:
            raise _cut_off(part.size, length) from error
        except httpx.TimeoutException as error:
            why = f"the server stalled for {policy.stall_s:g} s after {part.size} bytes"
            raise TransientError(why) from error
        except httpx.TransportError as error:
            why = f"the connection broke after {part.size} bytes: {error or type(error).__name__}"
            raise TransientError(why) from error
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
    called = content_type.partition(";")[0].strip().lower() in {
        "text/html",
        "application/xhtml+xml",
    }
    return called and b"\0" not in head and not head.startswith(_BINARY_STARTS)
