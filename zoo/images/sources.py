"""Where images come from: files, folders, standard input, and servers.

Servers are asked by the rules that weights are fetched by: https, bounds, retries. Such an image is
held in memory and kept nowhere. httpx is imported with the first request.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from zoo.images.io import MAX_IMAGE, UnreadableImage, is_image, read_regular, reason
from zoo.weights.answers import content_length
from zoo.weights.http import HttpClient
from zoo.weights.network import RequestClock
from zoo.weights.retry import PermanentError, Retries, RetryPolicy, TransientError
from zoo.weights.sources import HttpSource, locate, shown_url
from zoo.weights.types import Interrupted, NotFetched

# Somebody waits for the answer: an image is no gigabyte that one leaves to itself.
PATIENCE = RetryPolicy(
    stall_s=15.0, attempts=3, backoff_max_s=5.0, retry_after_max_s=10.0, total_s=60.0
)
_URL = re.compile(r"https?://", re.IGNORECASE)


def is_url(place: str) -> bool:
    """Whether a place is on a server."""
    return _URL.match(place) is not None


class Web:
    """The servers, for one run; thread-safe. Close it, or use it as a context manager.

    Args:
        allow_http: plain http from any host, not only from this machine.
        offline: make no requests.
        public_hosts_only: reach no host of this machine, or of a private network.
        max_bytes: an image is cut off there.
        policy: how patient to be.
    """

    def __init__(
        self,
        *,
        allow_http: bool = False,
        offline: bool = False,
        public_hosts_only: bool = False,
        max_bytes: int = MAX_IMAGE,
        policy: RetryPolicy = PATIENCE,
    ) -> None:
        self._allow_http = allow_http
        self._offline = offline
        self._max_bytes = max_bytes
        self._policy = policy
        self._stop = threading.Event()
        self._client = HttpClient(policy, self._stop, public_only=public_hosts_only)

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what threads still wait for, and close connections."""
        self._stop.set()
        self._client.stop()
        self._client.close()

    def read(self, url: str) -> bytes:
        """The whole answer of a URL. A server that was silent each time is not asked again.

        Raises:
            OSError: it can't be had; the text says why.
        """
        source = locate(url, index_dir=None, allow_http=self._allow_http)
        if isinstance(source, NotFetched):
            raise OSError(source.why)
        assert isinstance(source, HttpSource)
        if self._offline:
            raise OSError("it is on a server, and --offline makes no requests")
        patience = Retries(self._policy, self._stop)
        silent: set[str | None] = set()  # of each attempt, the URL that was waited for in vain
        try:
            while True:
                try:
                    return self._attempt(source, patience)
                except TransientError as trouble:
                    silent.add(trouble.silent)
                    patience.retry(self._client, source, trouble)
        except PermanentError as refusal:
            if None not in silent:
                for asked in filter(None, silent):
                    self._client.lost(asked, f"{urlsplit(asked).netloc} did not answer before")
            raise OSError(refusal.why) from refusal
        except Interrupted:
            raise OSError("the run was ended") from None

    def _attempt(self, source: HttpSource, patience: Retries) -> bytes:
        # Compressed on the way, neither the limit nor the length would be the image's.
        plain = {"Accept-Encoding": "identity"}
        clock = RequestClock(self._policy.stall_s, patience.left())
        with self._client.ask("GET", source, plain, clock) as (response, url):
            encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
            if response.status_code != 200 or encoding not in {"", "identity"}:
                raise OSError(f"{shown_url(url)} gives an answer that was not asked for")
            length = content_length(response)
            self._check(length or 0)
            data = bytearray()
            for part in self._client.body(response):
                data += part
                self._check(len(data))
                if self._stop.is_set():
                    raise Interrupted
                if patience.left() <= 0:
                    raise OSError(f"it was not whole within {self._policy.total_s:g} s")
            return bytes(data)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise OSError(f"it has {size} bytes or more, the limit is {self._max_bytes}")


STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class InputImage:
    """One image that is still to be read.

    Attributes:
        name: the path or URL, as it was written or found.
        read: gives all bytes of its file; raises OSError, whose text leaves out the name.
    """

    name: str
    read: Callable[[], bytes]


def find(places: Iterable[str], web: Web) -> Iterator[InputImage | UnreadableImage]:
    """The images at these places, in their order; none is read before it is asked for.

    Args:
        places: each a file; a folder, which is searched through its subfolders, names sorted,
            hidden ones and links to folders left out, for files with an image's name; an http or
            https URL; or ``-`` for the bytes of one image on standard input.
        web: what URLs are asked with.

    Yields:
        An image, or why there is none at a place.
    """
    for place in places:
        if place == STANDARD_INPUT:
            yield _standard_input()
        elif is_url(place):
            yield InputImage(place, partial(web.read, place))
        elif os.path.isdir(place):
            yield from _inside(place)
        else:
            yield _file(place)


def _file(path: str) -> InputImage:
    return InputImage(path, lambda: read_regular(path)[0])


def _inside(folder: str) -> Iterator[InputImage | UnreadableImage]:
    """The images of a folder, and the folders in it that can't be listed."""
    problems: list[OSError] = []
    found = False
    for path, folders, files in os.walk(folder, onerror=problems.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(filter(is_image, files)):
            found = True
            yield _file(os.path.join(path, name))
        while problems:
            found = True
            yield _unlisted(problems.pop(0))
    # A folder that can't be entered is told of before the next one is, so the last is still here.
    for problem in problems:
        found = True
        yield _unlisted(problem)
    if not found:
        yield UnreadableImage(folder, "there is no image in it (a name ending in .jpg, .png, ...)")


def _unlisted(error: OSError) -> UnreadableImage:
    return UnreadableImage(str(error.filename), f"it can't be listed: {reason(error)}")


def _standard_input() -> InputImage | UnreadableImage:
    """What comes on standard input, read at once: no thread that waits for it could be ended."""
    name = "standard input"
    if sys.stdin is None:
        return UnreadableImage(name, "it is closed")
    try:
        data = sys.stdin.buffer.read(MAX_IMAGE + 1)
    except OSError as error:
        return UnreadableImage(name, reason(error))
    if len(data) > MAX_IMAGE:
        return UnreadableImage(name, f"it has more bytes than the limit of {MAX_IMAGE}")
    if not data:
        return UnreadableImage(name, "nothing came")
    return InputImage(name, lambda: data)
