"""A written report read back: what it measured and found, beside what an index says today.

What an index documents may have changed since; what a report measured of a variant of that name and
that collection stands. What it found of a claim stands as long as the claim is written as it was,
on whatever line.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.check.decide import interim
from harness.report.folder import DOCUMENT, FolderError
from harness.report.reader import MOST_BYTES, UnusableReport, document_of, report_of
from harness.report.rows import FEW_IMAGES, WIDEST_INTERVAL, Row, rows
from harness.types import Finding, Report, VariantReport
from zoo._util.files import open_regular
from zoo._util.text import for_spreadsheet, for_terminal, without_secrets
from zoo.index.types import Location, Variant
from zoo.known_datasets import KNOWN, KnownDataset

_MOST = 1e30
_SPEEDS = {"images_per_second": float, "images_per_second_batch": int}


def document_at(place: Path) -> Path:
    """The document of a report that is named by its folder or its file."""
    return place / DOCUMENT if place.is_dir() or place.suffix != ".json" else place


def has_report(place: Path) -> bool:
    """Whether there is a report to be read."""
    return os.path.lexists(document_at(place))


def read_report(place: Path, variants: Sequence[Variant], builder: str = "") -> Report:
    """The report in a folder, as one of these variants: of others it says nothing.

    Raises:
        FolderError: there is none, or it can't be read.
    """
    path = document_at(place)
    try:
        with open_regular(path) as file:
            report = report_of(document_of(file.read(MOST_BYTES + 1)))
    except FileNotFoundError as error:
        raise FolderError(f"{path}: there is no report; zoo report writes one") from error
    except OSError as error:
        raise FolderError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnusableReport as error:
        raise FolderError(f"{path}: is no report: {error}; write one with zoo report") from error
    known: dict[tuple[str, str | None], VariantReport] = {}
    for each in report.variants:
        known.setdefault((each.name, each.collection), each)
    made = tuple(_variant(v, known.get((v.name, v.collection_name)), builder) for v in variants)
    if not all(_is_small(each.measurements) for each in made):
        raise FolderError(f"{path}: is no report: it holds a number beyond all figures")
    return replace(report, variants=made, findings=tuple(_still_said(report.findings, made)))


def _still_said(findings: Iterable[Finding], made: Sequence[VariantReport]) -> Iterator[Finding]:
    """The findings on these variants, at the places where their claims stand today.

    One on a claim that is written otherwise by now, or is gone, says nothing of what is there.
    """
    claims: dict[tuple[str | None, str, str], list[Location]] = {}
    for each in made:
        for claim in each.claims:
            for name in (each.name, None):
                places = claims.setdefault((name, claim.field, without_secrets(claim.raw)), [])
                places += [claim.location] * (claim.location not in places)
    names = {each.name for each in made}
    about: dict[tuple[str | None, str, str], dict[Location | None, list[Finding]]] = {}
    for finding in findings:
        if finding.documented is not None:
            key = finding.variant, finding.field, finding.documented
            about.setdefault(key, {}).setdefault(finding.location, []).append(finding)
        elif finding.variant in names:
            yield replace(finding, location=None)
    for key, placed in about.items():
        now = claims.get(key, [])
        # Of several that are written alike, each is the one of its turn.
        then = sorted(placed, key=str) if None in placed else sorted(filter(None, placed))
        for place, at in zip(then, sorted(now), strict=False) if len(then) == len(now) else ():
            yield from (replace(finding, location=at) for finding in placed[place])


def nothing_measured(variants: Sequence[Variant], builder: str = "") -> Report:
    """The report of variants of which nothing is known but what their index says."""
    return Report({}, tuple(_variant(each, None, builder) for each in variants), ())


def report_rows(report: Report, place: Path | None = None) -> tuple[Row, ...]:
    """The rows of a report, with the speeds that its folder has in its tables alone."""
    made = rows(report)
    path = place and document_at(place).with_name("comparison.csv")
    if path is None or not path.is_file():
        return made
    try:
        with path.open(encoding="utf-8", newline="") as file:
            timed = {(line["name"], line["builder"]): line for line in csv.DictReader(file)}
        return tuple(
            replace(
                row, **_speeds(timed.get((for_spreadsheet(for_terminal(row.name)), row.builder)))
            )
            for row in made
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return made


def _speeds(line: Mapping[str, str] | None) -> dict[str, Any]:
    found = {name: kind(line[name]) for name, kind in _SPEEDS.items() if line and line[name]}
    usable = len(found) == len(_SPEEDS) and math.isfinite(found["images_per_second"])
    return found if usable else {}


def _is_small(value: object) -> bool:
    """Whether no number in it is beyond all figures."""
    if isinstance(value, Mapping):
        return all(map(_is_small, value.values()))
    if isinstance(value, list):
        return all(map(_is_small, value))
    return not isinstance(value, int | float) or abs(value) < _MOST


def _variant(variant: Variant, known: VariantReport | None, builder: str) -> VariantReport:
    """What is documented of a variant today, and what a report measured of it, if that has it."""
    made = VariantReport(
        name=variant.name,
        collection=variant.collection_name,
        builder=builder if known is None else known.builder,
        measurements={} if known is None else known.measurements,
        claims=variant.in_effect(),
        location=variant.location,
    )
    first = next(evaluations(made), None)
    intervals = {} if first is None else {f"top{k}": first.interval(k) for k in (1, 5)}
    return replace(made, intervals=intervals)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What was counted on the images of one dataset.

    Attributes:
        known: the dataset; None where it is none of `zoo.known_datasets`.
        images, population: how many were counted, and how many the whole dataset has.
        top1, top5: percent.
        setting, precision: that its result states, empty for the variant's own and float32.
    """

    known: KnownDataset | None
    images: int
    population: int
    top1: float
    top5: float
    setting: str
    precision: str

    def interval(self, k: int) -> tuple[float, float]:
        """The percents that the counted images leave possible for the whole dataset.

        With certainty of 99 % wherever the run stopped: the looks of its plan share the error.
        """
        percent = self.top1 if k == 1 else self.top5
        right = round(percent * self.images / 100)
        return interim(self.images, right, self.population).percent

    @property
    def is_whole(self) -> bool:
        """Whether all images of the dataset were counted, and no more than it has."""
        whole = self.population if self.known is None else self.known.images
        return self.images == whole

    @property
    def is_sample(self) -> bool:
        """Whether so few images say little of the whole dataset."""
        low, high = self.interval(1)
        few = self.images < min(FEW_IMAGES, self.population)
        return few or high - low > WIDEST_INTERVAL


def evaluations(variant: VariantReport) -> Iterator[Evaluated]:
    """What was counted of a variant, as documented; other precisions beside it are left out."""
    for each in variant.measurements.get("evaluations") or ():
        known, images = KNOWN.get(each.get("dataset") or ""), int(each["images"])
        if "against" in each or images < 1:
            continue
        population = max(images, int(each["of"]) if known is None else known.images)
        setting, precision = (each.get(key) or "" for key in ("setting", "precision"))
        precision = precision.replace("off", "")
        shares = each["top1"], each["top5"]
        yield Evaluated(known, images, population, *shares, setting, precision)
