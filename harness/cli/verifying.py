"""The commands that end in a report: `zoo audit` and `zoo verify`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options
from harness.cli.common import documented, finish, prepared, settings_of
from harness.run.request import GROUPS, Request, UsageError

if TYPE_CHECKING:
    from harness.config import Settings


@documented
def audit(
    index: options.Index = None,
    format: options.Format = None,
    fail_on: options.FailOn = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Check an index by itself, without building or measuring anything."""
    settings = settings_of(index=index, format=format, fail_on=fail_on)
    session = prepared(Request(index=settings.index, checks=("metadata",)))
    finish(session.audit(), settings, quiet=quiet, verbose=verbose)


@documented
def verify(
    variants: Annotated[
        list[str] | None,
        typer.Argument(metavar="VARIANT|GLOB|COLLECTION", help="What to verify."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every variant of the index.")] = False,
    index: options.Index = None,
    builder: Annotated[
        str | None,
        typer.Option(
            "--builder",
            metavar="NAME",
            help="Who builds the models: zoo (the default), or what an installed package adds.",
        ),
    ] = None,
    checks: Annotated[
        str | None,
        typer.Option(
            "--checks",
            metavar="LIST",
            help=f"Groups with commas between them: {', '.join(GROUPS)}.",
        ),
    ] = None,
    device: options.Device = None,
    data: options.Data = None,
    samples: options.Samples = None,
    budget: options.Budget = None,
    amp: options.Amp = None,
    compile: options.Compile = None,
    decode: options.Decode = None,
    workers: options.Workers = None,
    engine: options.Engine = None,
    address: options.Address = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    no_store: Annotated[
        bool | None,
        typer.Option(
            "--no-store/--store", help="Neither use nor keep measurements.", show_default=False
        ),
    ] = None,
    refresh: Annotated[
        bool | None,
        typer.Option(
            "--refresh/--no-refresh", help="Measure anew what is stored.", show_default=False
        ),
    ] = None,
    offline: options.Offline = None,
    no_download: Annotated[
        bool | None,
        typer.Option(
            "--no-download/--download", help="Ask servers for sizes alone.", show_default=False
        ),
    ] = None,
    max_bytes: options.MaxBytes = None,
    allow_http: options.AllowHttp = None,
    allow_local: options.AllowLocal = None,
    format: options.Format = None,
    fail_on: options.FailOn = None,
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
        samples=samples,
        budget=budget,
        amp=amp,
        compile=compile,
        decode=decode,
        workers=workers,
        engine=engine,
        address=address,
        offline=offline,
        refresh=refresh,
        format=format,
        no_store=no_store,
        no_download=no_download,
        max_bytes=max_bytes,
        allow_http=allow_http,
        allow_local=allow_local,
        fail_on=fail_on,
    )
    run(settings.request(tuple(variants or ())), settings, dry_run, quiet, verbose)


def run(request: Request, settings: Settings, dry_run: bool, quiet: bool, verbose: bool) -> None:
    """Say the plan, measure, print the report, and exit with its status."""
    session = prepared(request)
    from harness.cli.progress import StderrProgress
    from harness.report.words import cut_short

    progress = StderrProgress(quiet=quiet)
    try:
        # Asking servers for sizes takes its time, too, and may be what is interrupted.
        progress.plan(session.plan)
        if dry_run:
            return
        report = session.verify(progress)
    except KeyboardInterrupt:
        # Before the first measurement or after the last: the index alone can still be reported.
        report = replace(session.audit(), cut_short="interrupted")
    finally:
        progress.close()
    broken = cut_short(report)
    if broken is not None and settings.format != "table":
        # The other formats have no place for it, or are read from a file.
        progress.warn(broken)
    finish(report, settings, quiet=quiet, verbose=verbose)
