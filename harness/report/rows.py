"""Rows of a comparison, one per variant with how its claims stand; and one per claim."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, cast, get_args

from harness.report.document import conditions, plain, plain_place
from harness.report.sentences import PERCENT, label, value
from harness.report.speeds import environment_words, precision_words
from harness.report.view import rank
from harness.types import Finding, Report, VariantReport, is_about, timings_of
from zoo._util.text import without_secrets
from zoo.index.speeds import conditions_of
from zoo.index.types import Claim, Location, Variant
from zoo.known_datasets import IMAGENET_1K, known_dataset

RowStatus = Literal["error", "warning", "note", "accepted", "unverified", "match"]

# From the worst to the best.
STATUSES: tuple[RowStatus, ...] = get_args(RowStatus)
_MEASURABLE = ("Parameters", "FLOPs", "File Size", "Top 1 Accuracy", "Top 5 Accuracy")
# How a claim stands that several findings are on: what speaks against it, for it, beside it.
_CELL: tuple[RowStatus, ...] = ("error", "warning", "accepted", "match", "note", "unverified")
# An accuracy whose interval, in points, is wider is that of a sample: twenty images would move a
# variant by ten points either way. Where no interval is known, so few images are one.
WIDEST_INTERVAL = 5.0
FEW_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One variant; None is "not claimed" or "not measured".

    Attributes:
        name, collection, builder: the variant, as the index writes it: hostile text.
        status: the worst of its findings; ``unverified`` where it has none.
        image_size: (height, width) in pixels that the counts were made at.
        parameters_claimed, parameters: how many.
        flops_claimed, flops_convention_claimed: as documented.
        macs: measured multiply-accumulates; ``flops`` are twice as many.
        fvcore: what fvcore's rule counts.
        file_size_claimed, file_size: bytes.
        dataset: that the top-1 claim speaks of, else the top-5 claim.
        top1_claimed, top1, top1_low, top1_high: percent; low and high bound the accuracy on the
            whole population that the claim speaks of. The same for ``top5``.
        images: how many images were counted.
        cells: for each field with a claim that was checked, how that claim stands, and what was
            measured where it doesn't hold.
        doubted: the fields whose documented value an error speaks against, accepted or not, and
            nothing speaks for.
        images_per_second: the best that was measured in float32, with its batch size, and what
            it was measured on, in words: those of the same words can be compared.
    """

    name: str
    collection: str | None
    builder: str
    status: RowStatus
    image_size: tuple[int, int] | None = None
    parameters_claimed: int | None = None
    parameters: int | None = None
    flops_claimed: int | None = None
    flops_convention_claimed: str | None = None
    macs: int | None = None
    flops: int | None = None
    fvcore: int | None = None
    file_size_claimed: int | None = None
    file_size: int | None = None
    dataset: str | None = None
    top1_claimed: float | None = None
    top1: float | None = None
    top1_low: float | None = None
    top1_high: float | None = None
    top5_claimed: float | None = None
    top5: float | None = None
    top5_low: float | None = None
    top5_high: float | None = None
    images: int | None = None
    images_per_second: float | None = None
    images_per_second_batch: int | None = None
    images_per_second_device: str | None = None
    doubted: tuple[str, ...] = ()
    cells: Mapping[str, tuple[RowStatus, float | None]] = field(default_factory=dict, hash=False)

    def right(self, k: int) -> int | None:
        """How many images were right by top-k; None where that is not known."""
        percent = getattr(self, f"top{k}")
        return None if percent is None or not self.images else round(percent * self.images / 100)

    def is_sample(self, k: int) -> bool:
        """Whether so few images were counted that their share of right ones is no accuracy."""
        if self.right(k) is None:
            return False
        low, high = getattr(self, f"top{k}_low"), getattr(self, f"top{k}_high")
        if low is None or high is None:
            return cast(int, self.images) < FEW_IMAGES
        return bool(high - low > WIDEST_INTERVAL)


def rows(report: Report) -> tuple[Row, ...]:
    """The rows of a report, in the order of the index."""
    found: dict[str | None, list[Finding]] = {}
    on_claim: dict[_Place, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.variant, []).append(finding)
        on_claim.setdefault((finding.variant, finding.field, finding.location), []).append(finding)
    # Once for a name: many entries may have the same.
    standings = {name: _standing(of_it) for name, of_it in found.items()}
    nothing: _Standing = ("unverified", ())
    usual = _usual_environment(report.variants)
    return tuple(_row(v, on_claim, usual, *standings.get(v.name, nothing)) for v in report.variants)


_Standing = tuple[RowStatus, tuple[str, ...]]
_Place = tuple[str | None, str, Location | None]


def _standing(findings: Sequence[Finding]) -> _Standing:
    """The worst of a variant's findings, and the fields that are doubted."""
    statuses = {standing(finding) for finding in findings}
    worst: RowStatus = next((each for each in STATUSES if each in statuses), "unverified")
    return worst, _doubted(findings)


