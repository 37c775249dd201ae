"""Asking servers: redirects that never leave https, hosts that are down asked once, and why not.

httpx is imported when the first server is asked.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
import socket
import threading
import time
import urllib.request
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from zoo._version import __version__
from zoo.weights.retry import PermanentError, RetryPolicy, TransientError
from zoo.weights.sources import HttpSource, is_loopback
from zoo.weights.types import MISSING, UNREACHABLE, UNSAFE, Interrupted

if TYPE_CHECKING:
    import httpx

_REDIRECTS = {301, 302, 303, 307, 308}
_PORTS = {"https": 443, "http": 80}
_NUMBER = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")


class _Host:
    """What a run knows of one host and port."""

    def __init__(self) -> None:
        self.first = threading.Lock()  # held by the thread that makes the first contact
        self.up = False
        self.down: str | None = None


class HttpClient:
    """The servers, for one run: connections, and which hosts can't be reached.

    Thread-safe. `stop` may be called from any thread, and ends what the others are waiting for.
    """

    def __init__(self, policy: RetryPolicy, stop: threading.Event) -> None:
        self._policy = policy
        self._stop = stop
        self._guard = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._client: httpx.Client | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    @contextlib.contextmanager
    def ask(
        self,
        method: str,
        source: HttpSource,
        headers: Mapping[str, str] | None = None,
        within: float | None = None,
    ) -> Iterator[tuple[httpx.Response, str]]:
        """The answer to one request, redirects followed, body unread, and the URL it came from.

        Only 200, 206 and 416 are handed over. ``within`` is how many seconds the server may be
        silent, if not as many as the policy says.

        Raises:
            PermanentError: 404, 410, an unsafe redirect, a host that is down, any other answer.
            TransientError: connection errors, stalls, 408, 429, 5xx.
        """
        url = source.key
        for _ in range(self._policy.redirects + 1):
            with (
                _translated(url),
                contextlib.closing(self._send(method, url, headers, within)) as response,
            ):
                target = response.headers.get("Location")
                if response.status_code in _REDIRECTS and target:
                    url = _redirected(url, target, source.allow_http)
                    continue
                _check_status(response, url)
                yield response, url
                return
        raise PermanentError(
            UNREACHABLE, f"more than {self._policy.redirects} redirects, the last to {url}"
        )

    def size(self, source: HttpSource, within: float | None = None) -> int | None:
        """The size of the file in bytes as the server says it, None where it doesn't.

        HEAD is asked first; servers that refuse it are asked for one byte. ``within`` as in `ask`.

        Raises:
            PermanentError, TransientError: as `ask`.
        """
        plain = {"Accept-Encoding": "identity"}
        try:
            with self.ask("HEAD", source, plain, within) as (response, _):
                length = content_length(response)
                if length is not None:
                    return length
        except PermanentError as refusal:
            # Signed links and some stores answer GET alone.
            if refusal.cause != UNREACHABLE or not refusal.permanent:
                raise
        first = {**plain, "Range": "bytes=0-0"}
        with self.ask("GET", source, first, within) as (response, _):
            if response.status_code == 206:
                span = content_range(response)
                return span[1] if span else None
            return content_length(response) if response.status_code == 200 else None

    def lost(self, url: str, why: str) -> None:
        """The host of a URL was up and is no more: the other URLs on it need not try."""
        host = self._host(url)
        host.down = host.down or why

    def stop(self) -> None:
        """Cut all connections, so that no thread waits for a server."""
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):  # closed by now
                # The base method: SSLSocket's own would pull the session from under its reader.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close idle connections."""
        with self._guard:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _host(self, url: str) -> _Host:
        parts = urlsplit(url)
        with self._guard:
            return self._hosts.setdefault(f"{parts.scheme}://{parts.netloc}", _Host())

    def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None, within: float | None
    ) -> httpx.Response:
        """Send a request; the first one to a host goes alone, the others wait how it fares."""
        host = self._host(url)
        with contextlib.ExitStack() as turn:
            if not host.up:
                turn.enter_context(host.first)
            if self._stop.is_set():
                raise Interrupted
            if host.down is not None:
                raise PermanentError(UNREACHABLE, host.down, permanent=False)
            if not host.up:
                # Before the client is imported: a run whose hosts have no address needs none.
                try:
                    _resolve(url, self._policy.connect_s)
                except OSError as error:
                    host.down = f"{urlsplit(url).netloc} can't be reached: {_line(error)}"
                    raise PermanentError(UNREACHABLE, host.down, permanent=False) from error
            import httpx

            try:
                connected = None if host.up else turn.close
                response = self._open(method, url, headers, host, connected, within)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, OSError) as error:
                why = f"{urlsplit(url).netloc} can't be reached: {_line(error)}"
                if host.up:
                    raise TransientError(why, host=True) from error
                host.down = why
                raise PermanentError(UNREACHABLE, why, permanent=False) from error
            host.up = True
            return response

    def _open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        host: _Host,
        connected: Callable[[], None] | None,
        within: float | None,
    ) -> httpx.Response:
        client = self._http()
        last_step = "start_tls" if url.startswith("https") else "connect_tcp"

        def trace(event: str, info: Mapping[str, Any]) -> None:
            stream = info.get("return_value")
            if not event.endswith((".connect_tcp.complete", ".start_tls.complete")):
                return
            if stream is not None:
                self._sockets.add(stream.get_extra_info("socket"))
            if event.endswith(f".{last_step}.complete"):
                host.up = True
                if connected is not None:
                    connected()

        request = client.build_request(method, url, headers=headers, extensions={"trace": trace})
        request.extensions["timeout"] = self._timeout(within).as_dict()
        response = client.send(request, stream=True, follow_redirects=False)
        if self._stop.is_set():
            response.close()
            raise Interrupted
        return response

    def _timeout(self, within: float | None = None) -> httpx.Timeout:
        import httpx

        silence = self._policy.stall_s if within is None else within
        return httpx.Timeout(silence, connect=self._policy.connect_s)

    def _http(self) -> httpx.Client:
        import httpx

        with self._guard:
            if self._client is None:
                agent = f"model-zoo-verify/{__version__}"
                # No limit of its own: a thread must never wait for another thread's connection.
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=8)
                self._client = httpx.Client(
                    headers={"User-Agent": agent}, limits=limits, timeout=self._timeout()
                )
            return self._client


