"""What continuous integration is told beside standard output: where files are, a job's summary."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import terminal

if TYPE_CHECKING:
    from harness.report import Options
    from harness.types import Report

# The top of the checkout: GitHub's variable, and GitLab's.
_TOPS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
_SUMMARY = "GITHUB_STEP_SUMMARY"
# GitHub drops the summary of a step that is larger than 1 MiB.
_MOST_BYTES = 1_000_000
_CUT = "\n\nThe rest is left out: a summary may have no more. The log of the step has all of it.\n"


def folder_in_repository(environment: Mapping[str, str]) -> str:
    """Where the working folder is in the checkout that a job works on; empty where it is its top.

    Formats that are read from the top of a repository name files from there.
    """
    path = Path(os.path.realpath(os.getcwd())).relative_to(top(environment)).as_posix()
    return "" if path == "." else path


def top(environment: Mapping[str, str]) -> str:
    """The top of the checkout that a job works on; the working folder where no job says."""
    here = os.path.realpath(os.getcwd())
    for name in _TOPS:
        folder = environment.get(name)
        if folder and Path(here).is_relative_to(os.path.realpath(folder)):
            return os.path.realpath(folder)
    return here


def add(report: Report, options: Options, environment: Mapping[str, str]) -> None:
    """Append the report, in Markdown, to the summary of the job's step, where there is one."""
    path = environment.get(_SUMMARY)
    if not path:
        return
    from harness.report import get_format

    out = io.StringIO()
    get_format("markdown")(report, out=out, options=options)
    try:
        with open(path, "ab") as file:
            file.write(_bounded(out.getvalue().encode("utf-8", "backslashreplace")))
    except OSError as error:
        terminal.say(f"no job summary: {path}: {error.strerror or error}")


def _bounded(text: bytes) -> bytes:
    """The text, or as many of its lines as the summary can hold."""
    if len(text) <= _MOST_BYTES:
        return text
    return text[: text.rindex(b"\n", 0, _MOST_BYTES)] + _CUT.encode()
