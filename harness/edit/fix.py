"""Put measured values in place of wrong ones, and change nothing else.

    >>> proposal = propose(report.findings, session.index)
    >>> proposal.rewrites[0].diff

A fix is made of the `Edit`s that a check proposes with its finding. It is written as the page
writes such values, the text that results is read again, and a file that says anything else then
than it should is left as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from harness.check.compare import number
from harness.edit.diff import Lines, unified_diff
from harness.edit.draft import Drafter, Edits, EditUnit
from harness.edit.yaml_edit import EditRefused, Replacement, YamlFile, save
from harness.types import Edit, Finding
from zoo._util.text import printable, shown
from zoo.index.types import Collection, Index, Location, Variant

_SIZE, _INPUT, _FLOPS = "Image Size", "FLOPs Input", "FLOPs"
# What is measured on the file behind Weights.
_OF_THE_FILE = ("File Size", "SHA256", "Top 1 Accuracy", "Top 5 Accuracy")
# What makes it doubtful that the file behind Weights is the variant's own, but for a file whose
# tensors are the variant's.
_OF_A_NAME = ("weights.shared-url", "weights.name-mismatch")

EditRequest = tuple[Finding, Edits]


@dataclass(frozen=True)
class Rewrite:
    """A file as it was read, and the text that it becomes, without its byte order mark.

    The replacements are in the order of the text; they mend the findings.
    """

    file: YamlFile
    text: str
    replacements: tuple[Replacement, ...]
    findings: tuple[Finding, ...]

    @property
    def data(self) -> bytes:
        """The bytes that the file becomes."""
        return self.file.with_text(self.text).data

    @property
    def diff(self) -> str:
        return unified_diff(Lines(self.file), self.replacements)

    @property
    def added(self) -> int:
        """How many keys are added; the other replacements are of values."""
        return sum(change.adds is not None for change in self.replacements)

    def write(self) -> None:
        """Put the new text in its place; a link stays a link, permissions stay as they are.

        Raises:
            EditRefused: the file changed since it was read, or can't be written.
        """
        save(self.file, self.data)


@dataclass(frozen=True)
class SkippedFix:
    """A finding that is not mended although something was measured, and why not."""

    finding: Finding
    why: str


@dataclass
class Proposal:
    """All that would be written."""

    rewrites: list[Rewrite] = field(default_factory=list)
    skipped: list[SkippedFix] = field(default_factory=list)
    units: list[tuple[YamlFile, EditUnit]] = field(default_factory=list)

    def skip(self, findings: Iterable[Finding], why: str) -> None:
        """Leave findings as they are, and say why."""
        self.skipped += [SkippedFix(finding, why) for finding in findings]

    @cached_property
    def diffs(self) -> dict[int, str]:
        """``id`` of a finding -> what mends it alone, as a unified diff."""
        lines: dict[int, Lines] = {}
        found: dict[int, str] = {}
        for file, unit in self.units:
            text = unified_diff(lines.setdefault(id(file), Lines(file)), unit.replacements)
            found |= dict.fromkeys(map(id, unit.findings), text)
        return found


def propose(
    findings: Sequence[Finding],
    index: Index,
    *,
    keep_values: bool = False,
    snapshot: Mapping[str, bytes] | None = None,
) -> Proposal:
    """Propose what would mend the findings.

    Args:
        findings: those of a run; what is written was measured in it.
        index: what the run read.
        keep_values: let FLOPs stand, and say how they were counted.
        snapshot: path -> bytes of the index's files as the run found them; without it they are
            read now, and refused where they do not say any more what the index says.
    """
    proposal = Proposal()
    requests: list[EditRequest] = []
    of_weights: dict[str | None, list[Finding]] = {}
    for finding in findings:
        if finding.field == "Weights":
            of_weights.setdefault(finding.variant, []).append(finding)
    doubtful = {name for name, found in of_weights.items() if _is_doubtful(found)}
    for finding in findings:
        edits, why = _requested(finding, finding.variant in doubtful, keep_values)
        if why:
            proposal.skip([finding], why)
        elif edits:
            requests.append((finding, edits))
    requests = _with_inputs(requests, index, proposal)
    by_file: dict[str, dict[Edits, list[Finding]]] = {}
    aliases = AliasMap(index, requests)
    for finding, edits in requests:
        why = aliases.objection(finding, edits)
        if why:
            proposal.skip([finding], why)
        else:
            groups = by_file.setdefault(edits[0].location.file, {})
            groups.setdefault(edits, []).append(finding)
    paths = {printable(path): path for path in index.files}
    read: dict[str, list[Variant]] = {}
    for variant in index.variants:
        read.setdefault(variant.location.file, []).append(variant)
    for name, groups in by_file.items():
        try:
            file = _file(paths[name], read.get(name, ()), snapshot)
            _propose_for(file, groups, proposal)
        except EditRefused as refused:
            for group in groups.values():
                proposal.skip(group, str(refused))
    return proposal


def with_fixes(findings: Sequence[Finding], index: Index) -> tuple[Finding, ...]:
    """The findings, each with the diff that mends it alone where there is one."""
    if not any(finding.edits for finding in findings):
        return tuple(findings)
    diffs = propose(findings, index).diffs
    return tuple(
        replace(finding, fix=diffs[id(finding)]) if id(finding) in diffs else finding
        for finding in findings
    )


def snapshot_of(index: Index) -> dict[str, bytes]:
    """Path -> bytes of all files of the index that can be read now."""
    found = {}
    for path in index.files:
        try:
            found[path] = YamlFile.read(path).data
        except EditRefused:
            continue  # reported where something would be written to it
    return found


def _requested(finding: Finding, doubtful: bool, keep_values: bool) -> tuple[Edits, str]:
    """The edits that a finding asks for, or why they are not made."""
    if not finding.edits:
        return (), ""
    if keep_values and finding.field == _FLOPS:
        if not finding.annotate_edits:
            return (), "no convention and input is known that gives this number, so it stays"
        return finding.annotate_edits, ""
    if finding.field in _OF_THE_FILE and doubtful:
        return (), "the file behind Weights may not be this variant's own"
    return finding.edits, ""


def _is_doubtful(of_weights: Sequence[Finding]) -> bool:
    proven = any(f.check == "weights-tensors" and f.status == "match" for f in of_weights)
    return any(
        f.severity in ("error", "warning") and not (proven and f.cause in _OF_A_NAME)
        for f in of_weights
    )


def _file(path: str, variants: Iterable[Variant], snapshot: Mapping[str, bytes] | None) -> YamlFile:
    known = (snapshot or {}).get(path)
    file = YamlFile.read(path) if known is None else YamlFile(path, known)
    if [(v.name, v.claims) for v in variants] != [
        (v.name, v.claims) for v in file.contents.variants
    ]:
        raise EditRefused(f"{path} has changed since it was read")
    return file


def _propose_for(file: YamlFile, groups: Mapping[Edits, list[Finding]], proposal: Proposal) -> None:
    keys = {edit.field for edits in groups for edit in edits}
    keys |= {finding.field for findings in groups.values() for finding in findings}
    drafter = Drafter(file, keys)
    units: list[EditUnit] = []
    for edits, findings in groups.items():
        try:
            units.append(drafter.unit(edits, findings))
        except EditRefused as refused:
            proposal.skip(findings, str(refused))
    draft, refused_units = drafter.draft(units)
    for unit, why in refused_units:
        proposal.skip(unit.findings, why)
    if draft.units:
        mended = tuple(finding for unit in draft.units for finding in unit.findings)
        proposal.rewrites.append(Rewrite(file, draft.text, draft.replacements, mended))
        proposal.units += [(file, unit) for unit in draft.units]


class AliasMap:
    """Values that stand once in a file and are claimed by several entries, through YAML aliases.

    The index is all that was read, not only what a run was about.
    """

    def __init__(self, index: Index, requests: Sequence[EditRequest]) -> None:
        self._at: dict[Location, list[tuple[str, str]]] = {}
        entries: list[Variant | Collection] = [*index.variants, *index.collections]
        for entry in entries:
            for claim in entry.claims:
                self._at.setdefault(claim.location, []).append((entry.name, claim.field))
        self._alike: dict[tuple[Edits, str], Counter[str | None]] = {}
        self._other: dict[tuple[Edits, str], tuple[str, str] | None] = {}
        for finding, edits in requests:
            self._alike.setdefault((edits, finding.field), Counter())[finding.variant] += 1

    def objection(self, finding: Finding, edits: Edits) -> str:
        """Why a request would change what another entry says; empty where it would not.

        A shared value may change where all who share it want the same of it.
        """
        key = edits, finding.field
        if key not in self._other:
            self._other[key] = self._blocking(*key)
        other = self._other[key]
        if other is None:
            return ""
        if other[0] == finding.variant:
            return f"its value is also that of {shown(other[1])}, through an alias"
        return f"{shown(other[0])} shares it through an alias, and is not to change alike"

    def _blocking(self, edits: Edits, field: str) -> tuple[str, str] | None:
        """The entry and the key that share a value of these edits and do not ask for the same."""
        for edit in edits:
            sharers = self._at.get(edit.location, [])
            if len(sharers) == 1:
                continue
            wanted = field if edit.added else edit.field
            alike = self._alike[edits, field].copy()
            for name, what in sharers:
                if what != wanted or not alike[name]:
                    return name, what
                alike[name] -= 1
        return None


# FLOPs without a FLOPs Input are those at the Image Size. Where that is to be another one, they
# would silently become a claim about another input.


def _with_inputs(
    requests: Sequence[EditRequest], index: Index, proposal: Proposal
) -> list[EditRequest]:
    """The requests with each FLOPs and its input as one; those that can't be are skipped.

    FLOPs that are right at the new size stay; others keep the size that they are counted at, in a
    FLOPs Input of their own.
    """
    resized = {
        finding.variant: edit
        for finding, edits in requests
        for edit in edits
        if edit.field == _SIZE and not edit.added
    }
    affected = {v.name: v for v in index.variants if v.name in resized and _is_at_image_size(v)}
    # What mends the FLOPs themselves gives them their own input, or they are right at the new one.
    settled = {
        finding.variant
        for finding, edits in requests
        if finding.field == _FLOPS
        and finding.variant in affected
        and (any(e.field == _INPUT for e in edits) or _is_at(finding, resized[finding.variant]))
    }
    kept: list[EditRequest] = []
    for finding, edits in requests:
        variant = affected.get(finding.variant or "")
        if variant is None:
            kept.append((finding, edits))
        elif finding.field == _FLOPS and _is_at(finding, resized[variant.name]):
            rest = tuple(edit for edit in finding.annotate_edits if edit.field != _INPUT)
            kept += [(finding, rest)] if rest else []
        elif any(e.field == _SIZE and not e.added for e in edits) and variant.name not in settled:
            own = variant.claim(_SIZE)
            if own is None or not isinstance(own.value, tuple):
                why = (
                    f"the {_FLOPS} of {variant.name} are counted at it; give them a {_INPUT} first"
                )
                proposal.skip([finding], why)
                continue
            size = (int(own.value[0]), int(own.value[1]))
            kept.append((finding, (*edits, Edit(_INPUT, size, own.location, added=True))))
        else:
            kept.append((finding, edits))
    return kept


def _is_at_image_size(variant: Variant) -> bool:
    flops = variant.claim(_FLOPS)
    return flops is not None and number(flops) is not None and variant.effective(_INPUT) is None


def _is_at(finding: Finding, resize: Edit) -> bool:
    """Whether the documented FLOPs are those at the size that the variant is to have."""
    return any(e.field == _INPUT and e.value == resize.value for e in finding.annotate_edits)