def _cells(
    variant: VariantReport, on_claim: Mapping[_Place, Sequence[Finding]]
) -> dict[str, tuple[RowStatus, float | None]]:
    """How the claims of a row stand; two results may claim one field, the place tells which."""
    cells: dict[str, tuple[RowStatus, float | None]] = {}
    for name in _MEASURABLE:
        claim = _claim(variant, name, _counted(variant))
        found = _on(claim, variant, name, on_claim)
        worst = min(found, key=lambda f: _CELL.index(standing(f)), default=None)
        if claim is not None and worst is not None:
            said = next(
                (
                    f.measured
                    for f in found
                    if standing(f) == standing(worst) and isinstance(f.measured, int | float)
                ),
                None,
            )
            cells[name] = (standing(worst), said)
    return cells


def _on(
    claim: Claim | None,
    variant: VariantReport,
    name: str,
    on_claim: Mapping[_Place, Sequence[Finding]],
) -> list[Finding]:
    """What was found of a claim, and of its field wherever it stands."""
    places: list[Location | None] = [None] if claim is None else [claim.location, None]
    return [f for place in places for f in on_claim.get((variant.name, name, place), ())]


def standing(finding: Finding) -> RowStatus:
    """The status of one finding; a difference without a severity counts as an error."""
    found = label(finding)
    return "error" if found == "mismatch" else cast(RowStatus, found)


def _row(
    variant: VariantReport,
    on_claim: Mapping[_Place, Sequence[Finding]],
    usual: str | None,
    status: RowStatus,
    doubted: tuple[str, ...],
) -> Row:
    measured = variant.measurements
    counts: Mapping[str, Any] = measured.get("flops") or {}
    size = measured.get("image_size")
    convention = _claim(variant, "FLOPs Convention")
    stated = convention.value if convention and isinstance(convention.value, str) else None
    speed = _fastest(variant, usual)
    # Of a field that several datasets have, the one of this row.
    for name in ("Top 1 Accuracy", "Top 5 Accuracy"):
        claim = _claim(variant, name, _counted(variant))
        own = _doubted(_on(claim, variant, name, on_claim))
        doubted = tuple(sorted({*doubted} - {name} | {*own}))
    return Row(
        name=variant.name,
        collection=variant.collection,
        builder=variant.builder,
        status=status,
        doubted=doubted,
        cells=_cells(variant, on_claim),
        image_size=(int(size[0]), int(size[1])) if size else None,
        parameters_claimed=_whole(_claim(variant, "Parameters")),
        parameters=measured.get("parameters"),
        flops_claimed=_operations(_claim(variant, "FLOPs"), stated),
        flops_convention_claimed=stated,
        macs=counts.get("macs"),
        flops=counts.get("flops"),
        fvcore=counts.get("fvcore"),
        file_size_claimed=_whole(_claim(variant, "File Size")),
        file_size=measured.get("file_size"),
        images=measured.get("images"),
        images_per_second=speed.get("images_per_second"),
        images_per_second_batch=speed.get("batch"),
        images_per_second_device=environment_words(speed) or None,
        **_accuracies(variant),
    )


def _accuracies(variant: VariantReport) -> dict[str, Any]:
    found: dict[str, Any] = {"dataset": None}
    counted = _counted(variant)
    for k in (5, 1):
        claim = _claim(variant, f"Top {k} Accuracy", counted)
        about = None if claim is None else known_dataset(claim.dataset or IMAGENET_1K)
        # What images of another set give stands beside no claim.
        fits = not counted or claim is None or (about is not None and about.name == counted)
        found[f"top{k}_claimed"] = _number(claim)
        found[f"top{k}"] = variant.measurements.get(f"top{k}") if fits else None
        bounds = variant.intervals.get(f"top{k}", (None, None))
        found[f"top{k}_low"], found[f"top{k}_high"] = bounds
        found["dataset"] = found["dataset"] if claim is None else claim.dataset
    return found


def _counted(variant: VariantReport) -> str | None:
    """The dataset of the images that a row's accuracies are of."""
    evaluations = variant.measurements.get("evaluations") or [{}]
    dataset: str | None = evaluations[0].get("dataset")
    return dataset


