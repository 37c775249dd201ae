"""The comparison of a report's variants as files: for a reader, a spreadsheet, a program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from harness.report.columns import COLUMNS, COMPARED, comparison_table, usual
from harness.report.markdown import precision_table
from harness.report.pareto import environments
from harness.report.rows import Row, rows
from harness.report.sentences import cut_short, summary
from harness.types import Report
from zoo._util.install import install_command
from zoo._util.text import for_markdown, for_spreadsheet, for_terminal, plural

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("comparison.md", "comparison.csv", "comparison.parquet")

_TYPES: dict[str, Any] = {"int": "Int64", "float": "Float64", "string": "string"}


def files(
    report: Report, warn: Callable[[str], object] | None = None
) -> Iterator[tuple[str, bytes]]:
    """``comparison.md``, ``.csv`` and ``.parquet``: (name, content), one row per variant each.

    ``warn`` is called with a sentence on a file that can't be written.
    """
    compared = rows(report)
    yield "comparison.md", markdown(report, compared).encode()
    table = frame(compared)
    yield "comparison.csv", _csv(table).encode()
    if find_spec("pyarrow") is not None:
        yield "comparison.parquet", table.to_parquet(engine="pyarrow", index=False)
    elif warn is not None:
        warn(f"no comparison.parquet: pyarrow is not installed; {install_command('parquet')}")


def frame(compared: Iterable[Row]) -> pd.DataFrame:
    r"""The rows as a table of typed columns, every digit kept; what is missing is NA.

    The columns are the attributes of `Row`, but for ``cells``, and for ``image_size``, which is
    ``image_height`` and ``image_width``. Control characters in names are written out, as in
    ``\x1b``.
    """
    import pandas as pd

    listed = list(compared)
    columns: dict[str, Any] = {}
    for field in fields(Row):
        values = [getattr(row, field.name) for row in listed]
        if field.name == "cells":
            continue
        if field.name == "image_size":
            for axis, name in enumerate(("image_height", "image_width")):
                sides = [None if size is None else size[axis] for size in values]
                columns[name] = pd.array(sides, dtype="Int64")
            continue
        if field.name == "doubted":
            values = ["; ".join(names) for names in values]
        kind = next((k for k in ("int", "float") if k in str(field.type)), "string")
        if kind == "string":
            values = [None if text is None else for_terminal(text) for text in values]
        columns[field.name] = pd.array(values, dtype=_TYPES[kind])
    table: pd.DataFrame = pd.DataFrame(columns)
    return table


def _csv(table: pd.DataFrame) -> str:
    """RFC 4180 but for the line ends; an apostrophe keeps a text from being a formula."""
    safe = table.copy()
    for name in safe.columns[safe.dtypes == "string"]:
        safe[name] = safe[name].map(for_spreadsheet, na_action="ignore")
    return str(safe.to_csv(index=False, lineterminator="\n"))


# -- as Markdown ----------------------------------------------------------------------------


_READING = (
    "Status is the worst of a variant's findings; what a baseline accepts is `accepted`, whatever "
    "it was. Which operations documented FLOPs count is up to the convention in brackets, where "
    "one is stated; what an error speaks against is marked as wrong, and in no plot. "
    "Measured FLOPs are twice the multiply-accumulates (MACs) at the input named. Of a "
    "sample of images, how many of them are right; an interval "
    "bounds the accuracy on the whole dataset, given the images that were counted. A dash is "
    "not documented, or not measured in this run; every digit is in comparison.csv.",
)


def markdown(report: Report, compared: Sequence[Row]) -> str:
    """The table as Markdown; columns that no variant has a value for are named below it instead."""
    kept = usual(compared)
    lines = ["# Comparison", "", f"{summary(report)}.", ""]
    if broken := cut_short(report):
        lines += [for_markdown(broken), ""]
    lines += comparison_table(compared, kept, "markdown").splitlines()
    absent = [COLUMNS[name].heading for name in COMPARED if name not in kept]
    if compared and absent:
        lines += ["", f"No variant has a value for: {'; '.join(absent)}."]
    lines += "".join(precision_table(report)).splitlines()
    if found := environments(compared):
        words = [f"{for_markdown(name)} ({plural(size, 'variant')})" for name, size in found]
        apart = f" in {len(words)} environments, which can't be compared" * (len(words) > 1)
        lines += ["", f"Images/s were measured{apart}: {'; '.join(words)}."]
    return "\n".join([*lines, "", *_READING, ""])
