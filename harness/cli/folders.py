"""Writes reports into folders for the commands that do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import terminal
from harness.cli.status import NotBegun
from harness.run.request import UsageError

if TYPE_CHECKING:
    from harness.types import Report


def prepare(folder: Path) -> None:
    """See that a report can be written there, before hours are spent on measuring."""
    from harness.report import folder as folders

    try:
        folders.prepare(folder)
    except folders.NotOurs as error:
        raise UsageError(f"--output: {error}") from error
    except folders.FolderError as error:
        raise NotBegun(str(error)) from error


def write(report: Report, folder: Path, *, quiet: bool) -> Report:
    """Write the report there, and say where it is, unless that is not asked for.

    Returns:
        The report; where it can't be written, the run has failed, and it says so.
    """
    from harness.report import folder as folders

    def say(line: str) -> None:
        if not quiet:
            terminal.say(line)

    try:
        page = folders.write(report, folder, say)
    except folders.FolderError as error:
        if report.cut_short is None:
            return replace(report, cut_short=str(error))
        terminal.say(str(error))
        return report
    say(f"the report is in {page}")
    return report
