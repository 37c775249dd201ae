"""The header of a safetensors file on a server, read by ranges and kept in the checkpoint cache.

The format puts the names, shapes and types of all tensors before their bytes: eight bytes of
length, then so many of JSON. That is all that has to be had to hold a file against a model's
tensors, some thousandth of the file.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from zoo.weights.answers import content_length, content_range
from zoo.weights.cache import url_digest
from zoo.weights.checkpoint.safetensors import KEPT, Header, read_header, write_header
from zoo.weights.checkpoint.types import ReadLimits
from zoo.weights.network import RequestClock
from zoo.weights.retry import PermanentError, Retries, TransientError
from zoo.weights.sources import HttpSource, WeightsSource, shown_url
from zoo.weights.types import UNREADABLE, Interrupted, ServerFile

if TYPE_CHECKING:
    import httpx

    from zoo.weights.download import FetchContext

SUFFIX = ".safetensors"
# The first request asks for a hundredth of the file, and no more than this: most headers of image
# models fit in it. No less than the second, by which a page or a pointer file is recognised.
_FIRST_MOST, _FIRST_LEAST = 48 << 10, 1 << 10


def has_header(source: WeightsSource) -> bool:
    """Whether the file is a safetensors file by its name."""
    return source.name.lower().endswith(SUFFIX)


def first_bytes(size: int | None) -> int:
    """How many bytes the first request asks for."""
    if size is None:
        return _FIRST_MOST
    return min(size, max(_FIRST_LEAST, min(_FIRST_MOST, size // 100)))


def fetch_header(source: HttpSource, context: FetchContext, file: ServerFile) -> ServerFile:
    """Add the header of a safetensors file to what its server says of it.

    Args:
        source: where the file is; one with another name than ``*.safetensors`` is left as it is.
        context: of the run.
        file: what `HttpClient.describe` says.

    Raises:
        PermanentError: the server has no such bytes, or the retries are used up.
        OSError: the cache can't be written.
        Interrupted: the run is being stopped.
    """
    if not has_header(source):
        return file
    version = file.sha256 or file.commit
    kept = (
        context.cache.own / "headers" / f"{url_digest(f'{source.key} {version} {file.size}')}{KEPT}"
    )
    if version is not None and read_header(kept) is not None:
        return replace(file, header=kept)
    retries = Retries(context.policy, context.stop)
    while True:
        try:
            header = _read(source, context, file.size)
            break
        except TransientError as failure:
            retries.retry(context.client, source, failure)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_header(kept, header)
    return replace(file, size=header.size, header=kept)


def _read(source: HttpSource, context: FetchContext, size: int | None) -> Header:
    data, total = _span(source, context, 0, first_bytes(size), size)
    if len(data) >= 9 and data[8:9] == b"{":
        (length,) = struct.unpack("<Q", data[:8])
        # What claims more is refused by the reader, which needs no more than the claim.
        end = min(8 + length, total)
        if length <= ReadLimits().header_bytes and end > len(data):
            rest, again = _span(source, context, len(data), end, total)
            if again != total:
                raise TransientError("the file changed between two requests")
            data += rest
    return Header(data, total)


def _span(
    source: HttpSource, context: FetchContext, begin: int, end: int, size: int | None
) -> tuple[bytes, int]:
    """The bytes from ``begin`` to before ``end``, and the size of the whole file."""
    headers = {"Accept-Encoding": "identity", "Range": f"bytes={begin}-{end - 1}"}
    clock = RequestClock(context.policy.stall_s)
    with context.client.ask("GET", source, headers, clock) as (response, url):
        status, skipped, total = response.status_code, 0, size
        if status == 416:
            has = f"has no {end} bytes" if end else "is an empty file"
            raise PermanentError(UNREADABLE, f"{shown_url(url)} {has}")
        if status == 206:
            span = content_range(response)
            if span is None or span[0] != begin:
                raise TransientError("the server sends another range than it was asked for")
            total = span[1] if span[1] is not None else size
        else:  # it knows no ranges: the file is read up to there, and no further
            length = content_length(response)
            skipped, total = begin, size if length is None else length
        if total is None:
            raise PermanentError(UNREADABLE, f"{shown_url(url)} doesn't say how long the file is")
        if size is not None and total != size:
            what = f"the server says {size} bytes first, and {total} with the file"
            raise TransientError(what, cause=UNREADABLE)
        data = _take(response, context, min(end, total) - begin + skipped)
    return data[skipped:], total


def _take(response: httpx.Response, context: FetchContext, count: int) -> bytes:
    """So many bytes of the body."""
    import httpx

    data = bytearray()
    try:
        for piece in context.client.body(response):
            data += piece
            if context.stop.is_set():
                raise Interrupted
            if len(data) >= count:
                break
    except httpx.RemoteProtocolError as error:
        raise TransientError(f"the connection broke after {len(data)} bytes") from error
    if len(data) < count:
        raise TransientError(f"the server ended after {len(data)} of {count} bytes")
    return bytes(data[:count])
