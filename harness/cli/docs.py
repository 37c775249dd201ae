"""An index as pages, BibTeX and JSON Schema, and what was measured as tables and cards.

`zoo docs`, `zoo cite`, `zoo schema`, `zoo table` and `zoo cards`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.options import command, look_up, prepared
from harness.cli.output import FINDINGS, WARNING, Failure, emit, emit_json, say
from harness.config import RunConfig, UsageError
from harness.config.commands import OWN
from zoo._util.text import few, for_terminal, plural

if TYPE_CHECKING:
    from harness.docs.table_blocks import PageTables, TableBlock
    from harness.run.session import Session
    from harness.types import Report
    from zoo.index.types import Index, Variant

_REPORTS = "reports"


@command("index")
def docs(config: RunConfig, *, output: Path, check: bool, others: tuple[Path, ...]) -> None:
    """A page holds what the collection is, how to use it, what is claimed of its variants, how to
    cite it, and its model-index, which --index reads back. Measurements are linked where reports/
    of the working folder holds a report of these variants. Files that were not written by this
    command are never replaced; of other pages, only what stands between the two comments of a
    table, <!-- zoo:table columns=variant,top1 --> and <!-- /zoo:table -->: see zoo table.
    """
    from harness.docs import folder
    from harness.docs.pages import NameTaken, pages
    from harness.docs.table_blocks import usual_pages
    from harness.report.folder import FolderError, NotOurs

    if output.is_file():
        raise UsageError(f"--output: {output}: is a file; name a folder")
    session = prepared(RunConfig(index=config.index, named_by=config.named_by), builds=False)
    try:
        made = pages(session.index, Path(_REPORTS), output)
    except NameTaken as error:
        raise UsageError(*error.lines) from error
    tables = list(_with_tables(config, session.index, others or usual_pages(output)))
    say(session.source)
    for line in (*made.remarks, *(remark for page in made.pages for remark in page.remarks)):
        say(line, WARNING)
    try:
        if check:
            usual = OWN["docs"]["output"].default
            there = [] if output == usual else ["--output", str(output)]
            there += (word for page in others for word in ("--page", str(page)))
            writer = config.command("docs", options=there, only=("index",))
            lines = list(folder.check(made.pages, output, writer))
            lines += [line for page in tables for line in page.differences(writer)]
            emit("".join(f"{for_terminal(line)}\n" for line in lines))
            if lines:
                raise typer.Exit(FINDINGS)
            return
        written = [str(path) for path in folder.write(made.pages, output)]
        written += [str(page.path) for page in tables if page.written()]
        for path in folder.stale(made.pages, output):
            say(f"{path}: no collection of the index has this page; remove it", WARNING)
    except NotOurs as error:
        raise UsageError(str(error)) from error
    except FolderError as error:
        raise Failure(str(error)) from error
    if not written:
        count = len({*(output / page.name for page in made.pages), *(t.path for t in tables)})
        say(f"{plural(count, 'page')}, up to date")
    emit("".join(f"{for_terminal(path)}\n" for path in written))


def _with_tables(config: RunConfig, index: Index, pages: Sequence[Path]) -> Iterator[PageTables]:
    """The pages that have tables of ours, and these tables as they should be.

    Raises:
        UsageError: a page is not there, or one of its blocks can't be written.
    """
    from harness.docs.table_blocks import BadBlock, page_tables

    absent = [str(path) for path in pages if not path.is_file()]
    if absent:
        raise UsageError(*(f"--page: {path}: there is no such file" for path in absent))
    reports = Path(_REPORTS)
    for path in pages:

        def made(block: TableBlock, path: Path = path) -> str:
            try:
                return _block_table(index, config, block, reports)
            except UsageError as error:
                raise UsageError(*(f"{path}:{block.line}: {s}" for s in error.lines)) from error

        try:
            page = page_tables(path, made)
        except BadBlock as error:
            raise UsageError(str(error)) from error
        if page is not None:
            yield page


@command("index", selects="What to cite.", needs_names=True)
def cite(config: RunConfig) -> None:
    """It is the Citation of the index; where there is none, the title and the URL of the Paper make
    a @misc. Entries that several variants share are printed once.
    """
    from harness.docs.claims import bibtex

    entries: dict[str, None] = {}
    missing = []
    session = prepared(
        RunConfig(index=config.index, named_by=config.named_by, select=config.select), builds=False
    )
    for found in session.variants:
        entry = bibtex(found.effective, found.collection_name or found.name)
        if entry is None:
            missing.append(
                f"{found.location}: {found.name}: the index names no Citation and no Paper "
                "with a title, for it or its collection; add one of them"
            )
        else:
            entries[entry] = None
    if entries:
        say(session.source)
    emit("\n".join(f"{entry}\n" for entry in entries))
    if missing:
        raise UsageError(*missing)


@command()
def schema(config: RunConfig) -> None:
    """Write it to a file, and name that in the first line of an index:
    # yaml-language-server: $schema=./model-index.schema.json
    """
    from harness.docs.index_schema import index_schema

    emit_json(index_schema())


# What chooses measurements of the store, and what an accuracy depends on.
_TAKEN = (
    *("index", "builder", "checks", "baseline", "device"),
    *("data", "dataset", "samples", "amp", "decode"),
)


def _measured(config: RunConfig, place: Path | None) -> tuple[Session, Report]:
    """The variants that are chosen, and what a report, or else the store, has of them."""
    if place is None:
        from harness.cli.show import known_report

        session, report = known_report(config, stands_in=False)
        if not any(any(_plain(each.measurements)) for each in report.variants):
            again = config.command("verify", *(config.select or ("--all",)))
            say(f"nothing is measured of these yet; {again} measures them", WARNING)
        return session, report
    from harness.docs.measured import has_report

    if not has_report(place):
        raise UsageError(
            f"--report: {place}: there is no report; zoo report --output {place} writes one"
        )
    session = look_up(config, stands_in=False)
    return session, _read(place, session.variants, config)


def _read(place: Path, variants: Sequence[Variant], config: RunConfig) -> Report:
    """The report there; what it lacks is said."""
    from harness.docs.measured import read_report
    from harness.report.folder import FolderError

    try:
        report = read_report(place, variants, config.builder or config.usual_builder)
    except FolderError as error:
        raise Failure(str(error)) from error
    lacking = [each.name for each in report.variants if not any(_plain(each.measurements))]
    if lacking:
        names = for_terminal(few(lacking, 3))
        say(f"{place}: has no measurement of {names}; zoo report writes it anew", WARNING)
    return report


def _plain(measurements: object) -> list[object]:
    return [*measurements.values()] if isinstance(measurements, dict) else []


@command(*_TAKEN, selects="What to compare. Default: all.")
def table(config: RunConfig, *, report: Path | None, format: str, columns: tuple[str, ...]) -> None:
    """A heading says of each number whether it is documented or measured. Nothing is built, and no
    server is asked: what was measured is in the store, or in the report that is named. Between
    <!-- zoo:table columns=variant,top1 variants=ResNeSt --> and <!-- /zoo:table --> of a page,
    zoo docs writes the same table.
    """
    from harness.docs.measured import report_rows
    from harness.report.comparison import comparison_table, usual

    rows = report_rows(_measured(config, report)[1], report)
    emit(comparison_table(rows, columns or usual(rows), format))


def _block_table(index: Index, config: RunConfig, block: TableBlock, usual_report: Path) -> str:
    """The table of a block of a page, from the index and a written report.

    Raises:
        UsageError: it names variants or a report that there are not.
    """
    from harness.docs.measured import has_report, nothing_measured, read_report, report_rows
    from harness.report.comparison import comparison_table, usual
    from harness.report.folder import FolderError
    from harness.run.plan import select

    variants = select(index, block.variants)
    place = Path(block.report) if block.report else usual_report
    builder = config.usual_builder
    try:
        report = (
            read_report(place, variants, builder)
            if block.report or has_report(place)
            else nothing_measured(variants, builder)
        )
    except FolderError as error:
        raise UsageError(str(error)) from error
    rows = report_rows(report, place)
    return comparison_table(rows, block.columns or usual(rows), block.format)


@command(*_TAKEN, selects="Whose card to write. Default: all.")
def cards(config: RunConfig, *, report: Path | None, output: Path, report_url: str | None) -> None:
    """DIR/VARIANT/ is as a repository of the Hub: README.md, and .eval_results/ where ImageNet's
    validation set was counted. The model-index states what was measured, and nothing else; what
    is documented stands below, under that name. --index DIR reads the cards back. Nothing is built,
    and no server is asked. Files that were not written by this command are never replaced.
    """
    from harness.docs.cards import CardMaker, MissingHub, write_cards
    from harness.report.folder import FolderError, NotOurs
    from harness.report.source import linker

    if output.exists() and not output.is_dir():
        raise UsageError(f"--output: {output}: is no folder; name one for the cards")
    session, found = _measured(config, report)
    if report_url is None and report is not None:
        address = linker(None)((report / "comparison.md").as_posix())
        report_url = address and address.partition("#")[0]
    try:
        made = CardMaker(found, report_url).cards(session.variants)
        for line in made.remarks:
            say(line, WARNING)
        written = write_cards(made, output)
    except (MissingHub, NotOurs) as error:
        raise UsageError(str(error)) from error
    except FolderError as error:
        raise Failure(str(error)) from error
    if not written:
        say(f"{plural(len(made.cards), 'card')}, up to date")
    emit("".join(f"{for_terminal(str(path))}\n" for path in written))
