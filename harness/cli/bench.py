"""`zoo bench`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from harness.cli import interrupts
from harness.cli.options import command, prepared, say_interrupted
from harness.cli.output import FAILED, WARNING, columns, emit, emit_json, say
from harness.config import RunConfig
from zoo._util.text import csv_text, plural

_HEADINGS = ("variant", "batch", "precision", "images/s", "p50 ms", "p90 ms", "p99 ms", "memory")


@command("index", "device", "amp", "compile", selects="What to time.", needs_names=True)
def bench(
    config: RunConfig,
    *,
    batch: tuple[int, ...],
    seconds: float,
    format: str,
) -> None:
    """What is timed with the usual batch sizes and seconds is stored, and shown in reports."""
    from harness.cli.progress import StderrProgress

    session = prepared(config)
    say(session.subject)
    timings: list[tuple[str, dict[str, Any]]] = []
    failed = interrupted = False
    progress = StderrProgress(quiet=config.quiet)
    try:
        for name, outcome in session.bench(batch, seconds, progress):
            if isinstance(outcome, str):
                progress.fail(f"{name}: {outcome}")
                failed = True
            else:
                timings += [(name, timing) for timing in outcome]
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.close()
    for line in session.warnings():
        say(line, WARNING)
    document = [{"variant": name, **timing} for name, timing in timings]
    if format == "json":
        emit_json(document)
    elif format == "csv":
        flat = [dict(_flat(each)) for each in document]
        emit(csv_text(list(dict.fromkeys(key for row in flat for key in row)), flat))
    else:
        rows = [_HEADINGS, *(_row(name, timing) for name, timing in timings)]
        text = "".join(f"{line}\n" for line in columns(rows))
        if timings:
            about = timings[0][1]["environment"]
            text += f"{about['device_name']}, {about['threads']} threads, torch {about['torch']}\n"
        emit(text)
    if interrupted:
        timed = {name for name, _ in timings}
        left = [each.name for each in session.variants if each.name not in timed]
        say_interrupted(f"{plural(len(timed), 'variant')} timed; {session.kept}", left)
        raise typer.Exit(interrupts.status())
    if failed:
        raise typer.Exit(FAILED)


def _flat(timing: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a timing, those of an inner table as ``latency_ms.p50``."""
    for key, value in timing.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _row(name: str, timing: dict[str, Any]) -> tuple[str, ...]:
    head = (
        name,
        str(timing["batch"]),
        "float32" if timing["precision"] == "off" else timing["precision"],
    )
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
