"""What the headers of a server's answer say: lengths, ranges, versions, waits."""

from __future__ import annotations

import email.utils
import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

_NUMBER = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")


def says_page(content_type: str) -> bool:
    """The answer is called a web page."""
    return content_type.partition(";")[0].strip().lower() in {"text/html", "application/xhtml+xml"}


def content_length(response: httpx.Response) -> int | None:
    """The length that an answer declares for its body, in bytes."""
    return number(response.headers.get("Content-Length", ""))


def content_range(response: httpx.Response) -> tuple[int, int | None] | None:
    """First byte and whole length of a ``Content-Range: bytes 5-9/10``, None if there is none."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (int(match[1]), number(match[2])) if match else None


def validator(response: httpx.Response) -> str | None:
    """What ``If-Range`` may hold for this answer: RFC 9110, 8.8.2.2 and 13.1.5.

    A strong ETag; else a Last-Modified at least a minute older than the answer, since a younger
    one may stand for two versions.
    """
    etag: str | None = response.headers.get("ETag")
    if etag is not None:
        return etag if etag.startswith('"') else None
    modified: str | None = response.headers.get("Last-Modified")
    try:
        then = email.utils.parsedate_to_datetime(modified or "")
        now = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        return modified if (now - then).total_seconds() >= 60 else None
    except (TypeError, ValueError):
        return None


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that ``Retry-After`` asks for, from a number or a date; None where it is absent."""
    text = response.headers.get("Retry-After", "").strip()
    seconds = number(text)
    if seconds is not None:
        return float(seconds)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def number(text: str) -> int | None:
    """The whole number that a header's value is, None for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else None
