"""What scripts read: the JSON document, whose JSON Schema is beside this module, CSV, and lines."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TextIO

from harness.report import Options, sentences
from harness.report.speeds import environment_words, setting_words
from harness.report.view import is_wanted
from harness.types import (
    FINDING_COLUMNS,
    Beside,
    Finding,
    Measurement,
    Report,
    VariantReport,
    finding_row,
    timings_of,
)
from zoo._util.text import csv_text, for_terminal, json_text, without_secrets
from zoo.index.speeds import SPEEDS
from zoo.index.types import Claim, Location

SCHEMA = 1

_ENVIRONMENT = ("zoo", "torch", "python", "platform", "device", "started", "seconds")
_BESIDE = ("zoo", "variant", "field", "documented", "file", "line", "column", "same")
_MEASUREMENTS = (
    *("parameters", "layers", "image_size", "flops", "file_size", "sha256"),
    *("top1", "top5", "images"),
)
# Conventions that every variant shows, as null where nothing was counted.
_CONVENTIONS = ("macs", "flops", "fvcore", "thop-2020", "torchvision")
_CHECKPOINT = ("tensors", "fits", "misfit", "entry", "half", "holds", "refused")
_SETTINGS = ("image_size", "crop_pct", "interpolation", "mean", "std", "crop_mode", "weights")
# Of a text that is longer, such as a description, its beginning and its digest are enough.
_LONGEST = 200
# That of the code names versions one by one.
_LONGEST_CODE = 2000


def render(report: Report, *, out: TextIO, options: Options) -> None:
    """Write the document, and nothing else; it holds ASCII alone, so any encoding carries it."""
    out.write(f"{json_text(document(report))}\n")


def csv(report: Report, *, out: TextIO, options: Options) -> None:
    """Write a row for each finding, with the columns of `Report.to_pandas`, matches included.

    A fix begins as a diff does.
    """
    rows = ({k: plain(v) for k, v in finding_row(each).items()} for each in report.findings)
    columns: tuple[str, ...] = FINDING_COLUMNS
    if report.zoos:
        columns = (*columns, *(f"beside_{key}" for key in _BESIDE))
        beside = [each.beside for each in report.findings]
        more = ({f"beside_{k}": v for k, v in _beside(b).items()} if b else {} for b in beside)
        rows = (row | theirs for row, theirs in zip(rows, more, strict=True))
    out.write(csv_text(columns, rows, verbatim="fix"))


def concise(report: Report, *, out: TextIO, options: Options) -> None:
    """Write what is wrong and what could not be checked; matches too where all is asked for.

    A line for each, as compilers and ruff write it, ``path:line:col: cause message``, and nothing
    else, so that editors and ``wc -l`` can take it as it is.
    """
    locate = sentences.locator(report)
    wanted = (finding for finding in report.findings if is_wanted(finding, options))
    out.writelines(f"{for_terminal(_line(each, locate(each)))}\n" for each in wanted)


def _line(finding: Finding, at: Location | None) -> str:
    text = ": ".join(filter(None, (sentences.about(finding), sentences.message(finding))))
    known = finding.documented is not None or finding.measured is not None
    values = f" ({sentences.both(finding)})" if known else ""
    return f"{sentences.position(at)}: {finding.cause or finding.status} {text}{values}"


def document(report: Report) -> dict[str, Any]:
    """The report as plain JSON data, keys in the order that the schema lists them."""
    return {
        "schema": SCHEMA,
        "environment": {key: plain(report.environment.get(key)) for key in _ENVIRONMENT},
        "variants": [_variant(variant) for variant in report.variants],
        "findings": [plain_finding(finding) for finding in report.findings],
        "summary": report.summary(),
    }


def json_schema(name: str = f"schema-{SCHEMA}") -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of this or another document, as it ships in the package."""
    from importlib.resources import files

    text = files("harness.report").joinpath(f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _variant(variant: VariantReport) -> dict[str, Any]:
    measured = variant.measurements
    values = {key: plain(measured.get(key)) for key in _MEASUREMENTS}
    values["flops"] = dict.fromkeys(_CONVENTIONS) | (values["flops"] or {})
    if measured.get("evaluations"):
        values["evaluations"] = plain(measured["evaluations"])
    facts = [fact for fact in variant.facts if isinstance(fact, Measurement)]
    versions = dict(sorted(pair for fact in facts for pair in fact.versions.items()))
    # What a result states of itself tells it from others, and stands beside its figures.
    claims = [_claim(claim) for claim in variant.claims if not claim.is_setting]
    return {
        "name": variant.name,
        "collection": variant.collection,
        "builder": variant.builder,
        "measurements": values | _details(facts),
        **({"code": _cut(variant.code, _LONGEST_CODE)} if variant.code else {}),
        **({"versions": versions} if versions else {}),
        **({"claims": claims} if claims else {}),
    }


def _details(facts: Sequence[Measurement]) -> dict[str, Any]:
    """What else was measured; only what there is has a key."""
    found: dict[str, Any] = {"speeds": [*map(_speed, timings_of(facts))]}
    for fact in facts:
        if fact.kind == "checkpoint":
            held = {key: plain(fact.value.get(key)) for key in _CHECKPOINT}
            found["checkpoint"] = {k: v for k, v in held.items() if v not in (None, [])}
        elif fact.kind == "preprocess" and fact.value.get("settings"):
            stated = {key: plain(fact.value["settings"][0].get(key)) for key in _SETTINGS}
            found["preprocessing"] = {k: v for k, v in stated.items() if v is not None}
    return {key: found[key] for key in ("checkpoint", "preprocessing", "speeds") if found.get(key)}


def _speed(timing: Mapping[str, Any]) -> dict[str, Any]:
    speed = float(timing["images_per_second"])
    return {
        "batch": timing["batch"],
        "image_size": plain(timing["image_size"]),
        "setting": setting_words(timing),
        "environment": environment_words(timing),
        "images_per_second": speed,
        "range": plain(timing.get("images_per_second_range") or (speed, speed)),
        **({"contended": True} if timing.get("contended") else {}),
    }


def _cut(text: str, longest: int = _LONGEST) -> str:
    """The text; of a long one its beginning and a digest, which tell it from any other."""
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:longest]}... (sha256 {digest[:16]})"


