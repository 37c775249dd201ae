"""`zoo fix`: what verify measured, written in the place of what it contradicts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import options, terminal
from harness.cli.common import prepared, settings_of
from harness.cli.status import FAILED, INTERRUPTED

if TYPE_CHECKING:
    from harness.edit.fix import Proposal
    from harness.types import Finding, Report

_COLORS = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}


def fix(
    variants: Annotated[
        list[str] | None,
        typer.Argument(metavar="VARIANT|GLOB|COLLECTION", help="What to fix; all by default."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the files instead of printing the diff.")
    ] = False,
    keep_values: Annotated[
        bool,
        typer.Option(
            "--keep-values",
            help="Let FLOPs stand, and say with which convention and input they were counted.",
        ),
    ] = False,
    index: options.Index = None,
    builder: options.Builder = None,
    checks: options.Checks = None,
    device: options.Device = None,
    data: options.Data = None,
    dataset: options.Dataset = None,
    workers: options.Workers = None,
    no_store: options.NoStore = None,
    refresh: options.Refresh = None,
    offline: options.Offline = None,
    no_download: options.NoDownload = None,
    max_bytes: options.MaxBytes = None,
    allow_http: options.AllowHttp = None,
    allow_local: options.AllowLocal = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure variants, and print what would mend their index as a unified diff.

    Only values that were measured are changed, each in its place and at the precision of its page.
    What stays to be mended by hand is said on standard error. Take the diff with "git apply" or
    "patch -p1", or let --write change the files.

    Exit status: 0 the diff is printed, or the files are written; 2 wrong use, or an index without
    variants; 3 the run failed, or a file could not be written; 130 an interrupt.
    """
    from harness.cli.progress import StderrProgress
    from harness.edit.fix import propose, snapshot_of
    from harness.report.sentences import cut_short

    settings = settings_of(
        index=index,
        builder=builder,
        checks=checks,
        device=device,
        data=data,
        dataset=dataset,
        workers=workers,
        no_store=no_store,
        refresh=refresh,
        offline=offline,
        no_download=no_download,
        max_bytes=max_bytes,
        allow_http=allow_http,
        allow_local=allow_local,
    )
    session = prepared(settings.request(tuple(variants or ())))
    snapshot = snapshot_of(session.index)
    progress = StderrProgress(quiet=quiet)
    try:
        progress.plan(session.plan)
        report = session.verify(progress)
    finally:
        progress.close()
    broken = cut_short(report)
    if broken is not None:
        progress.warn(broken)
    proposal = propose(report.findings, session.index, keep_values=keep_values, snapshot=snapshot)
    failed = False
    if not write:
        _print("".join(rewrite.diff for rewrite in proposal.rewrites))
    elif broken is None:
        failed = not _write(proposal)
    elif proposal.rewrites:
        progress.warn("nothing is written, as not all was measured")
    if not quiet:
        for line in _remaining(report, proposal):
            terminal.say(line)
    if report.cut_short == "interrupted":
        raise typer.Exit(INTERRUPTED)
    if failed or broken is not None:
        raise typer.Exit(FAILED)


def _write(proposal: Proposal) -> bool:
    """Write all files that can be; whether all could be. A line says what became of each."""
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
            terminal.say(f"{refused}; nothing was written to it")
            complete = False
        else:
            terminal.say(f"{rewrite.file.path}: {' and '.join(parts)} written")
    return complete


def _print(diff: str) -> None:
    """The diff as bytes that a tool can take; on a terminal in colour, and obeyed by none."""
    out = terminal.stdout()
    if terminal.is_terminal(out):
        from zoo._util.text import for_terminal

        colored = terminal.color(out)
        for line in diff.splitlines():
            shown = for_terminal(line.expandtabs())
            color = _COLORS.get(line[:1]) if colored else None
            terminal.emit(f"{color}{shown}\x1b[0m\n" if color else f"{shown}\n")
        return
    # A page is UTF-8, and its line breaks are its own, whatever this machine prefers.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", newline="")
    terminal.emit(diff)


def _remaining(report: Report, proposal: Proposal) -> Iterator[str]:
    """What the proposal does not mend, and why: a line for each finding."""
    from zoo._util.text import plural

    mended = {f.location for rewrite in proposal.rewrites for f in rewrite.findings}
    why = {id(skipped.finding): skipped.why for skipped in proposal.skipped}
    left = [f for f in report.findings if f.status == "mismatch" and f.location not in mended]
    notes = sum(f.severity == "note" for f in left)
    if not left:
        return
    heading = f"{plural(len(left), 'finding')} left to mend by hand"
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
