"""What a run is asked for, and the one way to say that the asking was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.check.parts import PART

if TYPE_CHECKING:
    from zoo.weights.types import DownloadProgress as Downloads

# The groups of checks that `--checks` names. Speed is measured only when it is asked for: it
# takes minutes, and a busy machine would make it a lottery.
GROUPS = (
    "metadata",
    "parameters",
    "layers",
    "flops",
    "preprocess",
    "weights",
    "accuracy",
    "speed",
)
DEFAULT_GROUPS = GROUPS[:-1]

# Speeds that are measured so can be shown beside one another.
USUAL_BATCHES = (1, 8, 32)
USUAL_SECONDS = 5.0

# Seconds that one variant may take: a hang costs no more, and no model is slower to build.
USUAL_TIMEOUT = 300.0


class UsageError(Exception):
    """The command line is wrong, or an index yields no variant: exit status 2.

    Attributes:
        lines: one line per mistake, each saying what is wrong and what would be right.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Request:
    """A run as the command line, or a program, asks for it.

    Attributes:
        index: index files or folders; empty for the default index.
        select: variant names, globs or collection names; empty means every variant.
        builder: who builds the variants.
        checks: groups of checks to apply, a subset of `GROUPS`.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, for what needs arithmetic.
        use_store: keep and reuse measurements between runs.
        refresh: measure anew, whatever the store holds.
        workers: processes that measure; None chooses by the machine.
        offline: fetch nothing and ask nobody; weights are looked for in the cache alone.
        no_download: ask servers for sizes only.
        allow_http: weights from any host over plain http, not only from this machine.
        allow_local: weights from files outside the index's own folder.
        max_bytes: a download is cut off there; None for the fetcher's own bound.
        data: pictures for accuracies: a path, or ``sample``; None for none.
        dataset: the set that they are stated to be of, see `harness.datasets.identity`; None where
            the images themselves have to tell.
        samples: how many of them to look at, at most.
        part: how many are counted, and kept in the store, at a time.
        budget: seconds after which no further pictures are looked at.
        amp: ``bf16``, ``fp16`` or ``off``.
        compile: run the models through torch.compile.
        decode: ``pillow``, or ``fast`` for a decoder whose pixels differ a little.
        decode_workers: processes that decode; None chooses by the machine.
        engine: ``local``, or ``ray`` for the tasks of a Ray cluster.
        timeout: seconds that one variant's build and measurements may take, see `LocalEngine`.
        max_memory: bytes that a process which builds may hold; None chooses by the machine.
        address: of that cluster; None starts one on this machine.
        cross_check: ``fvcore``: run the counter itself beside our own; None for no such run.
    """

    index: tuple[Path, ...] = ()
    select: tuple[str, ...] = ()
    builder: str = "zoo"
    checks: tuple[str, ...] = DEFAULT_GROUPS
    device: str = "auto"
    use_store: bool = True
    refresh: bool = False
    workers: int | None = None
    offline: bool = False
    no_download: bool = False
    allow_http: bool = False
    allow_local: bool = False
    max_bytes: int | None = None
    data: str | None = None
    dataset: str | None = None
    samples: int | None = None
    part: int = PART
    budget: float | None = None
    amp: str = "off"
    compile: bool = False
    decode: str = "pillow"
    decode_workers: int | None = None
    engine: str = "local"
    address: str | None = None
    timeout: float = USUAL_TIMEOUT
    max_memory: int | None = None
    cross_check: str | None = None


class Progress:
    """What a run tells while it goes on; this one says nothing."""

    def plan(self, sentence: str) -> None:
        """What the run will do, in one line, before it does it."""

    def warn(self, sentence: str) -> None:
        """What the run has to do without, in one line."""

    def tell(self, sentence: str) -> None:
        """What the run has seen, in one line."""

    def downloads(self) -> Downloads | None:
        """Who is told how each file's download goes on; None for nobody."""
        return None

    def start(self, total: int) -> None:
        """So many measurements have to be made."""

    def advance(self, name: str) -> None:
        """One of them, of that variant, is done."""

    def close(self) -> None:
        """No more will be told."""
