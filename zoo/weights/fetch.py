"""Fetching many checkpoints: several at a time, each URL once, each outcome as it comes.

    with Fetcher(offline=False) as fetcher:
        print(fetcher.plan(sources))
        for source, outcome in fetcher.fetch(sources):
            ...

A `Fetcher` is one run: it sends no further request to a host that it could not reach.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from zoo._util.files import hash_file
from zoo.weights.cache import raise_if
from zoo.weights.download import FetchContext, fetch_http, planned
from zoo.weights.partial import sweep
from zoo.weights.sources import AnySource, HttpSource
from zoo.weights.types import (
    UNREACHABLE,
    Fetched,
    Interrupted,
    NotFetched,
    Outcome,
    ServerFile,
)

Located = AnySource | NotFetched
"""What `zoo.weights.sources.locate` returns; a refusal is passed on as the outcome."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What a fetch would do.

    Attributes:
        files: downloads, each URL counted once.
        bytes: of those whose size the servers say.
        unknown: downloads of a size that no server says.
        present: files that are there already.
        sizes: per source to download, its size (None where it is unknown).
        refused: per source that can't be had, why.
    """

    files: int = 0
    bytes: int = 0
    unknown: int = 0
    present: int = 0
    sizes: dict[AnySource, int | None] = field(default_factory=dict)
    refused: dict[Located, NotFetched] = field(default_factory=dict)


class Fetcher(FetchContext):
    """One run of fetches; no request is made and nothing written before `plan` or `fetch`."""

    _swept = False

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def plan(self, sources: Iterable[Located]) -> FetchPlan:
        """What `fetch` would do with these; servers are asked for sizes, cached files not read."""
        plan, present = FetchPlan(), 0
        for group, outcome in self._parallel(_groups(sources), self._look_ahead):
            if outcome is None:
                present += 1
            elif isinstance(outcome, NotFetched):
                plan.refused.update((source, replace(outcome, url=source.url)) for source in group)
            else:
                plan.sizes.update((s, outcome.size) for s in group if not isinstance(s, NotFetched))
        distinct = {source.key: size for source, size in plan.sizes.items()}
        known = [size for size in distinct.values() if size is not None]
        return replace(
            plan,
            files=len(distinct),
            bytes=sum(known),
            unknown=len(distinct) - len(known),
            present=present,
        )

    def fetch(self, sources: Iterable[Located]) -> Iterator[tuple[Located, Outcome]]:
        """Fetch, and yield every source with its outcome, as they come.

        Closing the iterator early, as an exception or an interrupt in its consumer does, stops
        the workers; what has come is kept and resumed by a later run.
        """
        if not self._swept and not self.offline:
            sweep(self.cache, self.policy)
            self._swept = True
        for group, outcome in self._parallel(_groups(sources), self._fetch_one):
            for source in group:
                own = replace(outcome, url=source.url)
                self.progress.done(source.url, own)
                yield source, own

    def _fetch_one(self, source: Located) -> Outcome:
        if isinstance(source, NotFetched):
            return source
        if isinstance(source, HttpSource):
            return fetch_http(source, self)
        path = source.find()
        if isinstance(path, NotFetched):
            return path
        try:
            sha256, status = hash_file(path, lambda: raise_if(self.stop))
        except OSError as error:
            return NotFetched(UNREACHABLE, f"{path} can't be read: {error}", source.url)
        return Fetched(path, status[0], sha256, "local", source.url, None, None, status)

    def _look_ahead(self, source: Located) -> ServerFile | NotFetched | None:
        """What is to be downloaded, why it can't be, or None for a file that is there."""
        if isinstance(source, NotFetched):
            return source
        if isinstance(source, HttpSource):
            return planned(source, self)
        path = source.find()
        return path if isinstance(path, NotFetched) else None

    def _parallel(
        self, groups: list[list[Located]], work: Callable[[Located], _Result]
    ) -> Iterator[tuple[list[Located], _Result]]:
        """Work on one source of each group, several at a time; results as they come."""
        jobs: queue.SimpleQueue[list[Located]] = queue.SimpleQueue()
        results: queue.SimpleQueue[tuple[list[Located], _Result | BaseException]]
        results = queue.SimpleQueue()
        for group in groups:
            jobs.put(group)

        def serve() -> None:
            while not self.stop.is_set():
                try:
                    group = jobs.get_nowait()
                except queue.Empty:
                    return
                try:
                    results.put((group, work(group[0])))
                except Interrupted:
                    return
                except BaseException as error:  # noqa: BLE001 - raised again by the consumer
                    results.put((group, error))

        # Daemons: an interrupt must not wait for a server that is being connected to.
        count = min(max(1, self.workers), len(groups))
        threads = [threading.Thread(target=serve, daemon=True) for _ in range(count)]
        done = False
        try:
            for thread in threads:
                thread.start()
            for _ in groups:
                group, result = results.get()
                if isinstance(result, BaseException):
                    raise result
                yield group, result
            done = True
        finally:
            if not done:
                self._halt(threads)

    def _halt(self, threads: list[threading.Thread]) -> None:
        """Stop the workers, and give them a moment to note how far they came."""
        self.stop.set()
        self.client.stop()
        deadline = time.monotonic() + self.policy.grace_s
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))


def fetch_all(sources: Iterable[Located], **options: Any) -> dict[Located, Outcome]:
    """Fetch them all; the options are those of `Fetcher`. The outcomes in the sources' order."""
    wanted = list(dict.fromkeys(sources))
    with Fetcher(**options) as fetcher:
        outcomes = dict(fetcher.fetch(wanted))
    return {source: outcomes[source] for source in wanted}


def _groups(sources: Iterable[Located]) -> list[list[Located]]:
    """Sources of the same place together, so that it is asked once; each source once."""
    groups: dict[object, list[Located]] = {}
    for source in dict.fromkeys(sources):
        key: object = source if isinstance(source, NotFetched) else source.key
        groups.setdefault(key, []).append(source)
    return list(groups.values())
