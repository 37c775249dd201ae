"""Options that several commands have, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.run.request import GROUPS


def _path(text: str) -> Path:
    """A path that was named: an empty one would mean the working folder."""
    if not text:
        raise typer.BadParameter("is no path; write one")
    return Path(text)


Index = Annotated[
    list[str] | None,
    typer.Option(
        "--index",
        metavar="PATH",
        help="A YAML file, a Markdown page, a folder of either, a quoted pattern such as "
        "'docs/**/*.md', or package:torchvision for what that package says of its weights; may be "
        "repeated. Default: model-index/ or model-index.yml here, or where the pyproject.toml is; "
        "for list, show, classify, features and train, failing that, the index of the package "
        "(package:zoo).",
    ),
]
Builder = Annotated[
    str | None,
    typer.Option(
        "--builder",
        metavar="NAME",
        help="Who builds the models: zoo (the default), or what an installed package adds.",
    ),
]
Checks = Annotated[
    str | None,
    typer.Option(
        "--checks", metavar="LIST", help=f"Groups with commas between them: {', '.join(GROUPS)}."
    ),
]
NoStore = Annotated[
    bool | None,
    typer.Option(
        "--no-store/--store", help="Neither use nor keep measurements.", show_default=False
    ),
]
Refresh = Annotated[
    bool | None,
    typer.Option("--refresh/--no-refresh", help="Measure anew what is stored.", show_default=False),
]
NoDownload = Annotated[
    bool | None,
    typer.Option(
        "--no-download/--download", help="Ask servers for sizes alone.", show_default=False
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="table (the default), json, markdown, or what continuous integration reads: junit, "
        "sarif or github.",
    ),
]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="SEVERITY",
        help="Exit with 1 for a finding at or above it: error (the default), warning or never.",
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        parser=_path,
        metavar="FILE",
        help="Known findings, each with its reason: they are shown, and don't fail the run.",
    ),
]
WriteBaseline = Annotated[
    bool,
    typer.Option(
        "--write-baseline",
        help="Accept the errors and warnings of this run: write them to the file of --baseline, "
        "or to the .yml that follows; known-findings.yml by default.",
    ),
]
ReportFolder = Annotated[
    Path,
    typer.Option("--output", parser=_path, metavar="DIR", help="Where to write the report."),
]
PagesFolder = Annotated[
    Path, typer.Option("--output", parser=_path, metavar="DIR", help="The folder of the pages.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        parser=_path,
        metavar="DIR",
        help="Write the report there as well: page, tables, plots.",
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
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="PATH",
        envvar="ZOO_IMAGENET",
        show_envvar=False,
        help="Pictures to measure accuracies on: a folder, a tar, Parquet shards, or the word "
        "sample; for a variant with Class Names, folders of those names. Default: what "
        "ZOO_IMAGENET names, if it is set.",
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="NAME",
        help="Say which set the images are of where their names don't: imagenet-1k, ImageNet's "
        "validation set. Images that are not known to be of it contradict no accuracy.",
    ),
]
Samples = Annotated[
    int | None,
    typer.Option("--samples", min=1, metavar="N", help="Look at N pictures at the most."),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget", metavar="TIME", help="Look at no further pictures after it: 90s, 10m or 2h."
    ),
]
Amp = Annotated[
    str | None,
    typer.Option("--amp", metavar="NAME", help="off (the default), bf16 or fp16."),
]
Compile = Annotated[
    bool | None,
    typer.Option("--compile/--eager", help="Compile the models first.", show_default=False),
]
Decode = Annotated[
    str | None,
    typer.Option(
        "--decode",
        metavar="NAME",
        help="pillow (the default), or fast, whose pixels differ a little.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="auto (the default), cpu, cuda or cuda:N."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, metavar="N", help="Processes that decode pictures."),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout",
        metavar="TIME",
        help="What one variant may take to build and measure: 90s, 5m (the default) or 1h.",
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="What a process that builds may hold: 4GiB, 512MB. Default: 8GiB, or half of a "
        "smaller machine's memory.",
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="local (the default), or ray: tasks of a Ray cluster (extra ray).",
    ),
]
CrossCheck = Annotated[
    str | None,
    typer.Option(
        "--cross-check",
        metavar="COUNTER",
        help="fvcore: run fvcore itself on the CPU as well, and report each operator that it "
        "counts otherwise.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="ADDRESS", help="Of the Ray cluster; without it, this machine."
    ),
]
