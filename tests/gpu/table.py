"""Write the table of a run: ``python tests/gpu/table.py ROWS STEPS REPORT``.

Ends with 1 where a row did not hold, or a step left none.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import card

from harness.measure.devices import choose_device, environment
from zoo._util.text import for_markdown

HELD = {True: "yes", False: "**no**", None: ""}


def about() -> list[str]:
    """What it was measured on, a line each."""
    facts = environment(choose_device(card.DEVICE))
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    lines = [f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items()]
    how = f"{card.SIDE} x {card.SIDE} pixels, {card.IMAGES} images, random weights"
    return [f"Measured on {when}, {how}:", "", *lines]


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """The lines of a table."""
    return ["| " + " | ".join(row) + " |" for row in (header, ("---",) * len(header), *rows)]


def main(rows_file: str, steps_file: str, report: str) -> int:
    """Print the table, and write it to the report; the exit status."""
    rows = [json.loads(line) for line in Path(rows_file).read_text(encoding="utf-8").splitlines()]
    steps = [tuple(line.split("\t")) for line in Path(steps_file).read_text().splitlines()]
    without = [name for name, *_ in steps if not any(row["step"] == name for row in rows)]
    named = ("check", "variant", "figure", "goal")
    lines = [
        "# What this machine's GPU shows" if not card.ON_CPU else "# On the CPU: a rehearsal",
        "",
        *about(),
        "",
        *table(
            ("what", "variant", "measured", "goal", "held"),
            [(*(for_markdown(row[key]) for key in named), HELD[row["held"]]) for row in rows],
        ),
        "",
        *table(("step", "how it ended", "seconds"), steps),
        *(f"\nOf the step {name} there is no figure." for name in without),
    ]
    text = "\n".join(lines) + "\n"
    print("\n" + text, end="")
    Path(report).write_text(text, encoding="utf-8")
    print(f"\nwritten to {report}")
    return int(bool(without) or any(row["held"] is False for row in rows))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
