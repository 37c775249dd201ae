"""The comparison of a report's variants as files: for a reader, a spreadsheet, a program."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from harness.report.markdown import precision_table
from harness.report.pareto import environments
from harness.report.rows import Row, rows
from harness.report.sentences import cut_short, quantity, span, summary
from harness.types import Report
from zoo._util.install import install_command
from zoo._util.text import (
    csv_text,
    for_latex,
    for_markdown,
    for_spreadsheet,
    for_terminal,
    plural,
    truncate,
)

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


_LONGEST = 80
MISSING = "-"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a comparison.

    Attributes:
        heading: what stands above it.
        value: what a program reads of a row; None is not documented, or not measured.
        show: the same for a person, as plain text; None shows the value as it is.
        is_text: it is no number, and set to the left.
    """

    heading: str
    value: Callable[[Row], object]
    show: Callable[[Row], str | None] | None = None
    is_text: bool = False

    def cell(self, row: Row) -> str:
        """Plain text for a person: visible, of one line, and not long; a dash for none."""
        shown = (self.show or self.value)(row)
        return MISSING if shown in (None, "") else for_terminal(truncate(str(shown), _LONGEST))


def _of(name: str) -> Callable[[Row], object]:
    return lambda row: getattr(row, name)


def _count(name: str, unit: str = "") -> Callable[[Row], str | None]:
    def show(row: Row) -> str | None:
        number = getattr(row, name)
        return None if number is None else quantity(number, unit, padded=True)

    return show


def _percent(name: str) -> Callable[[Row], str | None]:
    def show(row: Row) -> str | None:
        number = getattr(row, name)
        return None if number is None else f"{number:.2f} %"

    return show


def _marked(field: str, show: Callable[[Row], str | None]) -> Callable[[Row], str | None]:
    """What is documented, with a mark where an error speaks against it."""

    def marked(row: Row) -> str | None:
        shown = show(row)
        return f"{shown} (wrong)" if shown is not None and field in row.doubted else shown

    return marked


def _flops_claimed(row: Row) -> str | None:
    shown, named = _count("flops_claimed")(row), row.flops_convention_claimed
    return f"{shown} ({truncate(named, _LONGEST)})" if shown is not None and named else shown


def _size(row: Row) -> str | None:
    return None if row.image_size is None else f"{row.image_size[0]} x {row.image_size[1]}"


def _speed(row: Row) -> str | None:
    shown = _count("images_per_second")(row)
    return None if shown is None else f"{shown} (batch {row.images_per_second_batch})"


def _accuracies(k: int) -> dict[str, TableColumn]:
    name, field = f"top{k}", f"Top {k} Accuracy"

    def measured(row: Row) -> str | None:
        return f"{row.right(k)}/{row.images}" if row.is_sample(k) else _percent(name)(row)

    def bounds(row: Row) -> tuple[float, float] | None:
        low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
        return None if low is None or high is None else (low, high)

    def interval(row: Row) -> str | None:
        found = bounds(row)
        return None if found is None else span(*found)

    def plain_interval(row: Row) -> str | None:
        found = bounds(row)
        return None if found is None else f"{found[0]:.4f} to {found[1]:.4f}"

    claimed = f"{name}_claimed"
    return {
        f"{name}-claimed": TableColumn(
            f"Top-{k}, documented", _of(claimed), _marked(field, _percent(claimed))
        ),
        name: TableColumn(f"Top-{k}, measured", _of(name), measured),
        f"{name}-interval": TableColumn(f"Top-{k}, interval", plain_interval, interval),
    }


def _counted(name: str, heading: str, field: str, unit: str = "") -> dict[str, TableColumn]:
    """What is documented and what was measured of a count."""
    attribute = name.replace("-", "_")
    claimed = f"{attribute}_claimed"
    return {
        f"{name}-claimed": TableColumn(
            f"{heading}, documented", _of(claimed), _marked(field, _count(claimed, unit))
        ),
        name: TableColumn(f"{heading}, measured", _of(attribute), _count(attribute, unit)),
    }


