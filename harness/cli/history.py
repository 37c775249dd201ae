"""`zoo history`: a variant's measured figures over time, and where they moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.options import command, variant
from harness.cli.output import Failure, emit, emit_json, say, wrapped
from harness.config import RunConfig, UsageError
from harness.report import history_file
from harness.report.history import COLUMNS, HistoryRow, HistorySpan, is_figure, is_speed, spans
from zoo._util.text import columns, csv_text, for_terminal, foreign, nearest, plural

_STATES = {"other": "of another", "documented": "documented anew"}
_HEAD = ("figure", "from", "to", "runs", "measured", "documented")


@command()
def history(
    config: RunConfig,
    name: Annotated[str, variant("One variant of the history.")],
    field: Annotated[
        str | None,
        typer.Argument(
            metavar="FIELD",
            help="A field of an index, such as FLOPs, or a figure, such as flops.macs. Default: "
            "every figure.",
        ),
    ] = None,
    *,
    report: Path,
    format: str,
) -> None:
    """A table has a line for the runs in which a figure did not move; in JSON and CSV each run is
    one. A value is compared with the one before if both are of the same: the same input, file,
    images or machine. A speed has moved where two runs are a fifth faster or slower.
    """
    path = _found(report)
    found = _read(path, name)
    series = [
        each for each in found.series(name) if field is None or is_figure(each[0].figure, field)
    ]
    if not series:
        raise UsageError(_nothing(path, found, name, field))
    moved = [(rows, spans(rows)) for rows in series]
    if format == "table":
        _print_table(path, name, moved)
        return
    entries = [entry for rows, of_it in moved for entry in _entries(rows, of_it)]
    if format == "json":
        emit_json({"schema": history_file.SCHEMA, "rows": entries})
    else:
        emit(csv_text((*COLUMNS, "state"), entries))


def _found(place: Path) -> Path:
    """The history in a folder, or the file itself."""
    try:
        path = history_file.find(place) if place.is_dir() else place
    except history_file.HistoryError as error:
        raise UsageError(str(error)) from error
    if path is None or not path.exists():
        there = "has no history" if path is None else "there is no such file or folder"
        raise UsageError(f"--report: {place}: {there}; zoo report --history begins one")
    return path


def _read(path: Path, name: str | None = None) -> history_file.History:
    try:
        return history_file.read(path, name)
    except history_file.NoPyarrow as error:
        raise Failure(str(error)) from error
    except history_file.HistoryError as error:
        raise UsageError(str(error)) from error


def _nothing(path: Path, found: history_file.History, name: str, field: str | None) -> str:
    series = found.series(name)
    if series:
        figures = ", ".join(rows[0].figure for rows in series)
        return f"{path}: has no figure {field!r} of {name}; there are {figures}"
    every = sorted(_read(path).texts["variant"])
    near = nearest(name, every, n=1)
    advice = f"did you mean {near[0]}? " if near else ""
    some = ", ".join(every[:5]) + ", ..." * (len(every) > 5)
    return f"{path}: has no variant {name!r}; {advice}there are {some or 'none'}"


def _entries(rows: Sequence[HistoryRow], of_it: Sequence[HistorySpan]) -> Iterator[dict[str, Any]]:
    """Every row, with how it differs from the one before."""
    began = {span.first.run: span.state for span in of_it}
    for row in rows:
        yield asdict(row) | {"state": began.get(row.run, "")}


def _print_table(
    path: Path, name: str, moved: Sequence[tuple[Sequence[HistoryRow], Sequence[HistorySpan]]]
) -> None:
    every = {row.run: row for rows, _ in moved for row in rows}
    first, last = every[min(every)], every[max(every)]
    # To the minute, where a day has several runs.
    length = 10 if len({row.time[:10] for row in every.values()}) == len(every) else 16
    when = partial(_when, length=length)
    runs = plural(len(every), "run")
    emit(f"{for_terminal(name)}: {runs} from {when(first)} to {when(last)}, UTC\n")
    of_all = [span for _, of_it in moved for span in of_it]
    lines = columns([_HEAD, *(_line(span, when) for span in of_all)], left=len(_HEAD))
    emit(f"{lines[0].rstrip()}\n")
    for line, span in zip(lines[1:], of_all, strict=True):
        why = wrapped(f"      {foreign(', '.join(span.why))}", indent=6)
        emit(f"{line.rstrip()}\n" + f"{why}\n" * bool(span.why))
    say(f"{path}, made with {last.versions}, commit {last.commit or 'unknown'}")


def _line(span: HistorySpan, when: Callable[[HistoryRow], str]) -> tuple[str, ...]:
    row, is_first = span.first, span.state == "first"
    figure = row.figure if is_first else f"  {_STATES.get(span.state, span.state)}"
    days = (when(row), when(span.last))
    return (figure, *days, str(span.runs), _measured(span), row.documented or "-")


def _when(row: HistoryRow, length: int) -> str:
    return row.time[:length].replace("T", " ")


def _measured(span: HistorySpan) -> str:
    if span.low is None or span.high is None:
        text = str(span.first.measured)
        return text if len(text) <= 20 else f"{text[:16]}..."
    if is_speed(span.first.figure):
        low, high = f"{span.low:,.1f}", f"{span.high:,.1f}"
        return low if low == high else f"{low} to {high}"
    value = span.first.measured
    return f"{value:.10g}" if isinstance(value, float) else str(value)
