"""Perform a job in a worker process, or in a task of a cluster: without the network where the run
is offline, and whatever fails as a cause and one line.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.check.shards import PREDICTED, Span, entry_of, precision_of, span_of
from harness.measure import cuda
from harness.measure.builders import get_builder
from harness.measure.compiler import COMPILER
from harness.run.jobs import (
    CHANGED,
    COMPILING,
    LEAVING,
    LOST,
    SAME,
    UNCHECKED,
    AccuracyJob,
    BenchmarkJob,
    Interim,
    Job,
    WorkerAnswer,
    dump_facts,
    none_made,
    not_on_device,
)
from harness.run.offline import network_of
from harness.run.process_state import REPLACED, ProcessState
from harness.types import Fact, Measurement, Recipe, unmeasured
from zoo._util.text import foreign

if TYPE_CHECKING:
    from harness.measure.accuracy.validator import InputConfig, Validator
    from harness.measure.devices import Amp
    from harness.measure.profile import Profiler
    from zoo.preprocessing import Decoder

# A decoder that is not Pillow is compared with it on so many of the first images.
_COMPARED = 500
# So many images after those of a job may be prepared, for the next one.
_AHEAD = 2048


# What is kept of the environment with a count, whose last bits hang on it.
_COUNTED_IN = ("device_name", "capability", "cpu_capability", "float32", "tf32")
_VERSIONS = ("torch", "cuda", "cudnn", "driver")


class Performer:
    """Makes the facts of jobs, and keeps what it built for the next one of the same variant."""

    def __init__(self, tell: Callable[[Interim], None] = lambda interim: None) -> None:
        self._tell = tell
        self._profiler: Profiler | None = None
        self._validator: tuple[AccuracyJob, Validator] | None = None

    def perform(self, job: Job) -> list[Fact]:
        """The facts of a job, one for each of its slots."""
        with network_of(job):
            return self._perform(job)

    def _perform(self, job: Job) -> list[Fact]:
        if job.counting is not None:
            return self._count_all(job, job.counting)
        if job.timing is not None:
            return [self._time(job, job.timing)]
        import torch

        # Shapes alone are computed: more threads would only get in the other workers' way.
        torch.set_num_threads(1)
        if self._profiler is None:
            from harness.measure.profile import Profiler

            self._profiler = Profiler()
        return self._profiler.measure(
            job.recipe, job.kinds, job.sizes, job.checkpoint, job.siblings
        )

    def _count_all(self, job: Job, counting: AccuracyJob) -> list[Fact]:
        """Count right answers on the shards of a job; each is reported as soon as it is counted."""
        facts: dict[str, Fact] = {}

        def learn(part: str, fact: Fact) -> None:
            facts[part] = fact
            if len(counting.parts) > 1:
                self._tell(Interim(part, facts=dump_facts([fact])))

        for (_, alternative), some in groupby(counting.parts, key=_images_of):
            parts = tuple(some)
            first = parts[:1] if not alternative and not span_of(parts[0]).begin else ()
            try:
                # What is always looked at is looked at without the others, once the time is over.
                wanted = first if _is_over(counting) else parts
                self._count(job, counting, wanted, learn)
                cause = "accuracy.undecided"
                why = "the time was over before these images were looked at"
            except Exception as error:  # noqa: BLE001 - whatever a model raises is a finding
                cuda.notice(error)
                cause, why = explain(error)
            # Not at once: where CUDA has ended, the job is tried once more.
            for part in parts:
                if part not in facts:
                    facts[part] = unmeasured(job.recipe, ("accuracy", part), cause, why)
        return [facts[part] for part in counting.parts]

    def _count(
        self,
        job: Job,
        counting: AccuracyJob,
        parts: tuple[str, ...],
        learn: Callable[[str, Fact], None],
    ) -> None:
        """Count shards of the same images, prepared in the same way."""
        from harness.datasets.members import members_of, truth_of
        from harness.measure.devices import environment

        if not parts:
            return
        assert job.checkpoint is not None
        spans, checkpoint = [span_of(part) for part in parts], Path(job.checkpoint)
        span = spans[0]
        validator = self._with(counting)
        image_set = validator.open_images(counting.images, counting.classes)
        members = members_of(image_set, counting.subset, counting.truth)
        recipe = replace(job.recipe, **dict(counting.overrides))
        shards = [members[each.begin : each.end] for each in spans]
        amp = cast("Amp", counting.amp)
        compared = {
            part: validator.compare_decoders(
                recipe, checkpoint, counting.images, shard, counting.classes, amp
            )
            for part, each, shard in zip(parts, spans, shards, strict=True)
            if counting.decode != "pillow" and not span.alternative and each.end <= _COMPARED
        }
        method = f"top-1 and top-5 on {counting.images}"

        def made(number: int, value: dict[str, Any]) -> None:
            value["precision"] = counting.amp
            about = environment(validator.device)
            value["environment"] = {k: about[k] for k in _COUNTED_IN if k in about}
            if parts[number] in compared:
                value["decoder"] = {"name": counting.decode, **compared[parts[number]]}
            learn(
                parts[number],
                Measurement(
                    kind="accuracy",
                    name=job.recipe.name,
                    builder=job.recipe.builder,
                    value=value,
                    image_size=None,
                    method=f"{method}, {'float32' if counting.amp == 'off' else counting.amp}",
                    versions={k: str(about[k]) for k in _VERSIONS if about.get(k)},
                    device=str(validator.device),
                    made=_now(),
                    part=parts[number],
                ),
            )

        end = spans[-1].end
        validator.count_shards(
            recipe,
            checkpoint,
            counting.images,
            _config(recipe, span, counting.subset),
            shards,
            classes=counting.classes,
            entry=entry_of(span),
            heard=lambda number, *counts: self._tell(Interim(parts[number], *counts)),
            truth=truth_of(image_set.names, counting.truth),
            also=truth_of(image_set.names, counting.also),
            keep=span.alternative in PREDICTED or bool(precision_of(span)),
            amp=amp,
            following=() if span.alternative else members[end : min(end + _AHEAD, counting.limit)],
            made=made,
            over=lambda: _is_over(counting),
        )

    def _time(self, job: Job, timing: BenchmarkJob) -> Fact:
        """Time the variant, or report why it can't be done."""
        from harness.datasets.find import sample_inputs
        from harness.measure.accuracy.validator import preprocessing_of
        from harness.measure.meta import describe_error
        from harness.measure.speed import bench

        recipe = job.recipe
        at_hand: dict[str, Any] = {}
        try:
            if job.checkpoint is not None:
                at_hand = {"checkpoint": Path(job.checkpoint)}
                at_hand["images"] = sample_inputs(preprocessing_of(recipe))
            timings = bench(
                recipe,
                **asdict(timing),
                **at_hand,
                heard=lambda batch, speed: self._tell(Interim(f"batch {batch}", speed=speed)),
            )
        except Exception as error:  # noqa: BLE001 - whatever a model raises is reported in one line
            cuda.notice(error)
            return unmeasured(recipe, ("speed", None), "build.failed", describe_error(error))
        about = timings[0]["environment"]
        return Measurement(
            kind="speed",
            name=recipe.name,
            builder=recipe.builder,
            value={"timings": timings},
            image_size=None,
            method="forward passes of a model with "
            + ("random weights" if timings[0]["weights"] == "random" else "its weights"),
            versions={"torch": about["torch"]},
            device=about["device_name"],
            made=_now(),
        )

    def _with(self, counting: AccuracyJob) -> Validator:
        """The validator of these settings; the last one is kept."""
        settings = replace(
            counting,
            parts=(),
            classes=None,
            subset="",
            truth="",
            also="",
            overrides=(),
            limit=0,
            amp="off",
        )
        if self._validator is None or self._validator[0] != settings:
            from harness.measure.accuracy.validator import Validator

            if self._validator is not None:
                self._validator[1].close()
            validator = Validator(
                counting.device,
                compile=counting.compile,
                decode_workers=counting.workers,
                threads=counting.threads,
                decoder=cast("Decoder", counting.decode),
            )
            self._validator = (settings, validator)
        return self._validator[1]


