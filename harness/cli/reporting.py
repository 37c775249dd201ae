"""The command that ends in a folder: `zoo report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.common import settings_of
from harness.cli.verifying import Ending, run


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
    output: options.ReportFolder = Path("reports"),
    baseline: options.Baseline = None,
    device: options.Device = None,
    data: options.Data = None,
    dataset: options.Dataset = None,
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
    settings = settings_of(
        index=index,
        builder=builder,
        checks=checks,
        baseline=baseline,
        device=device,
        data=data,
        dataset=dataset,
        samples=samples,
        offline=offline,
        no_download=no_download,
        refresh=refresh,
        fail_on="never",
    )
    ending = Ending(output=output, printed=False, quiet=quiet)
    run(settings.request(tuple(variants or ())), settings, ending)
