"""Asking servers: deadlines, redirects that never leave https, hosts that are down asked once.

httpx is imported when the first server is asked.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from zoo._util.text import FOREIGN, truncate
from zoo._version import __version__
from zoo.weights import hub
from zoo.weights.answers import content_length, content_range, number, retry_after, says_page
from zoo.weights.hub import HubFile
from zoo.weights.network import Network, PrivateAddressError, RequestClock, rule
from zoo.weights.retry import PermanentError, RetryPolicy, TransientError
from zoo.weights.sources import HttpSource, is_loopback, shown_url
from zoo.weights.types import MISSING, UNREACHABLE, UNREADABLE, UNSAFE, Interrupted, ServerFile

if TYPE_CHECKING:
    import ssl

    import httpx

_REDIRECTS = {301, 302, 303, 307, 308}
_PORTS = {"https": 443, "http": 80}


class _Host:
    """What a run knows of one host and port."""

    def __init__(self) -> None:
        self.first = threading.Lock()  # held by the thread that makes the first contact
        self.up = False
        self.slow = False  # it took longer to answer than a plan waits
        self.down: str | None = None


class HttpClient:
    """The servers, for one run: connections, and which hosts can't be reached.

    Thread-safe. `stop` may be called from any thread, and ends what the others are waiting for.

    Args:
        policy: time limits.
        stop: set when the run is being stopped.
        public_only: reach no host of this machine, or of a private network.
    """

    def __init__(
        self, policy: RetryPolicy, stop: threading.Event, *, public_only: bool = False
    ) -> None:
        self._policy = policy
        self._stop = stop
        self._network = Network(policy.connect_s, public_only=public_only)
        self._guard = threading.Lock()
        self._hosts: dict[str, _Host] = {}
        self._client: httpx.Client | None = None

    @contextlib.contextmanager
    def ask(
        self,
        method: str,
        source: HttpSource,
        headers: Mapping[str, str] | None = None,
        clock: RequestClock | None = None,
        *,
        follow: Callable[[httpx.Response], bool] = lambda response: True,
    ) -> Iterator[tuple[httpx.Response, str]]:
        """The answer to one request, redirects followed, body unread, and the URL it came from.

        Only 200, 206 and 416 are handed over. All redirects and the head of the answer together
        have the time of ``clock``, or ``stall_s`` of the policy. A redirect that ``follow``
        declines is handed over too. A token of the Hub is sent to the Hub's own host alone.

        Raises:
            PermanentError: 404, 410, an unsafe redirect, a host that is down, any other answer.
            TransientError: connection errors, stalls, 408, 429, 5xx.
        """
        url, on_hub = source.key, source.hub
        clock = clock or RequestClock(self._policy.stall_s)
        with self._network.timed(clock):
            for hop in range(self._policy.redirects + 1):
                own = {**(headers or {}), **(on_hub.authorization(url) if on_hub else {})}
                with (
                    _translated(url, redirected=hop > 0),
                    contextlib.closing(self._send(method, url, own, clock)) as response,
                ):
                    target = response.headers.get("Location")
                    redirects = response.status_code in _REDIRECTS and target
                    if redirects and follow(response):
                        url = redirected(url, target, source.allow_http)
                        continue
                    if not redirects:
                        _check_status(response, url, on_hub)
                    yield response, url
                    return
        most = self._policy.redirects
        raise PermanentError(
            UNREACHABLE, f"more than {most} redirects, the last to {shown_url(url)}"
        )

    def body(self, response: httpx.Response) -> Iterator[bytes]:
        """The body of an answer, as it comes; it has to come at the rate of the policy.

        Raises:
            TransientError: it stalled or came too slowly, or the connection broke.
            httpx.RemoteProtocolError: it was cut off.
        """
        import httpx

        clock, size = self._network.clock, 0
        clock.pace(self._policy.low_rate)
        try:
            for data in response.iter_raw():
                size += len(data)
                clock.took(len(data))
                with clock.halted():  # a slow disk is not the server's fault
                    yield data
                if clock.left() <= 0:
                    raise httpx.ReadTimeout("")
        except httpx.RemoteProtocolError:
            raise
        except httpx.TimeoutException as error:
            why = f"the server stalled for {clock.passed():.1f} s after {size} bytes"
            if clock.over:
                why = f"{size} bytes had come when its time was up"
            elif clock.count:
                what = f"{clock.count} B in {clock.passed():.0f} s"
                why = f"the server sends next to nothing: {what}"
            raise TransientError(why, silent=str(response.url)) from error
        except httpx.TransportError as error:
            why = f"the connection broke after {size} bytes: {_line(error)}"
            raise TransientError(why) from error

    def describe(self, source: HttpSource, clock: RequestClock | None = None) -> ServerFile:
        """What the server says of a file: its size and, on the Hub, its SHA-256 and commit.

        HEAD is asked first; servers that refuse it are asked for one byte. Both have the time of
        ``clock``, or each ``stall_s`` of the policy. The Hub answers of a large file before it
        redirects to the host that keeps it, which need not be asked then.

        Raises:
            PermanentError, TransientError: as `ask`.
        """
        plain, on_hub = {"Accept-Encoding": "identity"}, source.hub

        def linked(response: httpx.Response) -> bool:
            here = on_hub is not None and on_hub.is_at(str(response.url))
            return here and "X-Linked-Size" in response.headers

        commit = None
        try:
            with self.ask(
                "HEAD", source, plain, clock, follow=lambda answer: not linked(answer)
            ) as (response, url):
                head = response.headers
                length = content_length(response) if response.status_code == 200 else None
                if on_hub is not None and on_hub.is_at(url):
                    commit = hub.commit_of(head.get("X-Repo-Commit"))
                if linked(response):
                    length = number(head["X-Linked-Size"])
                    sha256 = hub.sha256_of(head.get("X-Linked-Etag"))
                    return ServerFile(source.url, length, sha256, commit)
                if on_hub is not None and says_page(head.get("Content-Type", "")):
                    where = shown_url(url)
                    raise PermanentError(
                        UNREADABLE, f"{where} answers with an HTML page, not a file"
                    )
                if length is not None:
                    return ServerFile(source.url, length, commit=commit)
        except PermanentError as refusal:
            # Signed links and some stores answer GET alone.
            if refusal.cause != UNREACHABLE or not refusal.permanent:
                raise
        first = {**plain, "Range": "bytes=0-0"}
        with self.ask("GET", source, first, clock) as (response, _):
            length = content_length(response) if response.status_code == 200 else None
            if response.status_code == 206:
                span = content_range(response)
                length = span[1] if span else None
            return ServerFile(source.url, length, commit=commit)

    def lost(self, url: str, why: str) -> None:
        """The host of a URL was up and is no more: the other URLs on it need not try."""
        host = self._host(url)
        host.down = host.down or why

    def slow(self, url: str) -> None:
        """The host of a URL let a plan wait: the plan asks it for nothing more."""
        self._host(url).slow = True

    def stop(self) -> None:
        """Cut all connections, so that no thread waits for a server."""
        self._network.stop()

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
        self, method: str, url: str, headers: Mapping[str, str] | None, clock: RequestClock
    ) -> httpx.Response:
        """Send a request; the first one to a host goes alone, the others wait how it fares."""
        host = self._host(url)
        with contextlib.ExitStack() as turn:
            if not host.up:
                # The clock of a plan runs on meanwhile; those of downloads begin after the wait.
                with nullcontext() if clock.brief else clock.halted():
                    free = host.first.acquire(timeout=max(0.0, clock.left()) if clock.brief else -1)
                if not free:
                    raise TransientError("another request still waits for this host", silent=url)
                turn.callback(host.first.release)
            if self._stop.is_set():
                raise Interrupted
            if host.down is not None:
                raise PermanentError(UNREACHABLE, host.down, permanent=False)
            if host.slow and clock.brief:
                raise TransientError("this host did not answer in time before")
            if not host.up:
                # Before the client is imported: a run whose hosts have no address needs none.
                try:
                    self._resolve(url)
                except OSError as error:
                    raise self._unreached(url, host, clock, error) from error
            with clock.halted():  # the first one imports it
                client = self._http()
            import httpx

            try:
                connected = None if host.up else turn.close
                response = self._open(client, method, url, headers, host, connected)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, OSError) as error:
                raise self._unreached(url, host, clock, error) from error
            host.up = True
            return response

    def _unreached(
        self, url: str, host: _Host, clock: RequestClock, error: Exception
    ) -> TransientError | PermanentError:
        """What it means that a host could not be connected to."""
        why = f"{_place(url)} can't be reached: {_line(error)}"
        if clock.brief and clock.left() <= 0:
            return TransientError(why, silent=url)
        if host.up:
            return TransientError(why, host=True)
        host.down = why
        return PermanentError(UNREACHABLE, why, permanent=False)

    def _resolve(self, url: str) -> None:
        """Look the host's name up.

        Raises:
            OSError: the name can't be resolved, or not in time.
            PrivateAddressError: it has no address that may be connected to.
        """
        from urllib.request import getproxies

        parts = urlsplit(url)
        proxied = bool(getproxies())
        if proxied and not self._network.public_only:
            return  # then the proxy looks it up
        with contextlib.suppress(*(OSError,) * proxied):
            self._network.addresses(parts.hostname or "", parts.port or _PORTS[parts.scheme])

    def _open(
        self,
        client: httpx.Client,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        host: _Host,
        connected: Callable[[], None] | None,
    ) -> httpx.Response:
        last_step = "start_tls" if url.startswith("https") else "connect_tcp"

        def trace(event: str, _: Mapping[str, Any]) -> None:
            if event.endswith(f".{last_step}.complete"):
                host.up = True
                if connected is not None:
                    connected()

        request = client.build_request(method, url, headers=headers, extensions={"trace": trace})
        response = client.send(request, stream=True, follow_redirects=False)
        if self._stop.is_set():
            response.close()
            raise Interrupted
        return response

    def _http(self) -> httpx.Client:
        import httpx

        with self._guard:
            if self._client is None:
                agent = f"model-zoo-verify/{__version__}"
                # No limit of its own: a thread must never wait for another thread's connection.
                limits = httpx.Limits(max_connections=None, max_keepalive_connections=8)
                # Nor a time limit: the clock of each request is kept by the network.
                trusted = _trusted(os.getenv("SSL_CERT_FILE"), os.getenv("SSL_CERT_DIR"))
                self._client = httpx.Client(
                    verify=trusted, headers={"User-Agent": agent}, limits=limits, timeout=None
                )
                rule(self._client, self._network)
            return self._client


@functools.cache
def _trusted(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """The certificates that httpx trusts in this environment; reading them takes a while."""
    import httpx

    return httpx.create_ssl_context()


def redirected(url: str, target: str, allow_http: bool) -> str:
    """Where a redirect leads, if it may be followed."""
    try:
        new = urljoin(url, target)
        old_parts, parts = urlsplit(url), urlsplit(new)
        host, named = parts.hostname, parts.username is not None or parts.password is not None
        _ = parts.port  # It is no number, or too large for one.
    except ValueError as error:
        raise PermanentError(
            UNSAFE, f"redirected to {shown_url(target)}, which is not a URL"
        ) from error
    if named:
        why = f"redirected to {shown_url(new)} with a user name or password, which is not followed"
        raise PermanentError(UNSAFE, why)
    plain = parts.scheme == "http" and old_parts.scheme == "http"
    if host and (parts.scheme == "https" or (plain and (allow_http or is_loopback(host)))):
        return new
    raise PermanentError(
        UNSAFE, f"redirected from {old_parts.scheme} to {shown_url(new)}, which is not followed"
    )


def _check_status(response: httpx.Response, url: str, on_hub: HubFile | None) -> None:
    status = response.status_code
    if status in {200, 206, 416}:
        return
    refusal = on_hub.refusal(status, response.headers) if on_hub and on_hub.is_at(url) else None
    if refusal is not None:
        raise PermanentError(*refusal)
    reason = truncate(response.reason_phrase, FOREIGN)
    said = f"{_place(url)} answers {status} {reason}".rstrip()
    if status in {404, 410}:
        raise PermanentError(MISSING, f"{said} for {shown_url(url)}")
    # 501 says that the server never answers such a request.
    if status in {408, 429} or (status >= 500 and status != 501):
        raise TransientError(said, wait=retry_after(response))
    raise PermanentError(UNREACHABLE, f"{said} for {shown_url(url)}")


@contextlib.contextmanager
def _translated(url: str, *, redirected: bool) -> Iterator[None]:
    """What httpx raises of a URL, as `TransientError` or `PermanentError`."""
    try:
        yield
    except (PermanentError, TransientError, Interrupted):
        raise  # not httpx's: it need not be imported to see that
    except PrivateAddressError as error:
        # An index may well name a server of its own network; one that sends others there may not.
        if redirected:
            raise PermanentError(
                UNSAFE, f"redirected to a place that is refused: {error}"
            ) from error
        raise PermanentError(UNREACHABLE, str(error), permanent=False) from error
    except Exception as error:
        import httpx

        if isinstance(error, httpx.TimeoutException):
            why = f"no answer within the time allowed ({_line(error)})"
            raise TransientError(why, silent=url) from error
        # The last of them is about a host's name, in the URL or in the place of a redirect.
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL | UnicodeError):
            raise PermanentError(UNSAFE, f"{shown_url(url)} can't be asked") from error
        if isinstance(error, httpx.TransportError):
            raise TransientError(f"the connection broke: {_line(error)}") from error
        raise


def _place(url: str) -> str:
    """The host and port of a URL."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _line(error: Exception) -> str:
    return truncate(" ".join(str(error).split()), FOREIGN) or type(error).__name__