def _redirected(url: str, target: str, allow_http: bool) -> str:
    """Where a redirect leads, if it may be followed."""
    try:
        new = urljoin(url, target)
        old_parts, parts = urlsplit(url), urlsplit(new)
        host = parts.hostname
    except ValueError as error:
        raise PermanentError(
            UNSAFE, f"redirected to {target!r}, which is not a URL: {error}"
        ) from error
    plain = parts.scheme == "http" and old_parts.scheme == "http"
    if host and (parts.scheme == "https" or (plain and (allow_http or is_loopback(host)))):
        return new
    raise PermanentError(
        UNSAFE, f"redirected from {old_parts.scheme} to {new[:200]}, which is not followed"
    )


def _check_status(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status in {200, 206, 416}:
        return
    said = f"{urlsplit(url).netloc} answers {status} {response.reason_phrase}".rstrip()
    if status in {404, 410}:
        raise PermanentError(MISSING, f"{said} for {url}")
    # 501 says that the server never answers such a request.
    if status in {408, 429} or (status >= 500 and status != 501):
        raise TransientError(said, wait=retry_after(response))
    raise PermanentError(UNREACHABLE, f"{said} for {url}")


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """What httpx raises of a URL, as `TransientError` or `PermanentError`."""
    try:
        yield
    except (PermanentError, TransientError, Interrupted):
        raise  # not httpx's: it need not be imported to see that
    except Exception as error:
        import httpx

        if isinstance(error, httpx.TimeoutException):
            why = f"no answer within the time allowed ({_line(error)})"
            raise TransientError(why, silent=url) from error
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
            raise PermanentError(
                UNSAFE, f"it is not a URL that can be asked: {_line(error)}"
            ) from error
        if isinstance(error, httpx.TransportError):
            raise TransientError(f"the connection broke: {_line(error)}") from error
        raise


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _resolve(url: str, seconds: float) -> None:
    """Look the host's name up within so many seconds; connecting has a time limit, this has none.

    Raises:
        OSError: the name can't be resolved, or not in time.
    """
    parts = urlsplit(url)
    if urllib.request.getproxies():
        return  # then the proxy looks it up
    answer: list[Exception | None] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(parts.hostname, parts.port or _PORTS[parts.scheme])
            answer.append(None)
        except (OSError, ValueError) as error:
            answer.append(error)

    # A daemon: a resolver without a route may keep it for a minute, without delaying the run.
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answer:
        raise TimeoutError(f"no answer from the name server in {seconds:g} s")
    if answer[0] is not None:
        raise OSError(_line(answer[0])) from answer[0]


def content_length(response: httpx.Response) -> int | None:
    """The length that an answer declares for its body, in bytes."""
    return _number(response.headers.get("Content-Length", ""))


def content_range(response: httpx.Response) -> tuple[int, int | None] | None:
    """First byte and whole length of a ``Content-Range: bytes 5-9/10``, None if there is none."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (int(match[1]), _number(match[2])) if match else None


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
    seconds = _number(text)
    if seconds is not None:
        return float(seconds)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None
