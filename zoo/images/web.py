"""Images from servers, by the rules that weights are fetched by: https, bounds, patience.

An image is held in memory and kept nowhere. httpx is imported when the first server is asked.
"""

from __future__ import annotations

import re
import threading
from urllib.parse import urlsplit

from zoo.images.io import MAX_IMAGE
from zoo.weights.http import HttpClient, content_length
from zoo.weights.retry import PermanentError, Retries, RetryPolicy, TransientError
from zoo.weights.sources import HttpSource, locate
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
        offline: ask nobody.
        max_bytes: an image is cut off there.
        policy: how patient to be.
    """

    def __init__(
        self,
        *,
        allow_http: bool = False,
        offline: bool = False,
        max_bytes: int = MAX_IMAGE,
        policy: RetryPolicy = PATIENCE,
    ) -> None:
        self._allow_http = allow_http
        self._offline = offline
        self._max_bytes = max_bytes
        self._policy = policy
        self._stop = threading.Event()
        self._client = HttpClient(policy, self._stop)

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
            raise OSError("it is on a server, and --offline asks nobody")
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
        with self._client.ask("GET", source, {"Accept-Encoding": "identity"}) as (response, url):
            encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
            if response.status_code != 200 or encoding not in {"", "identity"}:
                raise OSError(f"{url} gives an answer that was not asked for")
            length = content_length(response)
            self._check(length or 0)
            data = bytearray()
            for part in response.iter_raw():
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
