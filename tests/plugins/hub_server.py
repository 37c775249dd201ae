"""A local server that answers as Hugging Face's Hub does, and a second one that keeps files."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from fault_server import FaultServer, Handler, running

COMMIT = "c0ffee" + "0" * 34
_PATH = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Hub:
    """Repositories by name: files by path, the token that a gated one asks for.

    Attributes:
        hits: per request: method, host (``hub`` or ``store``), path, range, authorization.
        most: requests that were in flight at one time, at most.
    """

    hub: FaultServer
    store: FaultServer
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    gated: dict[str, str] = field(default_factory=dict)
    odd: dict[str, Callable[[Handler, int], None]] = field(default_factory=dict)
    hits: list[tuple[str, str, str, str | None, str | None]] = field(default_factory=list)
    sent: int = 0
    most: int = 0
    slow: float = 0.0
    _now: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.hub.server_address[1]}"

    def add(self, repo: str, path: str, data: bytes) -> None:
        """Keep a file; it is hashed here, since a request has a deadline."""
        self.files[repo, path] = data
        self.digests[repo, path] = hashlib.sha256(data).hexdigest()

    def answer(self, handler: Handler, host: str) -> None:
        path = handler.path.partition("?")[0]
        with self.hub.guard:
            self._now += 1
            self.most = max(self.most, self._now)
            token = handler.headers.get("Authorization")
            self.hits.append((handler.command, host, path, handler.headers.get("Range"), token))
            count = sum(each[1:3] == (host, path) for each in self.hits)
        time.sleep(self.slow)
        with self.hub.guard:
            self._now -= 1  # before the answer, after which the client may send its next request
        if host == "store":
            data = self.files[tuple(path[1:].split("//", 1))]  # type: ignore[index]
            with _counted(self, handler):
                handler.good(data, etag='"of-the-store"')
        else:
            self._answer(handler, path, token, count)

    def _answer(self, handler: Handler, path: str, token: str | None, count: int) -> None:
        match = _PATH.fullmatch(path)
        repo, revision, name = match.groups() if match else ("", "", "")
        if repo in self.odd:
            self.odd[repo](handler, count)
            return
        data = self.files.get((repo, name))
        commit = self.revisions.get(revision, revision if revision == COMMIT else "")
        there = repo in {each for each, _ in self.files}
        refusal = (
            (401 if token is None else 404, "RepoNotFound")
            if not there
            else (401, "GatedRepo")
            if repo in self.gated and token is None
            else (403, "GatedRepo")
            if token not in (None, f"Bearer {self.gated.get(repo)}")
            else (404, "RevisionNotFound")
            if not commit
            else (404, "EntryNotFound")
            if data is None
            else None
        )
        if refusal is not None or data is None:
            status, code = refusal or (404, "")
            handler.head(status, 0, X_Error_Code=code)
        elif len(data) < 1000:  # kept in git itself
            handler.good(data, etag='"' + "a" * 40 + '"', X_Repo_Commit=commit)
        else:
            handler.head(
                302,
                0,
                Location=f"http://127.0.0.1:{self.store.server_address[1]}/{repo}//{name}",
                X_Repo_Commit=commit,
                X_Linked_Size=str(len(data)),
                X_Linked_Etag=f'"{self.digests[repo, name]}"',
            )


@contextlib.contextmanager
def _counted(hub: Hub, handler: Handler) -> Iterator[None]:
    """Add what goes out as a body."""
    write = handler.send

    def send(data: bytes) -> None:
        with hub.hub.guard:
            hub.sent += len(data) * (handler.command != "HEAD")
        write(data)

    handler.send = send  # type: ignore[method-assign]
    yield


class _Any(dict):  # type: ignore[type-arg]
    """One behaviour for every path."""

    def __init__(self, behaviour: Callable[[Handler, int], None]) -> None:
        super().__init__()
        self.behaviour = behaviour

    def __missing__(self, path: str) -> Callable[[Handler, int], None]:
        return self.behaviour


@contextlib.contextmanager
def hub_running() -> Iterator[Hub]:
    with running() as front, running() as store:
        hub = Hub(front, store)
        front.routes = _Any(lambda handler, _: hub.answer(handler, "hub"))
        store.routes = _Any(lambda handler, _: hub.answer(handler, "store"))
        yield hub


@pytest.fixture
def hub_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    """A Hub of its own, which huggingface_hub and zoo take for the real one."""
    with hub_running() as hub:
        home = tmp_path_factory.mktemp("hf")
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_HOME", str(home))
        monkeypatch.setenv("HF_HUB_CACHE", str(home / "hub"))
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield hub
