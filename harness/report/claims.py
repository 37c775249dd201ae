"""Claims with what became of them: documented, measured and status, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.report import sentences
from harness.report.document import plain, plain_place
from harness.report.view import rank
from harness.types import Finding, Report
from zoo.index.types import Claim, Location, Variant

# Fields that some check holds against a measurement or a file.
_CHECKED = frozenset(
    {"Parameters", "Layers", "FLOPs", "File Size", "Weights", "SHA256"}
    | {"Top 1 Accuracy", "Top 5 Accuracy"}
)
COLUMNS = (
    *("variant", "field", "dataset", "documented", "measured", "status", "severity", "cause"),
    *("message", "file", "line", "column"),
)


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim.

    Attributes:
        variant: the name of the variant that it is in effect for.
        finding: the gravest on it, None where none is known.
        measured: the value that the gravest finding with one has.
        inherited: the variant's collection makes it.
    """

    variant: str
    claim: Claim
    finding: Finding | None
    measured: int | float | str | None
    inherited: bool

    @property
    def field(self) -> str:
        """The field, with the dataset of a result."""
        return self.claim.field + (f" ({self.claim.dataset})" if self.claim.dataset else "")

    @property
    def shown(self) -> str:
        """The measured value in the unit of the documented one; empty for none."""
        if self.measured is None:
            return ""
        unit = "%" if self.claim.field in sentences.PERCENT else ""
        return f"{sentences.value(self.measured)}{unit}"

    @property
    def word(self) -> str:
        """How it stands, in a word; empty where nothing is known, or no check reads it."""
        return "" if self.finding is None else sentences.label(self.finding)

    @property
    def is_open(self) -> bool:
        """Whether a run would check it, and none has."""
        return self.finding is None and self.claim.field in _CHECKED

    @property
    def status(self) -> str:
        """How it stands, and why."""
        cause = None if self.finding is None else self.finding.cause
        return f"{self.word} {cause}" if cause else self.word

    def entry(self) -> dict[str, Any]:
        """As plain JSON data: null is "not known"; only an accepted finding has that key."""
        found = self.finding
        accepted = found.accepted if found else None
        known = ("status", "severity", "cause", "message")
        return {
            "field": self.claim.field,
            "dataset": self.claim.dataset,
            "of": "collection" if self.inherited else "variant",
            "documented": self.claim.raw,
            "measured": plain(self.measured),
            **{name: getattr(found, name, None) for name in known},
            "location": plain_place(self.claim.location),
            **({} if accepted is None else {"accepted": accepted}),
        }

    def row(self) -> dict[str, Any]:
        """As a row of a table, see `COLUMNS`."""
        entry = self.entry()
        return {"variant": self.variant, **entry, **entry["location"]}


def found_in(report: Report) -> dict[tuple[str | None, Location | None], list[Finding]]:
    """The findings of each place, by the variant and the place, the gravest first."""
    found: dict[tuple[str | None, Location | None], list[Finding]] = {}
    for finding in sorted(report.findings, key=rank):
        found.setdefault((finding.variant, finding.location), []).append(finding)
    return found


def claim_rows(
    variant: Variant,
    claims: Iterable[Claim],
    found: Mapping[tuple[str | None, Location | None], list[Finding]],
) -> list[ClaimRow]:
    """These claims of a variant, each with what was found of it."""
    own = set(map(id, variant.claims))
    rows = []
    for claim in claims:
        places = ((name, claim.location) for name in (variant.name, None))
        findings = [f for place in places for f in found.get(place, ()) if f.field == claim.field]
        measured = next((f.measured for f in findings if f.measured is not None), None)
        first = next(iter(findings), None)
        rows.append(ClaimRow(variant.name, claim, first, measured, id(claim) not in own))
    return rows
