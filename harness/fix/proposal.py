"""From findings to the texts that would mend them: what is written where, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from harness.fix.diff import Lines, unified_diff
from harness.fix.draft import Unit, drafted, unit_of
from harness.fix.input_size import kept_apart
from harness.fix.page import Page, Refused, Replacement
from harness.fix.sharing import Edits, Sharers, Wish
from harness.types import Finding
from zoo._util.text import printable
from zoo.index.types import Index

# What is measured on the file behind Weights.
_OF_THE_FILE = ("File Size", "SHA256", "Top 1 Accuracy", "Top 5 Accuracy")
# What makes it doubtful that the file behind Weights is the variant's own, but for a file whose
# tensors are the variant's.
_OF_A_NAME = ("weights.shared-url", "weights.name-mismatch")


@dataclass(frozen=True)
class Rewrite:
    """A file and what it becomes.

    Attributes:
        page: the file as it was read.
        text: what it becomes, without its byte order mark.
        replacements: what changes, in the order of the text.
        findings: those that are mended by it.
    """

    page: Page
    text: str
    replacements: tuple[Replacement, ...]
    findings: tuple[Finding, ...]

    @property
    def data(self) -> bytes:
        """The bytes that the file becomes."""
        return self.page.with_text(self.text).data

    @property
    def diff(self) -> str:
        """The change as a unified diff."""
        return unified_diff(Lines(self.page), self.replacements)

    @property
    def added(self) -> int:
        """How many keys are added; the other replacements are of values."""
        return sum(change.adds is not None for change in self.replacements)


@dataclass(frozen=True)
class Refusal:
    """A finding that is not mended although something was measured, and why not."""

    finding: Finding
    why: str


@dataclass
class Proposal:
    """All that would be written."""

    rewrites: list[Rewrite] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    units: list[tuple[Page, Unit]] = field(default_factory=list)

    @cached_property
    def diffs(self) -> dict[int, str]:
        """``id`` of a finding -> what mends it alone, as a unified diff."""
        lines: dict[int, Lines] = {}
        return {
            id(finding): unified_diff(lines.setdefault(id(page), Lines(page)), unit.replacements)
            for page, unit in self.units
            for finding in unit.findings
        }


def propose(
    findings: Sequence[Finding],
    index: Index,
    *,
    keep_values: bool = False,
    snapshot: Mapping[str, bytes] | None = None,
) -> Proposal:
    """What would mend the findings.

    Args:
        findings: those of a run; what is written was measured in it.
        index: what the run read.
        keep_values: let FLOPs stand, and say how they were counted.
        snapshot: path -> bytes of the index's files as the run found them; without it they are
            read now, and refused where they do not say any more what the index says.
    """
    proposal = Proposal()
    wishes: list[Wish] = []
    of_weights: dict[str | None, list[Finding]] = {}
    for finding in findings:
        if finding.field == "Weights":
            of_weights.setdefault(finding.variant, []).append(finding)
    for finding in findings:
        edits, why = _wanted(finding, of_weights.get(finding.variant, ()), keep_values)
        if why:
            proposal.refusals.append(Refusal(finding, why))
        elif edits:
            wishes.append((finding, edits))
    wishes, unsettled = kept_apart(wishes, index)
    proposal.refusals += [Refusal(finding, why) for finding, why in unsettled]
    by_file: dict[str, dict[Edits, list[Finding]]] = {}
    sharers = Sharers(index, wishes)
    for wish in wishes:
        why = sharers.objection(wish)
        if why:
            proposal.refusals.append(Refusal(wish[0], why))
        else:
            groups = by_file.setdefault(wish[1][0].location.file, {})
            groups.setdefault(wish[1], []).append(wish[0])
    paths = {printable(path): path for path in index.files}
    for file, groups in by_file.items():
        try:
            page = _page(paths[file], index, snapshot)
            _propose_for(page, groups, proposal)
        except Refused as refused:
            proposal.refusals += [Refusal(f, str(refused)) for g in groups.values() for f in g]
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
            found[path] = Page.read(path).data
        except Refused:
            continue  # said where something would be written to it
    return found


def _wanted(
    finding: Finding, of_weights: Sequence[Finding], keep_values: bool
) -> tuple[Edits, str]:
    """The edits that a finding asks for, or why they are not made."""
    if not finding.edits:
        return (), ""
    if keep_values and finding.field == "FLOPs":
        if not finding.keeping:
            return (), "no convention and input is known that gives this number, so it stays"
        return finding.keeping, ""
    if finding.field in _OF_THE_FILE and _is_doubtful(of_weights):
        return (), "the file behind Weights may not be this variant's own"
    return finding.edits, ""


def _is_doubtful(of_weights: Sequence[Finding]) -> bool:
    proven = any(f.check == "weights-tensors" and f.status == "match" for f in of_weights)
    return any(
        f.severity in ("error", "warning") and not (proven and f.cause in _OF_A_NAME)
        for f in of_weights
    )


def _page(path: str, index: Index, snapshot: Mapping[str, bytes] | None) -> Page:
    """The file as the run found it.

    Raises:
        Refused: it changed since the index was read.
    """
    known = (snapshot or {}).get(path)
    page = Page.read(path) if known is None else Page(path, known)
    name = printable(path)
    read = [(v.name, v.claims) for v in index.variants if v.location.file == name]
    if read != [(v.name, v.claims) for v in page.contents.variants]:
        raise Refused(f"{path} has changed since it was read")
    return page


def _propose_for(page: Page, groups: Mapping[Edits, list[Finding]], proposal: Proposal) -> None:
    spots = page.spots({name for edits in groups for name in _keys(edits, groups[edits])})
    units: list[Unit] = []
    for edits, findings in groups.items():
        try:
            units.append(unit_of(page, edits, findings, spots))
        except Refused as refused:
            proposal.refusals += [Refusal(finding, str(refused)) for finding in findings]
    draft, refused_units = drafted(page, units)
    for unit, why in refused_units:
        proposal.refusals += [Refusal(finding, why) for finding in unit.findings]
    if draft.units:
        mended = tuple(finding for unit in draft.units for finding in unit.findings)
        proposal.rewrites.append(Rewrite(page, draft.text, draft.replacements, mended))
        proposal.units += [(page, unit) for unit in draft.units]


def _keys(edits: Edits, findings: Iterable[Finding]) -> set[str]:
    return {edit.field for edit in edits} | {finding.field for finding in findings}
