"""One variant in a run: the facts that it needs, those that it has, and its findings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from harness.check import build
from harness.check.accuracy import FIELDS, counted_so_far, seen_images
from harness.check.base import Evidence, Need, VariantCheck
from harness.check.build import ALIAS
from harness.check.evaluated import setting_tag
from harness.check.flops import figure
from harness.check.paired import AGREEMENT, PrecisionCompared, compared_precisions
from harness.check.shards import span_of
from harness.config import RunConfig, UsageError
from harness.explain import habits, preferred_rules
from harness.measure.builders import BuilderError
from harness.run.eval_datasets import VariantImages
from harness.run.facts import VariantFacts
from harness.run.jobs import Job
from harness.run.keys import identity_of
from harness.run.store import Store
from harness.types import Fact, Finding, Measurement, Slot, VariantReport
from zoo._util.text import plural
from zoo.index.types import Variant


class VariantRun(VariantFacts):
    """A variant with its facts; `advance` says what is to be measured next, until nothing is.

    Args:
        variant, config, store, siblings, images: see `VariantFacts`.
        checks: the rules to apply.

    Attributes:
        findings: what the checks found, None while facts are missing.
    """

    def __init__(
        self,
        variant: Variant,
        config: RunConfig,
        checks: Sequence[VariantCheck],
        store: Store | None,
        siblings: tuple[str, ...] = (),
        images: VariantImages | str | None = None,
    ) -> None:
        super().__init__(variant, config, store, siblings, images)
        self.findings: tuple[Finding, ...] | None = None
        self._checks = checks
        self._applied: dict[str, _Applied] = {}
        self._preferred: Mapping[str, str] = {}

    def first_needs(self) -> set[Slot]:
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
                self.findings = None  # A file that came after the plan asks for more.
                return self._jobs(missing)
            evidence = self.evidence()
            findings: list[Finding] = list(_findings(build.find(_of_the_build(evidence))))
            for check in self._checks:
                for item in self._apply(check, evidence):
                    if isinstance(item, Need):
                        missing |= set(item.slots) - self.facts.keys()
                    else:
                        findings.append(item)
            if not missing:
                self.findings = tuple(findings)
                return []

    def settle(self) -> None:
        """Apply the checks that what is known is enough for; the others find nothing."""
        settled: list[Finding] = []
        for check in self._checks:
            missing = {slot for need in check.needs(self.size) for slot in need.slots}
            while not self._recall(missing - self.facts.keys()):
                items = self._apply(check, self.evidence())
                needed = {s for item in items if isinstance(item, Need) for s in item.slots}
                missing = needed - self.facts.keys()
                if not missing:
                    settled += _findings(items)
                    break
        built = _findings(build.find(_of_the_build(self.evidence())))
        self.findings = (*built, *settled)

    def _apply(self, check: VariantCheck, evidence: Evidence) -> tuple[Finding | Need, ...]:
        """What a check finds; it isn't asked again while all that it looked at is the same."""
        applied = self._applied.get(check.id)
        if applied is None or not applied.holds(evidence):
            facts = _ReadFacts(self.facts)
            items = tuple(check.find(replace(evidence, facts=facts)))
            applied = self._applied[check.id] = _Applied(evidence, facts, items)
        return applied.items

    def prefer(self, rules: Mapping[str, str], habits: Collection[str] = ()) -> None:
        """Check again where the rule that explains most of the collection may fit here, too.

        Args:
            rules: field -> rule.
            habits: the fields whose rule explains enough others for a claim that is too short to
                be explained by itself.
        """
        fitting = {f.field for f in self.findings or () if rules.get(f.field) in f.rules[1:]}
        fitting |= {f.field for f in self.findings or () if f.field in habits and _is_open(f)}
        if fitting:
            self._preferred = {field: rules[field] for field in fitting}
            self.advance()

    def evidence(self) -> Evidence:
        given = self._images
        images = () if given is None else given.available(self.facts)
        return Evidence(
            self.variant,
            self.recipe,
            self.size,
            self.facts,
            images[0] if images else None,
            {} if given is None else given.alternatives(self.recipe),
            self._preferred,
            self._no_images,
            images[1:],
            {}
            if given is None
            else {
                setting: given.alternatives(replace(self.recipe, **overrides))
                for setting, overrides in self._settings.items()
            },
            self._config.precisions,
        )

    def report(self) -> VariantReport:
        """The measurements as the JSON document names them."""
        structure = self._measured("structure", None)
        flops = self._measured("flops", self.size)
        file = self._measured("file", None)
        counts = {c["convention"] for c in flops.value["counts"]} if flops else set()
        return VariantReport(
            name=self.variant.name,
            collection=self.variant.collection_name,
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
            claims=self.variant.in_effect(),
            # Of which precisions agree, the sums are in the measurements.
            facts=tuple(f for f in self.facts.values() if f.kind != AGREEMENT),
            intervals=self._intervals(),
            location=self.variant.location,
            code=self._code() if structure or flops else "",
        )

    def _code(self) -> str:
        """What the builder says of the code of this variant; a third party's may say nothing."""
        with suppress(BuilderError, UsageError):
            return identity_of(self.recipe.builder, self.recipe.architecture)
        return ""

    def _counted(self) -> dict[str, list[Mapping[str, Any]]]:
        """What was counted as documented of each dataset, by its tag, in the order of the run."""
        given = () if self._images is None else self._images.available(self.facts)
        seen = {images.tag for _, images in seen_images(self.evidence())} if given else set()
        # What images of no known set give stands behind what others do.
        order = sorted(given, key=lambda images: not images.dataset)
        found: dict[str, list[Mapping[str, Any]]] = {images.tag: [] for images in order}
        ends: dict[str, int] = {}
        counted = (
            (span_of(fact.part), fact.value)
            for fact in self.facts.values()
            if isinstance(fact, Measurement) and fact.kind == "accuracy" and fact.part is not None
        )
        for span, value in sorted(counted, key=lambda each: (each[0].begin, each[0].end)):
            # What was answered for another set's sake is no claim's affair.
            if not span.alternative and span.tag in seen and span.begin == ends.get(span.tag, 0):
                found.setdefault(span.tag, []).append(value)
                ends[span.tag] = span.end
        return {tag: values for tag, values in found.items() if values}

    def _accuracies(self) -> dict[str, Any]:
        """Percent right of all images counted as documented, and which, and how many, these are.

        Those of the first dataset, and under ``evaluations`` of each one.
        """
        others: dict[str, list[PrecisionCompared]] = {}
        for each in compared_precisions(self.evidence()):
            others.setdefault(each.images.tag, []).append(each)
        found: list[dict[str, Any]] = []
        for tag, values in self._counted().items():
            about = {
                "dataset": values[0]["dataset"] or None,
                "digest": values[0]["digest"],
                "of": values[0]["of"],
                **({"setting": setting_tag(tag)} if setting_tag(tag) else {}),
            }
            images = sum(value["images"] for value in values)
            right = {name: sum(value[name] for value in values) for name in ("top1", "top5")}
            for each in others.get(tag, ()):  # It may go on where the claims are decided.
                if each.drawn > images:
                    images, counts = each.drawn, each.counts
                    right = {"top1": counts["both"] + counts["first"], "top5": counts["first5"]}
            own = {"precision": self._config.amp} if tag in others else {}
            found.append({**about, **own, "images": images, **_percent(right, images)})
            for other in others.get(tag, ()):
                found.append(
                    {
                        **about,
                        "precision": other.precision,
                        "images": other.drawn,
                        **_percent(other.counts, other.drawn),
                        "against": other.against(self._config.amp),
                    }
                )
        first = found[0] if found else dict.fromkeys(("top1", "top5", "images"))
        return {**{key: first[key] for key in ("top1", "top5", "images")}, "evaluations": found}

    def _intervals(self) -> dict[str, tuple[float, float]]:
        """Which accuracies the images of the first dataset leave possible, as findings say it."""
        found: dict[str, tuple[float, float]] = {}
        tag = next(iter(self._counted()), "")
        for claim in self.variant.claims_of(*FIELDS):
            decision = counted_so_far(self.evidence(), claim, tag)
            if decision is not None:
                found.setdefault(FIELDS[claim.field], decision.interval.percent)
        return found


