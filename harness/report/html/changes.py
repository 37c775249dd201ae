"""What is new and what is fixed since the previous report; the figures of all reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.document import plain_finding
from harness.report.history import HistoryRow, HistorySpan, is_speed, names_of, short, spans
from harness.report.history_file import History
from harness.report.reader import UnusableReport, findings_of
from harness.types import Finding, Report, VariantReport

Key = tuple[str | None, str, str, str | None, str | None]
MayStand = Callable[[Finding, Key], bool]


@dataclass(frozen=True, slots=True)
class Changes:
    """Two reports side by side; findings that match are not listed.

    Attributes:
        problem: why the previous report could not be used; None where it was, or there is none.
        new: keys of the findings of this report that the previous one doesn't have.
        fixed: findings of the previous report that were looked for again and are gone.
        unseen: findings of the previous report that this run did not look for: their variant is
            not in it, their check was not asked for, or it was cut short.
    """

    problem: str | None = None
    new: frozenset[Key] = frozenset()
    fixed: tuple[Finding, ...] = ()
    unseen: tuple[Finding, ...] = ()


def key(finding: Finding) -> Key:
    """The identity of a finding, which its message, whose words may change, is no part of."""
    return (finding.variant, finding.field, finding.check, finding.cause, finding.documented)


def compare(
    report: Report,
    previous: Mapping[str, Any] | str | None,
    found: Mapping[str, Any] | None = None,
    may_stand: MayStand = lambda finding, new: True,
) -> Changes:
    """Compare a report with the previous one's JSON document, or with why that is missing.

    Where the previous one found the same, and was recorded with its own changes, these are still
    the last: a report that is made again is the same again. ``found`` is the present document.

    A finding is fixed where its check ran again on its variant and no longer complains of that
    claim. One whose cause is another now is new under that cause, and not fixed. What was counted
    on other images than before says nothing of what changed: it is neither.
    """
    if previous is None:
        return Changes()
    if isinstance(previous, str):
        return Changes(problem=previous)
    try:
        before = findings_of(previous)
        if found is not None and _state(found) == _state(previous):
            return _restored(previous.get("changes"))
    except UnusableReport as error:
        return Changes(problem=str(error))
    open_before = [f for f in before if f.status != "match"]
    open_now = [f for f in report.findings if f.status != "match"]
    known, here = {key(f): f for f in open_before}, {key(f) for f in open_now}
    gone = [finding for identity, finding in known.items() if identity not in here]
    variants = {None, *(variant.name for variant in report.variants)}
    # A check that reports on every claim has run only where it reports on any.
    silent = {f.check for f in before if f.status == "match"} - {f.check for f in report.findings}

    others = _on_other_images(report, previous)

    def was_checked(finding: Finding) -> bool:
        covered = finding.variant in variants and finding.check not in silent
        other = finding.check == "accuracy" and finding.variant in others
        return covered and not other and report.cut_short is None

    come = [k for f in open_now if (k := key(f)) not in known]
    stood = {key(f) for f in replaced(gone, come, may_stand).values()}
    return Changes(
        new=frozenset(k for k in here - known.keys() if k[2] != "accuracy" or k[0] not in others),
        fixed=tuple(f for f in gone if was_checked(f) and key(f) not in stood),
        unseen=tuple(f for f in gone if not was_checked(f)),
    )


def replaced(
    gone: Sequence[Finding], come: Sequence[Key], may_stand: MayStand
) -> dict[Key, Finding]:
    """Which finding of before stood in the place of each new one, if one did: none for two.

    It is of the same field and check; of the same text, or ``may_stand`` says that it may be.
    """
    left: dict[tuple[str | None, str, str], list[Finding]] = {}
    for finding in gone:
        left.setdefault(key(finding)[:3], []).append(finding)
    found: dict[Key, Finding] = {}
    for is_same in (True, False):
        for new in dict.fromkeys(come):
            some = left.get(new[:3], [])
            fits = (
                f for f in some if f.documented == new[4] or (not is_same and may_stand(f, new))
            )
            was = next(fits, None)
            if was is not None and new not in found:
                some.remove(was)
                found[new] = was
    return found


def _on_other_images(report: Report, previous: Mapping[str, Any]) -> set[str]:
    """The variants whose accuracies both reports have, of different images of a dataset."""
    listed = previous.get("variants")
    before: dict[str, dict[str, str]] = {}
    for entry in listed if isinstance(listed, list) else ():
        measured = entry.get("measurements") if isinstance(entry, Mapping) else None
        if isinstance(measured, Mapping) and isinstance(entry.get("name"), str):
            before[entry["name"]] = _images(measured)
    return {
        variant.name
        for variant in report.variants
        if (old := before.get(variant.name)) and (new := _images(variant.measurements))
        # Those of one more dataset are no other ones.
        if not any(new.get(name) == digest for name, digest in old.items())
    }


def _images(measured: Mapping[str, Any]) -> dict[str, str]:
    """Dataset -> the digest of its images that were evaluated."""
    found = measured.get("evaluations")
    listed = found if isinstance(found, list) else []
    return {str(e.get("dataset")): str(e.get("digest")) for e in listed if isinstance(e, Mapping)}


def recorded(changes: Changes) -> dict[str, Any]:
    """The changes as an entry of the document, which has none where there are none."""
    if not (changes.new or changes.fixed or changes.unseen):
        return {}
    new = sorted(map(list, changes.new), key=str)
    gone = {name: [*map(plain_finding, getattr(changes, name))] for name in ("fixed", "unseen")}
    return {"changes": {"new": new, **gone}}


def _state(document: Mapping[str, Any]) -> str:
    """What was found, without by what and when, and what of it was only written otherwise."""
    listed = document.get("variants")
    variants = [
        {key: value for key, value in entry.items() if key not in ("code", "versions", "claims")}
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, Mapping)
    ]
    found = {"variants": variants, "findings": document.get("findings")}
    return json.dumps(found, sort_keys=True)


def _restored(entry: object) -> Changes:
    """The changes of a document; none where it has none, or another program's."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("new"), list):
        return Changes()
    lists = (entry.get(name) for name in ("fixed", "unseen"))
    fixed, unseen = (tuple(findings_of({"schema": 1, "findings": found})) for found in lists)
    keys = [tuple(found) for found in entry["new"] if isinstance(found, list)]
    whole = (
        key for key in keys if len(key) == 5 and all(isinstance(each, str | None) for each in key)
    )
    return Changes(new=frozenset(whole), fixed=fixed, unseen=unseen)


