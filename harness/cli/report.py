"""`zoo report`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from harness.cli.options import command, variants
from harness.cli.verify import OutputOptions, run
from harness.config import RunConfig

_SEEN = ("index", "builder", "checks", "baseline", "device", "data", "dataset", "samples")


@command(*_SEEN, "offline", "no-download", "refresh", "quiet")
def report(
    config: RunConfig,
    variants: Annotated[
        list[str] | None, variants("What to report; everything by default.")
    ] = None,
    *,
    output: Path,
) -> None:
    """As zoo verify --output, for those who want the files and not the verdict: findings don't
    change the exit status, which is 0, or 3 where the run failed or was cut short.
    """
    run(
        replace(config, select=tuple(variants or ()), fail_on="never"),
        OutputOptions(printed=False, folder=output),
    )