def _claim(claim: Claim) -> dict[str, Any]:
    """The claim as written, and which result it stands in, if in one."""
    text = _cut(without_secrets(claim.raw))
    settings = (f"{name} {value}" for name, value in claim.settings)
    result = ", ".join(filter(None, (claim.task, claim.dataset, *settings)))
    return {
        "field": claim.field,
        "documented": text,
        **({"result": result} if result else {}),
        **conditions(claim),
    }


def conditions(claim: Claim) -> dict[str, Any]:
    """What a speed was measured under, by the index's words; nothing for what states none."""
    stated = {name: plain(value) for name, value in claim.settings if value is not None}
    return {"conditions": stated} if stated and claim.field in SPEEDS else {}


def plain_finding(finding: Finding) -> dict[str, Any]:
    """The finding; only an accepted one has the key for that, as most runs accept none."""
    accepted = {} if finding.accepted is None else {"accepted": finding.accepted}
    return {
        "variant": finding.variant,
        "field": finding.field,
        "check": finding.check,
        "status": finding.status,
        "severity": finding.severity,
        "cause": finding.cause,
        "documented": finding.documented,
        "measured": plain(finding.measured),
        "message": finding.message,
        "location": finding.location and plain_place(finding.location),
        "fix": finding.fix,
        **accepted,
        **({} if finding.beside is None else {"beside": _beside(finding.beside)}),
    }


def _beside(beside: Beside) -> dict[str, Any]:
    place = plain_place(beside.claim.location)
    values = (beside.zoo, beside.variant, beside.claim.field, without_secrets(beside.claim.raw))
    return dict(zip(_BESIDE, (*values, *place.values(), beside.same), strict=True))


def plain_place(at: Location) -> dict[str, Any]:
    return {"file": at.file, "line": at.line, "column": at.column}


def plain(value: Any) -> Any:
    """The value as JSON can hold it. JSON has no NaN and no infinity: neither is a measurement."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value
