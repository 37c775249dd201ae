"""The figures of a variant over time, and where one moved.

A row is one figure of one variant in one run: measured, with what it is of and what it was made
with. A documented value stands beside it in a column of its own, and never in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

COLUMNS = (
    *("run", "time", "commit", "variant", "figure", "measured", "documented", "of", "versions"),
)
SPEED = "images_per_second"
# A speed is another one where it is so many times faster or slower, in two runs after one another:
# other work on the machine makes smaller differences, and larger ones for a moment.
_SPEED_MOVED = 1.2
# Figure -> the field of an index that documents it, and the kind of fact that it is taken from.
FIELDS = {
    "parameters": ("Parameters", "structure"),
    "layers": ("Layers", "structure"),
    "flops": ("FLOPs", "flops"),
    "file_size": ("File Size", "file"),
    "sha256": ("SHA256", "file"),
    "top1": ("Top 1 Accuracy", "accuracy"),
    "top5": ("Top 5 Accuracy", "accuracy"),
    SPEED: ("Throughput", "speed"),
}
_ALSO = {"macs": "flops.macs", "throughput": SPEED, "images/s": SPEED, "speed": SPEED}


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One figure of one variant in one run.

    Attributes:
        run: the number of the run, from 1.
        time: when it began, ISO 8601 in UTC.
        commit: that was checked out, with ``+`` where files of it were changed; None where unknown.
        variant: its name, with a number where the index has several of that name.
        figure: as the JSON document names it, with what tells it from its like: ``flops.macs``.
        measured: the value.
        documented: as the index writes it, None where it says nothing of this figure.
        of: what the value is of, besides the variant: the input, the file, the images, the machine.
            Values of others can't be compared.
        versions: of what it was made with.
    """

    run: int
    time: str
    commit: str | None
    variant: str
    figure: str
    measured: int | float | str
    documented: str | None
    of: str | None
    versions: str


@dataclass(frozen=True, slots=True)
class HistorySpan:
    """Runs after one another in which a figure did not move.

    Attributes:
        first, last: the rows at both ends.
        runs: how many rows there are.
        low, high: of numbers; both None of others.
        state: ``first`` of a figure, ``moved`` from the span before, ``other`` where that is of
            something else and not compared, or ``documented`` where only that column changed.
        why: what else changed between the span before and this one, such as versions.
    """

    first: HistoryRow
    last: HistoryRow
    runs: int
    low: float | None
    high: float | None
    state: str
    why: tuple[str, ...] = ()


def is_speed(figure: str) -> bool:
    """Whether a figure is a speed, which differs a little from run to run."""
    return figure.partition(".")[0] == SPEED


def is_figure(figure: str, asked: str) -> bool:
    """Whether a figure is the one that was asked for, by its name or by the field of an index."""
    wanted = " ".join(asked.lower().replace("-", " ").replace("_", " ").split())
    wanted = _ALSO.get(wanted, wanted).lower()
    kind = figure.partition(".")[0]
    names = (figure, kind, FIELDS.get(kind, ("",))[0])
    plain = {name.lower().replace("-", " ").replace("_", " ") for name in names}
    return wanted.replace("-", " ").replace("_", " ") in plain


def spans(rows: Sequence[HistoryRow]) -> list[HistorySpan]:
    """The rows of one figure of one variant, in the order of the runs, as runs that are alike."""
    if not rows:
        return []
    found: list[HistorySpan] = []
    begin, state, why = 0, "first", tuple[str, ...]()
    level = _number(rows[0])
    for at in range(1, len(rows) + 1):
        after = _state(rows, at, level) if at < len(rows) else "end"
        if not after:
            level += (_number(rows[at]) - level) / (at + 1 - begin)
            continue
        some = rows[begin:at]
        numbers = [r.measured for r in some if not isinstance(r.measured, str)]
        low, high = (min(numbers), max(numbers)) if numbers else (None, None)
        found.append(HistorySpan(some[0], some[-1], len(some), low, high, state, why))
        if after != "end":
            begin, state, why = at, after, changed(rows[at - 1], rows[at])
            level = _number(rows[at])
    return found


def _number(row: HistoryRow) -> float:
    return 0.0 if isinstance(row.measured, str) else float(row.measured)


def _state(rows: Sequence[HistoryRow], at: int, level: float) -> str:
    """How a row differs from the one before it; empty where it doesn't.

    Args:
        rows: of one figure.
        at: the position of the row.
        level: the mean of the rows that are alike before it.
    """
    before, row = rows[at - 1], rows[at]
    if row.of != before.of:
        return "other"
    if not is_speed(row.figure):
        moved = row.measured != before.measured
    else:
        both = [_number(each) for each in rows[at : at + 2] if each.of == row.of]
        faster = min(both) > level * _SPEED_MOVED
        moved = len(both) == 2 and (faster or max(both) < level / _SPEED_MOVED)
    return "moved" if moved else "documented" if row.documented != before.documented else ""


def changed(before: HistoryRow, row: HistoryRow) -> tuple[str, ...]:
    """What changed from one row to the next besides the value, in words."""
    said = []
    if row.of != before.of:
        said.append(f"of {before.of or 'unknown'} -> {row.of or 'unknown'}")
    if row.documented != before.documented:
        said.append(f"documented {before.documented or 'nothing'} -> {row.documented or 'nothing'}")
    old, new = (dict(_parts(each.versions)) for each in (before, row))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            said.append(f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}")
    if row.commit != before.commit:
        said.append(f"commit {short(before.commit)} -> {short(row.commit)}")
    return tuple(said)


def _parts(versions: str) -> Iterator[tuple[str, str]]:
    for each in filter(None, versions.split(", ")):
        name, _, version = each.partition(" ")
        yield name, version


def short(commit: str | None) -> str:
    """A commit as it is shown."""
    return "unknown" if commit is None else commit[:10] + "+" * commit.endswith("+")


def numbered(rows: Iterable[HistoryRow], run: int) -> list[HistoryRow]:
    """The rows of a run that has this number."""
    return [replace(row, run=run) for row in rows]
