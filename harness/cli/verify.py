"""`zoo verify`, and the run that also `zoo validate` and `zoo report` are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.baseline_option import WritesBaseline, baseline_option
from harness.cli.errors import exit_status
from harness.cli.options import MEASURING, command, variants
from harness.cli.output import documented, finish, prepare_folder, write_folder
from harness.cli.selection import prepared
from harness.config import RunConfig, UsageError

COMMAND_CLASS = WritesBaseline
# Formats that are read on the screen where the command runs, and that say what went wrong.
_ON_SCREEN = ("table", "github")


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What becomes of a run's report.

    Attributes:
        dry_run: there is none: the plan is shown, and nothing is measured.
        printed: it goes to standard output.
        folder: a folder that it is written to, or None.
        writes_baseline: its errors and warnings are accepted from now on.
    """

    dry_run: bool = False
    printed: bool = True
    folder: Path | None = None
    writes_baseline: bool = False


@documented
@command(*MEASURING, "checks", "cross-check", "format", "fail-on", "baseline", "quiet", "verbose")
def verify(
    config: RunConfig,
    variants: Annotated[list[str] | None, variants("What to verify.")] = None,
    *,
    every: bool,
    dry_run: bool,
    output: Path | None,
    write_baseline: bool,
) -> None:
    """Exit status: 0 no finding at or above --fail-on; 1 findings; 2 wrong use, or an index without
    variants; 3 the run failed or was cut short; 130 an interrupt.
    """
    if every == bool(variants):
        raise UsageError(
            "zoo verify: both --all and names; leave out one of them"
            if every
            else "zoo verify: nothing to verify; name variants, globs or collections, or say --all"
        )
    run(
        replace(config, select=tuple(variants or ())),
        OutputOptions(dry_run, folder=output, writes_baseline=write_baseline),
    )


def run(config: RunConfig, output: OutputOptions) -> None:
    """Show the plan, measure, show the report, and exit with its status."""
    baseline = baseline_option(config.baseline, config.checks, writes=output.writes_baseline)
    session = prepared(config)
    from harness.cli.progress import StderrProgress
    from harness.report.sentences import cut_short

    if output.folder is not None and not output.dry_run:
        prepare_folder(output.folder)
    progress = StderrProgress(quiet=config.quiet)
    try:
        # Requests for sizes take time, too, and may be what is interrupted.
        progress.plan(session.plan)
        if output.dry_run:
            return
        report = session.verify(progress)
    except KeyboardInterrupt:
        # Before the first measurement or after the last: the index alone can still be reported.
        report = replace(session.audit(), cut_short="interrupted")
    finally:
        progress.close()
    report = baseline.applied(report)
    if output.folder is not None:
        report = write_folder(report, output.folder, quiet=config.quiet)
    broken = cut_short(report)
    if broken is not None and (config.format not in _ON_SCREEN or not output.printed):
        # The other formats have no place for it, or are read from a file.
        progress.warn(broken)
    if not output.printed:
        raise typer.Exit(exit_status(report, config.fail_on))
    finish(report, config)