def _doubted(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Fields with an error and no match: of two that share a size, one has it by right."""
    wrong = {f.field for f in findings if (f.severity or f.status) in ("error", "mismatch")}
    held = {f.field for f in findings if f.status == "match" and f.documented is not None}
    return tuple(sorted((wrong - held) & {*_MEASURABLE}))


def _claim(variant: VariantReport, field: str, dataset: str | None = None) -> Claim | None:
    """The first claim of that field that was understood; of results, the first on that dataset.

    Failing that, the first on ImageNet.
    """
    claims = [c for c in variant.claims if c.field == field and c.value is not None]
    for name in filter(None, (dataset, IMAGENET_1K)):
        for claim in claims:
            known = known_dataset(claim.dataset)
            if known is not None and known.name == name:
                return claim
    return next(iter(claims), None)


def _number(claim: Claim | None) -> float | None:
    if claim is None or isinstance(claim.value, bool):
        return None
    if not isinstance(claim.value, int | float | Decimal):
        return None
    return number if math.isfinite(number := float(claim.value)) else None


def _whole(claim: Claim | None) -> int | None:
    number = _number(claim)
    if claim is None or number is None:
        return None
    return claim.value if isinstance(claim.value, int) else round(number)


def _operations(claim: Claim | None, convention: str | None) -> int | None:
    """The claimed count in operations: pages of torchvision's convention write billions."""
    number = _number(claim)
    if convention == "torchvision" and number is not None and number < 1e6:
        return round(number * 1e9)
    return _whole(claim)


def _fastest(variant: VariantReport, usual: str | None) -> Mapping[str, Any]:
    """The timing with the most images per second; empty where there is none.

    One of the usual environment goes first: what was timed as a claim says has another layout, say.
    """
    return max(
        _timings(variant),
        key=lambda timing: (environment_words(timing) == usual, float(timing["images_per_second"])),
        default={},
    )


def _timings(variant: VariantReport) -> Iterator[Mapping[str, Any]]:
    """Those in float32."""
    return (t for t in timings_of(variant.facts) if precision_words(t) == "float32")


def _usual_environment(variants: Iterable[VariantReport]) -> str | None:
    """The one that the most variants were timed in: their speeds can be compared."""
    found = Counter(name for v in variants for name in {*map(environment_words, _timings(v))})
    return max(found, key=lambda name: (found[name], name), default=None)


# -- claims with what became of them: documented, measured and status, side by side ---------

# Fields that some check holds against a measurement or a file.
_CHECKED = frozenset(
    {"Parameters", "Layers", "FLOPs", "File Size", "Weights", "SHA256"}
    | {"Top 1 Accuracy", "Top 5 Accuracy"}
)
CLAIM_COLUMNS = (
    *("variant", "field", "dataset", "documented", "measured", "status", "severity", "cause"),
    *("message", "file", "line", "column"),
)


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim.

    Attributes:
        variant: the name of the variant that it is in effect for.
        finding: the gravest on it, None where none is known.
        measured: the value that the gravest finding with one has.
        inherited: the variant's collection makes it.
    """

    variant: str
    claim: Claim
    finding: Finding | None
    measured: int | float | str | None
    inherited: bool

    @property
    def field(self) -> str:
        """The field, with the dataset of a result, or what a speed was measured under."""
        under = conditions_of(self.claim, ("device", "batch size"))
        about = self.claim.dataset or under.removeprefix("device ").replace("batch size", "batch")
        return self.claim.field + (f" ({about})" if about else "")

    @property
    def shown(self) -> str:
        """The measured value in the unit of the documented one; empty for none."""
        if self.measured is None:
            return ""
        unit = "%" if self.claim.field in PERCENT else ""
        return f"{value(self.measured)}{unit}"

    @property
    def word(self) -> str:
        """How it stands, in a word; empty where nothing is known, or no check reads it."""
        return "" if self.finding is None else label(self.finding)

    @property
    def documented(self) -> str:
        """The claim as written, without a secret that a URL carries."""
        return without_secrets(self.claim.raw)

    @property
    def is_open(self) -> bool:
        """Whether a run would check it, and none has."""
        return self.finding is None and self.claim.field in _CHECKED

    @property
    def status(self) -> str:
        """How it stands, and why."""
        cause = None if self.finding is None else self.finding.cause
        return f"{self.word} {cause}" if cause else self.word

    def entry(self) -> dict[str, Any]:
        """As plain JSON data: null is "not known"; only an accepted finding has that key."""
        found = self.finding
        accepted = found.accepted if found else None
        known = ("status", "severity", "cause", "message")
        return {
            "field": self.claim.field,
            "dataset": self.claim.dataset,
            "of": "collection" if self.inherited else "variant",
            "documented": self.documented,
            **conditions(self.claim),
            "measured": plain(self.measured),
            **{name: getattr(found, name, None) for name in known},
            "location": plain_place(self.claim.location),
            **({} if accepted is None else {"accepted": accepted}),
        }

    def row(self) -> dict[str, Any]:
        entry = self.entry()
        return {"variant": self.variant, **entry, **entry["location"]}


def found_in(report: Report) -> dict[tuple[str | None, Location | None], list[Finding]]:
    """The findings of each place, by the variant and the place, the gravest first."""
    found: dict[tuple[str | None, Location | None], list[Finding]] = {}
    for finding in sorted(report.findings, key=rank):
        found.setdefault((finding.variant, finding.location), []).append(finding)
    return found


def claim_rows(
    variant: Variant,
    claims: Iterable[Claim],
    found: Mapping[tuple[str | None, Location | None], list[Finding]],
) -> list[ClaimRow]:
    """These claims of a variant, each with what was found of it."""
    own = set(map(id, variant.claims))
    rows = []
    for claim in claims:
        places = ((name, claim.location) for name in (variant.name, None))
        findings = [f for place in places for f in found.get(place, ()) if is_about(f, claim)]
        measured = next((f.measured for f in findings if f.measured is not None), None)
        first = next(iter(findings), None)
        rows.append(ClaimRow(variant.name, claim, first, measured, id(claim) not in own))
    return rows
