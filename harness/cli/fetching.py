"""The command that fetches weights: `zoo fetch`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from harness.cli import options, terminal
from harness.cli.common import prepared, settings_of
from harness.cli.status import FAILED, FINDINGS
from harness.run.request import UsageError


def fetch(
    variants: Annotated[
        list[str] | None,
        typer.Argument(metavar="VARIANT|GLOB|COLLECTION", help="Whose weights to fetch."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every variant of the index.")] = False,
    index: options.Index = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    offline: options.Offline = None,
    max_bytes: options.MaxBytes = None,
    allow_http: options.AllowHttp = None,
    allow_local: options.AllowLocal = None,
    quiet: options.Quiet = False,
) -> None:
    """Fetch weights into the checkpoint cache, resuming and hashing; print where they are.

    Exit status: 0 every file is there; 1 a file is missing or is not what its name says; 2 wrong
    use; 3 a file could not be had, and may be another time; 130 an interrupt.
    """
    if every == bool(variants):
        raise UsageError("zoo fetch: name variants, globs or collections, or say --all")
    settings = settings_of(
        index=index,
        offline=offline,
        max_bytes=max_bytes,
        allow_http=allow_http,
        allow_local=allow_local,
    )
    request = replace(settings.request(tuple(variants or ())), checks=("weights",), use_store=False)
    session = prepared(replace(request, device="auto"))  # which nothing runs on
    from harness.cli.progress import StderrProgress
    from harness.types import Measurement
    from zoo._util.text import for_terminal

    progress = StderrProgress(quiet=quiet)
    progress.plan(session.file_plan)
    if dry_run:
        return
    try:
        facts = session.fetch(progress)
    finally:
        progress.close()
    status = 0
    named = {id(variant) for variant, _ in facts}
    for variant in session.variants:
        if id(variant) not in named:
            terminal.say(f"{variant.name}: the index lists no weights for it")
    for variant, fact in facts:
        if isinstance(fact, Measurement):
            line = f"{variant.name}  {fact.value['path']}  {fact.value['sha256']}"
            terminal.emit(for_terminal(line) + "\n")
            continue
        terminal.say(f"{variant.name}: {fact.why} [{fact.cause}]")
        from harness.causes import severity_of

        status = max(status, FINDINGS if severity_of(fact.cause) else FAILED)
    if status:
        raise typer.Exit(status)
