"""Standard output, standard error, and the report of a run: shown, written, summarised for CI."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from harness.cli.errors import Failure, NotBegun, exit_status, unusable
from harness.config import RunConfig, UsageError, resolve
from zoo._util.text import for_terminal

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report import Options
    from harness.types import Report

_DUMB = ("dumb", "unknown")
_READ_BY_PROGRAMS = ("json", "junit", "sarif")
# The top of the checkout: GitHub's variable, and GitLab's.
_TOPS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
_SUMMARY = "GITHUB_STEP_SUMMARY"
# GitHub drops the summary of a step that is larger than 1 MiB.
_MAX_SUMMARY_BYTES = 1_000_000
_CUT = "\n\nThe rest is left out: a summary may have no more. The log of the step has all of it.\n"


def prepare_streams() -> None:
    """Let text in any script pass through an output of any encoding."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether it is a terminal, rather than a pipe or a file."""
    return stream is not None and not stream.closed and stream.isatty()


def can_redraw(stream: TextIO | None) -> bool:
    """Whether a line on it can be drawn again in place, as a progress bar is."""
    return is_terminal(stream) and os.environ.get("TERM") not in _DUMB


def color(stream: TextIO | None) -> bool:
    """Whether to use colour: on a terminal, unless ``NO_COLOR`` or ``TERM=dumb`` say otherwise.

    ``FORCE_COLOR`` asks for it elsewhere too, as logs of continuous integration can show it.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return can_redraw(stream)


def stderr_console() -> Console:
    """Rich's console on standard error, for what is drawn live; no text of it is markup."""
    from rich.console import Console

    return Console(
        file=sys.stderr,
        no_color=not color(sys.stderr),
        highlight=False,
        markup=False,
        emoji=False,
    )


def say(line: str) -> None:
    """Write one line to standard error."""
    if sys.stderr is None:
        return
    try:
        print(for_terminal(line), file=sys.stderr, flush=True)
    except OSError:
        _abandon(sys.stderr)


def emit(text: str) -> bool:
    """Write ``text`` to standard output, now.

    A reader that went away (``zoo list | head -1``) has read what it wanted: that is not an error,
    and the exit status stays what it would have been.

    Returns:
        Whether there may still be a reader; without one, long work may stop.

    Raises:
        Failure: the text could not be written.
    """
    if sys.stdout is None:
        return False
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon(sys.stdout)
        return False
    except OSError as error:
        _abandon(sys.stdout)
        raise Failure(f"can't write to standard output: {error.strerror or error}") from error
    return True


def _abandon(stream: TextIO) -> None:
    """Discard the rest: the interpreter flushes at its end, and would complain once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is not one."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def columns(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Rows with their cells in columns: the first ones flush left, numbers flush right."""
    safe = [[for_terminal(cell) for cell in row] for row in rows]
    if not safe:
        return []
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    justify = [str.ljust if i < left else str.rjust for i in range(len(widths))]
    return [
        "  ".join(fit(cell, n) for fit, cell, n in zip(justify, row, widths, strict=True)).rstrip()
        for row in safe
    ]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with all cells flush left; a cell of many characters pushes its own line alone."""
    safe = [[for_terminal(cell) for cell in row] for row in rows]
    if not safe:
        return []
    widths = [min(max(map(len, column)), 40) for column in zip(*safe, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in safe]


def documented(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that ends in a report print a document for wrong use as well.

    A program that asked for JSON, JUnit or SARIF then has one to read, whatever the exit status;
    where the format can say so, it says that the run failed. So it is where a run can't begin.
    """

    @wraps(command)
    def run(**given: Any) -> None:
        try:
            command(**given)
        except (UsageError, NotBegun) as error:
            config = _readable_config(given["index"], given["format"])
            if config.format in _READ_BY_PROGRAMS:
                why = "; ".join(error.lines) if isinstance(error, UsageError) else str(error)
                show_report(unusable(config.index, why), config)
            raise

    return run


def _readable_config(index: Any, format: Any) -> RunConfig:
    """The configuration that a document needs; the defaults where the mistake is in it."""
    for options in ({"index": index or None, "format": format}, {"format": format}):
        with suppress(UsageError):
            return resolve("audit", options)[0]
    return RunConfig(format=format or os.environ.get("ZOO_FORMAT") or "table")


def finish(report: Report, config: RunConfig) -> None:
    """Print the report and exit with the status that it asks for."""
    show_report(report, config)
    raise typer.Exit(exit_status(report, config.fail_on))


def show_report(report: Report, config: RunConfig) -> None:
    """Print the report, and add it to the summary of a job of continuous integration."""
    from harness.report import Options, get_format

    options = Options(
        width=terminal_width(),
        color=color(sys.stdout),
        verbose=config.verbose,
        quiet=config.quiet,
        folder=folder_in_repository(os.environ),
        top=repository_top(os.environ),
        repeat=config.repeated(),
    )
    out = io.StringIO()
    get_format(config.format)(report, out=out, options=options)
    if config.format == "github":
        add_summary(report, options, os.environ)
    if config.format == "sarif":
        from harness.report.sarif import kept

        left_out = kept(report, options)[1]
        if left_out is not None:
            say(left_out)
    emit(out.getvalue())


def prepare_folder(folder: Path) -> None:
    """See that a report can be written there, before hours are spent on measuring."""
    from harness.report import folder as folders

    try:
        folders.prepare(folder)
    except folders.NotOurs as error:
        raise UsageError(f"--output: {error}") from error
    except folders.FolderError as error:
        raise NotBegun(str(error)) from error


def write_folder(report: Report, folder: Path, *, quiet: bool) -> Report:
    """Write the report there, and say where it is, unless quiet.

    Returns:
        The report; where it can't be written, the run has failed, and it says so.
    """
    from harness.report import folder as folders

    speak: Callable[[str], None] = (lambda line: None) if quiet else say
    try:
        page = folders.write(report, folder, speak)
    except folders.FolderError as error:
        if report.cut_short is None:
            return replace(report, cut_short=str(error))
        say(str(error))
        return report
    speak(f"the report is in {page}")
    return report


def folder_in_repository(environment: Mapping[str, str]) -> str:
    """Where the working folder is in the checkout that a job works on; empty where it is its top.

    Formats that are read from the top of a repository name files from there.
    """
    path = Path(os.path.realpath(os.getcwd())).relative_to(repository_top(environment)).as_posix()
    return "" if path == "." else path


def repository_top(environment: Mapping[str, str]) -> str:
    """The top of the checkout that a job works on; the working folder where no job says."""
    here = os.path.realpath(os.getcwd())
    for name in _TOPS:
        folder = environment.get(name)
        if folder and Path(here).is_relative_to(os.path.realpath(folder)):
            return os.path.realpath(folder)
    return here


def add_summary(report: Report, options: Options, environment: Mapping[str, str]) -> None:
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
        say(f"no job summary: {path}: {error.strerror or error}")


def _bounded(text: bytes) -> bytes:
    """The text, or as many of its lines as the summary can hold."""
    if len(text) <= _MAX_SUMMARY_BYTES:
        return text
    return text[: text.rindex(b"\n", 0, _MAX_SUMMARY_BYTES)] + _CUT.encode()