class CheckedPerformer:
    """Performs jobs, and says with their facts whether this process is still what it was.

    A comparison takes as long as some small models do, so it is made when it has been paid for by
    the time since the last one; facts that come before it wait for it, see `LocalEngine`.
    """

    def __init__(self, tell: Callable[[Interim], None] = lambda interim: None) -> None:
        self._performer = Performer(tell)
        self._state: ProcessState | None = None
        self._due = 0.0
        self._builders: set[str] = set()
        self._witness: tuple[Job, list[Any]] | None = None
        self._last: tuple[Job, list[Any]] | None = None

    def perform(self, job: Job, *, check: bool = False) -> WorkerAnswer:
        """The facts of a job; with ``check``, never unchecked ones."""
        facts = self._facts(job)
        noticed = bool(cuda.failure())
        cuda.probe()
        if error := cuda.failure():
            # What was measured before it holds, unless nobody knows what came before.
            facts = not_on_device(job, error, facts if noticed else ())
            return WorkerAnswer(LOST, dump_facts(facts), error)
        if self._state is None or job.running:
            return WorkerAnswer(SAME, dump_facts(facts))
        self._last = _as_witness(job, facts) or self._last
        if not check and time.monotonic() < self._due:
            return WorkerAnswer(UNCHECKED, dump_facts(facts))
        state = self.check(careful=check)
        if state.state == CHANGED and not self._state.measures_alike():
            return state
        return replace(state, facts=dump_facts(facts))

    def load(self, job: Job, *, compiler: bool = False) -> None:
        """Load the builder of a job; what is wrong with it is reported where it builds."""
        if compiler:
            with suppress(Exception):
                __import__(COMPILER)
        before = set(sys.modules)
        with suppress(BaseException), network_of(job):
            builder = get_builder(job.recipe.builder)
            self._builders.add(type(builder).__module__.partition(".")[0])
            getattr(builder, "load", lambda: None)()
        loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
        self._builders |= loaded
        self._builders -= {*sys.stdlib_module_names, *_NO_BUILDERS}

    def note(self) -> None:
        """Note what this process is like before it builds.

        What the builder's library has changed as it was loaded is how its models are meant.
        """
        self._state = ProcessState(self._builders)
        self._compiles = COMPILER in sys.modules
        self._witness = self._last = None

    def check(self, *, careful: bool = False) -> WorkerAnswer:
        """Whether this process is what it was; no facts.

        Args:
            careful: leave it where the builder's values differ, and nothing shows what that does.
        """
        if self._state is None:
            return WorkerAnswer(SAME)
        began = time.monotonic()
        changed = self._state.difference()
        own = self._state.own
        leaving = own is not None and self._witness is None and (careful or own == REPLACED)
        if not changed and own is not None and not self._witness_holds():
            changed = "what a model of the same builder measures"
        if self._witness is None:
            self._witness = self._last
        now = time.monotonic()
        self._due = now + min(_MOST_HELD, _CHECK_SHARE * (now - began))
        if changed:
            state = CHANGED if self._compiles or COMPILER not in sys.modules else COMPILING
            return WorkerAnswer(state, changed=changed.translate(_ONE_LINE))
        return WorkerAnswer(LEAVING if leaving or self._state.has_more_threads() else SAME)

    def _witness_holds(self) -> bool:
        """Whether the first variant that was measured here still measures the same."""
        if self._witness is None:
            return True
        job, values = self._witness
        try:
            with network_of(job):
                return _values(Performer().perform(job)) == values
        except BaseException:  # noqa: BLE001 - it was built before
            return False

    def _facts(self, job: Job) -> list[Fact]:
        from harness.measure.meta import describe_error

        try:
            return self._performer.perform(job)
        except SystemExit as request:
            status = foreign(" ".join(str(request.code).split()))
            why = f"{job.recipe.name} called for an end of Python (exit status {status})"
            return none_made(job, why)
        except BaseException as error:  # noqa: BLE001 - KeyboardInterrupt and its like
            cuda.notice(error)
            why = f"{job.recipe.builder} can't build {job.recipe.name}: {describe_error(error)}"
            return none_made(job, why)


