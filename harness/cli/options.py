"""Options that several commands have, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Index = Annotated[
    list[Path] | None,
    typer.Option(
        "--index",
        metavar="PATH",
        help="A YAML file, a Markdown page, or a folder of either; may be repeated. "
        "Default: model-index/ here, else the index of the package.",
    ),
]
Format = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="table (the default), json or markdown."),
]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="SEVERITY",
        help="Exit with 1 for a finding at or above it: error (the default), warning or never.",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Errors, warnings and the summary alone.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Every finding in full, matches as well.")
]
Offline = Annotated[
    bool | None,
    typer.Option(
        "--offline/--online", help="Ask nobody: weights from the cache alone.", show_default=False
    ),
]
MaxBytes = Annotated[
    int | None,
    typer.Option("--max-bytes", min=1, metavar="N", help="Cut a download off after N bytes."),
]
AllowHttp = Annotated[
    bool | None,
    typer.Option(
        "--allow-http/--https-only",
        help="Fetch over plain http from any host, not only from this machine.",
        show_default=False,
    ),
]
AllowLocal = Annotated[
    bool | None,
    typer.Option(
        "--allow-local/--index-folder-only",
        help="Read weights from files outside the index's own folder.",
        show_default=False,
    ),
]
