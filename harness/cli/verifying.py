"""The commands that end in a report: `zoo audit` and `zoo verify`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options, terminal
from harness.cli.common import documented, finish, prepared, settings_of
from harness.cli.known import known
from harness.cli.status import exit_status
from harness.run.request import Request, UsageError

if TYPE_CHECKING:
    from harness.config import Settings


# Formats that a person reads where the command runs, and that say themselves what went wrong.
_ON_SCREEN = ("table", "github")


@documented
def audit(
    index: options.Index = None,
    format: options.Format = None,
    fail_on: options.FailOn = None,
    baseline: options.Baseline = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Check an index by itself, without building or measuring anything."""
    settings = settings_of(index=index, format=format, fail_on=fail_on, baseline=baseline)
    request = Request(index=settings.index, checks=("metadata",))
    before = known(settings.baseline, request.checks)
    session = prepared(request)
    if not quiet:
        terminal.say(f"{session.source}, read and not built")
    report = before.applied(session.audit())
    finish(report, settings, quiet=quiet, verbose=verbose)


@documented
def verify(
    variants: Annotated[
        list[str] | None,
        typer.Argument(metavar="VARIANT|GLOB|COLLECTION", help="What to verify."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every variant of the index.")] = False,
    index: options.Index = None,
    builder: options.Builder = None,
    checks: options.Checks = None,
    device: options.Device = None,
    data: options.Data = None,
    dataset: options.Dataset = None,
    samples: options.Samples = None,
    budget: options.Budget = None,
    amp: options.Amp = None,
    compile: options.Compile = None,
    decode: options.Decode = None,
    workers: options.Workers = None,
    timeout: options.Timeout = None,
    max_memory: options.MaxMemory = None,
    engine: options.Engine = None,
    address: options.Address = None,
    cross_check: options.CrossCheck = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    no_store: options.NoStore = None,
    refresh: options.Refresh = None,
    offline: options.Offline = None,
    no_download: options.NoDownload = None,
    max_bytes: options.MaxBytes = None,
    allow_http: options.AllowHttp = None,
    allow_local: options.AllowLocal = None,
    format: options.Format = None,
    output: options.Output = None,
    fail_on: options.FailOn = None,
    baseline: options.Baseline = None,
    write_baseline: options.WriteBaseline = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure variants, and hold what is documented against it.

    Exit status: 0 no finding at or above --fail-on; 1 findings; 2 wrong use, or an index without
    variants; 3 the run failed or was cut short; 130 an interrupt.
    """
    if every == bool(variants):
        raise UsageError(
            "zoo verify: both --all and names; leave out one of them"
            if every
            else "zoo verify: nothing to verify; name variants, globs or collections, or say --all"
        )
    settings = settings_of(
        index=index,
        builder=builder,
        checks=checks,
        device=device,
        data=data,
        dataset=dataset,
        samples=samples,
        budget=budget,
        amp=amp,
        compile=compile,
        decode=decode,
        workers=workers,
        timeout=timeout,
        max_memory=max_memory,
        engine=engine,
        address=address,
        cross_check=cross_check,
        offline=offline,
        refresh=refresh,
        format=format,
        no_store=no_store,
        no_download=no_download,
        max_bytes=max_bytes,
        allow_http=allow_http,
        allow_local=allow_local,
        fail_on=fail_on,
        baseline=baseline,
    )
    ending = Ending(
        dry_run=dry_run,
        output=output,
        writes_baseline=write_baseline,
        quiet=quiet,
        verbose=verbose,
    )
    run(settings.request(tuple(variants or ())), settings, ending)


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of a run's report.

    Attributes:
        dry_run: there is none: the plan is said, and nothing is measured.
        printed: it goes to standard output.
        output: a folder that it is written to, or None.
        writes_baseline: its errors and warnings are accepted from now on.
        quiet, verbose: how much of it is shown.
    """

    dry_run: bool = False
    printed: bool = True
    output: Path | None = None
    writes_baseline: bool = False
    quiet: bool = False
    verbose: bool = False


def run(request: Request, settings: Settings, ending: Ending) -> None:
    """Say the plan, measure, show the report, and exit with its status."""
    before = known(settings.baseline, request.checks, writes=ending.writes_baseline)
    session = prepared(request)
    from harness.cli import folders
    from harness.cli.progress import StderrProgress
    from harness.report.sentences import cut_short

    if ending.output is not None and not ending.dry_run:
        folders.prepare(ending.output)
    progress = StderrProgress(quiet=ending.quiet)
    try:
        # Asking servers for sizes takes its time, too, and may be what is interrupted.
        progress.plan(session.plan)
        if ending.dry_run:
            return
        report = session.verify(progress)
    except KeyboardInterrupt:
        # Before the first measurement or after the last: the index alone can still be reported.
        report = replace(session.audit(), cut_short="interrupted")
    finally:
        progress.close()
    report = before.applied(report)
    if ending.output is not None:
        report = folders.write(report, ending.output, quiet=ending.quiet)
    broken = cut_short(report)
    if broken is not None and (settings.format not in _ON_SCREEN or not ending.printed):
        # The other formats have no place for it, or are read from a file.
        progress.warn(broken)
    if not ending.printed:
        raise typer.Exit(exit_status(report, settings.fail_on))
    finish(report, settings, quiet=ending.quiet, verbose=ending.verbose)
