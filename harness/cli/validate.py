"""`zoo validate`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from harness.cli.options import ENGINE, IMAGES, command, variants
from harness.cli.output import documented
from harness.cli.verify import OutputOptions, run
from harness.config import RunConfig, UsageError


@documented
@command("index", "device", *IMAGES, *ENGINE, "offline", "format", "fail-on", "quiet")
def validate(
    config: RunConfig, variants: Annotated[list[str], variants("What to validate.")]
) -> None:
    """Of ImageNet's 50,000 images a gross error shows after some hundred, one point after about
    27,000, and a confirmation within a tenth of a point takes nearly all (see docs/accuracy.md).
    """
    if config.data is None:
        raise UsageError("zoo validate: no images; name them with --data, or set ZOO_DATA")
    config = replace(config, select=tuple(variants), checks=("accuracy",))
    run(replace(config, verbose=not config.quiet), OutputOptions())
