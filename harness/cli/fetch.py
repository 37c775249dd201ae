"""`zoo fetch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from harness.cli.options import FETCHING, command, prepared, say_interrupted
from harness.cli.output import FAILED, FINDINGS, WARNING, emit, fail, say, with_advice
from harness.config import RunConfig
from harness.types import Fact, Measurement
from zoo.index.types import Variant

if TYPE_CHECKING:
    from harness.run.session import Session


@command("index", *FETCHING, selects="Whose weights to fetch.", needs_names=True)
def fetch(config: RunConfig, *, dry_run: bool) -> None:
    """Exit status: 0 every file is there; 1 a file is missing or is not what its name says; 2 wrong
    use; 3 a file could not be had, and may be another time; 130 an interrupt.
    """
    from zoo._util.text import for_terminal

    session, facts = fetched(config, "fetch", dry_run=dry_run)
    if facts is None:
        return
    status = 0
    named = {id(variant) for variant, _ in facts}
    for variant in session.variants:
        unread = [c for c in variant.claims_of("Weights") if c.value is None]
        for claim in unread:
            fail(f"{variant.name}: {claim.location}: its Weights can't be used; see zoo audit")
            status = max(status, FINDINGS)
        if id(variant) not in named and not unread:
            say(f"{variant.name}: the index lists no weights for it", WARNING)
    for variant, fact in _told(facts):
        if isinstance(fact, Measurement):
            if mirror := fact.value.get("mirror"):
                say(f"{variant.name}: its Weights could not be had; this is {mirror}", WARNING)
            line = f"{variant.name}  {fact.value['path']}  {fact.value['sha256']}"
            emit(for_terminal(line) + "\n")
            continue
        what, advice = with_advice(fact.why)
        fail("; ".join(filter(None, (f"{variant.name}: {what} [{fact.cause}]", advice))))
        from harness.causes import severity_of

        status = max(status, FINDINGS if severity_of(fact.cause) else FAILED)
    if status:
        raise typer.Exit(status)


def _told(facts: Sequence[tuple[Variant, Fact]]) -> Iterator[tuple[Variant, Fact]]:
    """Of a variant with mirrors: its file, or why each of its places has none."""
    parts = {id(variant) for variant, fact in facts if fact.part is not None}
    mine = {id(v): isinstance(f, Measurement) for v, f in facts if f.part is None}
    for variant, fact in facts:
        whole = mine.get(id(variant), False) or id(variant) not in parts
        if whole is (fact.part is None):
            yield variant, fact


def fetched(
    config: RunConfig, name: str, *, dry_run: bool
) -> tuple[Session, list[tuple[Variant, Fact]] | None]:
    """Say the plan, and fetch the weights of all variants; None for what came where it is dry.

    Args:
        config: what is asked for.
        name: of the command.
        dry_run: the plan is all.
    """
    # Nothing is built, and nothing runs on a device.
    asked = replace(config, device="auto", checks=("weights",), no_store=True, run_by=name)
    session = prepared(asked, builds=False)
    from harness.cli.progress import StderrProgress

    progress = StderrProgress(quiet=config.quiet)
    say(f"{session.source}, {session.file_plan}")
    if dry_run:
        return session, None
    try:
        return session, session.fetch(progress)
    except KeyboardInterrupt:
        progress.close()
        say_interrupted(progress.fetched() or "nothing is fetched yet")
        raise
    finally:
        progress.close()