# In the order of a comparison, by the names that `--columns` takes.
COLUMNS: Mapping[str, TableColumn] = {
    "status": TableColumn("Status", _of("status"), is_text=True),
    "variant": TableColumn("Variant", _of("name"), is_text=True),
    "collection": TableColumn("Collection", _of("collection"), is_text=True),
    "input": TableColumn("Input", _of("image_size"), _size),
    **_counted("parameters", "Parameters", "Parameters"),
    "flops-claimed": TableColumn(
        "FLOPs, documented", _of("flops_claimed"), _marked("FLOPs", _flops_claimed)
    ),
    "macs": TableColumn("MACs, measured", _of("macs"), _count("macs")),
    "flops": TableColumn("FLOPs, measured", _of("flops"), _count("flops")),
    **_counted("file-size", "File size", "File Size", "B"),
    **_accuracies(1),
    **_accuracies(5),
    "images": TableColumn(
        "Images", _of("images"), lambda row: None if row.images is None else f"{row.images:,}"
    ),
    "images-per-second": TableColumn("Images/s, measured", _of("images_per_second"), _speed),
    "dataset": TableColumn("Dataset, documented", _of("dataset"), is_text=True),
    "builder": TableColumn("Builder", _of("builder"), is_text=True),
}
# What the tables of a report have.
COMPARED = tuple(COLUMNS)[: tuple(COLUMNS).index("dataset")]


def usual(rows: Sequence[Row]) -> tuple[str, ...]:
    """The columns of a comparison that some row has a value for; those of text in any case."""
    return tuple(
        name
        for name in COMPARED
        if COLUMNS[name].is_text or any(COLUMNS[name].cell(row) != MISSING for row in rows)
    )


def _as_markdown(columns: Sequence[TableColumn], rows: Sequence[Row]) -> str:
    lines = [
        [for_markdown(each.heading) for each in columns],
        ["---" if each.is_text else "---:" for each in columns],
        *([for_markdown(each.cell(row)) for each in columns] for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _as_csv(columns: Sequence[TableColumn], rows: Sequence[Row]) -> str:
    """Every digit, as programs read it; an apostrophe keeps a text from being a formula."""
    names = [next(n for n, known in COLUMNS.items() if known is each) for each in columns]
    return csv_text(
        names,
        ({n: each.value(row) for n, each in zip(names, columns, strict=True)} for row in rows),
    )


def _as_latex(columns: Sequence[TableColumn], rows: Sequence[Row]) -> str:
    """A table of the package booktabs."""

    def line(cells: Sequence[str]) -> str:
        text = " & ".join(map(for_latex, cells))
        return f"  {'{}' * text.startswith(('[', '*'))}{text} \\\\\n"

    return "".join(
        (
            f"\\begin{{tabular}}{{{''.join('l' if c.is_text else 'r' for c in columns)}}}\n",
            "  \\toprule\n",
            line([each.heading for each in columns]),
            "  \\midrule\n",
            *(line([each.cell(row) for each in columns]) for row in rows),
            "  \\bottomrule\n\\end{tabular}\n",
        )
    )


def _as_html(columns: Sequence[TableColumn], rows: Sequence[Row]) -> str:
    """A table whose numbers are set to the right, without a style of its own."""
    aligned = [(each, "" if each.is_text else ' align="right"') for each in columns]
    head = "".join(f"<th{at}>{html.escape(each.heading)}</th>" for each, at in aligned)
    lines = ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for row in rows:
        cells = (f"<td{at}>{html.escape(each.cell(row))}</td>" for each, at in aligned)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>", ""])


_FORMATS: Mapping[str, Callable[[Sequence[TableColumn], Sequence[Row]], str]] = {
    "markdown": _as_markdown,
    "csv": _as_csv,
    "latex": _as_latex,
    "html": _as_html,
}


def comparison_table(rows: Sequence[Row], names: Sequence[str], format: str) -> str:
    """The rows as a table of that format, with these columns, whole lines of it."""
    return _FORMATS[format]([COLUMNS[name] for name in names], rows)