def _as_witness(job: Job, facts: list[Fact]) -> tuple[Job, list[Any]] | None:
    """The part of a job that depends on the model alone, with what it measured; None for none."""
    kinds = tuple(kind for kind in job.kinds if kind in _WITNESSED)
    made = [fact for fact in facts if fact.kind in kinds]
    if not any(isinstance(fact, Measurement) for fact in made):
        return None
    return replace(job, kinds=kinds, checkpoint=None, siblings=()), _values(made)


def _values(facts: list[Fact]) -> list[Any]:
    """What of the facts is the same whenever they are made."""
    return [
        (fact.slot, fact.value if isinstance(fact, Measurement) else fact.why) for fact in facts
    ]


_WITNESSED = frozenset({"structure", "interface", "flops", "derived", "runs", "profile"})
_NO_BUILDERS = ("torch", "harness", "zoo", "numpy")
# A comparison is made once so many times its own duration has passed.
_CHECK_SHARE = 20
_MOST_HELD = 2.0  # seconds
_ONE_LINE = dict.fromkeys(map(ord, "\t\r\n"), " ")


def _images_of(part: str) -> tuple[str, str]:
    span = span_of(part)
    return span.tag, span.alternative


def _is_over(counting: AccuracyJob) -> bool:
    return counting.until is not None and time.time() >= counting.until