_Number = Callable[[str | None], int]


# -- of each figure of a variant the runs in which it did not move ---------------------------


def over_time(
    past: History | None, variants: Sequence[VariantReport], texts: _Number
) -> dict[str, Any]:
    """The runs, each with its time and commit; and for each variant its figures.

    The order in each list is the one in which ``history.js`` takes it apart.

    Args:
        past: the history, None where there is none.
        variants: those of the page.
        texts: the number of a text.
    """
    if past is None or not len(past):
        return {"runs": [], "variants": [[] for _ in variants]}
    series: dict[str, list[list[HistoryRow]]] = {}
    for rows in past.bends(is_speed):
        series.setdefault(rows[0].variant, []).append(rows)
    runs = {row.run: row for some in series.values() for rows in some for row in rows}
    at = {run: number for number, run in enumerate(sorted(runs))}
    return {
        "runs": [[runs[run].time, texts(short(runs[run].commit))] for run in at],
        "variants": [
            [_figure(rows, at, texts) for rows in series.get(name, ())]
            for name in names_of(variants)
        ],
    }


def _figure(rows: Sequence[HistoryRow], at: Mapping[int, int], texts: _Number) -> list[Any]:
    """Its name, its spans, and of a speed the value of each run, with null where there is none."""
    points: list[float | None] = []
    if is_speed(rows[0].figure):
        found = {at[row.run]: row.measured for row in rows}
        some = (found.get(run) for run in range(at[rows[0].run], at[rows[-1].run] + 1))
        points = [
            float(f"{value:.5g}") if isinstance(value, float | int) else None for value in some
        ]
    return [texts(rows[0].figure), [_span(each, at, texts) for each in spans(rows)], points]


def _span(span: HistorySpan, at: Mapping[int, int], texts: _Number) -> list[Any]:
    row = span.first
    value = texts(row.measured) if isinstance(row.measured, str) else [span.low, span.high]
    return [
        *(at[row.run], at[span.last.run], span.state, value),
        *(texts(row.documented), texts(row.of), texts(row.versions)),
        [texts(each) for each in span.why],
    ]
