"""The rows that a run adds to a history: what was measured of each variant."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from harness.report.history import FIELDS, SPEED, HistoryRow
from harness.report.speeds import environment_words, setting_words
from harness.report.view import numbered
from harness.types import Measurement, Report, VariantReport
from zoo._util.text import for_terminal, plural, truncate, without_secrets
from zoo.index.types import Claim
from zoo.known_datasets import known_dataset

_LONGEST = 300
_LONGEST_VERSIONS = 2000
_VERSION = re.compile(r"([\w.-]+) ([\w.+!-]+)")
# Its name, its value, its claim, and what it is of.
_Figure = tuple[str, Any, Claim | None, str | None]


def rows_of(report: Report, commit: str | None) -> list[HistoryRow]:
    """The rows of one run, whose number is still to be given; only what was measured has one."""
    given = str(report.environment.get("started") or datetime.now(timezone.utc).isoformat())
    time = datetime.fromisoformat(given).astimezone(timezone.utc).isoformat(timespec="seconds")
    about = {name: report.environment.get(name) for name in ("python", "torch", "zoo")}
    found = []
    for name, variant in zip(names_of(report.variants), report.variants, strict=True):
        versions = {kind: _versions(variant, kind, about) for _, kind in FIELDS.values()}
        for figure, measured, documented, of in _figures(variant):
            if not isinstance(measured, str) and not math.isfinite(measured):
                continue  # Another builder's, say: it is no measurement.
            kind = FIELDS[figure.partition(".")[0]][1]
            row = HistoryRow(0, time, commit, name, figure, measured, None, None, versions[kind])
            raw = None if documented is None else _text(documented.raw)
            found.append(replace(row, documented=raw, of=None if of is None else _text(of)))
    return found


def names_of(variants: Iterable[VariantReport]) -> list[str]:
    """What a history calls each variant: its name, with a number where several have the same."""
    return numbered(for_terminal(each.name) for each in variants)


def _text(text: str) -> str:
    return for_terminal(truncate(without_secrets(text), _LONGEST))


def _versions(variant: VariantReport, kind: str, about: Mapping[str, Any]) -> str:
    """Of the run, of what builds the variant, and of what the facts of that kind depend on."""
    facts = (f for f in variant.facts if isinstance(f, Measurement) and f.kind == kind)
    built = {} if kind == "file" else _built_with(variant.code)
    found = {k: v for k, v in about.items() if v} | built
    found |= {k: v for f in facts for k, v in f.versions.items()}
    text = ", ".join(f"{name} {found[name]}" for name in sorted(found))
    return for_terminal(truncate(without_secrets(text), _LONGEST_VERSIONS))


def _built_with(code: str) -> dict[str, str]:
    """The versions that a builder names, and the digest of the source; no other words of its."""
    itself, _, beside = code.partition(" with ") if code.startswith("source:") else ("", "", code)
    found = (_VERSION.fullmatch(each) for each in beside.split(", "))
    source = {"source": itself.removeprefix("source:")} if itself else {}
    return source | {each[1]: each[2] for each in found if each}


def _figures(variant: VariantReport) -> Iterator[_Figure]:
    """Each figure that was measured: its name, its value, its claim, and what it is of."""
    measured = variant.measurements
    for name in ("parameters", "layers"):
        if measured.get(name) is not None:
            yield name, measured[name], _claim(variant, name), None
    size = measured.get("image_size")
    at = "x".join(map(str, size)) if size else None
    convention = next((c.value for c in variant.claims if c.field == "FLOPs Convention"), None)
    for name, count in sorted((measured.get("flops") or {}).items()):
        if count is not None:
            yield (
                f"flops.{name}",
                count,
                _claim(variant, "flops") if name == convention else None,
                at,
            )
    weights = next((c.raw for c in variant.claims if c.field == "Weights"), None)
    for name in ("file_size", "sha256"):
        if measured.get(name) is not None:
            yield name, measured[name], _claim(variant, name), weights
    yield from _accuracies(variant)
    yield from _speeds(variant)


def _speeds(variant: VariantReport) -> Iterator[_Figure]:
    """Of each batch size and setting one; what is claimed names conditions of its own."""
    found: dict[str, _Figure] = {}
    for fact in variant.facts:
        timings = fact.value.get("timings", ()) if isinstance(fact, Measurement) else ()
        for timing in timings if fact.kind == "speed" else ():
            if timing.get("images_per_second"):
                setting = setting_words(timing)
                words = [f"batch {timing.get('batch')}", *[setting] * (setting != "float32")]
                plain = {k: v for k, v in (timing.get("environment") or {}).items() if k != "torch"}
                at = "x".join(map(str, timing.get("image_size") or ()))
                made = environment_words({**timing, "environment": plain})
                of = ", ".join(filter(None, (at, made)))
                name = f"{SPEED}.{', '.join(words)}"
                found.setdefault(name, (name, timing["images_per_second"], None, of))
    yield from found.values()


def _accuracies(variant: VariantReport) -> Iterator[_Figure]:
    for each in variant.measurements.get("evaluations") or ():
        dataset, setting = each.get("dataset"), each.get("setting")
        parts = [*filter(None, (dataset, setting, each.get("precision")))]
        images = plural(each.get("images") or 0, "image")
        of = f"{images}, digest {each.get('digest')}"
        for k in (1, 5):
            if each.get(f"top{k}") is not None:
                claim = None if setting else _claim(variant, f"top{k}", dataset)
                yield ".".join((f"top{k}", *parts)), each[f"top{k}"], claim, of


def _claim(variant: VariantReport, figure: str, dataset: str | None = None) -> Claim | None:
    field = FIELDS[figure][0]
    for claim in variant.claims:
        known = known_dataset(claim.dataset) if dataset and claim.field == field else None
        if claim.field == field and (not dataset or (known and known.name == dataset)):
            return claim
    return None
