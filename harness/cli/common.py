"""What commands share: settings, a prepared session, and the end of every report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.cli import terminal
from harness.cli.status import exit_status
from harness.run.request import Request, UsageError

if TYPE_CHECKING:
    from harness.config import Settings
    from harness.run.session import Session
    from harness.types import Report


def settings_of(**flags: Any) -> Settings:
    """The settings of the nearest pyproject.toml, with the flags that were given."""
    from harness.config import load

    return load(Path.cwd()).with_flags(flags)


def open_index(pattern: str | None, index: list[Path] | None) -> Session:
    """The chosen variants of an index, to be looked at."""
    from harness.run.session import prepare

    settings = settings_of(index=index)
    return prepare(Request(index=settings.index, select=(pattern,) if pattern else ()))


def prepared(request: Request, settings: Settings) -> Session:
    """The session of a request."""
    from harness.run.session import prepare

    try:
        return prepare(request)
    except UsageError:
        # A script that reads the document gets one for an index that holds no variant, too.
        if settings.format == "json":
            from harness.cli.unusable import report_of

            report = report_of(request)
            if report is not None:
                show_report(report, settings)
        raise


def finish(report: Report, settings: Settings, *, quiet: bool, verbose: bool) -> None:
    """Print the report and exit with the status that it asks for."""
    show_report(report, settings, quiet=quiet, verbose=verbose)
    raise typer.Exit(exit_status(report, settings.fail_on))


def show_report(
    report: Report, settings: Settings, *, quiet: bool = False, verbose: bool = False
) -> None:
    import io

    from harness.report import get_format

    out = io.StringIO()
    options = terminal.options(quiet=quiet, verbose=verbose)
    get_format(settings.format)(report, out=out, options=options)
    terminal.emit(out.getvalue())
