"""The terminal in the README is what the command prints today."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_terminal_shows_the_findings_of_the_documented_page(zoo_on_a_terminal, folder):
    drawing = (ROOT / "docs" / "terminal.svg").read_text("utf-8")
    assert "](docs/terminal.svg)" in (ROOT / "README.md").read_text("utf-8")
    assert "http" not in drawing.replace("http://www.w3.org/2000/svg", "").partition("<defs>")[0]
    matrix = drawing.partition('-matrix">')[2]
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(
        r'<text [^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', matrix
    ):
        rows.setdefault(float(y), []).append((float(x), unescape(text)))
    lines = [
        "".join(t for _, t in sorted(row)).replace("\xa0", " ") for _, row in sorted(rows.items())
    ]
    command, *shown, dots = [" ".join(line.split()) for line in lines if line.strip()]
    assert (command[:9], dots) == ("$ zoo ver", "...")
    _, _, *words = command.split()
    index = words[words.index("--index") + 1]
    place = folder / index
    place.parent.mkdir(parents=True)
    place.write_bytes((ROOT / index).read_bytes())
    status, printed, _ = zoo_on_a_terminal(*words, columns=100, NO_COLOR="1")
    assert status == 1
    told = [" ".join(line.split()) for line in printed.splitlines() if line.strip()]
    start = told.index(shown[0])
    assert len(shown) > 20
    assert told[start : start + len(shown)] == shown, "run python -m harness.docs.terminal"
