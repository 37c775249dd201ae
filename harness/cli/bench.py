"""`zoo bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import typer

from harness.cli import interrupts
from harness.cli.options import command, prepared, say_interrupted
from harness.cli.output import FAILED, WARNING, emit, emit_json, say, terminal_width, wrapped
from harness.config import RunConfig, UsageError
from harness.config.rules import COMPILE_MODES
from harness.measure import machine
from harness.report.speeds import answer_words, environment_words, precision_words
from zoo._util.text import columns, csv_text, plural

Timing = Mapping[str, Any]


# What may follow a switch, as the value of another option; no variant is named as a mode.
FOLLOWED = {"bench": ("--compile", "--compile-mode", COMPILE_MODES.__contains__)}


@command("index", "builder", "device", "amp", "compile", selects="What to time.", needs_names=True)
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
    """What is timed in the usual way, by no option but --device, is kept and shown in reports."""
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
        lines = [*_table(timings), *(wrapped(line, 2) for line in _remarks(timings))]
        emit("".join(f"{line}\n" for line in lines))
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
        elif key == "images_per_second_range":
            yield from zip((f"{key}.lowest", f"{key}.highest"), value, strict=True)
        else:
            yield f"{above}{key}", value


def _latency(which: str, timing: Timing, key: str = "latency_ms") -> str:
    found = timing.get(key)
    return f"{found[which]:.2f}" if found else ""


def _bytes(timing: Timing, key: str) -> str:
    return "" if timing.get(key) is None else f"{timing[key] / 1e6:.0f} MB"


def _amount(timing: Timing, key: str, digits: int) -> str:
    return "" if timing.get(key) is None else f"{timing[key]:.{digits}f}"


# Heading -> cell; those that no timing has a value for are left out.
_COLUMNS: Mapping[str, Callable[[Timing], str]] = {
    "batch": lambda timing: f"{timing['batch']}{'*' * timing['best']}",
    "precision": precision_words,
    "images/s": lambda timing: _amount(timing, "images_per_second", 1),
    "p50 ms": partial(_latency, "p50"),
    "p90 ms": partial(_latency, "p90"),
    "p99 ms": partial(_latency, "p99"),
    "graph ms": partial(_latency, "p50", key="graph_latency_ms"),
    "memory": partial(_bytes, key="peak_memory"),
    "reserved": partial(_bytes, key="peak_reserved"),
    "J/image": partial(_amount, key="joules_per_image", digits=3),
    "same top-1": answer_words,
}
# What a narrow terminal does without, one after the other.
_SPARED = ("p90 ms", "p99 ms", "reserved", "graph ms", "J/image", "same top-1", "memory")


def _table(timings: Sequence[tuple[str, Timing]]) -> list[str]:
    """The figures, as far as the terminal is wide enough for them."""
    cells = {name: [cell(t) for _, t in timings] for name, cell in _COLUMNS.items()}
    kept = [name for name in cells if any(cells[name]) or name == "images/s"]
    names = ["variant", *(name for name, _ in timings)]
    width = terminal_width()
    for spared in (None, *_SPARED):
        kept = [name for name in kept if name != spared]
        shown = ([name, *(cell or "-" for cell in cells[name])] for name in kept)
        lines = columns(list(zip(names, *shown, strict=True)))
        if width is None or max(map(len, lines)) <= width:
            break
    return lines


def _remarks(timings: Sequence[tuple[str, Timing]]) -> Iterator[str]:
    """What the figures depend on, and what is to be known of some of them."""
    yield from dict.fromkeys(environment_words(timing) for _, timing in timings)
    if any(timing["best"] for _, timing in timings):
        yield "* the batch size that pays most"
    busy = dict.fromkeys(name for name, timing in timings if timing.get("contended"))
    if busy:
        yield f"other programs ran beside it, so it may be faster than that: {', '.join(busy)}"
    why: dict[str, dict[str, None]] = {}
    for name, timing in timings:
        found = timing.get("agreement")
        if "failed" in timing:
            yield f"{name}, batch {timing['batch']}: {timing['failed']}"
        elif not found:
            why.setdefault(timing["not_compared"], {})[name] = None
        elif found["same"] < found["images"]:
            yield (
                f"{name}, batch {timing['batch']}: answers {found['images'] - found['same']} of "
                f"{found['images']} sample images otherwise than the plain model"
            )
    for reason, names in why.items():
        yield f"answers not compared with the plain model's, {reason}: {', '.join(names)}"
