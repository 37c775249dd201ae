"""Where links lead: pages that servers are asked for, and files of commits that are at hand here.

A link is asked for with HEAD, and with GET where that is refused; a host is asked one thing at a
time. Nothing of a page is read. A line of a file at a commit is looked up in the repository that
the index is in, where that has the commit.
"""

from __future__ import annotations

import ast
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from harness.check.links import AT_COMMIT, gone, is_web, links_of, page_of
from harness.config import RunConfig
from harness.types import Fact, Measurement, Slot, Unmeasured
from zoo._util.git import ask_git
from zoo.index.types import Claim, Variant

MISSING, UNREACHABLE = "links.missing", "links.unreachable"
_HOSTS_AT_A_TIME = 8
_REDIRECTS = 5
# A page answers soon or not at all, and a server that asks for more patience gets none.
_STALL_S, _ATTEMPTS, _WAIT_S, _TOTAL_S = 10.0, 2, 15.0, 45.0
_MOST_BYTES = 4 << 20  # of a source file or a page that is read here

Facts = dict[int, dict[Slot, Fact]]


def link_facts(request: RunConfig, variants: Sequence[Variant], *, ask: bool = True) -> Facts:
    """What is known of each variant's links: of kind ``link`` by their text, ``page`` of a README.

    Servers are asked with ``--links`` alone, and none where not to ``ask``, as after an interrupt.
    """
    if "metadata" not in request.checks:
        return {}
    for known in (_has_commit, _at_commit, _folders):
        known.cache_clear()
    facts: Facts = {}
    asked: dict[str, list[tuple[Variant, Claim]]] = {}
    for variant in variants:
        for claim in links_of(variant):
            text = str(claim.value)
            local = _local(text, claim)
            if local is not None:
                facts.setdefault(id(variant), {})[local.slot] = local
            if local is None and request.links and ask and is_web(text) and not gone(text):
                asked.setdefault(text, []).append((variant, claim))
        page = page_of(variant)
        license = None if page is None else _license_of(str(page.value), page)
        if page is not None and license is not None:
            read = _fact("page", str(page.value), {"license": license}, "read here")
            facts.setdefault(id(variant), {})[read.slot] = read
    for text, fact in _asked(request, asked):
        for variant, _ in asked[text]:
            facts.setdefault(id(variant), {})[fact.slot] = fact
    return facts


def to_ask(request: RunConfig, variants: Sequence[Variant]) -> int:
    """How many pages servers are going to be asked for, where nothing is at hand."""
    texts = (str(claim.value) for variant in variants for claim in links_of(variant))
    pages = {text.partition("#")[0] for text in texts if is_web(text) and not gone(text)}
    return len(pages) if request.links and not request.offline else 0


def _fact(kind: str, text: str, value: Mapping[str, Any], method: str) -> Measurement:
    made = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Measurement(kind, "", "", value, None, method, {}, "network", made, text)


def _missing(text: str, cause: str, why: str) -> Unmeasured:
    return Unmeasured("link", "", "", cause, why, part=text)


# Servers.


def _asked(request: RunConfig, links: Iterable[str]) -> Iterator[tuple[str, Fact]]:
    """Each link with what its server answers; offline, that none was asked."""
    links = list(links)
    if request.offline:
        why = "not asked: --offline allows no request"
        yield from ((text, _missing(text, UNREACHABLE, why)) for text in links)
        return
    if not links:
        return
    asker = _Asker(request)
    by_host: dict[str, list[str]] = {}
    for text in links:
        by_host.setdefault(_host(text), []).append(text)

    def ask_all(texts: list[str]) -> list[tuple[str, Fact]]:
        return [(text, asker.ask(text)) for text in texts]

    pool = ThreadPoolExecutor(min(_HOSTS_AT_A_TIME, len(by_host)))
    try:
        for found in pool.map(ask_all, by_host.values()):
            yield from found
    except BaseException:
        asker.stop()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        asker.client.close()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2].lower()


