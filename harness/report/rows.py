"""One row per variant: what is claimed, what was measured, and how the variant stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast

from harness.report.grouping import label
from harness.report.words import word
from harness.types import Finding, Measurement, Report, VariantReport
from zoo.index.types import Claim
from zoo.labels import is_imagenet

RowStatus = Literal["error", "warning", "note", "accepted", "unverified", "match"]

# From the worst to the best.
STATUSES: tuple[RowStatus, ...] = (
    "error",
    "warning",
    "note",
    "accepted",
    "unverified",
    "match",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One variant; None is "not claimed" or "not measured".

    Attributes:
        name, collection, builder: the variant, as the index writes it: hostile text.
        status: the worst of its findings, of which an accepted one is no error any more;
            ``unverified`` where it has none.
        image_size: (height, width) in pixels that the counts were made at.
        parameters_claimed, parameters: how many.
        flops_claimed, flops_convention_claimed: as documented; None of the latter is "not said".
        macs: measured multiply-accumulates; ``flops`` are twice as many.
        fvcore: what fvcore's rule counts.
        file_size_claimed, file_size: bytes.
        dataset: that the top-1 claim speaks of, else the top-5 claim.
        top1_claimed, top1, top1_low, top1_high: percent; low and high bound the accuracy on the
            whole population that the claim speaks of. The same for ``top5``.
        images: how many pictures were counted.
        doubted: the fields whose documented value an error speaks against, accepted or not, and
            nothing speaks for.
        images_per_second: the best that was measured in float32, with its batch size and the
            name of its device.
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


def rows(report: Report) -> tuple[Row, ...]:
    """The rows of a report, in the order of the index."""
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.variant is not None:
            found.setdefault(finding.variant, []).append(finding)
    return tuple(_row(variant, found.get(variant.name, ())) for variant in report.variants)


def status_of(findings: Iterable[Finding]) -> RowStatus:
    """The worst of them; nothing that was held against a claim verifies nothing."""
    found = {standing(finding) for finding in findings}
    return next((status for status in STATUSES if status in found), "unverified")


def standing(finding: Finding) -> RowStatus:
    """How a finding stands, one that a baseline accepts among the accepted alone."""
    found = word(finding)
    # A difference that nobody graded is not taken lightly.
    return "error" if found == "mismatch" else cast(RowStatus, found)


_MEASURABLE = {"Parameters", "FLOPs", "File Size", "Top 1 Accuracy", "Top 5 Accuracy"}


def _doubted(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Fields with an error and no match: of two that share a size, one has it by right."""
    found = {f.field for f in findings if label(f) in ("error", "mismatch")}
    held = {f.field for f in findings if f.status == "match"}
    return tuple(sorted((found - held) & _MEASURABLE))


def _row(variant: VariantReport, findings: Sequence[Finding]) -> Row:
    measured = variant.measurements
    counts: Mapping[str, Any] = measured.get("flops") or {}
    size = measured.get("image_size")
    convention = _claim(variant, "FLOPs Convention")
    stated = convention.value if convention and isinstance(convention.value, str) else None
    top1, top5 = (_claim(variant, f"Top {k} Accuracy") for k in (1, 5))
    low1, high1 = variant.intervals.get("top1", (None, None))
    low5, high5 = variant.intervals.get("top5", (None, None))
    speed = _fastest(variant)
    return Row(
        name=variant.name,
        collection=variant.collection,
        builder=variant.builder,
        status=status_of(findings),
        doubted=_doubted(findings),
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
        dataset=next((claim.dataset for claim in (top1, top5) if claim is not None), None),
        top1_claimed=_number(top1),
        top1=measured.get("top1"),
        top1_low=low1,
        top1_high=high1,
        top5_claimed=_number(top5),
        top5=measured.get("top5"),
        top5_low=low5,
        top5_high=high5,
        images=measured.get("images"),
        images_per_second=speed.get("images_per_second"),
        images_per_second_batch=speed.get("batch"),
        images_per_second_device=(speed.get("environment") or {}).get("device_name"),
    )


def _claim(variant: VariantReport, field: str) -> Claim | None:
    """The first claim of that field that was understood; of results, the first on ImageNet."""
    claims = [c for c in variant.claims if c.field == field and c.value is not None]
    return next(
        (c for c in claims if c.dataset and is_imagenet(c.dataset)), next(iter(claims), None)
    )


def _number(claim: Claim | None) -> float | None:
    if claim is None or isinstance(claim.value, bool):
        return None
    if not isinstance(claim.value, int | float | Decimal):
        return None
    return value if math.isfinite(value := float(claim.value)) else None


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


def _fastest(variant: VariantReport) -> Mapping[str, Any]:
    """The timing with the most pictures per second in float32; empty where nothing was timed."""
    timings = [
        timing
        for fact in variant.facts
        if isinstance(fact, Measurement) and fact.kind == "speed"
        for timing in fact.value.get("timings", ())
        if timing.get("precision") == "off" and timing.get("images_per_second") is not None
    ]
    return max(timings, key=lambda timing: float(timing["images_per_second"]), default={})
