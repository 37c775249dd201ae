"""What becomes of a run's report: its baseline, its place, its summary for CI, its exit status."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from harness.cli import interrupts
from harness.cli.options import is_index_path
from harness.cli.output import (
    DEBUG,
    FAILED,
    FINDINGS,
    INFO,
    WARNING,
    WRONG_USE,
    EarlyInterrupt,
    NotBegun,
    color,
    emit,
    fail,
    folder_is_gone,
    say,
    terminal_width,
)
from harness.config import RunConfig, UsageError, resolve
from harness.config.options import SHARED
from harness.config.rules import DEFAULT_GROUPS, NEVER, SEVERITIES, UNVERIFIED

if TYPE_CHECKING:
    from harness.edit.baseline import Baseline
    from harness.report import Options
    from harness.run.session import Session
    from harness.types import Finding, Report

_READ_BY_PROGRAMS = ("json", "junit", "sarif", "github", "csv", "concise")
# The top of the checkout: GitHub's variable, and GitLab's.
_TOPS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
_SUMMARY = "GITHUB_STEP_SUMMARY"
# GitHub drops the summary of a step that is larger than 1 MiB.
_MAX_SUMMARY_BYTES = 1_000_000
_CUT = "\n\nThe rest is left out: a summary may have no more. The log of the step has all of it.\n"


def documented(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that ends in a report print a document for wrong use as well.

    A program that asked for JSON, JUnit, SARIF or annotations then has them to read, whatever the
    exit status; where the format can say so, it says that the run failed. So it is where a run
    can't begin.
    """

    @wraps(command)
    def run(**given: Any) -> None:
        try:
            command(**given)
        except (UsageError, NotBegun) as error:
            config = _readable_config(_paths_of(given), given["format"])
            if config.format in _READ_BY_PROGRAMS:
                why = "; ".join(error.lines) if isinstance(error, UsageError) else str(error)
                # It may be the reading that takes long.
                read = not isinstance(error, EarlyInterrupt)
                show_report(unusable(config.index, why, read=read), config)
            raise

    return run


def _paths_of(given: Mapping[str, Any]) -> list[str]:
    """The files and folders of an index on a command line, by the option and without it."""
    every = bool(given.get("every"))
    named = [str(w) for w in given.get("variants") or () if is_index_path(w, every=every)]
    return [*(given["index"] or ()), *map(str, given.get("paths") or ()), *named]


def _readable_config(index: Any, format: Any) -> RunConfig:
    """The configuration that a document needs; the defaults where the mistake is in it."""
    for options in ({"index": index or None, "format": format}, {"format": format}):
        with suppress(UsageError, OSError):
            return resolve("audit", options)[0]
    return RunConfig(format=format or os.environ.get("ZOO_FORMAT") or "table")


def finish(report: Report, config: RunConfig) -> NoReturn:
    """Print the report and exit with the status that it asks for."""
    show_report(report, config)
    raise typer.Exit(exit_status(report, config))


def print_options(config: RunConfig) -> Options:
    """How something is printed here."""
    from harness.report import Options

    return Options(
        width=terminal_width(),
        color=color(sys.stdout),
        verbose=config.verbose,
        quiet=config.quiet,
        folder=folder_in_repository(),
        top=repository_top(),
    )


def show_report(report: Report, config: RunConfig) -> None:
    """Print the report, and add it to the summary of a job of continuous integration."""
    from harness.report import get_format
    from harness.report.view import presentable

    # The formats of other packages rely on it.
    report = presentable(report, names=False)
    options = replace(print_options(config), repeat=config.repeated(), again=config.again)
    out = io.StringIO()
    get_format(config.format)(report, out=out, options=options)
    if config.format == "github":
        add_summary(report, options)
    if config.format == "sarif":
        from harness.report.sarif import kept

        left_out = kept(report, options)[1]
        if left_out is not None:
            say(left_out, WARNING)
    # The commands of this format are our own; those of others are broken in it.
    emit(out.getvalue(), commands=config.format == "github")
    if config.format == "concise" and not config.quiet and report.cut_short is None:
        from harness.report.sentences import summary

        say(summary(report))


