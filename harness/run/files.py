"""The weights files of a run: list, size and download them.

What steers a fetch is the URL, the server and the request's bounds. What the index says of a
file's size or hash is never seen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from harness.check.weights import hub_part
from harness.config import RunConfig
from harness.types import Fact, Measurement, Recipe, Unmeasured
from zoo._util.text import human_bytes, plural
from zoo.weights.fetch import Fetcher, Located
from zoo.weights.headers import first_bytes, has_header
from zoo.weights.hub import of_repository
from zoo.weights.sources import file_name, locate, name_hash, shown_url
from zoo.weights.types import (
    DEFAULT_MAX_BYTES,
    DownloadProgress,
    Fetched,
    NotFetched,
    Outcome,
    ServerFile,
)

if TYPE_CHECKING:
    from harness.run.facts import VariantFacts
    from zoo.index.types import Claim, Variant

FETCH = "fetch"  # the run of `zoo fetch`
FILES = (Fetched, ServerFile)
# Downloads share the line; a header is a few kilobytes, and what takes time is the answer.
FILES_AT_A_TIME, HEADERS_AT_A_TIME = 4, 8

_METHOD = {
    "fetched": "fetched, hashed while it was written",
    "cache": "in the checkpoint cache, hashed when it was fetched",
    "found": "found in the checkpoint cache, hashed there",
    "local": "a file of this machine, hashed there",
}


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What a fetch would do, for the sentence that is said before it.

    Attributes:
        files: to be fetched, each URL once.
        bytes: of those whose size a server says.
        unknown: those whose size none says.
        present: on this machine already.
        refused: that are not available, as far as is known before the download.
        headers: only the heads of the files are read, and ``bytes`` are theirs.
    """

    files: int
    bytes: int
    unknown: int
    present: int
    refused: int
    headers: bool = False

    def __str__(self) -> str:
        beside = [f"{self.present} here"] if self.present else []
        beside += [f"{self.refused} not allowed or out of reach"] if self.refused else []
        rest = f" ({', '.join(beside)})" if beside else ""
        if not self.files:
            return f"no files to fetch{rest}"
        if self.headers:
            what = f"{plural(self.files, 'file')} to ask about, {human_bytes(self.bytes)} to read"
            return f"{what}{rest}"
        size = human_bytes(self.bytes) if self.bytes or not self.unknown else "of unknown size"
        more = f" and {self.unknown} of unknown size" if self.unknown and self.bytes else ""
        return f"{self.files} file{'s' * (self.files != 1)} to fetch, {size}{more}{rest}"


class Files:
    """The files that variants name, located once.

    Args:
        request: how to fetch.
        variants: whose files; one without a Weights claim has none, and one may have several.
            Mirrors of a file are fetched as well, and compared with it, but for `zoo fetch`, which
            takes the first of them that can be had.

    Attributes:
        planned: what `plan` has found, if it was asked.
    """

    def __init__(self, request: RunConfig, variants: Sequence[Variant]) -> None:
        self._request = request
        self._fetcher: Fetcher | None = None
        self.planned: FilePlan | None = None
        # Of a variant with several files, or mirrors, each is known by its place as the index
        # writes it; its file is the first of these that can be had, where they are the same.
        self._located: dict[int, dict[str, Located]] = {}
        self._several: set[int] = set()
        # What a library has on the Hub beside a URL.
        self._hubs: dict[int, tuple[str, Located]] = {}

        def locate_it(place: str, claim: Claim) -> Located:
            return locate(
                place,
                index_dir=Path(claim.location.file).parent,
                allow_http=request.allow_http,
                allow_local=request.allow_local,
            )

        for variant in variants:
            claims = [c for c in variant.claims_of("Weights") if isinstance(c.value, str)]
            if len(list(variant.claims_of("Weights"))) > 1:
                self._several.add(id(variant))
            mirrors = variant.claims_of("Mirrors") if claims else ()
            for claim in (*claims, *(c for c in mirrors if isinstance(c.value, str))):
                located = locate_it(str(claim.value), claim)
                self._located.setdefault(id(variant), {})[str(claim.value)] = located
            hub, part = variant.claim("Hub"), hub_part(variant)
            if hub is None or not isinstance(hub.value, str):
                continue
            if part is not None and request.headers:
                self._hubs[id(variant)] = part, locate_it(part, hub)
            elif part is None and (request.headers or request.run_by == FETCH):
                place = of_repository(hub.value)
                self._located[id(variant)] = {place: locate_it(place, hub)}

    def plan(self) -> FilePlan:
        """How many files are to be fetched; servers are asked for their sizes unless offline."""
        if not self._located or self._request.offline:
            return FilePlan(0, 0, 0, 0, 0)
        plan = self._open().plan(self._all)
        size = plan.bytes
        if self._request.headers:
            heads = {source.key: (source, size) for source, size in plan.sizes.items()}
            size = sum(first_bytes(size) for source, size in heads.values() if has_header(source))
        self.planned = FilePlan(
            plan.files,
            size,
            plan.unknown,
            plan.present,
            len(plan.refused),
            headers=self._request.headers,
        )
        return self.planned

    def fetch(
        self, recipes: Iterable[tuple[Variant, Recipe]], progress: DownloadProgress | None
    ) -> dict[int, list[Fact]]:
        """Fetch all; return the facts of kind ``file`` by the variant's identity."""
        if not self._located:
            return {}
        fetcher = self._open()
        fetcher.progress = progress or DownloadProgress()
        outcomes: dict[Located, Outcome] = {}
        wanted = self._all
        while wanted:
            outcomes |= fetcher.fetch(wanted)
            wanted = list(filter(None, (self._next(each, outcomes) for each in self._located)))
        facts: dict[int, list[Fact]] = {}
        for variant, recipe in recipes:
            found = self._located.get(id(variant), {})
            tried = {url: outcomes[each] for url, each in found.items() if each in outcomes}
            made = [_fact(recipe, found[url], tried[url], url) for url in tried]
            if found and id(variant) not in self._several:
                fits = [self._fits(id(variant), outcomes, url) for url in tried]
                if self._request.run_by == FETCH:
                    made = [_of_this_file(*each) for each in zip(made, fits, strict=True)]
                made.insert(0, _effective(made, fits.index(True) if True in fits else 0))
                made = made if len(found) > 1 else made[:1]
            if beside := self._hubs.get(id(variant)):
                part, located = beside
                made.append(_fact(recipe, located, outcomes[located], part))
            if made:
                facts[id(variant)] = made
        return facts

    @property
    def _all(self) -> list[Located]:
        """What is fetched in any case."""
        every = self._request.run_by != FETCH
        beside = [located for _, located in self._hubs.values()]
        return beside + [
            located
            for each, files in self._located.items()
            for located in list(files.values())[: None if every or each in self._several else 1]
        ]

    def _next(self, variant: int, outcomes: Mapping[Located, Outcome]) -> Located | None:
        """The next mirror to try: none where one of those before it was had."""
        places = self._located[variant]
        if variant in self._several or any(self._fits(variant, outcomes, url) for url in places):
            return None
        return next((each for each in places.values() if each not in outcomes), None)

    def _fits(self, variant: int, outcomes: Mapping[Located, Outcome], url: str) -> bool:
        """Whether a place has the file, as far as the name in Weights says which that is."""
        places = self._located[variant]
        outcome, first = outcomes.get(places[url]), next(iter(places))
        if not isinstance(outcome, FILES):
            return False
        digits = None if url == first else name_hash(file_name(first))
        return digits is None or outcome.sha256 is None or outcome.sha256.startswith(digits)

    def close(self) -> None:
        if self._fetcher is not None:
            self._fetcher.__exit__(None, None, None)

    def _open(self) -> Fetcher:
        # One fetcher for plan and fetch: it asks a host that can't be reached only once.
        if self._fetcher is None:
            self._fetcher = Fetcher(
                offline=self._request.offline,
                no_download=self._request.no_download,
                headers=self._request.headers,
                workers=HEADERS_AT_A_TIME if self._request.headers else FILES_AT_A_TIME,
                public_hosts_only=self._request.public_hosts_only,
                max_bytes=self._request.max_bytes or DEFAULT_MAX_BYTES,
            )
        return self._fetcher


