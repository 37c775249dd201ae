"""The columns of a comparison, and the comparison as a table of Markdown, CSV, LaTeX or HTML.

A heading says of each number whether it is documented or measured; nothing else tells them apart.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.report.rows import Row
from harness.report.sentences import quantity, span
from zoo._util.text import csv_text, for_latex, for_markdown, for_terminal, truncate

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


def _markdown(columns: Sequence[TableColumn], rows: Sequence[Row]) -> str:
    lines = [
        [for_markdown(each.heading) for each in columns],
        ["---" if each.is_text else "---:" for each in columns],
        *([for_markdown(each.cell(row)) for each in columns] for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _csv(columns: Sequence[TableColumn], rows: Sequence[Row]) -> str:
    """Every digit, as programs read it; an apostrophe keeps a text from being a formula."""
    names = [next(n for n, known in COLUMNS.items() if known is each) for each in columns]
    return csv_text(
        names,
        ({n: each.value(row) for n, each in zip(names, columns, strict=True)} for row in rows),
    )


def _latex(columns: Sequence[TableColumn], rows: Sequence[Row]) -> str:
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


def _html(columns: Sequence[TableColumn], rows: Sequence[Row]) -> str:
    """A table whose numbers are set to the right, without a style of its own."""
    aligned = [(each, "" if each.is_text else ' align="right"') for each in columns]
    head = "".join(f"<th{at}>{html.escape(each.heading)}</th>" for each, at in aligned)
    lines = ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for row in rows:
        cells = (f"<td{at}>{html.escape(each.cell(row))}</td>" for each, at in aligned)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</tbody>", "</table>", ""])


_FORMATS: Mapping[str, Callable[[Sequence[TableColumn], Sequence[Row]], str]] = {
    "markdown": _markdown,
    "csv": _csv,
    "latex": _latex,
    "html": _html,
}


def comparison_table(rows: Sequence[Row], names: Sequence[str], format: str) -> str:
    """The rows as a table of that format, with these columns, whole lines of it."""
    return _FORMATS[format]([COLUMNS[name] for name in names], rows)