def prepare_folder(folder: Path, *, history: bool = False) -> None:
    """See that a report can be written there, before hours are spent on measuring."""
    from harness.report import folder as folders
    from harness.report.history_file import HistoryError, NoPyarrow

    try:
        folders.prepare(folder, history=history)
    except NoPyarrow as error:
        raise NotBegun(str(error)) from error
    except HistoryError as error:
        raise UsageError(f"--history: {error}") from error
    except folders.NotOurs as error:
        raise UsageError(f"--output: {error}") from error
    except folders.FolderError as error:
        raise NotBegun(str(error)) from error


def write_folder(
    report: Report,
    folder: Path,
    source_url: str | None = None,
    *,
    verbose: bool = False,
    history: bool = False,
    badge: bool = False,
) -> Report:
    """Write the report there, and say where it is; ``verbose`` names the tables that it lacks, too.

    ``history`` adds the run to the history there, unless it did not come to its end.

    One of a run that was interrupted is not written, nor one of a run that failed in place of
    another: what is there is left as it is.

    Returns:
        The report; where it can't be written, the run has failed, and it says so.
    """
    from harness.report import folder as folders
    from harness.report.sentences import INTERRUPTED
    from harness.report.source import linker

    written = False

    @contextmanager
    def undisturbed() -> Iterator[None]:
        nonlocal written
        with interrupts.withheld():
            yield
            written = True

    if report.cut_short == INTERRUPTED or (report.cut_short and folders.holds_report(folder)):
        say(f"{folder}: left as it was, because the run did not come to its end", WARNING)
        return report
    try:
        link, lacks = linker(source_url), partial(say, level=INFO if verbose else DEBUG)
        more = {"history": history and report.cut_short is None, "badge": badge}
        page = folders.write(report, folder, say, undisturbed, link, lacks, **more)
    except KeyboardInterrupt:
        interrupts.say_now()
        say(f"{folder}: {'has the new report' if written else 'left as it was'}", WARNING)
        raise
    except folders.FolderError as error:
        if report.cut_short is None:
            return replace(report, cut_short=str(error))
        fail(str(error))
        return report
    say(f"the report is in {page}")
    return report


def folder_in_repository() -> str:
    """Where the working folder is in the checkout that a job works on; empty where it is its top.

    Formats that are read from the top of a repository name files from there.
    """
    path = Path(_here()).relative_to(repository_top()).as_posix()
    return "" if path == "." else path


def repository_top() -> str:
    """The top of the checkout that a job works on; the working folder where no job says."""
    here = _here()
    for name in _TOPS:
        folder = os.environ.get(name)
        if folder and Path(here).is_relative_to(os.path.realpath(folder)):
            return os.path.realpath(folder)
    return here


def _here() -> str:
    """The working folder, whose name is of no use where it is gone."""
    return os.sep if folder_is_gone() else os.path.realpath(os.getcwd())


def add_summary(report: Report, options: Options) -> None:
    """Append the report, in Markdown, to the summary of the job's step, where there is one."""
    if os.environ.get(_SUMMARY):
        from harness.report import get_format

        out = io.StringIO()
        get_format("markdown")(report, out=out, options=options)
        append_summary(out.getvalue())


def append_summary(text: str) -> None:
    """Append Markdown to the summary of the job's step, where there is one."""
    path = os.environ.get(_SUMMARY)
    if not path:
        return
    try:
        with open(path, "ab") as file:
            file.write(_bounded(text.encode("utf-8", "backslashreplace")))
    except OSError as error:
        say(f"no job summary: {path}: {error.strerror or error}", WARNING)


def _bounded(text: bytes) -> bytes:
    """The text, or as many of its lines as the summary can hold."""
    if len(text) <= _MAX_SUMMARY_BYTES:
        return text
    return text[: text.rindex(b"\n", 0, _MAX_SUMMARY_BYTES)] + _CUT.encode()


def exit_status(report: Report, config: RunConfig) -> int:
    """0, or 1 for what ``--fail-on`` or ``--strict`` fail for; 2 where some of the index could not
    be read; 3, or that of an interrupt, for a run that was cut short.

    What a baseline accepts is no reason to fail.
    """
    if report.cut_short is not None:
        return interrupts.status() if report.cut_short == "interrupted" else FAILED
    if report.unread:
        return WRONG_USE
    if config.fail_on == NEVER:
        return 0
    failing = set(SEVERITIES[: SEVERITIES.index(config.fail_on) + 1])
    if config.strict:
        failing.add(UNVERIFIED)
    new = (finding for finding in report.findings if finding.accepted is None)
    found = {word for finding in new for word in (finding.severity, _status(finding))}
    return FINDINGS if failing & found else 0


