"""Values that stand once in a file and are claimed by several entries, through YAML aliases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.types import Edit, Finding
from zoo._util.text import shown
from zoo.index.types import Collection, Index, Location, Variant

Edits = tuple[Edit, ...]
Wish = tuple[Finding, Edits]


class Sharers:
    """Who claims the value at each place.

    Args:
        index: everything that was read, not only what a run was about.
        wishes: what the findings of the run ask for.
    """

    def __init__(self, index: Index, wishes: Sequence[Wish]) -> None:
        self._at: dict[Location, list[tuple[str, str]]] = {}
        entries: list[Variant | Collection] = [*index.variants, *index.collections]
        for entry in entries:
            for claim in entry.claims:
                self._at.setdefault(claim.location, []).append((entry.name, claim.field))
        self._alike: dict[tuple[Edits, str], Counter[str | None]] = {}
        for finding, edits in wishes:
            self._alike.setdefault((edits, finding.field), Counter())[finding.variant] += 1

    def objection(self, wish: Wish) -> str:
        """Why a wish would change what another entry says; empty where it would not.

        A shared value may change where all who share it want the same of it.
        """
        finding, edits = wish
        for edit in edits:
            sharers = self._at.get(edit.location, [])
            if len(sharers) == 1:
                continue
            field = finding.field if edit.added else edit.field
            alike = self._alike[edits, finding.field].copy()
            for name, what in sharers:
                if what == field and alike[name]:
                    alike[name] -= 1
                elif name == finding.variant:
                    return f"its value is also that of {shown(what)}, through an alias"
                else:
                    return f"{shown(name)} shares it through an alias, and is not to change alike"
        return ""
