"""One checkpoint from one server: the cache first, and what must hold before a file gets its name.

What steers a download is the URL, the hash in the file's name, the server's own headers and the
byte limit. What an index claims about the file is not known here.
"""

from __future__ import annotations

import contextlib
import errno

from zoo.weights.cache import CorruptFile, UnusableFile
from zoo.weights.disk import url_digest
from zoo.weights.fetch_attempt import Download, FetchContext, Retries
from zoo.weights.http import PermanentError, TransientError
from zoo.weights.parts import PartialFile, wait_for
from zoo.weights.sources import HttpSource, name_hash
from zoo.weights.types import (
    HASH_MISMATCH,
    UNREACHABLE,
    UNREADABLE,
    Fetched,
    NotFetched,
    Outcome,
    SizeOnly,
)

_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def fetch_http(source: HttpSource, context: FetchContext) -> Outcome:
    """The file of one URL, from the cache or from its server; never raises for either's faults.

    Raises:
        Interrupted: the run is being stopped; what has come is kept for the next one.
    """
    old: CorruptFile | None = None
    try:
        held = context.cache.look_up(source, rehash=context.rehash, stop=context.stop)
        if isinstance(held, UnusableFile):
            raise PermanentError(held.cause, f"{held.path} is not used: {held.why}")
        if isinstance(held, CorruptFile):
            old = held
        elif held is not None:
            return held
        if context.offline:
            raise _absent()
        if context.no_download:
            return SizeOnly(source.url, _size(source, context))
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


def planned_size(source: HttpSource, context: FetchContext) -> SizeOnly | NotFetched | None:
    """What the server says the file's size is; None where the cache seems to hold the file.

    It is asked once, and for a short time: a plan that waits is worse than one with a gap, and
    the fetch itself will be patient.
    """
    if context.cache.holds(source):
        return None
    try:
        if context.offline:
            raise _absent()
        return SizeOnly(source.url, context.client.size(source, context.policy.plan_s))
    except PermanentError as refusal:
        return NotFetched(refusal.cause, refusal.why, source.url, refusal.permanent)
    except TransientError:
        return SizeOnly(source.url, None)


def _absent() -> PermanentError:
    why = "it is not in the cache, and --offline asks nobody"
    return PermanentError(UNREACHABLE, why, permanent=False)


def _size(source: HttpSource, context: FetchContext) -> int | None:
    patience = Retries(context.policy, context.stop)
    while True:
        try:
            return context.client.size(source)
        except TransientError as trouble:
            patience.retry(context.client, source, trouble)


def _fetch_locked(source: HttpSource, context: FetchContext, old: CorruptFile | None) -> Outcome:
    """Fetch under the URL's lock: one process and thread at a time, the others find its file."""
    cache, policy = context.cache, context.policy
    cache.prepare()
    lock = cache.lock(url_digest(source.key))
    if not wait_for(lock, policy.total_s, context.stop):
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
                UNREADABLE, f"{whole.final_url} answers with an HTML page, not a file"
            )
        if part.size == 0:
            raise PermanentError(UNREADABLE, f"{whole.final_url} answers with an empty file")
        if expected is None and not whole.ends:
            part.remove()
            why = "the server doesn't say how long the file is, and its name holds no hash"
            raise PermanentError(
                UNREADABLE, f"{why}: a cut-off file could not be told from a whole one"
            )
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
