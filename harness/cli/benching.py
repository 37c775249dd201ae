"""The command that times models: `zoo bench`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from harness.cli import options, terminal
from harness.cli.common import prepared, settings_of
from harness.cli.status import FAILED
from harness.cli.stories import columns
from harness.run.request import USUAL_BATCHES, USUAL_SECONDS, UsageError

_HEADINGS = ("variant", "batch", "precision", "images/s", "p50 ms", "p90 ms", "p99 ms", "memory")


def bench(
    variants: Annotated[
        list[str], typer.Argument(metavar="VARIANT|GLOB|COLLECTION", help="What to time.")
    ],
    index: options.Index = None,
    device: options.Device = None,
    batch: Annotated[
        str, typer.Option("--batch", metavar="LIST", help="Batch sizes with commas between them.")
    ] = ",".join(map(str, USUAL_BATCHES)),
    amp: options.Amp = None,
    compile: options.Compile = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="How long to time each batch size.")
    ] = USUAL_SECONDS,
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="table or json.")
    ] = "table",
) -> None:
    """Time forward passes: images per second, latency, peak memory; random weights.

    What is timed with the usual batch sizes and seconds is kept, and shown in reports.
    """
    if format not in ("table", "json"):
        raise UsageError(f"--format: {format!r} is no format of timings; write table or json")
    sizes = _sizes(batch)
    settings = settings_of(index=index, device=device, amp=amp, compile=compile)
    session = prepared(settings.request(tuple(variants)))
    terminal.say(session.subject)
    timings: list[tuple[str, dict[str, Any]]] = []
    failed = False
    for name, outcome in session.bench(sizes, seconds):
        if isinstance(outcome, str):
            terminal.say(f"{name}: {outcome}")
            failed = True
        else:
            timings += [(name, timing) for timing in outcome]
    if format == "json":
        document = [{"variant": name, **timing} for name, timing in timings]
        terminal.emit(json.dumps(document, indent=2, allow_nan=False) + "\n")
    else:
        rows = [_HEADINGS, *(_row(name, timing) for name, timing in timings)]
        text = "".join(f"{line}\n" for line in columns(rows))
        if timings:
            about = timings[0][1]["environment"]
            text += f"{about['device_name']}, {about['threads']} threads, torch {about['torch']}\n"
        terminal.emit(text)
    if failed:
        raise typer.Exit(FAILED)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(word) for word in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise UsageError(f"--batch: {text!r} is no list of sizes; write one such as 1,8,32")
    return sizes


def _row(name: str, timing: dict[str, Any]) -> tuple[str, ...]:
    head = (name, str(timing["batch"]), timing["precision"])
    if "failed" in timing:
        return (*head, timing["failed"], "", "", "", "")
    latency = timing["latency_ms"]
    memory = timing["peak_memory"]
    return (
        *head,
        f"{timing['images_per_second']:.1f}",
        *(f"{latency[p]:.2f}" for p in ("p50", "p90", "p99")),
        "-" if memory is None else f"{memory / 1e6:.0f} MB",
    )
