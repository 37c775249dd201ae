"""What changed beside a change, and so is its cause, as far as two reports know it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.diff.facts import Edited, VariantPair
from harness.types import Finding
from zoo._util.text import few, shown

Cause = dict[str, str]
UNKNOWN: Cause = {"kind": "unknown", "text": "nothing that the reports hold tells why"}
BASELINE: Cause = {
    "kind": "baseline",
    "text": "the baseline, or the day on which an entry of it expires",
}
# Figures that are held against measurements, and decide none.
_FIGURES = frozenset(
    {"Parameters", "FLOPs", "Layers", "File Size", "Top 1 Accuracy", "Top 5 Accuracy", "Name"}
    | {"Activations", "Throughput", "Latency", "Memory", "SHA256", "FLOPs Convention"}
    | {"Description", "Citation", "Paper.Title", "Paper.URL", "Code", "README", "ID", "License"}
    | {"Training Data", "Training Resources", "Training Techniques", "Epochs", "LR", "Momentum"}
    | {"Weight Decay", "Batch Size", "Dropout", "Architecture", "Tasks", "In Collection", "Mirrors"}
)
_SHARED = ("Weights", "File Size", "Name")  # What may be wrong beside another variant's.
_PREPARED = ("Crop Pct", "Interpolation", "Mean", "Std", "Crop Mode")
_FILE = ("file_size", "sha256", "checkpoint")
# Which measurements a claim is held against.
_HELD_AGAINST: Mapping[str, tuple[str, ...]] = {
    "Parameters": ("parameters",),
    "Layers": ("layers",),
    "FLOPs": ("flops", "image_size"),
    "FLOPs Input": ("flops", "image_size"),
    "FLOPs Convention": ("flops", "image_size"),
    "File Size": ("file_size", "sha256", "parameters", "checkpoint"),
    "Weights": (*_FILE, "parameters"),
    "Top 1 Accuracy": ("accuracy",),
    "Top 5 Accuracy": ("accuracy",),
    **dict.fromkeys(("Image Size", *_PREPARED), ("preprocessing",)),
    **dict.fromkeys(("Throughput", "Latency", "Memory"), ("speed",)),
}


@dataclass(slots=True)
class Causes:
    """What there is to know of causes, over all variants.

    Attributes:
        pairs: the variants of both, by name.
        added: names of variants that are new.
        removed: names of those that are gone.
        versions: of the runs: name -> before and now.
        figures: variant -> ``accuracy`` and ``speed`` -> causes of those of its that changed.
    """

    pairs: Mapping[str, VariantPair]
    added: Sequence[str]
    removed: Sequence[str]
    versions: Mapping[str, tuple[str, str]]
    figures: dict[str, dict[str, list[Cause]]] = field(default_factory=dict)

    def of_measurement(self, pair: VariantPair, name: str) -> list[Cause]:
        """Why a measurement of a variant is another one."""
        if name.partition(".")[0] in _FILE:
            found = [*_edits(pair, ("Weights", "Mirrors"))]
            if not found and _file_changed(pair):
                found = [_cause("weights", "the file at the same place is another one")]
            return found or [*self._software(pair)] or [UNKNOWN]
        if name.startswith("preprocessing"):
            found = [*_edits(pair, ("Weights", "Builder")), *self._software(pair)]
            return found or [UNKNOWN]
        without = (*_PREPARED, "Weights")
        return [*_steering(pair, without), *self._software(pair)] or [UNKNOWN]

    def of_figure(self, pair: VariantPair, images: Mapping[str, Any] | None) -> list[Cause]:
        """Why an accuracy or, where ``images`` is None, a speed is another one."""
        found = []
        if images is not None and not images["same"]:
            before, now = images["old"], images["new"]
            more = f": {before:,} and {now:,} of them" if before != now else ""
            found.append(_cause("images", f"other images{more}"))
        if images is not None and _file_changed(pair) and not [*_edits(pair, ("Weights",))]:
            found.append(_cause("weights", "the file at the same place is another one"))
        found += (*_steering(pair, ("FLOPs Input",)), *self._software(pair))
        kind = "speed" if images is None else "accuracy"
        self.figures.setdefault(pair.name, {}).setdefault(kind, []).extend(found)
        return found or [UNKNOWN]

    def of_finding(self, finding: Finding) -> list[Cause]:
        """Why something is found now, or is no more."""
        name = finding.variant
        found: list[Cause] = []
        if name in self.added:
            found.append(_cause("index", "the variant is new"))
        pair = self.pairs.get(name or "")
        if pair is not None:
            # Of the results of a variant, an edit of one is no cause of what is found of another.
            found += [
                of_edit(each)
                for each in pair.edited
                if each.field == finding.field
                and (not each.result or finding.documented in (None, each.old, each.new))
            ]
            found += self._measured(pair, finding.field)
        by_text = finding.check == "schema" or (finding.cause or "").startswith("schema.")
        if (finding.cause or "").startswith("baseline."):
            found.append(BASELINE)
        elif by_text and not found and "zoo" not in self.versions:
            found.append(_cause("index", "the index's text"))
        if finding.cause == "weights.missing" and not found:
            found.append(_cause("weights", "the file is gone from its server, or has come back"))
        found = found or [*self._elsewhere(finding)]
        if not found and pair is not None:
            found += (*_steering(pair, ()), *self._software(pair))
        if not found and "zoo" in self.versions:
            found += _upgrades({"zoo": self.versions["zoo"]})
        return [*{(c["kind"], c["text"]): c for c in found}.values()] or [UNKNOWN]

    def may_stand(self, was: Finding, now: tuple[str | None, ...]) -> bool:
        """Whether a finding is of the claim that the one with that key is of, now edited."""
        name, field, *_, documented = now
        pair = self.pairs.get(name or "")
        if pair is None or not any(c["field"] == field and c.get("result") for c in pair.claims):
            return True
        edits = ((e.old, e.new) for e in pair.edited if e.field == field)
        return (was.documented, documented) in edits

    def _measured(self, pair: VariantPair, claimed: str) -> Iterator[Cause]:
        """The causes of the measurements that a claim is held against."""
        kinds = _HELD_AGAINST.get(claimed, ())
        for name in pair.measured:
            if name.partition(".")[0] in kinds:
                yield from (c for c in self.of_measurement(pair, name) if c is not UNKNOWN)
        for kind in kinds:
            yield from self.figures.get(pair.name, {}).get(kind, ())

    def _software(self, pair: VariantPair) -> Iterator[Cause]:
        """What builds and measures it, where that changed."""
        if pair.old["builder"] != pair.new["builder"]:
            yield _cause("builder", f"builder {pair.old['builder']} -> {pair.new['builder']}")
        elif pair.recoded is not None:
            old, new = pair.recoded
            if old.startswith("source:") and new.startswith("source:"):
                yield _cause("code", "the source of the model")
            else:
                yield _cause("library", f"{shown(old)} -> {shown(new)}")
        versions = {**self.versions, **pair.upgraded}
        if pair.old.get("versions") and pair.new.get("versions") and "torch" not in pair.upgraded:
            versions.pop("torch", None)
        versions.pop("python", None)
        yield from _upgrades(versions)

    def _elsewhere(self, finding: Finding) -> Iterator[Cause]:
        """What changed in other variants that this one may share something with."""
        if finding.field not in _SHARED:
            return
        edited = (name for name, pair in self.pairs.items() if [*_edits(pair, (finding.field,))])
        if come := [*edited, *self.added, *self.removed]:
            yield _cause("index", f"edited elsewhere in the index: {few([*map(shown, come)], 3)}")


def _upgrades(versions: Mapping[str, tuple[str, str]]) -> Iterator[Cause]:
    for name, (old, new) in versions.items():
        yield _cause("library", f"{name} {shown(old)} -> {shown(new)}")


def _cause(kind: str, text: str) -> Cause:
    return {"kind": kind, "text": text}


def of_edit(edited: Edited) -> Cause:
    """The edit itself, in words."""
    old, new = ("nothing" if text is None else shown(text) for text in (edited.old, edited.new))
    return _cause("index", f"{shown(edited.field)} {old} -> {new}")


def _edits(pair: VariantPair, fields: Iterable[str]) -> Iterator[Cause]:
    yield from (of_edit(each) for each in pair.edited if each.field in fields)


def _steering(pair: VariantPair, without: Iterable[str]) -> Iterator[Cause]:
    """Edits of what a measurement may depend on."""
    yield from (
        of_edit(each)
        for each in pair.edited
        if each.field not in _FIGURES and each.field not in without and not each.result
    )


def _file_changed(pair: VariantPair) -> bool:
    return "sha256" in pair.measured or (
        "file_size" in pair.measured and "sha256" not in pair.known
    )
