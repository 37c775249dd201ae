"""`zoo verify`, and what is one more kind of it: `zoo audit`, `zoo validate` and `zoo report`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.cli import interrupts
from harness.cli.options import (
    ENGINE,
    FETCHING_ONE,
    IMAGES,
    MEASURING,
    command,
    prepared,
    say_kept,
    with_paths,
)
from harness.cli.output import WARNING, WRONG_USE, Failure, NotBegun, fail, say
from harness.cli.reporting import (
    BaselineOption,
    documented,
    exit_status,
    finish,
    prepare_folder,
    write_folder,
)
from harness.config import RunConfig, UsageError
from harness.config.rules import NEVER
from zoo._util.text import few, human_bytes, plural
from zoo.known_datasets import ACCURACIES

if TYPE_CHECKING:
    from harness.run.session import Session
    from harness.types import Report

REPORTING = ("format", "fail-on", "strict")
# What may follow a switch, as the value of another option; no variant's name ends so.
FOLLOWED = {
    "verify": ("--write-baseline", "--baseline", lambda word: word.endswith((".yml", ".yaml")))
}
# Formats that are read on the screen where the command runs, and that say what went wrong.
_ON_SCREEN = ("table", "github")
_REPORTED = ("index", "builder", "checks", "baseline", "device", "data", "dataset", "samples")


@documented
@command(
    *(*MEASURING, "links", "checks", "cross-check", *REPORTING, "baseline"),
    selects="What to verify.",
    needs_names=True,
)
def verify(
    config: RunConfig,
    *,
    dry_run: bool,
    output: Path | None,
    source_url: str | None,
    write_baseline: bool,
) -> None:
    """Exit status: 0 no finding at or above --fail-on; 1 findings; 2 wrong use, or a file of the
    index that yields no variant; 3 the run failed or was cut short; 130 an interrupt.
    """
    _run(
        config,
        dry_run=dry_run,
        folder=output,
        source_url=source_url,
        writes_baseline=write_baseline,
    )


def _run(
    config: RunConfig,
    *,
    dry_run: bool = False,
    printed: bool = True,
    folder: Path | None = None,
    source_url: str | None = None,
    writes_baseline: bool = False,
    predictions: Path | None = None,
    thumbnails: bool = False,
    history: bool = False,
    badge: bool = False,
) -> None:
    """Show the plan, measure, show the report, and exit with its status."""
    # What is written to be kept shall be about the whole index.
    session = prepared(config, lenient=folder is None and not writes_baseline)
    baseline = BaselineOption.read(config, session, config.checks, writes=writes_baseline)
    from harness.cli.progress import StderrProgress
    from harness.report.sentences import INTERRUPTED, cut_short
    from harness.run.plan import unread

    if not all(map(os.path.exists, session.index.unusable)):  # A slip of the command line's.
        raise UsageError(*unread(session.index))
    fail(*unread(session.index))
    if folder is not None and not dry_run:
        prepare_folder(folder, history=history)
    if predictions is not None:
        _prepare_predictions(predictions)
    progress = StderrProgress(quiet=config.quiet)
    interrupts.say_last(partial(say_kept, session, progress))
    try:
        # Requests for sizes take time, too, and may be what is interrupted.
        progress.plan(session.plan)
        baseline.tell()
        _say_unclaimed(session)
        if dry_run:
            raise typer.Exit(WRONG_USE if session.index.unusable else 0)
        report = session.verify(progress)
    except KeyboardInterrupt:
        # Before the first measurement or after the last: the index alone can still be reported.
        report = replace(session.audit(), cut_short=INTERRUPTED)
    finally:
        progress.close()
    if report.cut_short == INTERRUPTED:
        interrupts.say_now()
    if predictions is not None:
        report = _with_predictions(report, session, predictions)
    report = baseline.applied(report)
    if folder is not None:
        if report.cut_short != INTERRUPTED:
            report = _with_answers(report, session, thumbnails=thumbnails)
        report = write_folder(
            report, folder, source_url, verbose=config.verbose, history=history, badge=badge
        )
    broken = cut_short(report)
    silent = report.cut_short == INTERRUPTED if not printed else config.format in _ON_SCREEN
    if broken is not None and not silent:
        # The other formats have no place for it, or are read from a file.
        progress.fail(broken)
    if not printed:
        raise typer.Exit(exit_status(report, config))
    finish(report, config)


def _prepare_predictions(folder: Path) -> None:
    """See that files can be written there, before hours are spent on measuring."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--predictions: {folder}: is no folder; name one for the files")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise NotBegun(f"--predictions: {folder}: {error.strerror or error}") from error


def _with_predictions(report: Report, session: Session, folder: Path) -> Report:
    """Write what the variants answered; the report, which says where that failed."""
    from harness.cli.predictions import answers_of, write_predictions

    try:
        found = answers_of(session, precisions=True)
        write_predictions(found, folder, quiet=session.request.quiet)
    except Failure as error:
        return replace(report, cut_short=report.cut_short or str(error))
    return report