def learn_at_hand(
    request: RunConfig, runs: Sequence[VariantFacts], *, asks: bool = False
) -> Sequence[VariantFacts]:
    """Tell runs of the weights that are on this machine already, without the network.

    With ``asks`` servers are asked as the request says.
    """
    request = replace(request, offline=not asks)
    files = Files(request, [run.variant for run in runs])
    try:
        facts = files.fetch([(run.variant, run.recipe) for run in runs], None)
    finally:
        files.close()
    for run in runs:
        run.learn(facts.get(id(run.variant), ()))
    return runs


def _effective(tried: Sequence[Fact], had: int) -> Fact:
    """The file of a variant, of its places that were tried: the first that could be had."""
    fact = tried[had]
    if not had or not isinstance(fact, Measurement):
        return replace(fact, part=None)
    value, method = {**fact.value, "mirror": fact.part}, f"{fact.method}, from a mirror"
    return replace(fact, value=value, method=method, part=None)


def _of_this_file(fact: Fact, fits: bool) -> Fact:
    """The fact of a place; that of another file is none."""
    if fits or not isinstance(fact, Measurement):
        return fact
    why = f"{shown_url(fact.part or '')} is another file: it has the SHA-256 "
    why += f"{fact.value['sha256']}, and the name of Weights says another one"
    return Unmeasured(
        "file", fact.name, fact.builder, "weights.mirror-differs", why, part=fact.part
    )


def _described(outcome: Outcome) -> str:
    """How a file that was not downloaded is known."""
    hashed = isinstance(outcome, ServerFile) and outcome.sha256 is not None
    opened = isinstance(outcome, ServerFile) and outcome.header is not None
    said = f"the server's word for its size{' and SHA-256' if hashed else ''}"
    return f"{said}, and the file's own header" if opened else said


def _fact(recipe: Recipe, located: Located, outcome: Outcome, which: str) -> Fact:
    if isinstance(outcome, NotFetched):
        cause, why = outcome.cause, outcome.why
        return Unmeasured("file", recipe.name, recipe.builder, cause, why, part=which)
    fetched = outcome if isinstance(outcome, Fetched) else None
    described = outcome if isinstance(outcome, ServerFile) else None
    name = "" if isinstance(located, NotFetched) else located.name
    return Measurement(
        kind="file",
        name=recipe.name,
        builder=recipe.builder,
        value={
            "size": outcome.size,
            "sha256": outcome.sha256,
            "name_hash": name_hash(name),
            "path": str(fetched.path) if fetched else None,
            "stat": list(fetched.stat) if fetched else None,
            "final_url": fetched.final_url if fetched else None,
            "commit": described.commit if described else None,
            "header": str(described.header) if described and described.header else None,
        },
        image_size=None,
        method=_METHOD[fetched.origin] if fetched else _described(outcome),
        versions={},
        device="disk" if fetched else "network",
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        part=which,
    )