def _config(recipe: Recipe, span: Span, subset: str = "") -> InputConfig:
    """How the part's images are read: as the recipe says, or in one other way."""
    from harness.measure.accuracy.validator import InputConfig, alternatives, preprocessing_of

    preprocessing = preprocessing_of(recipe)
    if span.alternative in PREDICTED or precision_of(span) or entry_of(span) is not None:
        return InputConfig(preprocessing, subset=subset)
    ways = (a.config for a in alternatives(preprocessing) if a.name == span.alternative)
    return replace(next(ways), subset=subset)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def explain(error: Exception) -> tuple[str, str]:
    """The cause of a count that failed, and a line that says whose fault it is.

    What a person can act on speaks for itself; only what the model's own code raises is shown with
    the name of its class.
    """
    from harness.datasets import ImageSetError
    from harness.measure.accuracy.classifier import ValidationError
    from harness.measure.devices import DeviceError
    from harness.measure.meta import describe_error
    from zoo._util.memory import is_out_of_memory
    from zoo._util.text import bounded
    from zoo.errors import CheckpointError

    words = describe_error(error)
    text = bounded(" ".join(str(error).split()))
    cause = next(
        (
            cause
            for kind, cause in (
                (CheckpointError, getattr(error, "cause", "")),
                (ImageSetError, "accuracy.no-data"),
                (ValidationError | DeviceError, "accuracy.undecided"),
            )
            if isinstance(error, kind)
        ),
        None,
    )
    if cause is not None:
        return cause, text
    text = foreign(text)
    for is_so, message in (
        (is_out_of_memory(error), f"this machine has not the memory for it: {text or 'none left'}"),
        (
            isinstance(error, BrokenExecutor),
            "a process that decodes images was ended, by the system if memory ran out",
        ),
        (isinstance(error, OSError), f"a file could not be read or written: {text}"),
    ):
        if is_so:
            return "accuracy.undecided", message
    return "build.failed", f"the model's own code failed: {words}"
