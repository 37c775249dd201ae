"""What a baseline holds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date

from harness.types import Finding
from zoo.index.types import Location

DEFAULT = "known-findings.yml"


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted finding.

    Attributes:
        variant: whose finding it is; None for one of the index itself.
        field: the key as the index writes it; empty where a finding has none.
        cause: its stable id.
        documented: the value as written; None where nothing is documented.
        reason: why it is accepted.
        location: where the entry stands in the baseline.
        expires: the last day on which it is accepted; None for no end.
        file: the absolute path of the index file that it is about; None for any.
    """

    variant: str | None
    field: str
    cause: str
    documented: str | None
    reason: str
    location: Location
    expires: date | None = None
    file: str | None = None

    @property
    def key(self) -> tuple[str | None, str, str, str | None]:
        """What it has in common with its finding, besides the file."""
        return (self.variant, self.field, self.cause, self.documented)

    def accepts(self, finding: Finding) -> bool:
        """Whether the finding is the one that the entry is about, be it expired or not."""
        if (finding.variant, finding.field, finding.cause, finding.documented) != self.key:
            return False
        if self.file is None:
            return True
        return finding.location is not None and os.path.abspath(finding.location.file) == self.file


@dataclass(frozen=True, slots=True)
class Baseline:
    """The entries of one file, in its order.

    Attributes:
        path: the file, as its user wrote it.
        content: its bytes as they were read, None where there is no such file yet.
    """

    path: str
    entries: tuple[Entry, ...] = ()
    content: bytes | None = None
