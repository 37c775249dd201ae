"""One variant in a run: the facts that it needs, those that it has, and its findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.check import build, unreadable
from harness.check.accuracy import FIELDS, counted_so_far
from harness.check.base import Evidence, Need, VariantCheck
from harness.check.build import ALIAS
from harness.check.flops import figure
from harness.check.shards import span_of
from harness.check.unreadable import missing_for
from harness.measure.builders import BuilderError
from harness.run.builder_proxy import BuilderProxy
from harness.run.eval_dataset import EvalDataset
from harness.run.jobs import Job
from harness.run.keys import identity_of, key_of, version_of
from harness.run.plan import flops_size, recipe_of
from harness.run.store import Store
from harness.types import Fact, Finding, Measurement, Size, Slot, VariantReport, unmeasured
from zoo._util.text import nearest
from zoo.index.types import Claim, Variant


class VariantRun:
    """A variant with its facts; `advance` says what is to be measured next, until nothing is.

    Args:
        variant: what is documented.
        builder_name, builder: who rebuilds it.
        checks: the rules to apply.
        store: where facts of earlier runs are, or None.
        siblings: the names of the index, which a checkpoint may turn out to hold.
        dataset: the images to measure accuracies on, and how; or why those that were given are
            none for this variant; None where none were given.
        refresh: make every fact anew, whatever the store holds.
        offline: keep model code from the network.
    """

    def __init__(
        self,
        variant: Variant,
        builder_name: str,
        builder: BuilderProxy,
        checks: Sequence[VariantCheck],
        store: Store | None,
        siblings: tuple[str, ...] = (),
        dataset: EvalDataset | str | None = None,
        refresh: bool = False,
        offline: bool = False,
    ) -> None:
        self.variant = variant
        self.recipe = recipe_of(variant, builder_name)
        self.size = flops_size(variant, self.recipe)
        self.facts: dict[Slot, Fact] = {}
        self.findings: tuple[Finding, ...] | None = None
        self._builder = builder
        self._checks = checks
        self._store = store
        self._siblings = siblings
        self._dataset = dataset if isinstance(dataset, EvalDataset) else None
        self._no_images = dataset if isinstance(dataset, str) else ""
        self._refresh = refresh
        self._offline = offline
        self._asked: set[Slot] = set()
        self._preferred: Mapping[str, str] = {}

    @property
    def collection(self) -> str | None:
        """The name of the variant's collection."""
        return None if self.variant.collection is None else self.variant.collection.name

    def first_needs(self) -> set[Slot]:
        """The facts that the checks start from."""
        return {slot for c in self._checks for need in c.needs(self.size) for slot in need.slots}

    def advance(self) -> list[Job]:
        """Apply the checks as far as the facts go.

        Returns:
            The jobs that make missing facts, without those that were returned before; none, with
            ``findings`` set, when all is found.
        """
        missing = self.first_needs() - self.facts.keys()
        while True:
            missing = self._recall(missing)
            if missing:
                return self._jobs(missing)
            evidence = self.evidence()
            findings: list[Finding] = list(_findings(build.find(_of_the_build(evidence))))
            for check in self._checks:
                for item in check.find(evidence):
                    if isinstance(item, Need):
                        missing |= set(item.slots) - self.facts.keys()
                    else:
                        findings.append(item)
            if not missing:
                self.findings = tuple(findings)
                return []

    def prefer(self, rules: Mapping[str, str]) -> None:
        """Check again where the rule that explains most of the collection fits here, too.

        Args:
            rules: field -> rule.
        """
        found = self.findings or ()
        if any(rules.get(f.field) in f.rules[1:] for f in found):
            self._preferred = rules
            self.advance()

    def evidence(self) -> Evidence:
        """The variant with all that is known of it."""
        dataset = self._dataset
        return Evidence(
            self.variant,
            self.recipe,
            self.size,
            self.facts,
            None if dataset is None else dataset.available(self.facts),
            {} if dataset is None else dataset.alternatives(self.recipe),
            self._preferred,
            self._no_images,
        )

    def takes(self, job: Job) -> bool:
        """Whether the facts of a job are this variant's, whose recipe the job has.

        Counts are not, where another entry of the same recipe names its classes otherwise.
        """
        if job.counting is None:
            return True
        return self._dataset is not None and self._dataset.classes == job.counting.classes

    def waits(self, slot: Slot) -> bool:
        """Whether a fact can't be made until a claim can be read; that is then known of it."""
        why = missing_for(self.variant, slot[0])
        if why:
            self.facts[slot] = unmeasured(self.recipe, slot, unreadable.CAUSE, why)
        return bool(why)

    def jobs_for(self, slots: set[Slot]) -> list[Job]:
        """The jobs that make these facts; none where they are known without building."""
        return self._jobs(self._recall(slots))

    def learn(self, facts: Iterable[Fact]) -> None:
        """Take in new facts, and keep the measured ones in the store.

        What is known of a file is not kept: the checkpoint cache has its own records of that.
        """
        for fact in facts:
            self.facts[fact.slot] = fact
            if self._store is not None and isinstance(fact, Measurement) and fact.kind != "file":
                self._store.put(self._key(fact.slot), fact)

    def report(self) -> VariantReport:
        """The measurements as the JSON document names them."""
        structure = self._measured("structure", None)
        flops = self._measured("flops", self.size)
        file = self._measured("file", None)
        counts = {c["convention"] for c in flops.value["counts"]} if flops else set()
        return VariantReport(
            name=self.variant.name,
            collection=self.collection,
            builder=self.recipe.builder,
            measurements={
                "parameters": structure.value["parameters"] if structure else None,
                "layers": structure.value["layers"] if structure else None,
                "image_size": list(self.size) if flops else None,
                "flops": {name: figure(flops.value, name) for name in sorted(counts)}
                if flops
                else {},
                "file_size": file.value["size"] if file else None,
                "sha256": file.value["sha256"] if file else None,
                **self._accuracies(),
            },
            claims=_in_effect(self.variant),
            facts=tuple(self.facts.values()),
            intervals=self._intervals(),
            location=self.variant.location,
        )

    def _accuracies(self) -> dict[str, float | int | None]:
        """Percent right of all images counted as documented, and how many these are."""
        counted = [
            f.value
            for f in self.facts.values()
            if isinstance(f, Measurement)
            and f.kind == "accuracy"
            and f.part is not None
            and not span_of(f.part).alternative
        ]
        images = sum(value["images"] for value in counted)
        if not images:
            return {"top1": None, "top5": None, "images": None}
        percent = {
            name: round(100 * sum(value[name] for value in counted) / images, 4)
            for name in ("top1", "top5")
        }
        return {**percent, "images": images}

    def _intervals(self) -> dict[str, tuple[float, float]]:
        """Which accuracies the images counted leave possible, as the findings say it."""
        found = {}
        for claim in self.variant.claims_of(*FIELDS):
            decision = counted_so_far(self.evidence(), claim)
            if decision is not None:
                found[FIELDS[claim.field]] = decision.interval.percent
        return found

    def _measured(self, kind: str, which: Size | str | None) -> Measurement | None:
        fact = self.facts.get((kind, which))
        return fact if isinstance(fact, Measurement) else None

    def _recall(self, missing: set[Slot]) -> set[Slot]:
        """Answer what can be answered without building: unknown names, and stored facts."""
        missing = {slot for slot in missing if not self.waits(slot)}
        if not missing:
            return missing
        try:
            return self._looked_up(missing)
        except BuilderError as error:
            for slot in missing:
                self.facts[slot] = unmeasured(self.recipe, slot, "build.failed", str(error))
            return set()

    def _looked_up(self, missing: set[Slot]) -> set[Slot]:
        name = self.recipe.architecture
        if not self._builder.knows(name):
            near = nearest(name, self._builder.names())
            advice = f"; the nearest it has: {', '.join(near)}" if near else ""
            why = f"the builder {self.recipe.builder} has no variant called {name}{advice}"
            for slot in missing:
                self.facts[slot] = unmeasured(self.recipe, slot, "build.unknown", why)
            return set()
        if self._store is None or self._refresh:
            return missing
        left = set()
        for slot in missing:
            fact = self._store.get(self._key(slot))
            if fact is None:
                left.add(slot)
            else:
                self.facts[slot] = fact
        return left

    def _jobs(self, missing: set[Slot]) -> list[Job]:
        """One job for what a build tells, and one for each part of the images."""
        fresh = missing - self._asked
        built = {slot for slot in fresh if slot[0] not in ("accuracy", "fvcore")}
        # Its arithmetic may take too long or too much memory, which shall cost nothing else.
        run = {slot for slot in fresh if slot[0] == "fvcore"}
        counted = [which for kind, which in fresh if kind == "accuracy" and isinstance(which, str)]
        waiting = sum(kind == "accuracy" for kind, _ in self._asked - self.facts.keys())
        parts = sorted(counted, key=_place)[: max(0, _MOST_WAITING - waiting)]
        self._asked |= built | run | {("accuracy", part) for part in parts}
        jobs: list[Job] = []
        if built:
            kinds = tuple(sorted({kind for kind, _ in built}))
            sizes = tuple(sorted({which for _, which in built if isinstance(which, tuple)}))
            if "checkpoint" in kinds:
                jobs.append(Job(self.recipe, kinds, sizes, self._path(), self._siblings))
            else:
                jobs.append(Job(self.recipe, kinds, sizes))
        sizes = tuple(which for _, which in run if isinstance(which, tuple))
        jobs += [Job(self.recipe, ("fvcore",), sizes)] if run else []
        for part in parts:
            assert self._dataset is not None
            counting = self._dataset.counting((part,))
            jobs.append(Job(self.recipe, ("accuracy",), (), self._path(), counting=counting))
        return [replace(job, offline=self._offline) for job in jobs]

    def _key(self, slot: Slot) -> str:
        kind, which = slot
        depends = [self._path(), *self._stat()] if kind in ("checkpoint", "accuracy") else []
        if kind == "fvcore":
            depends = [version_of("fvcore")]
        if kind == "preprocess":
            depends = [self.recipe.weights or ""]  # Its URL says which weights are meant.
        if kind == "checkpoint":
            # Which variants the file was compared with is part of what is said of it.
            depends += [f"{name} {self._identity(name)}" for name in self._siblings]
        if kind == "accuracy" and self._dataset is not None:
            depends += self._dataset.identity(self.recipe)
        return key_of(kind, self.recipe, which, depends)

    def _identity(self, name: str) -> str:
        """What the builder would build under a sibling's name; empty where it has none."""
        try:
            return identity_of(self.recipe.builder, name) if self._builder.knows(name) else ""
        except BuilderError as error:
            return str(error)

    def _path(self) -> str:
        """Where the fetched file is."""
        fact = self._measured("file", None)
        assert fact is not None
        return str(fact.value["path"])

    def _stat(self) -> list[str | int]:
        """Size, modification time and inode of the fetched file."""
        fact = self._measured("file", None)
        assert fact is not None
        return list(fact.value["stat"])


