"""`zoo bench`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperCommand

from harness.cli import interrupts
from harness.cli.options import command, prepared, say_interrupted
from harness.cli.output import FAILED, WARNING, columns, emit, emit_json, say
from harness.config import RunConfig, UsageError
from harness.config.rules import COMPILE_MODES
from harness.measure import machine
from zoo._util.text import csv_text, plural

_HEADINGS = ("variant", "batch", "precision", "images/s", "p50 ms", "p90 ms", "p99 ms", "memory")
_COMPILE = "--compile"


class TakesMode(TyperCommand):
    """A command whose ``--compile`` may be followed by its mode."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Read the mode as that of ``--compile-mode``; no variant is named as one."""
        rest: list[str] = []
        for number, word in enumerate(args):
            if word.startswith(f"{_COMPILE}="):
                rest += [f"{_COMPILE}-mode", word.partition("=")[2]]
            elif number and args[number - 1] == _COMPILE and word in COMPILE_MODES:
                rest += [f"{_COMPILE}-mode", word]
            else:
                rest.append(word)
        return super().parse_args(ctx, rest)


COMMAND_CLASSES = {"bench": TakesMode}


@command("index", "device", "amp", "compile", selects="What to time.", needs_names=True)
def bench(
    config: RunConfig,
    *,
    batch: tuple[int, ...],
    seconds: float,
    format: str,
    precision: str,
    tf32: bool,
    memory_format: str,
    compile_mode: str | None,
) -> None:
    """What is timed with the usual batch sizes and seconds is stored, and shown in reports."""
    from harness.cli.progress import StderrProgress

    _require(config, precision, tf32=tf32)
    mode = compile_mode or ("default" if config.compile else "")
    session = prepared(config)
    say(session.subject)
    timings: list[tuple[str, dict[str, Any]]] = []
    failed = interrupted = False
    progress = StderrProgress(quiet=config.quiet)
    try:
        for name, outcome in session.bench(
            progress,
            batch,
            seconds=seconds,
            precision=precision,
            tf32=tf32,
            layout=memory_format,
            compile=mode,
        ):
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


def _require(config: RunConfig, precision: str, *, tf32: bool) -> None:
    """Refuse what can't be both, and say what has no effect."""
    if config.amp != "off" and precision != "float32":
        raise UsageError(
            f"--precision: casts the model to {precision}, and --amp {config.amp} wants it in "
            "float32; leave out one of them"
        )
    if tf32 and machine.resolve(config.device) is None:
        say("--tf32: changes nothing on a CPU, which multiplies float32 in full", WARNING)


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