def _status(finding: Finding) -> str:
    """Its status; of a key that is a slip of a known one, that its claim could not be checked."""
    from zoo.index.claims import DID_YOU_MEAN

    slip = finding.cause == "schema.unknown-key" and DID_YOU_MEAN in finding.message
    return UNVERIFIED if slip else finding.status


def unusable(paths: Sequence[Path], why: str, *, read: bool = True) -> Report:
    """The report of a run that can't begin: no variant, and what is wrong in the index, if read."""
    from harness.check.schema import finding_of
    from harness.run.progress import Clock
    from harness.types import Report
    from zoo.index import load_index, local_index

    clock, index = Clock(), None
    with suppress(OSError):  # There may be no working folder.
        here = local_index() if read else None
        index = load_index(paths or ([] if here is None else [here])) if read else None
    return Report(
        environment=clock.environment("none"),
        variants=(),
        findings=tuple(map(finding_of, index.problems if index and index.unusable else ())),
        cut_short=why,
    )


@dataclass(frozen=True, slots=True)
class BaselineOption:
    """The baseline of a run.

    Attributes:
        baseline: the entries, None where there is no baseline.
        writes: it is to be brought up to date by this run.
        groups: the groups of checks that the run makes.
        files: those of the index that it is about; None for all of them.
        remark: that it is not about the others.
    """

    baseline: Baseline | None
    writes: bool
    groups: Collection[str]
    files: Collection[str] | None = None
    remark: str = ""

    @classmethod
    def read(
        cls, config: RunConfig, session: Session, groups: Collection[str], *, writes: bool = False
    ) -> BaselineOption:
        """Read the baseline of a run, before anything is measured.

        One that settings name goes with the index that they name: it says nothing of other files.

        Raises:
            UsageError: something in it is wrong, or it is not there and is not to be written.
        """
        if config.baseline is None and not writes:
            return cls(None, False, groups)
        from harness.edit import baseline
        from harness.run.plan import covered, named

        path = config.baseline or Path(baseline.DEFAULT)
        checks = () if tuple(groups) == DEFAULT_GROUPS else ("--checks", ",".join(groups))
        writer = config.command(
            "verify", "--all", options=checks, only=SHARED.keys() - {"baseline"}
        )
        files = covered(config.bound, session.request.index, session.index.files)
        if config.bound is not None and files is not None:
            of = f"{path} is of the index {named(config.bound)}, as settings say, and "
            if writes:
                raise UsageError(
                    f"--write-baseline: {of}this run is of others as well; name another file: "
                    "--write-baseline FILE.yml"
                )
            remark = f"{of}accepts nothing of other files; --baseline {path} would"
            known = baseline.read_baseline(path, writer=writer) if files else None
            return cls(known, False, groups, files, "" if config.quiet else remark)
        entries = baseline.read_baseline(path, missing=writes, writer=writer)
        return cls(entries, writes, groups)

    def tell(self) -> None:
        """Say what it is not about, if anything."""
        if self.remark:
            say(self.remark)

    def applied(self, report: Report) -> Report:
        """The report with accepted findings marked, after the baseline was written if it is to be.

        Where it can't be written, the run has failed, and the report says so.
        """
        if self.baseline is None:
            return report
        from harness.edit.baseline_apply import BaselineFileError, apply_baseline

        today = datetime.now(timezone.utc).date()
        baseline = self.baseline
        if self.writes and report.cut_short is not None:
            fail(f"{baseline.path}: not written, because the run did not come to its end")
        elif self.writes:
            try:
                baseline = self._written(report, today)
            except BaselineFileError as error:
                report = replace(report, cut_short=str(error))
        return apply_baseline(report, baseline, self.groups, today, self.files)

    def _written(self, report: Report, today: date) -> Baseline:
        from harness.edit.baseline_apply import write_baseline

        assert self.baseline is not None
        made = write_baseline(report, self.baseline, self.groups, today)
        path, number = made.baseline.path, len(made.baseline.entries)
        entries = "1 entry" if number == 1 else f"{number} entries"
        # With --quiet too: that a file was written is the result.
        say(f"{path}: {entries}, {made.added} new, {made.removed} removed", WARNING)
        if made.expired:
            say(f"{path}: {made.expired} of them expired; a new day is yours to give", WARNING)
        return made.baseline
