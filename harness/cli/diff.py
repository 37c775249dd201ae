"""`zoo diff`: what changed between two reports."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import command
from harness.cli.output import FINDINGS, Failure, emit, emit_json
from harness.cli.reporting import append_summary, print_options
from harness.config import RunConfig
from harness.config.rules import NEVER


@command()
def diff(
    config: RunConfig,
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD",
            help="A report.json, a folder with one, or @REV of a committed one: @HEAD~1, or "
            "@HEAD~1:reports where NEW is not its place.",
        ),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Another one, which is the later.")],
    *,
    fail_on: str,
    format: str,
) -> None:
    """Of accuracies it says the paired difference where files of zoo validate --predictions lie in
    both folders, or in predictions/ there. Exit status: 0 nothing that --fail-on names; 1 such a
    change; 2 wrong use, or no report; 3 a report that can't be read.
    """
    from harness.diff import diff as compare
    from harness.diff.place import PlaceFailed, open_place
    from harness.report.diff import FORMATS

    try:
        places = open_place(old, new), open_place(new, old)
        document = compare(*places)
    except PlaceFailed as error:
        raise Failure(str(error)) from error
    if format == "json":
        emit_json(document)
    else:
        options = print_options(config)
        emit(FORMATS[format](document, options), commands=format == "github")
        if format == "github":
            append_summary(FORMATS["markdown"](document, options))
    kinds = {"regression": "regressions", "any": "changes"}
    if fail_on != NEVER and document["summary"][kinds[fail_on]]:
        raise typer.Exit(FINDINGS)
