"""One variant on its way through a run: what it needs, what is known of it, what was found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from harness.check import build
from harness.check.base import Evidence, Need, VariantCheck
from harness.check.flops import figure
from harness.measure.builders import Builder
from harness.run.keys import key_of
from harness.run.plan import flops_size, recipe_of
from harness.run.store import Store
from harness.run.wire import Job
from harness.types import Fact, Finding, Measurement, Size, Unmeasured, VariantReport
from zoo.index.types import Variant

Slot = tuple[str, Size | None]


class Subject:
    """A variant with its facts; `advance` says what is to be measured next, until nothing is.

    Args:
        variant: what is documented.
        builder_name, builder: who rebuilds it.
        checks: the rules to apply.
        store: where facts of earlier runs are, or None.
        siblings: the names of the index, which a checkpoint may turn out to hold.
    """

    def __init__(
        self,
        variant: Variant,
        builder_name: str,
        builder: Builder,
        checks: Sequence[VariantCheck],
        store: Store | None,
        siblings: tuple[str, ...] = (),
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

    def first_needs(self) -> set[Slot]:
        """The facts that the checks start from."""
        return {
            s for check in self._checks for need in check.needs(self.size) for s in _slots(need)
        }

    def advance(self) -> Job | None:
        """Applies the checks as far as the facts go.

        Returns:
            The job that makes the missing facts, or None when all is found.
        """
        missing = self.first_needs() - self.facts.keys()
        while True:
            missing = self._recall(missing)
            if missing:
                return self._job(missing)
            evidence = self.evidence()
            findings: list[Finding] = list(_findings(build.find(evidence)))
            for check in self._checks:
                for item in check.find(evidence):
                    if isinstance(item, Need):
                        missing |= set(_slots(item)) - self.facts.keys()
                    else:
                        findings.append(item)
            if not missing:
                self.findings = tuple(findings)
                return None

    def evidence(self) -> Evidence:
        """The variant with all that is known of it."""
        return Evidence(self.variant, self.recipe, self.size, self.facts)

    def job_for(self, slots: set[Slot]) -> Job | None:
        """The job that makes these facts, None where they are known without building."""
        missing = self._recall(slots)
        return self._job(missing) if missing else None

    def forget(self) -> Job | None:
        """As `advance`, with every fact made anew: nothing is taken from the store."""
        known = self._store
        self._store = None
        try:
            return self.advance()
        finally:
            self._store = known

    def learn(self, facts: Iterable[Fact]) -> None:
        """Takes in new facts, and keeps the measured ones in the store.

        What is known of a file is not kept: the checkpoint cache has its own records of that.
        """
        for fact in facts:
            self.facts[fact.kind, fact.image_size] = fact
            if self._store is not None and isinstance(fact, Measurement) and (fact.kind != "file"):
                self._store.put(self._key(fact.kind, fact.image_size), fact)

    def report(self) -> VariantReport:
        """The measurements as the JSON document names them."""
        structure = self._measured("structure", None)
        flops = self._measured("flops", self.size)
        file = self._measured("file", None)
        counts = {c["convention"] for c in flops.value["counts"]} if flops else set()
        collection = self.variant.collection
        return VariantReport(
            name=self.variant.name,
            collection=None if collection is None else collection.name,
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
                "top1": None,
                "top5": None,
                "images": None,
            },
        )

    def _measured(self, kind: str, size: Size | None) -> Measurement | None:
        fact = self.facts.get((kind, size))
        return fact if isinstance(fact, Measurement) else None

    def _recall(self, missing: set[Slot]) -> set[Slot]:
        """Answers what can be answered without building: unknown names, and stored facts."""
        if not missing:
            return missing
        name = self.variant.name
        if not self._builder.knows(name):
            near = difflib.get_close_matches(name, self._builder.names(), n=3)
            advice = f"; the nearest it has: {', '.join(near)}" if near else ""
            why = f"the builder {self.recipe.builder} has no variant called {name}{advice}"
            for kind, size in missing:
                self.facts[kind, size] = Unmeasured(
                    kind, name, self.recipe.builder, "build.unknown", why, size
                )
            return set()
        if self._store is None:
            return missing
        left = set()
        for kind, size in missing:
            fact = self._store.get(self._key(kind, size))
            if fact is None:
                left.add((kind, size))
            else:
                self.facts[kind, size] = fact
        return left

    def _job(self, missing: set[Slot]) -> Job:
        kinds = tuple(sorted({kind for kind, _ in missing}))
        sizes = tuple(sorted({size for _, size in missing if size is not None}))
        if "checkpoint" not in kinds:
            return Job(self.recipe, kinds, sizes)
        return Job(self.recipe, kinds, sizes, str(self._file()[0]), self._siblings)

    def _key(self, kind: str, size: Size | None) -> str:
        return key_of(kind, self.recipe, size, self._file() if kind == "checkpoint" else ())

    def _file(self) -> list[str | int]:
        """Path, size, modification time and inode of the fetched file."""
        fact = self._measured("file", None)
        assert fact is not None
        return [fact.value["path"], *fact.value["stat"]]


def _slots(need: Need) -> list[Slot]:
    return [(need.kind, size) for size in need.sizes] if need.sizes else [(need.kind, None)]


def _findings(items: Iterable[Finding | Need]) -> Iterable[Finding]:
    return (item for item in items if isinstance(item, Finding))