def _percent(right: Mapping[str, int], images: int) -> dict[str, float]:
    return {name: round(100 * right[name] / images, 4) for name in ("top1", "top5")}


class _ReadFacts(Mapping[Slot, Fact]):
    """Facts that note which of them are looked at.

    Attributes:
        read: what was asked for, and what was there.
        whole: all of them were gone through.
    """

    def __init__(self, facts: Mapping[Slot, Fact]) -> None:
        self._facts = facts
        self.read: dict[Slot, Fact | None] = {}
        self.whole = False

    def __getitem__(self, slot: Slot) -> Fact:
        self.read[slot] = self._facts.get(slot)
        return self._facts[slot]

    def __iter__(self) -> Iterator[Slot]:
        self.whole = True
        return iter(self._facts)

    def __len__(self) -> int:
        self.whole = True
        return len(self._facts)


@dataclass(frozen=True, slots=True)
class _Applied:
    """What a check found, and the evidence that it looked at."""

    evidence: Evidence
    facts: _ReadFacts
    items: tuple[Finding | Need, ...]

    def holds(self, now: Evidence) -> bool:
        """Whether the check would see the same again."""
        return (
            not self.facts.whole
            and self.evidence.images == now.images
            and self.evidence.more_images == now.more_images
            and self.evidence.preferred == now.preferred
            and all(now.facts.get(slot) is fact for slot, fact in self.facts.read.items())
        )