def _say_unclaimed(session: Session) -> None:
    """Name the variants of `zoo validate` that no images are evaluated for."""
    some = session.variants if session.request.run_by == "validate" else ()
    names = [each.name for each in some if not any(each.claims_of(*ACCURACIES))]
    if names:
        claim = "they claim" if len(names) > 1 else "it claims"
        say(f"{few(names, 5)}: not evaluated, as {claim} no accuracy", WARNING)


def _with_answers(report: Report, session: Session, *, thumbnails: bool) -> Report:
    """The report with what the variants answered, for its page."""
    from harness.run.predictions import Thumbnails

    seen = Thumbnails() if thumbnails else None
    variants = tuple(
        replace(variant, answers=tuple(answered.summary(seen) for answered in run.answered()))
        for variant, run in zip(report.variants, session.runs_seen, strict=True)
    )
    if seen is not None:
        rest = f"; {seen.left_out:,} more would be too many" if seen.left_out else ""
        shown = (
            f"{plural(len(seen), 'image')} as {'a thumbnail' if len(seen) == 1 else 'thumbnails'}"
        )
        say(f"the page shows {shown}, {human_bytes(seen.size)}{rest}")
    return replace(report, variants=variants)


@documented
@command("index", "links", "headers", *FETCHING_ONE, *REPORTING, "baseline")
def audit(
    config: RunConfig,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Files and folders of an index, as --index takes them. Default: the index here.",
        ),
    ] = None,
    *,
    across: bool,
) -> None:
    if not all(paths or ()):
        raise UsageError("PATH is empty; name a file or a folder, or leave it out")
    config = with_paths(config, map(Path, paths or ()))
    checks = ("metadata",)
    if across:
        _audit_across(config)
    if "headers" in dict(config.given):
        raise UsageError("--headers: zoo audit asks for them with --across alone; add it")
    session = prepared(
        RunConfig(
            index=config.index,
            named_by=config.named_by,
            checks=checks,
            links=config.links,
            offline=config.offline,
            public_hosts_only=config.public_hosts_only,
        ),
        builds=False,
        lenient=True,
    )
    baseline = BaselineOption.read(config, session, checks)
    from harness.run.links import to_ask
    from harness.run.plan import unread

    asks = to_ask(session.request, session.variants)
    pages = f"; {plural(asks, 'page')} to ask for" if asks else ""
    say(f"{session.source}, read and not built{pages}")
    baseline.tell()
    fail(*unread(session.index))
    finish(baseline.applied(session.audit()), config)


def _audit_across(config: RunConfig) -> NoReturn:
    """Hold indexes against each other, and exit with the status that asks for."""
    from harness.run.across import compared, read_zoos

    session, zoos, lines = read_zoos(
        RunConfig(
            index=config.index,
            named_by=config.named_by,
            checks=("metadata",),
            headers=config.headers,
            offline=config.offline,
            public_hosts_only=config.public_hosts_only,
            allow_http=config.allow_http,
            allow_local=config.allow_local,
        )
    )
    baseline = BaselineOption.read(config, session, ("across",))
    report, words = compared(session, zoos)
    say(words)
    baseline.tell()
    fail(*lines)
    finish(baseline.applied(report), config)


def _in_precisions(config: RunConfig, named: tuple[str, ...] | None) -> RunConfig:
    if named is None:
        return config
    if not config.data:
        raise UsageError("--precision: there are no images to look at; name them with --data")
    if "amp" in dict(config.given):
        raise UsageError("--precision: says what --amp says; leave out one of them")
    first, *others = named
    return replace(config, amp=first, precisions=tuple(others))


@documented
@command(
    *("index", "builder", "device", *IMAGES, *ENGINE, "offline", *REPORTING),
    selects="What to validate.",
    needs_names=True,
)
def validate(
    config: RunConfig, *, predictions: Path | None, precision: tuple[str, ...] | None
) -> None:
    """Of ImageNet's 50,000 images a gross error shows after some hundred, one point after about
    27,000, and a confirmation within a tenth of a point takes nearly all (see docs/accuracy.md).
    """
    if not config.data:
        raise UsageError("zoo validate is given no images; name them with --data, or set ZOO_DATA")
    config = replace(config, checks=("accuracy",), verbose=not config.quiet, run_by="validate")
    config = _in_precisions(config, precision)
    _run(config, predictions=predictions)


@command(
    *(*_REPORTED, "offline", "no-download", "refresh"),
    selects="What to report. Default: all.",
)
def report(
    config: RunConfig,
    *,
    output: Path,
    source_url: str | None,
    thumbnails: bool,
    history: bool,
    precision: tuple[str, ...] | None,
    badge: bool,
) -> None:
    """As zoo verify --output, for those who want the files and not the verdict: findings don't
    change the exit status, which is 0, or 3 where the run failed or was cut short.
    """
    config = _in_precisions(replace(config, fail_on=NEVER), precision)
    if thumbnails and not config.data:
        raise UsageError(
            "--thumbnails: there are no images to show; name them with --data, or leave it out"
        )
    _run(
        config,
        printed=False,
        folder=output,
        source_url=source_url,
        thumbnails=thumbnails,
        history=history,
        badge=badge,
    )
