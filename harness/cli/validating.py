"""The command that measures accuracies alone: `zoo validate`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from harness.cli import options
from harness.cli.common import documented, settings_of
from harness.cli.verifying import Ending, run
from harness.run.request import UsageError


@documented
def validate(
    variants: Annotated[
        list[str], typer.Argument(metavar="VARIANT|GLOB|COLLECTION", help="What to validate.")
    ],
    data: options.Data = None,
    index: options.Index = None,
    device: options.Device = None,
    dataset: options.Dataset = None,
    samples: options.Samples = None,
    budget: options.Budget = None,
    amp: options.Amp = None,
    compile: options.Compile = None,
    decode: options.Decode = None,
    workers: options.Workers = None,
    engine: options.Engine = None,
    address: options.Address = None,
    offline: options.Offline = None,
    format: options.Format = None,
    fail_on: options.FailOn = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure accuracies on pictures, as far as it takes to decide the claims.

    Of ImageNet's 50,000 pictures a gross error shows after some hundred, one point after about
    27,000, and a confirmation within a tenth of a point takes nearly all (see docs/accuracy.md).
    """
    settings = settings_of(
        index=index,
        device=device,
        data=data,
        dataset=dataset,
        samples=samples,
        budget=budget,
        amp=amp,
        compile=compile,
        decode=decode,
        workers=workers,
        engine=engine,
        address=address,
        offline=offline,
        format=format,
        fail_on=fail_on,
    )
    if settings.data is None:
        raise UsageError("zoo validate: no pictures; name them with --data, or set ZOO_IMAGENET")
    request = replace(settings.request(tuple(variants)), checks=("accuracy",))
    run(request, settings, Ending(quiet=quiet, verbose=not quiet))
