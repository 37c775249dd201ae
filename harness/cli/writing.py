"""The commands that write documentation from an index: `zoo docs` and `zoo cite`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options, terminal
from harness.cli.common import prepared, settings_of
from harness.cli.status import FINDINGS, Failure
from harness.run.request import Request, UsageError

_REPORTS = "reports"


def docs(
    index: options.Index = None,
    output: options.PagesFolder = Path("docs/models"),
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit with 1 where a page is not up to date."),
    ] = False,
) -> None:
    """Write one page per collection from the index.

    A page holds what the collection is, how to use it, what is claimed of its variants, how to cite
    it, and its model-index, which --index reads back. Measurements are linked where reports/ of the
    working folder holds a report of these variants. Files that were not written by this command are
    never replaced.
    """
    from harness.docs import folder
    from harness.docs.pages import NameTaken, pages
    from harness.report.folder import FolderError, NotOurs
    from zoo._util.text import plural

    session = prepared(Request(index=settings_of(index=index).index))
    try:
        made = pages(session.index, Path(_REPORTS), output)
    except NameTaken as error:
        raise UsageError(*error.lines) from error
    for line in (*made.remarks, *(remark for page in made.pages for remark in page.remarks)):
        terminal.say(line)
    try:
        if check:
            _check(list(folder.check(made.pages, output)))
            return
        written = [str(path) for path in folder.write(made.pages, output)]
        for path in folder.stale(made.pages, output):
            terminal.say(f"{path}: no collection of the index has this page; remove it")
    except NotOurs as error:
        raise UsageError(str(error)) from error
    except FolderError as error:
        raise Failure(str(error)) from error
    if not written:
        terminal.say(f"{plural(len(made.pages), 'page')}, up to date")
    terminal.emit("".join(f"{_safe(path)}\n" for path in written))


def cite(
    variant: Annotated[
        list[str], typer.Argument(metavar="VARIANT|GLOB|COLLECTION", help="What to cite.")
    ],
    index: options.Index = None,
) -> None:
    """Print the BibTeX entry of a variant, which is its collection's as a rule.

    It is the Citation of the index; where there is none, the title and the URL of the Paper make a
    @misc. Entries that several variants share are printed once.
    """
    from harness.docs.citation import bibtex

    entries: dict[str, None] = {}
    missing = []
    request = Request(index=settings_of(index=index).index, select=tuple(variant))
    for found in prepared(request).variants:
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
    terminal.emit("\n".join(f"{entry}\n" for entry in entries))
    if missing:
        raise UsageError(*missing)


def _check(lines: list[str]) -> None:
    terminal.emit("".join(f"{_safe(line)}\n" for line in lines))
    if lines:
        raise typer.Exit(FINDINGS)


def _safe(line: str) -> str:
    from zoo._util.text import for_terminal

    return for_terminal(line)
