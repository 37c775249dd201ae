"""Jobs and facts as JSON lines, between the run and its workers; jobs that wait for one.

Workers run other people's model code, so nothing that comes from one is unpickled.
"""

from __future__ import annotations

import json
import queue
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harness.config.rules import OWN_BUILDER
from harness.measure.devices import default_threads
from harness.types import Fact, Measurement, Recipe, Size, Slot, Unmeasured, slots_of, unmeasured
from zoo._util.cores import usable_cores


@dataclass(frozen=True, slots=True)
class AccuracyJob:
    """Count right answers on a set of images.

    Attributes:
        images: the image set, as the user named it.
        classes: the variant's own classes, that its images are labelled by; None are ImageNet's.
        parts: the shards of its fixed order, by name.
        limit: how many images of that order may be asked for in all; 0 where that is not known.
        device, amp, compile, decode: how the model is run, as the command's options name it.
        workers: processes that decode; None chooses by the machine.
        threads: cores that counting may use; None takes those of the machine.
        subset: of the classes that count, see `zoo.known_datasets.class_subset`; empty for all.
        truth: a file of labels that replace the images' own, see `harness.datasets.members`.
        also: one of labels that what is kept may be scored by as well.
        overrides: of the recipe's fields, how a result was evaluated, where it says so itself.
        until: seconds since the epoch after which no shard but the first is started any more.
    """

    images: str
    parts: tuple[str, ...]
    classes: tuple[str, ...] | None = None
    device: str = "auto"
    amp: str = "off"
    compile: bool = False
    decode: str = "pillow"
    workers: int | None = None
    threads: int | None = None
    until: float | None = None
    subset: str = ""
    truth: str = ""
    also: str = ""
    overrides: tuple[tuple[str, Any], ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True)
class BenchmarkJob:
    """Time forward passes for so many seconds, as `harness.measure.speed.bench` does."""

    batch_sizes: tuple[int, ...]
    seconds: float
    device: str = "auto"
    amp: str = "off"
    precision: str = "float32"
    tf32: bool = False
    layout: str = "channels_last"
    compile: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """Measure facts of one variant: each kind, at each size where size matters.

    Attributes:
        checkpoint: the file for the kinds ``checkpoint``, ``accuracy`` and, where it is at hand,
            ``speed``; it is on this machine.
        siblings: other variants that the file may turn out to hold.
        counting: for the kind ``accuracy``: what to count, and how.
        timing: for the kind ``speed``: what to time, and how.
        offline: model code is kept from the network.
        public_hosts_only: model code is kept from private hosts.
        changed: set when it is done: what it changed of the process that did it, for whatever is
            built there next; empty if nothing.
        failed: how its device failed at the first try; empty if it didn't.
    """

    recipe: Recipe
    kinds: tuple[str, ...]
    sizes: tuple[Size, ...]
    checkpoint: str | None = None
    siblings: tuple[str, ...] = ()
    counting: AccuracyJob | None = None
    timing: BenchmarkJob | None = None
    offline: bool = False
    public_hosts_only: bool = False
    changed: str = ""
    failed: str = ""

    @property
    def guarded(self) -> bool:
        """Whether its process is compared with what it was, see `harness.run.process_state`."""
        return self.recipe.builder != OWN_BUILDER and not self.running

    @property
    def running(self) -> bool:
        """Whether it runs a model on data, which takes as long as the model takes."""
        return self.counting is not None or self.timing is not None

    @property
    def parts(self) -> tuple[str, ...]:
        """The shards of images that it counts."""
        return () if self.counting is None else self.counting.parts

    def of_parts(self, parts: Iterable[str]) -> Job:
        """The same of some of its shards."""
        assert self.counting is not None
        return replace(self, counting=replace(self.counting, parts=tuple(parts)))

    @property
    def slots(self) -> tuple[Slot, ...]:
        return tuple(
            (kind, which)
            for kind in self.kinds
            for which in (self.parts if kind == "accuracy" else slots_of(kind, self.sizes))
        )


