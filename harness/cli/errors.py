"""Failures of the command, its exit statuses, and the report of a run that can't begin."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
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


def unusable(paths: Sequence[Path], why: str) -> Report:
    """The report of a run that can't begin: no variant, and what is wrong in the index, if so."""
    from importlib.metadata import PackageNotFoundError, version

    from harness.check.schema import finding_of
    from harness.types import Report
    from zoo import __version__
    from zoo.index import load_index, local_index

    started = datetime.now(timezone.utc)
    here = local_index()
    index = load_index(paths or ([] if here is None else [here]))
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = None
    return Report(
        environment={
            "zoo": __version__,
            "torch": torch,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "device": "none",
            "started": started.isoformat(timespec="seconds"),
            "seconds": (datetime.now(timezone.utc) - started).total_seconds(),
        },
        variants=(),
        findings=tuple(map(finding_of, index.problems if index.unusable else ())),
        cut_short=why,
    )
