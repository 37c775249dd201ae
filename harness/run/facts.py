"""The facts of one variant in a run: stored, unknowable, or to be made by jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from itertools import groupby
from typing import Any

from harness.check.evaluated import setting_of, setting_tag
from harness.check.paired import AGREEMENT
from harness.check.schema import UNREADABLE, missing_for
from harness.check.shards import Span, precision_of, span_of, tagged, untagged
from harness.check.speed import to_time
from harness.check.weights import opened_file
from harness.config import USUAL_SECONDS, RunConfig
from harness.measure import machine
from harness.measure.accuracy.predictions import Predictions
from harness.measure.builders import BuilderError, others_with
from harness.measure.clocks import usual_batches
from harness.run.builder_proxy import BuilderProxy, open_builder
from harness.run.engine import Engine, Hear, unheard
from harness.run.eval_datasets import VariantImages
from harness.run.jobs import BenchmarkJob, Job
from harness.run.keys import identity_of, key_of, version_of
from harness.run.plan import builder_of, flops_size, overrides_of, recipe_of, shares_here
from harness.run.predictions import Answered, KeptPredictions
from harness.run.rescoring import Rescoring, apart
from harness.run.rows import why_unfit
from harness.run.store import FOLDER, Store
from harness.types import Fact, Measurement, Size, Slot, unmeasured
from zoo._util.cores import usable_cores
from zoo._util.text import nearest
from zoo.index.speeds import SPEEDS
from zoo.index.types import Variant
from zoo.known_datasets import ACCURACIES

SPEED: Slot = ("speed", None)


class VariantFacts:
    """What is known of a variant, and the jobs that make what is missing.

    Args:
        variant: what is documented; none of its claims reaches a job.
        config: who rebuilds it, and how; whether stored facts count.
        store: where facts of earlier runs are, or None.
        siblings: the names of the index, which a checkpoint may turn out to hold.
        images: those to measure accuracies on, and how; or why those that were given are
            none for this variant; None where none were given.

    Attributes:
        facts: those that are known, or known to be impossible to make.
    """

    def __init__(
        self,
        variant: Variant,
        config: RunConfig,
        store: Store | None,
        siblings: tuple[str, ...] = (),
        images: VariantImages | str | None = None,
    ) -> None:
        self.variant = variant
        self.recipe = recipe_of(variant, builder_of(variant, config))
        self.size = flops_size(variant, self.recipe)
        self.facts: dict[Slot, Fact] = {}
        self.store = store
        self._config = config
        self._siblings = siblings
        self._settings = {
            setting_of(claim): overrides_of(claim)
            for claim in variant.claims_of(*ACCURACIES)
            if claim.settings
        }
        self._images = images if isinstance(images, VariantImages) else None
        self._no_images = images if isinstance(images, str) else ""
        self._asked: set[Slot] = set()
        self.predictions = KeptPredictions(None if store is None else store.path.parent / FOLDER)

    @cached_property
    def timing(self) -> BenchmarkJob:
        """How its speed is measured."""
        config = self._config
        mode = "default" if config.compile else ""
        usual = usual_batches(config.device)
        return BenchmarkJob(usual, USUAL_SECONDS, config.device, config.amp, compile=mode)

    @cached_property
    def _builder(self) -> BuilderProxy:
        # Only who builds asks for it: an index may be read where its builder isn't installed.
        return open_builder(self.recipe.builder)

    @property
    def _rescoring(self) -> Rescoring:
        """What is worked out from predictions."""
        return Rescoring(self.recipe, self.facts, self._images, self.predictions, self.predicted_in)

    def takes(self, job: Job) -> bool:
        """Whether the facts of a job are this variant's, whose recipe the job has.

        Counts are not, where another entry of the same recipe names its classes otherwise.
        """
        if job.counting is None:
            return True
        return self._images is not None and self._images.classes == job.counting.classes

    def waits(self, slot: Slot) -> bool:
        """Whether a fact can't be made until a claim can be read; that is then known of it."""
        why = missing_for(self.variant, slot[0])
        if why:
            self.facts[slot] = unmeasured(self.recipe, slot, UNREADABLE, why)
        return bool(why)

    def recall(self, slot: Slot) -> bool:
        """Take one fact that no check asks for from the store; whether it is known then."""
        try:
            if self.waits(slot):
                return True
            return self._builder.knows(self.recipe.architecture) and not self._unstored({slot})
        except BuilderError:  # Reported with the other facts of the variant.
            return False

    def make(self, slot: Slot, engine: Engine, *, anew: bool = False, hear: Hear = unheard) -> Fact:
        """One fact that no check asks for: from the store unless ``anew``, or by that engine."""

        def react(job: Job, facts: list[Fact]) -> list[Job]:
            self.learn(facts, keep=not job.changed)
            return []

        engine.hear = hear
        engine.run(self._jobs({slot} if anew else self._recall({slot})), react)
        return self.facts[slot]

    def also_to_time(self) -> list[BenchmarkJob]:
        """What its claims on this device ask for beside the usual timing."""
        config, usual = self._config, self.timing
        where = machine.speed_conditions(config.device, usable_cores())
        on_gpu = machine.resolve(config.device) is not None
        device = str(where.get("device_name") if on_gpu else where["cpu"])
        wanted = to_time(self.variant.claims_of(*SPEEDS), device, on_gpu=on_gpu)
        sizes = usual.batch_sizes
        jobs = [replace(usual, **how) for how in wanted]
        return [
            job
            for job in jobs
            if job.batch_sizes[0] not in sizes or replace(job, batch_sizes=sizes) != usual
        ]

    @contextmanager
    def _timed_as(self, job: BenchmarkJob) -> Iterator[None]:
        """Within it, its speed is that of a further timing: a fact beside the usual one."""
        usual, before = self.timing, self.facts.pop(SPEED, None)
        self.timing = job
        try:
            yield
        finally:
            self.timing = usual
            if SPEED in self.facts:
                self.facts["speed", repr(job)] = self.facts.pop(SPEED)
            if before is not None:
                self.facts[SPEED] = before

    def recall_as(self, job: BenchmarkJob) -> bool:
        """Take a further timing from the store; whether it is known then."""
        with self._timed_as(job):
            return self.recall(SPEED)

    def time_as(self, job: BenchmarkJob, engine: Engine, hear: Hear) -> None:
        """Make a further timing."""
        with self._timed_as(job):
            self._asked.discard(SPEED)
            self.time(engine, hear)

    def time(self, engine: Engine, hear: Hear) -> list[dict[str, Any]] | str:
        """Its speed, measured anew; a line instead where it can't be."""
        if self._recall({SPEED}, anew=True):
            self.make(SPEED, engine, anew=True, hear=hear)
        fact = self.facts[SPEED]
        return fact.value["timings"] if isinstance(fact, Measurement) else fact.why

    def learn(self, facts: Iterable[Fact], *, keep: bool = True) -> None:
        """Take in new facts, and keep the measured ones in the store.

        What is known of a file is not kept: the checkpoint cache has its own records of that.
        """
        for fact in map(self._identified, map(self._kept, facts)):
            self.facts[fact.slot] = fact
            if self.store is None or not isinstance(fact, Measurement) or fact.kind == "file":
                continue
            # One that would not be believed again would be removed and made anew in each run.
            if keep and not why_unfit(fact, self.recipe):
                self.store.put(self._key(fact.slot), replace(fact, part=_stored(fact.part)))

    def _kept(self, fact: Fact) -> Fact:
        """A count with where its predictions are, in place of them."""
        if fact.kind != "accuracy" or fact.part is None or not isinstance(fact, Measurement):
            return fact
        given = fact.value.get("predictions")
        where = self.predictions.put(self.predicted_in(fact.part), span_of(fact.part), given)
        return replace(fact, value={**fact.value, "predictions": where})

    def predicted_in(self, part: str) -> str:
        """The file that has the predictions of a part."""
        return self._key(("accuracy", part), of_part=False)[:32]

    def answered(self, *, precisions: bool = False) -> Iterator[Answered]:
        """What was answered for the images of each dataset that were counted as documented, also in
        other precisions.
        """
        spans = [
            span_of(which)
            for (kind, which), fact in self.facts.items()
            if kind == "accuracy" and isinstance(which, str) and isinstance(fact, Measurement)
        ]
        if precisions:  # Of other scores of the same images nothing else is counted in these.
            spans += (
                each
                for (kind, which), fact in self.facts.items()
                if kind == AGREEMENT and isinstance(fact, Measurement)
                for span in [span_of(str(which))]
                for each in (span, replace(span, alternative=""))
            )
        ends: dict[tuple[str, str], Span] = {}
        for span in sorted(spans, key=lambda span: span.end):
            if not span.alternative or (precisions and precision_of(span)):
                ends[span.tag, span.alternative] = span
        for (tag, way), span in sorted(ends.items()):  # Facts come in no order of their own.
            part = tagged("0-0", tag)
            found = self._rescoring.predictions(replace(span, begin=0), way)
            if isinstance(found, Predictions) and self._images is not None:
                images, image_set = self._images.counted(part), self._images.images(part)
                classes, amp = self._images.classes, precision_of(span) or self._config.amp
                yield Answered(self.variant.name, tag, images, image_set, found, classes, amp)

    def _identified(self, fact: Fact) -> Fact:
        """A count with what its images are, which the run knows and a store may not."""
        if fact.kind != "accuracy" or fact.part is None or not isinstance(fact, Measurement):
            return fact
        assert self._images is not None
        images = self._images.counted(fact.part)
        about = {"dataset": images.dataset, "of": images.count, "digest": images.digest}
        return replace(fact, value={**fact.value, **about})

    def _measured(self, kind: str, which: Size | str | None) -> Measurement | None:
        fact = self.facts.get((kind, which))
        return fact if isinstance(fact, Measurement) else None

    def _recall(self, missing: set[Slot], *, anew: bool = False) -> set[Slot]:
        """Answer what can be answered without building: unknown names, and stored facts."""
        missing = {slot for slot in missing if not self.waits(slot)}
        if not missing:
            return missing
        try:
            return self._looked_up(missing, anew=anew)
        except BuilderError as error:
            for slot in missing:
                self.facts[slot] = unmeasured(self.recipe, slot, "build.failed", str(error))
            return set()

    def _looked_up(self, missing: set[Slot], *, anew: bool) -> set[Slot]:
        name = self.recipe.architecture
        if not self._builder.knows(name):
            builder = self.recipe.builder
            why = f"the builder {builder} has no variant called {name}"
            others = others_with(name, builder)
            for other in others:
                why += f"; {other} has it: --builder {other}, or Builder: {other} in its index"
            near = nearest(name, self._builder.names())
            if near:
                why += f"; the nearest {builder if others else 'it'} has: {', '.join(near)}"
            for slot in missing:
                self.facts[slot] = unmeasured(self.recipe, slot, "build.unknown", why)
            return set()
        return missing if anew else self._unstored(missing)

    def _unstored(self, missing: set[Slot]) -> set[Slot]:
        """Take what the store has; what it hasn't."""
        left, before = missing, len(missing) + 1
        while len(left) < before:  # What one brings may settle another.
            before = len(left)
            left = {slot for slot in left if not self._settled(slot)}
        return left

    def _settled(self, slot: Slot) -> bool:
        """Whether a fact is in the store, or worked out from what is."""
        if self._take(slot):
            return True
        found = self._rescoring.derived(slot)
        while isinstance(found, set) and sum(map(self._take, found)):
            found = self._rescoring.derived(slot)
        if found is None or isinstance(found, set):
            return False
        self.facts[slot] = self._identified(found)
        return True

    def _take(self, slot: Slot) -> bool:
        """Take a fact from the store; whether it was there."""
        if self.store is None or self._config.refresh:
            return False
        kind, which = slot
        if kind == AGREEMENT:
            return False
        part = which if isinstance(which, str) else None
        kept: Slot = slot if part is None else (kind, _stored(part))

        def unfit(fact: Measurement) -> str:
            why = why_unfit(fact, self.recipe, kept)
            if why or kind != "accuracy" or part is None:
                return why
            return self.predictions.unfit(self.predicted_in(part), fact)

        fact = self.store.get(self._key(slot), unfit)
        if fact is not None:
            self.facts[slot] = self._identified(replace(fact, part=part))
        return fact is not None

    def _jobs(self, missing: set[Slot]) -> list[Job]:
        """One job for what a build tells, and one for each part of the images."""
        derived = {slot: self._rescoring.derived(slot) for slot in missing}
        needed = {slot for slot, found in derived.items() if found is None}
        needed = needed.union(*(found for found in derived.values() if isinstance(found, set)))
        fresh = needed - self._asked
        built = {slot for slot in fresh if slot[0] not in ("accuracy", "fvcore", "speed")}
        # Its arithmetic may take too long or too much memory, which shall cost nothing else.
        run = {slot for slot in fresh if slot[0] == "fvcore"}
        counted = [which for kind, which in fresh if kind == "accuracy" and isinstance(which, str)]
        waiting = sum(kind == "accuracy" for kind, _ in self._asked - self.facts.keys())
        together, most = self._together
        # One by one they would come again as facts do, and never be many together.
        room = 0 if waiting > 0 and most - waiting < together else most - waiting
        parts = apart(sorted(counted, key=_place), self._asked - self.facts.keys())
        parts = parts[: max(0, room)]
        timed = fresh & {SPEED}
        self._asked |= built | run | timed | {("accuracy", part) for part in parts}
        jobs: list[Job] = []
        if built:
            kinds = tuple(sorted({kind for kind, _ in built}))
            sizes = tuple(sorted({which for _, which in built if isinstance(which, tuple)}))
            if "checkpoint" in kinds:
                opened = self._file["path"] or self._file["header"]
                jobs.append(Job(self.recipe, kinds, sizes, opened, self._siblings))
            else:
                jobs.append(Job(self.recipe, kinds, sizes))
        sizes = tuple(which for _, which in run if isinstance(which, tuple))
        jobs += [Job(self.recipe, ("fvcore",), sizes)] if run else []
        at_hand = self._measured("file", None)
        weights = at_hand.value["path"] if at_hand is not None else None
        jobs += [Job(self.recipe, ("speed",), (), weights, timing=self.timing)] if timed else []
        for group in _grouped(parts, together):
            assert self._images is not None
            counting = replace(
                self._images.counting(group[0]),
                parts=group,
                overrides=tuple(self._overrides(group[0]).items()),
            )
            jobs.append(Job(self.recipe, ("accuracy",), (), self._file["path"], counting=counting))
        config = self._config
        return [
            replace(job, offline=config.offline, public_hosts_only=config.public_hosts_only)
            for job in jobs
        ]

    @cached_property
    def _together(self) -> tuple[int, int]:
        """How many parts of the images are one job, and how many may wait."""
        config = self._config
        gpus = len(shares_here(config.device)) if config.engine == "local" else 0
        return (_GPU_PARTS, 2 * gpus * _GPU_PARTS) if gpus else (1, _MOST_WAITING)

    def _key(self, slot: Slot, *, of_part: bool = True) -> str:
        kind, which = slot
        depends: list[str | int] = []
        if kind in ("checkpoint", "accuracy"):
            file = self._file
            # A kept header is named by the version of the file that it is of.
            depends = [file["path"], *file["stat"]] if file["path"] else [file["header"]]
        if kind == "interface":
            depends = list(self.recipe.modules)
        if kind == "fvcore":
            depends = [version_of("fvcore")]
        if kind == "speed":
            depends = self._machine()
        if kind == "preprocess":
            depends = [self.recipe.weights or ""]  # Its URL says which weights are meant.
        if kind == "checkpoint":
            # Which variants the file was compared with is part of what is said of it.
            depends += [f"{name} {self._identity(name)}" for name in self._siblings]
        if kind == "accuracy" and isinstance(which, str) and self._images is not None:
            recipe = replace(self.recipe, **self._overrides(which))
            depends += self._images.identity(recipe, which)
            which = _stored(which) if of_part else None
        return key_of(kind, self.recipe, which, depends)

    def _overrides(self, part: str) -> dict[str, Any]:
        """What the result that a part is counted for states of its preprocessing."""
        return self._settings.get(setting_tag(span_of(part).tag), {})

    def _machine(self) -> list[str | int]:
        """What a speed depends on: it is a fact of a machine, and a cache folder may be shared."""
        how = {**asdict(self.timing), "image_size": self.recipe.image_size}
        where = machine.speed_conditions(how.pop("device"), usable_cores())
        return [json.dumps([how, where], sort_keys=True)]

    def _identity(self, name: str) -> str:
        """What the builder would build under a sibling's name; empty where it has none."""
        try:
            return identity_of(self.recipe.builder, name) if self._builder.knows(name) else ""
        except BuilderError as error:
            return str(error)

    @property
    def _file(self) -> Mapping[str, Any]:
        """Where the fetched file is, and its size, modification time and inode."""
        opened = opened_file(self.facts, self.variant)
        assert opened is not None
        return opened[1].value


# Parts of the images that are asked for ahead: enough to keep several workers busy, and few
# enough that a budget which is over leaves little to be finished in vain.
_MOST_WAITING = 8
# A GPU is given more of them at once: its batches are larger than a part's rest.
_GPU_PARTS = 8


def _grouped(parts: Sequence[str], most: int) -> Iterator[tuple[str, ...]]:
    """Parts of the same images, prepared in the same way, so many at a time at most."""
    for _, some in groupby(parts, key=lambda part: _place(part)[:2]):
        group = tuple(some)
        yield from (group[begin : begin + most] for begin in range(0, len(group), most))


def _place(part: str) -> tuple[str, str, int]:
    span = span_of(part)
    return span.alternative, span.tag, span.begin


def _stored(part: str | None) -> str | None:
    """A part's name in the store: which images they are is in its key, whatever run it was, and in
    which precision.
    """
    if part is None:
        return None
    rest = untagged(part)[1]
    return rest.rpartition("@")[2] if precision_of(span_of(rest)) else rest
