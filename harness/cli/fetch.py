"""`zoo fetch`, and `zoo manifest`, which lists what it fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from harness.cli.options import FETCHING, command, prepared, say_interrupted
from harness.cli.output import FAILED, FINDINGS, WARNING, emit, emit_json, fail, say, with_advice
from harness.config import RunConfig
from harness.types import Fact, Measurement
from zoo._util.text import without_secrets
from zoo.index.types import Claim, Variant

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


_ROLES = {"Weights": "weights", "Mirrors": "mirror"}
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r"})


@command("index", *FETCHING, selects="Whose weights to list. Default: all.")
def manifest(config: RunConfig, *, format: str, dry_run: bool) -> None:
    """Sizes and hashes are those of the bytes on this machine, after they were fetched; with
    --offline of what is here already. A file that is not here is named on standard error (and in
    the JSON document, under left_out), and has no line.

    Exit status: 0 every file is in the manifest; 1 a file is missing, not what its name says, or a
    mirror serves another one; 2 wrong use; 3 a file could not be had, and may be another time; 130
    an interrupt.
    """
    session, facts = fetched(config, "manifest", dry_run=dry_run)
    if facts is None:
        return
    known: dict[int, dict[str | None, Fact]] = {}
    for variant, fact in facts:
        known.setdefault(id(variant), {})[fact.part] = fact
    rows = [row for v in session.variants for row in _rows(v, known.get(id(v), {}))]
    files = [row for row in rows if "sha256" in row]
    left_out = [row for row in rows if "sha256" not in row]
    if format == "json":
        emit_json({"schema": 1, "files": files, "left_out": left_out})
    else:
        emit("".join(dict.fromkeys(map(_checksum, files))))
    _say(left_out, files)


def _rows(variant: Variant, facts: Mapping[str | None, Fact]) -> Iterator[dict[str, Any]]:
    """An entry for each place of a variant's weights: what was measured, or why nothing was."""
    claims = list(variant.claims_of(*_ROLES))
    if not any(claim.field == "Weights" for claim in claims):
        why = "the index lists no weights for it"
        yield {"variant": variant.name, "role": "weights", "url": None, "cause": None, "why": why}
    for claim in claims:
        about = {
            "variant": variant.name,
            "role": _ROLES[claim.field],
            "url": without_secrets(claim.raw),
        }
        yield {**about, **_measured(claim, facts)}


def _measured(claim: Claim, facts: Mapping[str | None, Fact]) -> dict[str, Any]:
    if not isinstance(claim.value, str):
        return {"cause": "schema.unreadable-dependency", "why": "its value can't be read"}
    fact = facts.get(claim.value) or (facts.get(None) if len(facts) == 1 else None)
    if fact is None:
        why = "there are no Weights that this would be a mirror of"
        return {"cause": "schema.unreadable-dependency", "why": why}
    if not isinstance(fact, Measurement):
        return {"cause": fact.cause, "why": fact.why}
    path = os.path.abspath(fact.value["path"])
    try:
        path.encode()
    except UnicodeEncodeError:
        return {"cause": "weights.unreachable", "why": "its path is no text in UTF-8"}
    size, sha256 = fact.value["size"], fact.value["sha256"]
    return {"path": path, "size": size, "sha256": sha256}


def _checksum(row: Mapping[str, Any]) -> str:
    """A line as sha256sum writes and reads it: of an odd name escaped, which a backslash says."""
    path = row["path"].translate(_ESCAPES)
    escaped = "\\" * (path != row["path"])
    return f"{escaped}{row['sha256']}  {path}\n"


def _say(left_out: list[dict[str, Any]], files: list[dict[str, Any]]) -> None:
    """What is not in the manifest, and mirrors of other files; exits where there is any."""
    from harness.causes import severity_of
    from zoo.weights.sources import file_name, name_hash

    status = 0
    for row in left_out:
        if row["cause"] is None:
            say(f"{row['variant']}: {row['why']}", WARNING)
            continue
        what, advice = with_advice(row["why"])
        where = f"{row['variant']}: " + f"mirror {row['url']}: " * (row["role"] == "mirror")
        fail("; ".join(filter(None, (f"{where}{what} [{row['cause']}]", advice))))
        wrong = severity_of(row["cause"]) or row["cause"].startswith("schema.")
        status = max(status, FINDINGS if wrong else FAILED)
    own: dict[str, set[str]] = {}
    for row in (*files, *left_out):
        # Of a file that is not here, the name may say how its SHA-256 begins.
        said = row.get("sha256") or name_hash(file_name(row["url"] or ""))
        if row["role"] == "weights" and said is not None:
            own.setdefault(row["variant"], set()).add(said)
    for row in files:
        known = tuple(own.get(row["variant"], {row["sha256"]}))
        if row["role"] == "mirror" and not row["sha256"].startswith(known):
            what = f"mirror: {row['url']} serves another file than Weights"
            fail(f"{row['variant']}: {what} [weights.mirror-differs]")
            status = max(status, FINDINGS)
    if status:
        raise typer.Exit(status)
