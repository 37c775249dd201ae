"""Writes reports into folders for the commands that do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import terminal
from harness.cli.status import Failure

if TYPE_CHECKING:
    from harness.types import Report


def prepare(folder: Path) -> None:
    """See that a report can be written there, before hours are spent on measuring."""
    from harness.report import folder as folders

    try:
        folders.prepare(folder)
    except folders.FolderError as error:
        raise Failure(str(error)) from error


def write(report: Report, folder: Path) -> None:
    """Write the report there, and say where it is."""
    from harness.report import folder as folders

    try:
        page = folders.write(report, folder, terminal.say)
    except folders.FolderError as error:
        raise Failure(str(error)) from error
    terminal.say(f"the report is in {page}")
