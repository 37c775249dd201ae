"""The subcommands of `zoo` and their options. What a command needs is imported when it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import terminal
from harness.cli.status import Failure, exit_status
from harness.run.request import GROUPS, Request, UsageError

if TYPE_CHECKING:
    from harness.config import Settings
    from harness.run.session import Session
    from harness.run.store import Store
    from harness.types import Report

_Index = Annotated[
    list[Path] | None,
    typer.Option(
        "--index",
        metavar="PATH",
        help="A YAML file, a Markdown page, or a folder of either; may be repeated. "
        "Default: model-index/ here, else the index of the package.",
    ),
]
_Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="table (the default), json or markdown."),
]
_FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="SEVERITY",
        help="Exit with 1 for a finding at or above it: error (the default), warning or never.",
    ),
]
_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Errors, warnings and the summary alone.")
]
_Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Every finding in full, matches as well.")
]

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cache = typer.Typer(rich_markup_mode=None)
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
    index: _Index = None,
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="table or json.")
    ] = "table",
) -> None:
    """The variants of an index, with their claims in short."""
    from harness.cli import listing

    if format not in ("table", "json"):
        raise UsageError(f"--format: {format!r} is no format of a list; write table or json")
    variants = _open(pattern, index).variants
    if format == "json":
        terminal.emit(listing.document(variants))
    else:
        terminal.emit(listing.table(variants, heading=terminal.is_terminal(terminal.stdout())))


@app.command()
def show(
    variant: Annotated[str, typer.Argument(metavar="VARIANT", help="A name, or a glob.")],
    index: _Index = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="What each module costs, as a tree, instead.")
    ] = False,
    depth: Annotated[
        int | None,
        typer.Option("--depth", min=0, metavar="N", help="Levels of the tree; all by default."),
    ] = None,
) -> None:
    """Everything that an index claims of a variant, and where each claim stands."""
    session = _open(variant, index)
    if profile:
        from harness.cli import looks

        terminal.emit("\n".join(looks.profile(session, v, depth) for v in session.variants))
        return
    if depth is not None:
        raise UsageError("zoo show: --depth goes with --profile")
    from harness.cli import listing

    terminal.emit("\n".join(map(listing.claims, session.variants)))


@app.command()
def explain(
    variant: Annotated[str, typer.Argument(metavar="VARIANT")],
    field: Annotated[str, typer.Argument(metavar="FIELD", help="As the index writes it: FLOPs.")],
    index: _Index = None,
) -> None:
    """Tell the whole story of one claim: documented, measured, tried, and what it should say."""
    from harness.cli import looks

    terminal.emit(looks.explain(_open(variant, index), field, terminal.options().width))


@app.command()
def audit(
    index: _Index = None,
    format: _Format = None,
    fail_on: _FailOn = None,
    quiet: _Quiet = False,
    verbose: _Verbose = False,
) -> None:
    """Check an index by itself, without building or measuring anything."""
    settings = _settings(index=index, format=format, **{"fail-on": fail_on})
    session = _prepare(Request(index=settings.index, checks=("metadata",)), settings)
    _finish(session.audit(), settings, quiet=quiet, verbose=verbose)


@app.command()
def verify(
    variants: Annotated[
        list[str] | None,
        typer.Argument(metavar="VARIANT|GLOB|COLLECTION", help="What to verify."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every variant of the index.")] = False,
    index: _Index = None,
    builder: Annotated[
        str | None,
        typer.Option("--builder", metavar="NAME", help="Who builds the models: zoo."),
    ] = None,
    checks: Annotated[
        str | None,
        typer.Option(
            "--checks",
            metavar="LIST",
            help=f"Groups with commas between them: {', '.join(GROUPS)}.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="NAME", help="auto (the default), cpu, cuda or cuda:N."),
    ] = None,
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
    format: _Format = None,
    fail_on: _FailOn = None,
    quiet: _Quiet = False,
    verbose: _Verbose = False,
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
    flags = {"no-store": no_store, "fail-on": fail_on, "format": format, "refresh": refresh}
    settings = _settings(index=index, builder=builder, checks=checks, device=device, **flags)
    request = Request(
        index=settings.index,
        select=tuple(variants or ()),
        builder=settings.builder,
        checks=settings.checks,
        device=settings.device,
        use_store=not settings.no_store,
        refresh=settings.refresh,
    )
    session = _prepare(request, settings)
    from harness.cli.progress import StderrProgress

    progress = StderrProgress(quiet=quiet)
    plan = session.plan
    try:
        progress.plan(plan)
        if dry_run:
            return
        report = session.verify(progress)
    except KeyboardInterrupt:
        # Before the first measurement or after the last: the index alone can still be reported.
        report = replace(session.audit(), cut_short="interrupted")
    finally:
        progress.close()
    _finish(report, settings, quiet=quiet, verbose=verbose)


@cache.command()
def info() -> None:
    """Where the measurements are kept, how many there are, and of what kinds."""
    from harness.cli import listing

    with _store() as store:
        terminal.emit(listing.facts(store.info()))


@cache.command()
def clear() -> None:
    """Forget all measurements; the next run makes them anew."""
    from harness.report.words import counted

    with _store() as store:
        terminal.emit(f"{counted(store.clear(), 'measurement')} removed\n")


@contextmanager
def _store() -> Iterator[Store]:
    from harness.run.store import Store, StoreError

    try:
        with closing(Store.open(None)) as store:
            yield store
    except StoreError as error:
        raise Failure(str(error)) from error


def _settings(**flags: Any) -> Settings:
    from harness.config import load

    return load(Path.cwd()).with_flags(flags)


def _open(pattern: str | None, index: list[Path] | None) -> Session:
    """The chosen variants of an index, to be looked at."""
    from harness.run.session import prepare

    settings = _settings(index=index)
    return prepare(Request(index=settings.index, select=(pattern,) if pattern else ()))


def _prepare(request: Request, settings: Settings) -> Session:
    from harness.run.session import prepare

    try:
        return prepare(request)
    except UsageError:
        # A script that reads the document gets one for an index that holds no variant, too.
        if settings.format == "json":
            from harness.cli.unusable import report_of

            report = report_of(request)
            if report is not None:
                _show(report, settings)
        raise


def _finish(report: Report, settings: Settings, *, quiet: bool, verbose: bool) -> None:
    """Print the report and exit with the status that it asks for."""
    _show(report, settings, quiet=quiet, verbose=verbose)
    raise typer.Exit(exit_status(report, settings.fail_on))


def _show(
    report: Report, settings: Settings, *, quiet: bool = False, verbose: bool = False
) -> None:
    import io

    from harness.report import get_format

    out = io.StringIO()
    options = terminal.options(quiet=quiet, verbose=verbose)
    get_format(settings.format)(report, out=out, options=options)
    terminal.emit(out.getvalue())