def dump_job(job: Job) -> str:
    return json.dumps(asdict(job))


def load_job(line: str) -> Job:
    body = json.loads(line)
    recipe = Recipe(**{k: _tupled(v) for k, v in body["recipe"].items()})
    return Job(
        recipe,
        tuple(body["kinds"]),
        tuple(_tupled(s) for s in body["sizes"]),
        body["checkpoint"],
        tuple(body["siblings"]),
        _counting(body["counting"]),
        _timing(body["timing"]),
        body["offline"],
        body["public_hosts_only"],
    )


def _timing(body: dict[str, Any] | None) -> BenchmarkJob | None:
    return None if body is None else BenchmarkJob(**{k: _tupled(v) for k, v in body.items()})


def _counting(body: dict[str, Any] | None) -> AccuracyJob | None:
    if body is None:
        return None
    given = {**body, "parts": tuple(body["parts"]), "classes": _tupled(body["classes"])}
    given["overrides"] = tuple((name, _tupled(value)) for name, value in body["overrides"])
    return AccuracyJob(**given)


def dump_facts(facts: list[Fact]) -> str:
    return json.dumps([{"is": type(f).__name__, **asdict(f)} for f in facts])


def load_facts(line: str) -> list[Fact]:
    facts: list[Fact] = []
    for body in json.loads(line):
        kind = Measurement if body.pop("is") == "Measurement" else Unmeasured
        body["image_size"] = _tupled(body["image_size"])
        facts.append(kind(**body))
    return facts


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Interim:
    """What a job that takes long has come to so far.

    Attributes:
        part: the shard of the images, or the batch that was timed.
        images, top1, top5: images evaluated of that shard, and those answered right.
        seconds: what these took.
        speed: images per second of a timed batch.
        facts: those of a shard that is counted, as a line, while others of its job are not.
    """

    part: str
    images: int = 0
    top1: int = 0
    top5: int = 0
    seconds: float = 0.0
    speed: float | None = None
    facts: str | None = None

    def dump(self) -> str:
        return SO_FAR + json.dumps(asdict(self))

    @classmethod
    def load(cls, line: str) -> Interim:
        """That of a line.

        Raises:
            ValueError, TypeError: something else was written there.
        """
        found = cls(**json.loads(line.removeprefix(SO_FAR)))
        types = [type(value) for value in asdict(found).values() if value is not None]
        usual = [str, int, int, int, float]
        if types not in (usual, [*usual, float], [*usual, str]):
            raise TypeError(f"is not how far a job is: {found}")
        return found


# What a worker says of itself with the facts of a job: it was not compared with what it was; it is
# still the same; it is, and should be left all the same; it was changed; CUDA has ended in it; it
# has loaded torch's compiler, which changes it, and is to be there from the beginning.
UNCHECKED, SAME, LEAVING, CHANGED, LOST, COMPILING = "?=~!#*"
SO_FAR = "+"  # It has not ended, and this is how far it is.
# What a worker is asked, with or without a job: to load the job's builder, alone or with torch's
# compiler, to note what it is like, to do the job, and to compare itself with what it was, after
# the job or now.
LOAD, LOAD_BOTH, NOTE, DO, CHECK = "load", "load-both", "note", "do", "check"


@dataclass(frozen=True, slots=True)
class WorkerAnswer:
    """What comes back for a job.

    Attributes:
        state: one of the marks above.
        facts: as a line; empty where they are not to be believed.
        changed: what was changed, in words; or the error that ended CUDA.
    """

    state: str
    facts: str = ""
    changed: str = ""

    def dump(self) -> str:
        return f"{self.state}{self.changed}\t{self.facts}"

    @classmethod
    def load(cls, line: str) -> WorkerAnswer:
        """The answer of a line, whatever it holds."""
        changed, _, facts = line[1:].partition("\t")
        return cls(line[:1], facts, changed)


def none_made(job: Job, why: str, cause: str = "build.failed") -> list[Fact]:
    """The facts of a job of which nothing came."""
    recipe = job.recipe
    return [unmeasured(recipe, slot, cause, why) for slot in job.slots]


