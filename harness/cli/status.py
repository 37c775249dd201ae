"""What the command says to the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.types import Report


FINDINGS = 1
FAILED = 3
INTERRUPTED = 130


class Failure(Exception):
    """What was asked for can't be done here, on a full disk for example: exit status 3.

    The message says what failed and, where there is a way, what to do about it.
    """


class NotBegun(Failure):
    """A failure that showed itself before anything was measured or printed."""


def exit_status(report: Report, fail_on: str) -> int:
    """0, or 1 for a finding at or above ``fail_on``; 3 or 130 for a run that was cut short.

    What a baseline accepts is no reason to fail.
    """
    if report.cut_short is not None:
        return INTERRUPTED if report.cut_short == "interrupted" else FAILED
    failing = {"error": ("error",), "warning": ("error", "warning"), "never": ()}[fail_on]
    new = (finding for finding in report.findings if finding.accepted is None)
    return FINDINGS if any(finding.severity in failing for finding in new) else 0