# Parts of the images that are asked for ahead: enough to keep several workers busy, and few
# enough that a budget which is over leaves little to be finished in vain.
_MOST_WAITING = 8


def _place(part: str) -> tuple[str, int]:
    span = span_of(part)
    return span.alternative, span.begin


def _in_effect(variant: Variant) -> tuple[Claim, ...]:
    """The variant's own claims, then those of its collection that it says nothing else about."""
    own = {claim.field for claim in variant.claims}
    shared = variant.collection.claims if variant.collection is not None else ()
    return (*variant.claims, *(claim for claim in shared if claim.field not in own))


def _of_the_build(evidence: Evidence) -> Evidence:
    """Without the counts: why images can't be counted is said once, of the accuracy."""
    facts = {slot: fact for slot, fact in evidence.facts.items() if slot[0] != "accuracy"}
    return replace(evidence, facts=facts)


def _findings(items: Iterable[Finding | Need]) -> Iterable[Finding]:
    return (item for item in items if isinstance(item, Finding))


# What is known of a variant whatever was built.
_OF_A_FILE = frozenset({"file"})


def facts_of(
    runs: Iterable[VariantRun], findings: Iterable[Finding]
) -> dict[int, Mapping[Slot, Fact]]:
    """What was measured of each variant; nothing of the model where another one was built."""
    others = {f.variant for f in findings if f.cause == ALIAS}
    return {
        id(s.variant): {slot: fact for slot, fact in s.facts.items() if slot[0] in _OF_A_FILE}
        if s.variant.name in others
        else s.facts
        for s in runs
    }
