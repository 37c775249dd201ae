"""What commands share: settings, a prepared session, and the end of every report."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.cli import terminal
from harness.cli.status import NotBegun, exit_status
from harness.run.request import Request, UsageError

if TYPE_CHECKING:
    from harness.config import Settings
    from harness.run.session import Session
    from harness.types import Report
    from zoo.index.types import Variant


_READ_BY_PROGRAMS = ("json", "junit", "sarif")


def settings_of(**flags: Any) -> Settings:
    """The settings of the nearest pyproject.toml, with the flags that were given."""
    from harness.config import load

    flags = {name.replace("_", "-"): value for name, value in flags.items()}
    return load(Path.cwd()).with_flags(flags)


def look_up(pattern: str | None, *, told: bool = False, **flags: Any) -> Session:
    """The chosen variants of an index, to be looked at or used.

    Where there is no index here, that of the package stands in: nobody's index is judged. ``told``
    says so.
    """
    from harness.run.session import prepare
    from zoo.index import local_index, package_index

    request = settings_of(**flags).request((pattern,) if pattern else ())
    if not request.index:
        here = local_index()
        request = replace(request, index=(here or package_index(),))
        if here is None and told:
            terminal.say("no index here; this is the one that ships with zoo (package:zoo)")
    return prepare(request)


def one_variant(name: str, index: list[str] | None, said_by: str = "") -> Variant:
    """The one variant of that name; ``said_by`` begins the line that says otherwise.

    Raises:
        UsageError: there is none, or several.
    """
    found = look_up(name, index=index).variants
    if len(found) != 1:
        raise UsageError(f"{said_by}{name!r} names {len(found)} variants; name one of them")
    return found[0]


def prepared(request: Request) -> Session:
    """The session of a request, see `harness.run.session.prepare`."""
    from harness.run.session import prepare

    return prepare(request)


def documented(command: Callable[..., None]) -> Callable[..., None]:
    """Lets a command that ends in a report print a document for wrong use as well.

    A program that asked for JSON, JUnit or SARIF then has one to read, whatever the exit status;
    where the format can say so, it says that the run failed. So it is where a run can't begin.
    """

    @wraps(command)
    def run(**given: Any) -> None:
        try:
            command(**given)
        except (UsageError, NotBegun) as error:
            from harness.cli.unusable import report_of

            settings = _as_far_as_known(given["index"], given["format"])
            if settings.format in _READ_BY_PROGRAMS:
                why = "; ".join(error.lines) if isinstance(error, UsageError) else str(error)
                report = replace(report_of(settings.index), cut_short=why)
                show_report(report, settings)
            raise

    return run


def _as_far_as_known(index: Any, format: Any) -> Settings:
    """The settings that a document needs; the defaults where the mistake is in the settings."""
    from harness.config import Settings

    try:
        return settings_of(index=index, format=format)
    except UsageError:
        return Settings(format=format or "table")


def finish(report: Report, settings: Settings, *, quiet: bool, verbose: bool) -> None:
    """Print the report and exit with the status that it asks for."""
    show_report(report, settings, quiet=quiet, verbose=verbose)
    raise typer.Exit(exit_status(report, settings.fail_on))


def show_report(
    report: Report, settings: Settings, *, quiet: bool = False, verbose: bool = False
) -> None:
    import io

    from harness.cli import job_summary
    from harness.report import get_format

    out = io.StringIO()
    options = terminal.options(quiet=quiet, verbose=verbose)
    options = replace(
        options,
        folder=job_summary.folder_in_repository(os.environ),
        top=job_summary.top(os.environ),
        repeat=settings.repeated(),
    )
    get_format(settings.format)(report, out=out, options=options)
    if settings.format == "github":
        job_summary.add(report, options, os.environ)
    if settings.format == "sarif":
        from harness.report.sarif import kept

        left_out = kept(report, options)[1]
        if left_out is not None:
            terminal.say(left_out)
    terminal.emit(out.getvalue())
