"""The terminal in the README: a run of the command, drawn as it looks.

``python -m harness.docs.terminal`` runs `COMMAND` in the root of the repository and writes
``docs/terminal.svg``. It takes as long as the run, and so is no part of `harness.docs.reference`.
"""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

from zoo._util.files import replace_file

COMMAND = "zoo verify --all --offline --index tests/fixtures/seed/resnest.yml"
DRAWING = Path("docs/terminal.svg")
COLUMNS = 100
LINES = 34
"""So many lines of the output are drawn; dots stand for the rest."""

# Fonts of the reader's machine alone: a page that shows the drawing loads nothing for it.
_TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
 aria-label="A terminal: what zoo verify prints">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
 font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def printed() -> str:
    """What the command prints on a terminal of `COLUMNS` columns, colours included.

    Raises:
        OSError: there is no terminal to be had, or the command is not installed here.
    """
    ours, theirs = pty.openpty()
    try:
        run = [sys.executable, "-m", *COMMAND.split()]
        wide = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
        process = subprocess.Popen(run, stdout=theirs, stderr=subprocess.DEVNULL, env=wide)
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux says so where the other end is closed.
                break
            if not part:
                break
            parts.append(part)
        process.wait()
    finally:
        os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")


def drawing(text: str) -> str:
    """An SVG of the command and the first lines of what it printed."""
    from rich.console import Console
    from rich.terminal_theme import SVG_EXPORT_THEME
    from rich.text import Text

    lines = text.splitlines()
    shown = [f"$ {COMMAND}", *lines[:LINES], *(["..."] if len(lines) > LINES else [])]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi("\n".join(shown)))
    return console.export_svg(
        title="zoo", theme=SVG_EXPORT_THEME, code_format=_TEMPLATE, unique_id="zoo"
    )


if __name__ == "__main__":
    replace_file(DRAWING, drawing(printed()).encode())
    sys.stdout.write(f"{DRAWING}\n")