def _of_the_build(evidence: Evidence) -> Evidence:
    """Without the counts: why images can't be counted is said once, of the accuracy."""
    counts = ("accuracy", AGREEMENT)
    facts = {slot: fact for slot, fact in evidence.facts.items() if slot[0] not in counts}
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


def device_of(runs: Iterable[VariantRun]) -> str:
    """Where arithmetic was done, if any was; shapes are worked out on the CPU."""
    counted = (f for s in runs for (kind, _), f in s.facts.items() if kind == "accuracy")
    found = {f.device for f in counted if isinstance(f, Measurement)}
    return ", ".join(sorted(found, key=lambda name: (len(name), name))) or "cpu"


def built_names(runs: Iterable[VariantRun]) -> dict[str, str]:
    """Variant -> the name that its builder builds it under."""
    facts = {s.variant.name: s.facts.get(("structure", None)) for s in runs}
    return {
        name: fact.value["built_as"]
        for name, fact in facts.items()
        if isinstance(fact, Measurement)
    }


def agree(runs: Sequence[VariantRun]) -> list[Finding]:
    """All findings, each collection's numbers explained alike where several rules fit one."""
    found = [(s.variant.collection_name, f) for s in runs for f in s.findings or ()]
    rules: dict[str | None, dict[str, str]] = {}
    for (collection, field), rule in preferred_rules(found).items():
        rules.setdefault(collection, {})[field] = rule
    usual = habits(found)
    for run in runs:
        collection = run.variant.collection_name
        own = rules.get(collection, {})
        run.prefer(own, {f for f, rule in own.items() if (collection, f, rule) in usual})
    return [f for run in runs for f in run.findings or ()]


def _is_open(finding: Finding) -> bool:
    """Whether nothing explains a documented number that is not the measured one."""
    return finding.cause == "flops.differs" and not finding.rules


def told_of(changed: Mapping[str, str]) -> str:
    """Which variants changed the process that built them, in one line."""
    first, *others = changed.values()
    more = f", and {plural(len(others), 'variant')} the like" if others else ""
    return f"{first}{more}: built in a process of its own, what it measured is not kept"


def ordered(findings: Iterable[Finding], variants: Sequence[Variant]) -> tuple[Finding, ...]:
    """Findings of the index itself first, then variant by variant in the order of the index."""
    rank = {variant.name: i for i, variant in enumerate(variants)}
    return tuple(sorted(findings, key=lambda f: rank.get(f.variant or "", -1)))