def not_on_device(job: Job, error: str, facts: Iterable[Fact] = ()) -> list[Fact]:
    """The facts of a job whose device failed twice; those that were measured before it count."""
    why = f"{job.recipe.name}: its device failed in two processes: {error}"
    made = {fact.slot: fact for fact in facts if isinstance(fact, Measurement)}
    return [made.get(fact.slot, fact) for fact in none_made(job, why, "build.device-failed")]


# -- which worker does them ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """The device of one worker, with its part of what decodes for all of them.

    Attributes:
        name: the device, as the run calls it.
        visible: as ``CUDA_VISIBLE_DEVICES`` names it to the worker, which sees no other.
        place, of: which it is, of how many.
        device: as the worker calls it.
        broken: why it is given no more to run; empty while it works.
    """

    name: str
    visible: str
    place: int = 0
    of: int = 1
    device: str = "cuda"
    broken: list[str] = field(default_factory=list, compare=False)

    def given(self, job: Job) -> Job:
        """A job as the worker of this device gets it."""
        counting, timing = job.counting, job.timing
        if counting is not None:
            threads, workers = counting.threads, counting.workers
            if self.of > 1:
                threads = self._part(threads or default_threads())
                workers = 0 if workers == 0 else self._part(workers or usable_cores())
            counting = replace(counting, device=self.device, threads=threads, workers=workers)
        if timing is not None:
            timing = replace(timing, device=self.device)
        return replace(job, counting=counting, timing=timing)

    def named(self, fact: Fact) -> Fact:
        """A fact that the worker made, with the device as the run calls it."""
        if isinstance(fact, Measurement) and fact.device.startswith("cuda"):
            return replace(fact, device=self.name)
        return fact

    def _part(self, count: int) -> int:
        return max(1, count // self.of + (self.place < count % self.of))


class WaitingJobs:
    """The jobs that no worker has begun.

    Args:
        shares: the devices of all workers, if any.

    Attributes:
        failed: the error of a device on which a variant failed in two processes, by its recipe and
            whether it was run on data: it is not tried again on other data.
    """

    def __init__(self, shares: Iterable[DeviceShare | None] = ()) -> None:
        self._shares = [share for share in shares if share is not None]
        self.failed: dict[tuple[Recipe, bool], str] = {}
        self._jobs: deque[Job | None] = deque()
        self._last: dict[object, Recipe] = {}
        self._more = threading.Condition()

    def put(self, job: Job | None) -> None:
        with self._more:
            self._jobs.append(job)
            self._more.notify_all()

    def give_up(self, share: DeviceShare, why: str) -> None:
        """Run no more on a device; what is left is run on others."""
        with self._more:
            share.broken.append(why)
            self._more.notify_all()

    def rests(self, share: DeviceShare | None) -> bool:
        """Whether a device is broken, and others are not, which run what is left."""
        works = any(not other.broken for other in self._shares)
        return share is not None and bool(share.broken) and works

    def get(self, worker: object, *, block: bool, share: DeviceShare | None = None) -> Job | None:
        """A job for a worker: of the model that it has, else of one that no other worker has.

        Raises:
            queue.Empty: there is none now, and it doesn't ``block``.
        """
        with self._more:
            while not (jobs := self._open_to(share)):
                if not block:
                    raise queue.Empty
                self._more.wait()
            job = jobs[0]
            if job is not None and job.running:
                own = self._last.get(worker)
                others = {self._last[each] for each in self._last if each is not worker}
                running = [each for each in self._jobs if each is not None and each.running]
                mine = (each for each in running if each.recipe == own)
                free = (each for each in running if each.recipe not in others)
                job = next(mine, None) or next(free, job)
            self._jobs.remove(job)
            if job is not None:
                self._last[worker] = job.recipe
            return job

    def _open_to(self, share: DeviceShare | None) -> Sequence[Job | None]:
        if not self.rests(share):
            return self._jobs
        return [job for job in self._jobs if job is None or not job.running]
