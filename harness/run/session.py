"""A run: an index, the variants chosen from it, and the report of what was found."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.check import cross_check
from harness.check.accuracy import to_evaluate
from harness.check.base import Evidence, VariantCheck
from harness.check.build import apply_alias_findings, apply_other_entries
from harness.check.registry import findings_of_index, variant_checks
from harness.config import GROUPS, RunConfig, UsageError
from harness.explain.claim_trace import ClaimTrace, trace_claim
from harness.measure.clocks import usual_batches
from harness.run.engine import Engine, EngineError, LocalEngine
from harness.run.eval_datasets import EvalDatasets
from harness.run.facts import VariantFacts
from harness.run.jobs import Job
from harness.run.links import link_facts
from harness.run.plan import (
    builder_of,
    check_builders,
    check_decoding,
    index_here,
    on,
    read_index,
    shares_here,
    subject,
)
from harness.run.progress import (
    TIMING,
    Clock,
    Progress,
    RunTally,
    hearing,
    kept_words,
)
from harness.run.store import Store, StoreError
from harness.run.timings import Timings
from harness.run.variant_run import (
    VariantRun,
    agree,
    built_names,
    device_of,
    facts_of,
    ordered,
    told_of,
)
from harness.types import Fact, Finding, Measurement, Recipe, Report
from zoo._util.text import plural
from zoo.index.types import Claim, Index, Location, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.run.files import Files
    from harness.run.jobs import DeviceShare


def prepare(request: RunConfig, *, builds: bool = True, lenient: bool = False) -> Session:
    """Read the index and choose the variants; nothing is measured yet.

    Where no models are going to be built, no builder is asked for anything. Where some of the index
    yields no variant, a lenient run takes the rest of it.

    Raises:
        UsageError: the request names what there is not, the device included (it need not wait for
            something to be run on it to be wrong), or an index yields no variant.
    """
    unknown = [group for group in request.checks if group not in GROUPS]
    if unknown:
        raise UsageError(
            *(f"--checks: no group {g!r}; there are {', '.join(GROUPS)}" for g in unknown)
        )
    if request.builder is not None and builds:
        check_builders((), request)
    request = replace(request, index=request.index or (index_here(request.select),))
    index, chosen = read_index(request.index, request.select, lenient=lenient)
    if request.device.startswith("cuda") and request.engine == "local":
        shares_here(request.device)
    if request.decode == "gpu" and request.data:
        check_decoding(request)
    if builds:
        check_builders(chosen, request)
    return Session(request, index, chosen)


class Session:
    """A prepared run.

    Attributes:
        index: what was read.
        variants, runs_seen: those that the run is about, and what is known of each.
    """

    def __init__(self, request: RunConfig, index: Index, variants: tuple[Variant, ...]) -> None:
        self.request = request
        self.index = index
        self.variants = variants
        self._warnings: list[str] = []
        # Of the store: rows removed by the plan and by the run are told in one line.
        self._dropped: list[str] = []
        self._kept: list[Measurement] = []
        self._failure: str | None = None
        self.runs_seen: list[VariantRun] = []
        # For `trace`: the report that was looked through, and what is where in it.
        self._found_in: Report | None = None
        self._found: dict[Location | None, list[Finding]] = {}
        self._run_of: dict[int, VariantRun] = {}
        self._planned: list[Job] | None = None
        self._planned_timings: Timings | None = None
        # Of a store that another process keeps locked: waited for once in a run.
        self._reads = self._keeps = True

    def audit(self, *, checks: bool = True) -> Report:
        """What the index says of itself, without building anything; nothing without ``checks``."""
        clock = Clock()
        groups, index = self.request.checks, self.index
        facts = link_facts(self.request, self.variants) or None if checks else None
        findings = findings_of_index(groups, index, self.variants, facts) if checks else []
        self.runs_seen = self._runs(None)
        reports = tuple(s.report() for s in self.runs_seen)
        found = ordered(findings, self.variants)
        return Report(clock.environment("none"), reports, found, unread=self.index.unusable)

    @property
    def source(self) -> str:
        """What the run is about: how many variants, and of which index."""
        return subject(self.variants, self.request)

    @property
    def subject(self) -> str:
        builders = (builder_of(variant, self.request) for variant in self.variants)
        return subject(self.variants, self.request, builders)

    @cached_property
    def plan(self) -> str:
        """What the run will do, in one line: variants, measurements, files, images."""
        with self._opened_store() as store:
            runs = self.runs_seen = self._runs(store)
            wanted = [s.advance() for s in runs]
            self._planned_timings = Timings(runs, wanted=True) if self._times else None
        timings = self._planned_timings and self._planned_timings.planned
        self._planned = [job for jobs in wanted for job in jobs]
        building = sum(map(bool, wanted))
        kept = sum(isinstance(fact, Measurement) for s in runs for fact in s.facts.values())
        # What a file or images ask for is known when the file is there.
        later = " yet" if self._files is not None else ""
        parts = [
            self.subject,
            f"{plural(building, 'variant')} to build" if building else f"nothing to build{later}",
            f"{plural(kept, 'measurement') if kept else 'no measurements'} kept from earlier runs",
            self.file_plan,
            *([timings] if timings else []),
            "no images"
            if self._eval_datasets is None
            else f"up to {plural(self._eval_datasets.limit, 'image')}{on(self._shares)}",
        ]
        return ", ".join(parts)

    def verify(self, progress: Progress) -> Report:
        """Measure what the checks need and report what they find.

        An interrupt, or an engine that fails, ends the measuring: the report then holds what is
        known so far, and says in ``cut_short`` what ended it.
        """
        clock = Clock()
        cut_short = None
        with self._opened_store() as store:
            runs, jobs, timings = self._begun(store)
            while self._warnings:
                progress.warn(self._warnings.pop(0))
            if store is not None:
                store.warn = progress.warn
            try:
                for line in self._eval_datasets.survey() if self._eval_datasets is not None else ():
                    progress.tell(line)
                self._fetch(runs, progress)
                jobs += [job for s in runs for job in s.advance()]
                self._measure(runs, jobs, progress)
                timings = timings or Timings(runs, wanted=self._times)
                timings.make(lambda: self._local(1, self._shares[:1]), progress)
            except KeyboardInterrupt:
                cut_short = "interrupted"
            except EngineError as error:
                cut_short = str(error)
        for line in self.warnings():
            progress.warn(line)
        report = self._reported(runs, clock, cut_short)
        return replace(report, findings=self._with_fixes(report.findings))

    def has_measured(self) -> bool:
        """Whether any of these builders' models was measured: else none of them need be asked."""
        with self._opened_store() as store:
            builders = {builder_of(variant, self.request) for variant in self.variants}
            with suppress(StoreError):
                return store is not None and any(map(store.has_of, builders))
        return False

    def known(self) -> Report:
        """What is known already, and found of it; nothing is built, and no server is asked.

        Claims that ask for more have no finding.
        """
        clock = Clock()
        with self._opened_store() as store:
            runs = self.runs_seen = self._runs(store)
            self._fetch(runs, Progress())
            for run in runs:
                run.settle()
        return self._reported(runs, clock, None)

    def _reported(self, runs: list[VariantRun], clock: Clock, cut_short: str | None) -> Report:
        found = apply_alias_findings(agree(runs), self.index.variants, built_names(runs))
        facts = facts_of(runs, found)
        for each, links in link_facts(self.request, self.variants, ask=cut_short is None).items():
            facts[each] = {**facts.get(each, {}), **links}
        found = apply_other_entries(found, self.variants, facts)
        of_index = findings_of_index(self.request.checks, self.index, self.variants, facts)
        return Report(
            environment=clock.environment(device_of(runs)),
            variants=tuple(s.report() for s in runs),
            findings=ordered([*of_index, *found], self.variants),
            cut_short=cut_short,
            unread=self.index.unusable,
        )

    def gather(self, check: VariantCheck, progress: Progress) -> list[Evidence]:
        """Make the facts that one check asks for; what is known of each variant then.

        Raises:
            EngineError: they can't be made.
        """
        with self._opened_store() as store:
            runs = [VariantRun(each, self.request, [check], store) for each in self.variants]
            self._measure(runs, [job for run in runs for job in run.advance()], progress)
        return [run.evidence() for run in runs]

    def trace(self, report: Report, variant: Variant, claim: Claim) -> ClaimTrace:
        """Trace one claim, after `verify` has made the report."""
        if self._found_in is not report:
            self._found_in, self._found = report, {}
            for finding in report.findings:
                self._found.setdefault(finding.location, []).append(finding)
            self._run_of = {id(run.variant): run for run in self.runs_seen}
        findings = self._found.get(claim.location, ())
        return trace_claim(self._run_of[id(variant)].evidence(), findings, claim)

    @property
    def kept(self) -> str:
        """What of this run's measurements is stored, in words."""
        return kept_words(self._kept, stores=not self.request.no_store)

    def warnings(self) -> list[str]:
        """What runs had to do without since this was last asked, a line each."""
        lines = [*self._warnings, *filter(None, [self._failure])]
        self._warnings, self._failure = [], None
        self._dropped.clear()
        return lines

    def profile(self, variant: Variant) -> Fact:
        """What each module of a variant costs at the input that its FLOPs speak of."""
        with self._opened_store() as store:
            run = VariantFacts(variant, self.request, store)
            return run.make(("profile", run.size), self._local(1))

    def bench(
        self, progress: Progress, batch_sizes: Sequence[int] = (), **how: Any
    ) -> Iterator[tuple[str, list[dict[str, Any]] | str]]:
        """Time every variant, as its `BenchmarkJob` says; a line where one can't be timed."""
        from harness.run.files import learn_at_hand

        sizes = tuple(batch_sizes) or usual_batches(self.request.device)
        hear = hearing(RunTally(len(self.variants) * len(sizes), TIMING), progress)
        with self._opened_store() as store:
            for run in learn_at_hand(self.request, self._runs(store)):
                run.timing = replace(run.timing, batch_sizes=sizes, **how)
                yield run.variant.name, run.time(self._local(1, self._shares[:1]), hear)

    @property
    def file_plan(self) -> str:
        """What fetching the weights would take, in one line."""
        return str(self._files.plan()) if self._files is not None else "no files to fetch"

    def fetch(self, progress: Progress) -> list[tuple[Variant, Fact]]:
        """Fetch the weights of all variants; what came of each that names any, in order.

        Of one with mirrors, its file has no part, and each of the places that were tried one.
        """
        runs = self._runs(None)
        self._fetch(runs, progress)
        return [(s.variant, fact) for s in runs for fact in s.facts.values() if fact.kind == "file"]

    def _fetch(self, runs: list[VariantRun], progress: Progress) -> None:
        if self._files is None:
            return
        try:
            wanted = [(s.variant, s.recipe) for s in runs]
            facts = self._files.fetch(wanted, progress.downloads(self._files.planned))
        finally:
            self._files.close()
        for run in runs:
            if id(run.variant) in facts:
                run.learn(facts[id(run.variant)])

    @cached_property
    def _eval_datasets(self) -> EvalDatasets | None:
        """The images of the run, None where it has none or no check asks for them."""
        if "accuracy" not in self.request.checks or not self.request.data:
            return None
        return EvalDatasets(self.request, self.variants)

    @cached_property
    def _files(self) -> Files | None:
        """The weights files of the run, None where no check asks for them."""
        if "weights" not in self.request.checks and self._eval_datasets is None:
            return None
        from harness.run.files import Files

        return Files(self.request, self.variants)

    def _measure(self, runs: list[VariantRun], jobs: list[Job], progress: Progress) -> None:
        by_recipe: dict[Recipe, list[VariantRun]] = {}
        for run in runs:
            by_recipe.setdefault(run.recipe, []).append(run)

        changed: dict[str, str] = {}

        def react(job: Job, facts: list[Fact]) -> list[Job]:
            if job.changed:
                changed.setdefault(job.recipe.name, job.changed)
            if job.failed and any(isinstance(fact, Measurement) for fact in facts):
                what = f"{job.recipe.name}: {job.failed}"
                progress.warn(f"{what}; it was measured in a new process, at the second try")
            following: dict[Job, None] = {}
            for run in by_recipe[job.recipe]:
                if run.findings is None and run.takes(job):
                    run.learn(facts, keep=not job.changed)
                    tally.learn(job.recipe.name, run.facts, facts)
                    following.update(dict.fromkeys(run.advance()))
            if job.counting is not None and self._eval_datasets is not None:
                for line in self._eval_datasets.remarks(facts):
                    progress.warn(line)
            if all(run.findings is not None for run in by_recipe[job.recipe]):
                tally.finish(job.recipe.name)
                progress.advance(job.recipe.name)
            progress.news()
            return list(following)

        # Entries that say the same of a variant are measured once.
        unique = sorted(dict.fromkeys(jobs), key=lambda job: job.recipe.builder)
        wanted = {job.recipe: None for job in unique}
        tally = RunTally(len(wanted))
        for recipe in wanted:
            for run in by_recipe[recipe]:
                tally.expect(recipe.name, to_evaluate(run.evidence()))
                tally.learn(recipe.name, run.facts, [])
        engine = self._engine(progress)
        engine.hear = hearing(tally, progress)
        try:
            engine.run(unique, react)
        finally:
            if changed:
                progress.warn(told_of(changed))

    @property
    def _times(self) -> bool:
        return "speed" in self.request.checks

    def _engine(self, progress: Progress) -> Engine:
        if self.request.engine == "local":
            if self._eval_datasets is None:
                return self._local(self.request.workers)
            # A model on images takes all cores, or a GPU: two at a time would only share them.
            return self._local(1, self._shares)
        from harness.run.engine_ray import RayEngine

        request = self.request
        return RayEngine(
            request.address, request.device, request.timeout, request.max_memory, progress.warn
        )

    def _local(self, workers: int | None, shares: Sequence[DeviceShare] = ()) -> LocalEngine:
        return LocalEngine(workers, self.request.timeout, self.request.max_memory, shares)

    @cached_property
    def _shares(self) -> list[DeviceShare]:
        """The GPUs that models are run on here; none where it is the CPU, or Ray's to say."""
        return shares_here(self.request.device) if self.request.engine == "local" else []

    def _with_fixes(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """The findings with the diffs that mend them; nothing is loaded where none can be."""
        if not any(finding.edits for finding in findings):
            return findings
        from harness.edit.fix import with_fixes

        return with_fixes(findings, self.index)

    def _runs(self, store: Store | None) -> list[VariantRun]:
        checks = variant_checks(self.request.checks)
        checks += [cross_check.CHECK] if self.request.cross_check else []
        siblings = tuple(dict.fromkeys(v.name for v in self.index.variants))[:_MOST_SIBLINGS]
        images = (lambda _: None) if self._eval_datasets is None else self._eval_datasets.of
        return [
            VariantRun(each, self.request, checks, store, siblings, images(each))
            for each in self.variants
        ]

    def _begun(self, store: Store | None) -> tuple[list[VariantRun], list[Job], Timings | None]:
        """The runs of the variants, the jobs that they have asked for so far, and what to time.

        What was found for the plan isn't looked for again.
        """
        jobs, self._planned = self._planned, None
        timings, self._planned_timings = self._planned_timings, None
        if jobs is None:
            self.runs_seen, jobs = self._runs(store), []
        for run in self.runs_seen:
            run.store = store
        return self.runs_seen, jobs, timings

    @contextmanager
    def _opened_store(self) -> Iterator[Store | None]:
        """The store, or None where it is not wanted or can't be used, which is warned of."""
        store = None
        if not self.request.no_store and self._reads:
            try:
                store = Store.open()
                self._dropped += store.dropped
                store.dropped, store.kept = self._dropped, self._kept
                store.keeps = self._keeps
            except StoreError as error:
                self._reads = not error.locked
                if str(error) not in self._warnings:
                    self._warnings.append(str(error))
        try:
            yield store
        finally:
            if store is not None:
                self._reads, self._keeps = store.reads, store.keeps
                self._failure = store.failure or self._failure
                store.close()


# A file that holds another model is compared with as many variants of the index at most.
_MOST_SIBLINGS = 200
