"""Measured values put in the place of wrong ones, and nothing else changed.

    >>> proposal = propose(report.findings, session.index)
    >>> proposal.rewrites[0].diff

A fix is made of the `Edit`s that a check proposes with its finding. It is written as the page
writes such values, the text that results is read again, and a file that says anything else then
than it should is left as it is.
"""

from __future__ import annotations

from harness.fix.page import Refused
from harness.fix.proposal import Proposal, Refusal, Rewrite, propose, snapshot_of, with_fixes
from harness.fix.writing import write

__all__ = [
    "Proposal",
    "Refusal",
    "Refused",
    "Rewrite",
    "propose",
    "snapshot_of",
    "with_fixes",
    "write",
]
