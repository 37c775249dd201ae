"""`zoo fix`: what was measured, written in the place of what it contradicts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from harness.cli import interrupts
from harness.cli.options import FETCHING, STORE, command, prepared, say_kept
from harness.cli.output import FAILED, color, emit, fail, is_terminal, say
from harness.config import DEFAULT_GROUPS, RunConfig

if TYPE_CHECKING:
    from harness.edit.fix import Proposal
    from harness.types import Finding, Report

_COLORS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
_SEEN = ("index", "builder", "checks", "device", "data", "dataset", "workers", "decode-workers")


@command(*_SEEN, *STORE, *FETCHING, selects="What to fix. Default: all.")
def fix(
    config: RunConfig,
    *,
    write: bool,
    keep_values: bool,
) -> None:
    """Only measured values are changed, each in its place and at the precision of its page. What is
    left to correct by hand goes to standard error. Take the diff with "git apply" or "patch -p1",
    or let --write change the files.

    Exit status: 0 the diff is printed, or the files are written; 2 wrong use, or an index without
    variants; 3 the run failed, or a file could not be written; 130 an interrupt.
    """
    from harness.cli.progress import StderrProgress
    from harness.edit.fix import propose, snapshot_of
    from harness.report.sentences import INTERRUPTED, cut_short

    session = prepared(config)
    snapshot = snapshot_of(session.index)
    progress = StderrProgress(quiet=config.quiet)
    try:
        progress.plan(session.plan)
        report = session.verify(progress)
    finally:
        progress.close()
    if report.cut_short == INTERRUPTED:
        say_kept(session, progress)
    broken = cut_short(report)
    if broken is not None:
        progress.fail(broken)
    proposal = propose(report.findings, session.index, keep_values=keep_values, snapshot=snapshot)
    failed = False
    if not write:
        _print("".join(rewrite.diff for rewrite in proposal.rewrites))
    elif broken is None:
        failed = not _write(proposal)
    elif proposal.rewrites:
        progress.fail("nothing is written, as not all was measured")
    if not config.quiet:
        for line in _remaining(report, proposal):
            say(line)
        if proposal.rewrites and not write and is_terminal(sys.stdout):
            checks = ["--checks", ",".join(config.checks)] * (config.checks != DEFAULT_GROUPS)
            options = (*checks, *["--keep-values"] * keep_values, "--write")
            again = config.command("fix", *config.select, options=options)
            say(f"to write what the diff has: {again}")
    if report.cut_short == INTERRUPTED:
        raise typer.Exit(interrupts.status())
    if failed or broken is not None:
        raise typer.Exit(FAILED)


def _write(proposal: Proposal) -> bool:
    """Write all files that can be, with a line for each; whether all could be."""
    from harness.edit.yaml_edit import EditRefused
    from zoo._util.text import plural

    complete = True
    for rewrite in proposal.rewrites:
        values = len(rewrite.replacements) - rewrite.added
        parts = [plural(values, "value")] * bool(values)
        parts += [plural(rewrite.added, "key")] * bool(rewrite.added)
        try:
            rewrite.write()
        except EditRefused as refused:
            fail(f"{refused}; nothing was written to it")
            complete = False
        else:
            say(f"{rewrite.file.path}: {' and '.join(parts)} written")
    return complete


def _print(diff: str) -> None:
    """Print the diff as bytes that a tool can take; on a terminal escaped, and in colour."""
    if is_terminal(sys.stdout):
        from zoo._util.text import for_terminal

        colors = _COLORS if color(sys.stdout) else {}
        for line in diff.splitlines():
            shown, start = for_terminal(line.expandtabs()), colors.get(line[:1])
            emit(f"{start}{shown}\x1b[0m\n" if start else f"{shown}\n")
        return
    # A page is UTF-8, and its line breaks are its own, whatever this machine prefers.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", newline="")
    emit(diff)


def _remaining(report: Report, proposal: Proposal) -> Iterator[str]:
    """What the proposal does not correct, and why: a line for each finding."""
    from zoo._util.text import plural

    mended = {f.location for rewrite in proposal.rewrites for f in rewrite.findings}
    why = {id(skipped.finding): skipped.why for skipped in proposal.skipped}
    left = [f for f in report.findings if f.status == "mismatch" and f.location not in mended]
    notes = sum(f.severity == "note" for f in left)
    if not left:
        return
    heading = f"{plural(len(left), 'finding')} left to correct by hand"
    yield f"{heading} (of them {plural(notes, 'note')}):" if notes else f"{heading}:"
    for finding in left:
        if finding.severity != "note":
            yield _line(finding, why.get(id(finding)))


def _line(finding: Finding, why: str | None) -> str:
    parts: Sequence[str | None] = (
        None if finding.location is None else str(finding.location),
        finding.variant,
        finding.field,
        f"not fixed, as {why}" if why else finding.message,
    )
    return ": ".join(part for part in parts if part)
