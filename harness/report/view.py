"""The view of a report that the formats share: what is presented, rows, the order of findings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, TypeVar, cast

from harness.report import Options
from harness.report.sentences import label
from harness.types import Finding, Measurement, Report, VariantReport
from zoo._util.text import FOREIGN, bounded, foreign, truncate
from zoo.index.types import Claim
from zoo.known_datasets import IMAGENET_1K, known_dataset

T = TypeVar("T", VariantReport, Finding)
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
_MEASURABLE = {"Parameters", "FLOPs", "File Size", "Top 1 Accuracy", "Top 5 Accuracy"}
_RANK = {"error": 0, "warning": 1, "note": 2, None: 3}


# -- what is presented: foreign texts are cut, messages are visible -------------------------

_IDENTITY = ("variant", "field", "check", "cause", "documented", "accepted")


# So many long texts are looked for in each message.
_FEW = 100


def presentable(report: Report, *, names: bool) -> Report:
    """Cut the texts of servers, builders and files at `FOREIGN` characters, and show what hides.

    Args:
        report: whole.
        names: cut what identifies a variant or a finding as well. A document that programs read
            keeps that: its own escapes make it visible.
    """
    short = _ShortNames() if names else str
    quoted: dict[str | None, list[str]] = {}
    for variant in report.variants:
        long = [text for text in foreign_texts(variant) if len(text) > FOREIGN]
        if long:
            quoted[variant.name] = long
    # A message may name other variants too; where nearly all have long texts, the words of a
    # message are cut alone.
    all_quoted = dict.fromkeys(text for texts in quoted.values() for text in texts)
    anywhere = tuple(all_quoted) if len(all_quoted) <= _FEW else ()
    return replace(
        report,
        environment={
            key: foreign(value) if isinstance(value, str) else value
            for key, value in report.environment.items()
        },
        variants=tuple(_presentable_variant(v, short) for v in report.variants),
        findings=tuple(
            _presentable_finding(f, short, anywhere or quoted.get(f.variant, ()))
            for f in report.findings
        ),
        cut_short=None if report.cut_short is None else bounded(report.cut_short),
    )


class _ShortNames:
    """Cuts long names, two of them never to the same."""

    def __init__(self) -> None:
        self._short: dict[str, str] = {}
        self._taken: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        if len(name) <= FOREIGN:
            return name
        if name not in self._short:
            cut = truncate(name, FOREIGN - 8)
            number = self._taken[cut] = self._taken.get(cut, 0) + 1
            self._short[name] = cut if number == 1 else f"{cut} #{number}"
        return self._short[name]


def foreign_texts(variant: VariantReport) -> Iterator[str]:
    """What messages on a variant may quote, each as the index writes it."""
    yield variant.name
    yield from filter(None, (variant.collection, variant.builder))
    for claim in variant.claims:
        yield from filter(None, (claim.raw, claim.dataset, claim.task))


def _presentable_variant(variant: VariantReport, short: Callable[[str], str]) -> VariantReport:
    texts = {"name": variant.name, "collection": variant.collection, "builder": variant.builder}
    return _changed(variant, {k: None if v is None else short(v) for k, v in texts.items()})


def _presentable_finding(
    finding: Finding, short: Callable[[str], str], texts: Sequence[str]
) -> Finding:
    long = (getattr(finding, name) for name in _IDENTITY)
    own = [text for text in long if text is not None and len(text) > FOREIGN]
    changes: dict[str, Any] = {
        name: short(text) for name in _IDENTITY if (text := getattr(finding, name)) is not None
    }
    changes["message"] = bounded(finding.message, (*own, *texts))
    if isinstance(finding.measured, str):
        changes["measured"] = foreign(finding.measured)
    return _changed(finding, changes)


def _changed(made: T, values: Mapping[str, Any]) -> T:
    """The same, where nothing in it is new: a report has many findings, and few long texts."""
    new = {name: value for name, value in values.items() if value != getattr(made, name)}
    return replace(made, **new) if new else made


# -- rows: one per variant ------------------------------------------------------------------


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
    found: dict[str | None, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.variant, []).append(finding)
    # Once for a name: many entries may have the same.
    standings = {name: _standing(of_it) for name, of_it in found.items()}
    nothing: _Standing = ("unverified", ())
    return tuple(_row(v, *standings.get(v.name, nothing)) for v in report.variants)


_Standing = tuple[RowStatus, tuple[str, ...]]


def _standing(findings: Sequence[Finding]) -> _Standing:
    """The worst of a variant's findings, and the fields that are doubted."""
    statuses = {standing(finding) for finding in findings}
    worst: RowStatus = next((each for each in STATUSES if each in statuses), "unverified")
    return worst, _doubted(findings)


def standing(finding: Finding) -> RowStatus:
    """The status of one finding; a difference without a severity counts as an error."""
    found = label(finding)
    return "error" if found == "mismatch" else cast(RowStatus, found)


def _row(variant: VariantReport, status: RowStatus, doubted: tuple[str, ...]) -> Row:
    measured = variant.measurements
    counts: Mapping[str, Any] = measured.get("flops") or {}
    size = measured.get("image_size")
    convention = _claim(variant, "FLOPs Convention")
    stated = convention.value if convention and isinstance(convention.value, str) else None
    speed = _fastest(variant)
    return Row(
        name=variant.name,
        collection=variant.collection,
        builder=variant.builder,
        status=status,
        doubted=doubted,
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
        images_per_second_device=(speed.get("environment") or {}).get("device_name"),
        **_accuracies(variant),
    )


def _accuracies(variant: VariantReport) -> dict[str, Any]:
    found: dict[str, Any] = {"dataset": None}
    evaluations = variant.measurements.get("evaluations") or [{}]
    counted = evaluations[0].get("dataset")
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


def _doubted(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Fields with an error and no match: of two that share a size, one has it by right."""
    wrong = {f.field for f in findings if (f.severity or f.status) in ("error", "mismatch")}
    held = {f.field for f in findings if f.status == "match" and f.documented is not None}
    return tuple(sorted((wrong - held) & _MEASURABLE))


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
    """The timing with the most images per second in float32; empty where there is none."""
    timings = [
        timing
        for fact in variant.facts
        if isinstance(fact, Measurement) and fact.kind == "speed"
        for timing in fact.value.get("timings", ())
        if timing.get("precision") == "off" and timing.get("images_per_second") is not None
    ]
    return max(timings, key=lambda timing: float(timing["images_per_second"]), default={})


# -- order ----------------------------------------------------------------------------------
def is_wanted(finding: Finding, options: Options) -> bool:
    """Whether a list of single findings has it: all but matches, more or fewer as is asked for."""
    if options.verbose:
        return True
    if options.quiet:
        return finding.accepted is None and finding.severity in ("error", "warning")
    return finding.status != "match"


def rank(finding: Finding) -> int:
    """The worst first, then what is accepted, then what matches."""
    if finding.accepted is not None:
        return len(_RANK)
    return _RANK[finding.severity] + 2 * (finding.status == "match")
