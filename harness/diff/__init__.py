"""Two reports compared: what changed between them, and what is the cause of each change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.check.speed import OFF_ON_CPU, OFF_ON_GPU
from harness.diff.causes import BASELINE, Causes, of_edit
from harness.diff.facts import VariantPair, differing, pairs
from harness.diff.figures import accuracies, speeds
from harness.diff.place import Place
from harness.report.document import plain, plain_finding
from harness.report.html.changes import Key, compare, key, replaced
from harness.types import Finding

SCHEMA = 1
_GRAVITY = {None: 0, "note": 1, "warning": 2, "error": 3}
_NOTE = _GRAVITY["note"]
_RUN = ("zoo", "torch", "python")


def diff(old: Place, new: Place) -> dict[str, Any]:
    """The document of what changed, as its schema has it; plain JSON data."""
    found, added, removed = pairs(old.document, new.document)
    about = differing(*(dict(each.report.environment) for each in (old, new)))
    versions = {name: about[name] for name in _RUN if name in about}
    causes = Causes({pair.name: pair for pair in reversed(found)}, added, removed, versions)
    changes: dict[str, Any] = {
        "variants": {"added": added, "removed": removed, "changed": [*_moved(found)]},
        "claims": [*_claims(found)],
        "measurements": [*_measurements(found, causes)],
        "accuracies": [*_accuracies(found, causes, old, new)],
        "speeds": [*_speeds(found, causes)],
    }
    told = _findings(causes, old, new, changes)
    regressions = [*_regressions(changes, told)]
    counted = [len(part) for part in changes["variants"].values()]
    counted += [len(changes[n]) for n in ("claims", "measurements", "accuracies", "speeds")]
    counted += [len(told[name]) for name in ("new", "mended", "changed")]
    return {
        "schema": SCHEMA,
        "old": {"name": old.name, "variants": len(old.report.variants)},
        "new": {"name": new.name, "variants": len(new.report.variants)},
        "versions": [{"name": n, "old": a, "new": b} for n, (a, b) in versions.items()],
        **changes,
        "findings": told,
        "regressions": regressions,
        "summary": {
            "changes": sum(counted),
            "regressions": len(regressions),
            **{name: len(each) for name, each in told.items()},
        },
    }


# -- variants, claims, measurements ---------------------------------------------------------


def _moved(found: Sequence[VariantPair]) -> Iterator[dict[str, Any]]:
    for pair in found:
        edited = {each.field for each in pair.edited}
        for name, claim in (("collection", "In Collection"), ("builder", "Builder")):
            old, new = pair.old.get(name), pair.new.get(name)
            if old != new and claim not in edited:
                yield {"variant": pair.name, "name": name, "old": old, "new": new}


def _claims(found: Sequence[VariantPair]) -> Iterator[dict[str, Any]]:
    for pair in found:
        for each in pair.edited:
            yield {
                "variant": pair.name,
                "field": each.field,
                **({"result": each.result} if each.result else {}),
                **({} if each.was is None else {"was_result": each.was}),
                "old": each.old,
                "new": each.new,
                "causes": [of_edit(each)],
            }


def _measurements(found: Sequence[VariantPair], causes: Causes) -> Iterator[dict[str, Any]]:
    for pair in found:
        for name, (old, new) in pair.measured.items():
            why = causes.of_measurement(pair, name)
            yield {"variant": pair.name, "name": name, "old": old, "new": new, "causes": why}


def _accuracies(
    found: Sequence[VariantPair], causes: Causes, old: Place, new: Place
) -> Iterator[dict[str, Any]]:
    for pair in found:
        for each in accuracies(pair, old.answers, new.answers):
            yield {
                "variant": pair.name,
                **each,
                "causes": causes.of_figure(pair, each["images"]),
            }


def _speeds(found: Sequence[VariantPair], causes: Causes) -> Iterator[dict[str, Any]]:
    for pair in found:
        for each in speeds(pair):
            yield {"variant": pair.name, **each, "causes": causes.of_figure(pair, None)}


# -- findings -------------------------------------------------------------------------------


def _findings(causes: Causes, old: Place, new: Place, changes: Mapping[str, Any]) -> dict[str, Any]:
    """New, mended, changed and unchanged ones, and those that one of the runs did not look for."""
    before, now = _by_key(old.report.findings), _by_key(new.report.findings)
    here = compare(new.report, old.document, may_stand=causes.may_stand)
    there = compare(old.report, new.document)
    open_now = [f for f in new.report.findings if f.status != "match"]
    # What the earlier run did not look for is no news, unless it could not have been there.
    unasked = {key(f) for f in there.unseen if not _has_come(f, causes)}
    fresh = [f for f in open_now if key(f) in here.new - unasked]
    fixed = list(here.fixed)
    for each in before.keys() & now.keys():  # Several results may say the same.
        more = len(now[each]) - len(before[each])
        if each[3] is not None:
            fresh += now[each][len(now[each]) - more :] if more > 0 else []
            fixed += before[each][len(before[each]) + more :] if more < 0 else []
    cleared = {key(f) for f in (*here.fixed, *here.unseen)}
    gone = [found[0] for k, found in before.items() if k not in now and k not in cleared]
    was = replaced([f for f in gone if f.status != "match"], [*map(key, fresh)], causes.may_stand)
    both = [f for k in now if k in before and k[3] is not None for f in now[k][: len(before[k])]]
    return {
        "new": [_new(f, was.get(key(f)), causes) for f in fresh],
        "mended": [_with(f, causes) for f in fixed],
        "changed": [*_changed(before, now, causes, changes)],
        "unchanged": [plain_finding(f) for f in both],
        "unseen": [
            *({**plain_finding(f), "in": "old"} for f in here.unseen),
            *({**plain_finding(f), "in": "new"} for f in open_now if key(f) in unasked),
        ],
    }


def _by_key(findings: Iterable[Finding]) -> dict[Key, list[Finding]]:
    found: dict[Key, list[Finding]] = {}
    for finding in findings:
        found.setdefault(key(finding), []).append(finding)
    return found


def _has_come(finding: Finding, causes: Causes) -> bool:
    """Whether what it is about was not there before: the variant, or the claim."""
    if finding.variant in causes.added:
        return True
    pair = causes.pairs.get(finding.variant or "")
    return pair is not None and any(e.field == finding.field for e in pair.edited)


def _with(finding: Finding, causes: Causes) -> dict[str, Any]:
    return {**plain_finding(finding), "causes": causes.of_finding(finding)}


def _new(finding: Finding, was: Finding | None, causes: Causes) -> dict[str, Any]:
    """A new finding, with the one that was in its place."""
    return _with(finding, causes) | ({} if was is None else {"was": _standing(was)})


def _standing(finding: Finding) -> dict[str, Any]:
    names = ("status", "severity", "cause", "documented", "accepted")
    return {name: getattr(finding, name) for name in names} | {"measured": plain(finding.measured)}


def _changed(
    before: Mapping[Key, Sequence[Finding]],
    now: Mapping[Key, Sequence[Finding]],
    causes: Causes,
    changes: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Findings of both that are graver now, or accepted, or whose figure no other change tells."""
    told: set[str | None] = {e["variant"] for e in changes["accuracies"]}
    pairs = {
        (each["variant"], str(each["old"]), str(each["new"]))
        for each in (*changes["measurements"], *changes["speeds"])
    }
    for each in (k for k in now if k in before):
        for was, has in zip(before[each], now[each], strict=False):
            graver = (was.severity, was.status) != (has.severity, has.status)
            accepted = (was.accepted is None) != (has.accepted is None)
            values = was.measured, has.measured
            moved = values[0] != values[1] and None not in values
            moved &= (has.variant, *map(str, values)) not in pairs
            moved &= not (has.check == "accuracy" and has.variant in told)
            moved &= has.check != "speed"  # Each bench has another figure.
            if graver or accepted or moved:
                found = {**_with(has, causes), "was": _standing(was)}
                if accepted:
                    found["causes"] = [BASELINE]
                yield found


# -- what is worse --------------------------------------------------------------------------


def _regressions(changes: Mapping[str, Any], findings: Mapping[str, Any]) -> Iterator[str]:
    """What is certainly worse, a line for each."""
    for each in (*findings["new"], *findings["changed"]):
        was = each.get("was")
        if _gravity(each) > max(_NOTE, _gravity(was) if was else 0):
            about = ": ".join(filter(None, (each["variant"], each["field"])))
            yield f"{about}: {each['severity']} {each['cause']}"
    for each in changes["accuracies"]:
        if each["verdict"] == "worse":
            yield f"{each['variant']}: {each['metric']} {each['old']} -> {each['new']}"
    for each in changes["speeds"]:
        off = OFF_ON_GPU if "CUDA " in each["environment"] else OFF_ON_CPU
        if each["ranges"]["old"][0] > off * each["ranges"]["new"][1]:
            speed = f"{each['old']:.1f} -> {each['new']:.1f} images/s"
            yield f"{each['variant']}: batch {each['batch']}: {speed}"


def _gravity(finding: Mapping[str, Any]) -> int:
    """How grave it is; nothing where it is accepted."""
    return 0 if finding.get("accepted") is not None else _GRAVITY[finding["severity"]]
