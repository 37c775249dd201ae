"""The figures of a variant over time, where one moved, and the rows that a run adds to them.

A row is one figure of one variant in one run: measured, with what it is of and what it was made
with. A documented value stands beside it in a column of its own, and never in its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from harness.report.speeds import environment_words, setting_words
from harness.report.view import numbered
from harness.types import Measurement, Report, VariantReport, timings_of
from zoo._util.text import for_terminal, plural, truncate, without_secrets
from zoo.index.types import Claim
from zoo.known_datasets import known_dataset

COLUMNS = (
    *("run", "time", "commit", "variant", "figure", "measured", "documented", "of", "versions"),
)
SPEED = "images_per_second"
# A speed is another one where it is so many times faster or slower, in two runs after one another:
# other work on the machine makes smaller differences, and larger ones for a moment.
_SPEED_MOVED = 1.2
# Figure -> the field of an index that documents it, and the kind of fact that it is taken from.
FIELDS = {
    "parameters": ("Parameters", "structure"),
    "layers": ("Layers", "structure"),
    "flops": ("FLOPs", "flops"),
    "file_size": ("File Size", "file"),
    "sha256": ("SHA256", "file"),
    "top1": ("Top 1 Accuracy", "accuracy"),
    "top5": ("Top 5 Accuracy", "accuracy"),
    SPEED: ("Throughput", "speed"),
}
_ALSO = {"macs": "flops.macs", "throughput": SPEED, "images/s": SPEED, "speed": SPEED}


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One figure of one variant in one run.

    Attributes:
        run: the number of the run, from 1.
        time: when it began, ISO 8601 in UTC.
        commit: that was checked out, with ``+`` where files of it were changed; None where unknown.
        variant: its name, with a number where the index has several of that name.
        figure: as the JSON document names it, with what tells it from its like: ``flops.macs``.
        measured: the value.
        documented: as the index writes it, None where it says nothing of this figure.
        of: what the value is of, besides the variant: the input, the file, the images, the machine.
            Values of others can't be compared.
        versions: of what it was made with.
    """

    run: int
    time: str
    commit: str | None
    variant: str
    figure: str
    measured: int | float | str
    documented: str | None
    of: str | None
    versions: str


@dataclass(frozen=True, slots=True)
class HistorySpan:
    """Runs after one another in which a figure did not move.

    Attributes:
        first, last: the rows at both ends.
        runs: how many rows there are.
        low, high: of numbers; both None of others.
        state: ``first`` of a figure, ``moved`` from the span before, ``other`` where that is of
            something else and not compared, or ``documented`` where only that column changed.
        why: what else changed between the span before and this one, such as versions.
    """

    first: HistoryRow
    last: HistoryRow
    runs: int
    low: float | None
    high: float | None
    state: str
    why: tuple[str, ...] = ()


def is_speed(figure: str) -> bool:
    """Whether a figure is a speed, which differs a little from run to run."""
    return figure.partition(".")[0] == SPEED


def is_figure(figure: str, asked: str) -> bool:
    """Whether a figure is the one that was asked for, by its name or by the field of an index."""
    wanted = " ".join(asked.lower().replace("-", " ").replace("_", " ").split())
    wanted = _ALSO.get(wanted, wanted).lower()
    kind = figure.partition(".")[0]
    names = (figure, kind, FIELDS.get(kind, ("",))[0])
    plain = {name.lower().replace("-", " ").replace("_", " ") for name in names}
    return wanted.replace("-", " ").replace("_", " ") in plain


def spans(rows: Sequence[HistoryRow]) -> list[HistorySpan]:
    """The rows of one figure of one variant, in the order of the runs, as runs that are alike."""
    if not rows:
        return []
    found: list[HistorySpan] = []
    begin, state, why = 0, "first", tuple[str, ...]()
    level = _number(rows[0])
    for at in range(1, len(rows) + 1):
        after = _state(rows, at, level) if at < len(rows) else "end"
        if not after:
            level += (_number(rows[at]) - level) / (at + 1 - begin)
            continue
        some = rows[begin:at]
        numbers = [r.measured for r in some if not isinstance(r.measured, str)]
        low, high = (min(numbers), max(numbers)) if numbers else (None, None)
        found.append(HistorySpan(some[0], some[-1], len(some), low, high, state, why))
        if after != "end":
            begin, state, why = at, after, changed(rows[at - 1], rows[at])
            level = _number(rows[at])
    return found


def _number(row: HistoryRow) -> float:
    return 0.0 if isinstance(row.measured, str) else float(row.measured)


def _state(rows: Sequence[HistoryRow], at: int, level: float) -> str:
    """How a row differs from the one before it; empty where it doesn't.

    Args:
        rows: of one figure.
        at: the position of the row.
        level: the mean of the rows that are alike before it.
    """
    before, row = rows[at - 1], rows[at]
    if row.of != before.of:
        return "other"
    if not is_speed(row.figure):
        moved = row.measured != before.measured
    else:
        both = [_number(each) for each in rows[at : at + 2] if each.of == row.of]
        faster = min(both) > level * _SPEED_MOVED
        moved = len(both) == 2 and (faster or max(both) < level / _SPEED_MOVED)
    return "moved" if moved else "documented" if row.documented != before.documented else ""


def changed(before: HistoryRow, row: HistoryRow) -> tuple[str, ...]:
    """What changed from one row to the next besides the value, in words."""
    said = []
    if row.of != before.of:
        said.append(f"of {before.of or 'unknown'} -> {row.of or 'unknown'}")
    if row.documented != before.documented:
        said.append(f"documented {before.documented or 'nothing'} -> {row.documented or 'nothing'}")
    old, new = (dict(_parts(each.versions)) for each in (before, row))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            said.append(f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}")
    if row.commit != before.commit:
        said.append(f"commit {short(before.commit)} -> {short(row.commit)}")
    return tuple(said)


def _parts(versions: str) -> Iterator[tuple[str, str]]:
    for each in filter(None, versions.split(", ")):
        name, _, version = each.partition(" ")
        yield name, version


def short(commit: str | None) -> str:
    """A commit as it is shown."""
    return "unknown" if commit is None else commit[:10] + "+" * commit.endswith("+")


# -- the rows of a run ----------------------------------------------------------------------

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
    for timing in timings_of(variant.facts):
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
