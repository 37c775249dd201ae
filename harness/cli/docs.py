"""`zoo docs`, `zoo cite`, `zoo schema`: an index as pages and as BibTeX, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli.options import command, prepared
from harness.cli.output import FINDINGS, WARNING, Failure, emit, emit_json, say
from harness.config import RunConfig, UsageError
from harness.config.commands import OWN
from zoo._util.text import for_terminal

if TYPE_CHECKING:
    from harness.docs.table_blocks import PageTables, TableBlock
    from zoo.index.types import Index

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
    from zoo._util.text import plural

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
    from harness.cli.publish import block_table
    from harness.docs.table_blocks import BadBlock, page_tables

    absent = [str(path) for path in pages if not path.is_file()]
    if absent:
        raise UsageError(*(f"--page: {path}: there is no such file" for path in absent))
    reports = Path(_REPORTS)
    for path in pages:

        def made(block: TableBlock, path: Path = path) -> str:
            try:
                return block_table(index, config, block, reports)
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
        collection = found.collection
        name = found.name if collection is None else collection.name
        entry = bibtex(found.effective, name)
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
