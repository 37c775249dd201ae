"""The command that ends in a folder: `zoo report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options, terminal
from harness.cli.common import settings_of
from harness.cli.status import Failure

if TYPE_CHECKING:
    from harness.types import Report


def report(
    variants: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VARIANT|GLOB|COLLECTION", help="What to report; everything by default."
        ),
    ] = None,
    index: options.Index = None,
    builder: options.Builder = None,
    checks: options.Checks = None,
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", help="Where to write the report.")
    ] = Path("reports"),
    device: options.Device = None,
    data: options.Data = None,
    samples: options.Samples = None,
    offline: options.Offline = None,
    no_download: options.NoDownload = None,
    refresh: options.Refresh = None,
    quiet: options.Quiet = False,
) -> None:
    """Write tables, Pareto plots and a page, of what is in the store and what is not yet.

    As zoo verify --output, for those who want the files and not the verdict: findings don't change
    the exit status, which is 0, or 3 where the run failed or was cut short.
    """
    from harness.cli.verifying import Ending, run

    settings = settings_of(
        index=index,
        builder=builder,
        checks=checks,
        device=device,
        data=data,
        samples=samples,
        offline=offline,
        no_download=no_download,
        refresh=refresh,
        fail_on="never",
    )
    ending = Ending(output=output, printed=False, quiet=quiet)
    run(settings.request(tuple(variants or ())), settings, ending)


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
