"""The subcommands of `zoo` and their options. What a command needs is imported when it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import (
    adding,
    benching,
    fetching,
    fixing,
    inferring,
    known,
    options,
    reporting,
    terminal,
    training,
    validating,
    verifying,
    writing,
)
from harness.cli.common import look_up, prepared, settings_of
from harness.cli.measuring import measuring
from harness.cli.overview import Overview
from harness.cli.status import Failure
from harness.run.request import UsageError

if TYPE_CHECKING:
    from harness.run.store import Store

app = typer.Typer(
    cls=Overview,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cache = typer.Typer(cls=Overview, rich_markup_mode=None)
app.command()(verifying.audit)
app.command(cls=known.WritesBaseline)(verifying.verify)
app.command()(validating.validate)
app.command()(benching.bench)
app.command()(reporting.report)
app.command()(fixing.fix)
app.command()(fetching.fetch)
app.command()(training.train)
app.command()(writing.docs)
app.command()(writing.cite)
app.command()(inferring.classify)
app.command()(inferring.features)
app.command()(adding.add)
app.add_typer(cache, name="cache", help="Show or empty the store of measurements.")


@app.callback(invoke_without_command=True)
def _zoo(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Keeps a model zoo honest: re-measures the numbers that it documents, and says which hold."""
    if version:
        from zoo import __version__

        terminal.emit(f"zoo {__version__}\n")
        raise typer.Exit()
    if context.invoked_subcommand is None:
        commands = ", ".join(context.command.list_commands(context))  # type: ignore[attr-defined]
        raise UsageError(f"zoo: say what to do, one of {commands}; see zoo --help")


@app.command("list")
def list_variants(
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="PATTERN", help="A name, a glob or a collection."),
    ] = None,
    index: options.Index = None,
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="table or json.")
    ] = "table",
) -> None:
    """The variants of an index, with their claims in short."""
    from harness.cli import listing

    if format not in ("table", "json"):
        raise UsageError(f"--format: {format!r} is no format of a list; write table or json")
    variants = look_up(pattern, index=index, told=True).variants
    if format == "json":
        terminal.emit(listing.document(variants))
    else:
        terminal.emit(listing.table(variants, heading=terminal.is_terminal(terminal.stdout())))


@app.command()
@measuring
def show(
    variant: Annotated[str, typer.Argument(metavar="VARIANT", help="A name, or a glob.")],
    profile: Annotated[
        bool, typer.Option("--profile", help="What each module costs, as a tree, instead.")
    ] = False,
    depth: Annotated[
        int | None,
        typer.Option("--depth", min=0, metavar="N", help="Levels of the tree; all by default."),
    ] = None,
    **measured: Any,
) -> None:
    """Everything that an index claims of a variant, and where each claim stands.

    What says how to measure is heeded with --profile.
    """
    session = look_up(variant, told=True, **measured)
    if profile:
        from harness.cli import looks

        terminal.emit("\n".join(looks.profile(session, v, depth) for v in session.variants))
        return
    if depth is not None:
        raise UsageError("zoo show: --depth goes with --profile")
    from harness.cli import listing

    terminal.emit("\n".join(map(listing.claims, session.variants)))


@app.command()
@measuring
def explain(
    variant: Annotated[str, typer.Argument(metavar="VARIANT")],
    field: Annotated[str, typer.Argument(metavar="FIELD", help="As the index writes it: FLOPs.")],
    **measured: Any,
) -> None:
    """Tell the whole story of one claim: documented, measured, tried, and what it should say.

    With the options that zoo verify was given it tells of what that has found.
    """
    from harness.cli import looks

    request = looks.narrowed(settings_of(**measured).request((variant,)), field)
    terminal.emit(looks.explain(prepared(request), field, terminal.options().width))


@cache.command()
def info() -> None:
    """Where the measurements are kept, how many there are, and of what kinds."""
    from harness.cli import listing

    with _store() as store:
        terminal.emit(listing.facts(store.info()))


@cache.command()
def clear() -> None:
    """Forget all measurements; the next run makes them anew."""
    import sqlite3

    from harness.run.store import StoreError, default_path
    from zoo._util.text import plural

    try:
        with _store() as store:
            count = store.clear()
    except Failure as error:
        # A file that is locked or can't be reached is one more error of a derived class.
        known = error.__cause__
        if not isinstance(known, StoreError) or type(known.__cause__) is not sqlite3.DatabaseError:
            raise
        path = default_path()
        for name in (path, f"{path}-wal", f"{path}-shm"):
            Path(name).unlink(missing_ok=True)
        terminal.emit(f"{path} was damaged, and is removed\n")
        return
    terminal.emit(f"{plural(count, 'measurement')} removed\n")


@contextmanager
def _store() -> Iterator[Store]:
    from harness.run.store import Store, StoreError

    try:
        with closing(Store.open(None)) as store:
            yield store
    except StoreError as error:
        raise Failure(str(error)) from error