class _Asker:
    """Asks for pages; of two links to one page, one request serves both."""

    def __init__(self, request: RunConfig) -> None:
        from zoo.weights.http import HttpClient
        from zoo.weights.retry import RetryPolicy

        self._policy = RetryPolicy(
            stall_s=_STALL_S,
            attempts=_ATTEMPTS,
            retry_after_max_s=_WAIT_S,
            total_s=_TOTAL_S,
            redirects=_REDIRECTS,
        )
        self._stop = threading.Event()
        self.client = HttpClient(self._policy, self._stop, public_only=request.public_hosts_only)
        self._guard = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._silent: dict[str, int] = {}
        self._answers: dict[str, tuple[str, str]] = {}

    def stop(self) -> None:
        self._stop.set()
        self.client.stop()

    def ask(self, text: str) -> Fact:
        """What came of a link: ``answered``, the URL that did so in the end, or why none did."""
        from zoo.weights.types import Interrupted

        url = text.partition("#")[0]
        try:
            if url not in self._answers:
                self._answers[url] = self._answer(url)
        except Interrupted:
            return _missing(text, UNREACHABLE, "not asked: the run was stopped")
        cause, said = self._answers[url]
        if cause:
            return _missing(text, cause, said)
        return _fact("link", text, {"answered": said}, "asked of its server")

    def _answer(self, url: str) -> tuple[str, str]:
        """Why there is no page, as cause and words; no cause and the last URL where there is."""
        from zoo.weights import types
        from zoo.weights.retry import PermanentError, Retries, TransientError

        retries, client = Retries(self._policy, self._stop), self.client
        method, source = "HEAD", _source(url)
        while True:
            try:
                return "", self._follow(method, url)
            except PermanentError as refusal:
                # Many servers answer HEAD otherwise than GET, or not at all.
                refused = refusal.cause in (types.MISSING, types.UNREACHABLE)
                if method == "HEAD" and refused and refusal.permanent:
                    method = "GET"
                    continue
                if refusal.cause == types.MISSING:
                    return MISSING, refusal.why
                return UNREACHABLE, f"not verified: {refusal.why}"
            except TransientError as failure:
                if method == "HEAD" and failure.wait is None:
                    method = "GET"
                    continue
                if failure.silent is not None:
                    self._was_silent(failure.silent, failure.why)
                    return UNREACHABLE, f"not verified: {failure.why}"
                try:
                    retries.retry(client, source, failure)
                except PermanentError as refusal:
                    return UNREACHABLE, f"not verified: {refusal.why}"

    def _was_silent(self, url: str, why: str) -> None:
        """A host that let two pages wait until their time was up is asked for no further one."""
        with self._guard:
            self._silent[_host(url)] = self._silent.get(_host(url), 0) + 1
            if self._silent[_host(url)] > 1:
                self.client.lost(url, why)

    def _follow(self, method: str, url: str) -> str:
        """Ask, and follow redirects, each host at its turn; the URL that answers in the end."""
        from zoo.weights import types
        from zoo.weights.http import redirected
        from zoo.weights.retry import PermanentError

        for _ in range(self._policy.redirects + 1):
            with self._turn(url):
                source = _source(url)
                with self.client.ask(method, source, follow=lambda _: False) as (response, _at):
                    target = response.headers.get("Location")
                    moved = response.status_code // 100 == 3 and target
            if not moved:
                return url
            url = redirected(url, urljoin(url, str(target)), allow_http=True).partition("#")[0]
        why = f"more than {self._policy.redirects} redirects"
        raise PermanentError(types.UNREACHABLE, why, permanent=False)

    def _turn(self, url: str) -> threading.Lock:
        with self._guard:
            return self._turns.setdefault(_host(url), threading.Lock())


def _source(url: str) -> Any:
    from zoo.weights.sources import HttpSource

    return HttpSource(url, url, "", allow_http=True)


# What is at hand.


def _local(text: str, claim: Claim) -> Fact | None:
    """The file of a commit, where a repository here has that; None where nothing is known."""
    named = AT_COMMIT.fullmatch(text)
    if named is None:
        return None
    folder = str(Path(claim.location.file).parent)
    commit, path = named["commit"], unquote(named["path"])
    if not _has_commit(folder, commit):
        return None
    value = _at_commit(folder, commit, path)
    if value is None:
        return _missing(text, MISSING, f"commit {commit[:12]} has no file {path}")
    return _fact("link", text, value, "read from the repository here")


@cache
def _has_commit(folder: str, commit: str) -> bool:
    return ask_git("cat-file", "-e", f"{commit}^{{commit}}", folder=folder) is not None


@cache
def _at_commit(folder: str, commit: str, path: str) -> dict[str, Any] | None:
    """``lines`` of the file, and ``functions`` in it: name, first and last line."""
    data = ask_git("cat-file", "blob", f"{commit}:{path}", folder=folder)
    if data is None:
        # A folder is no file; that it is there is enough.
        tree = ask_git("cat-file", "-e", f"{commit}:{path}", folder=folder)
        return None if tree is None else {"lines": None, "functions": []}
    functions: list[list[Any]] = []
    if path.endswith(".py") and len(data) < _MOST_BYTES:
        try:
            body = ast.parse(data).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            body = []
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                functions.append([node.name, first, node.end_lineno])
    lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    return {"lines": lines, "functions": functions}


def _license_of(text: str, claim: Claim) -> str | None:
    """The license in the front matter of a README here; None where there is no such page."""
    path = _at_hand(text, Path(claim.location.file).parent)
    if path is None:
        return None
    from zoo.index.readers import card_license

    try:
        with path.open("rb") as file:
            return card_license(file.read(_MOST_BYTES).decode("utf-8", "replace"))
    except OSError:
        return None


def _at_hand(text: str, folder: Path) -> Path | None:
    """A page by its path from the index's folder, or from one above it in the same repository."""
    if is_web(text) or not re.search(r"\.mdx?$", text, re.I) or "\0" in text:
        return None
    for top in _folders(str(folder)):
        path = Path(os.path.realpath(os.path.join(top, text)))
        if path.is_file() and path.is_relative_to(os.path.realpath(_folders(str(folder))[-1])):
            return path
    return None


@cache
def _folders(folder: str) -> tuple[str, ...]:
    """The folder and those above it, up to the top of its repository; alone where it has none."""
    here = Path(os.path.realpath(folder or "."))
    found: list[str] = []
    for each in (here, *here.parents):
        found.append(str(each))
        if (each / ".git").exists():
            return tuple(found)
    return (str(here),)
