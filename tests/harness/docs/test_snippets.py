"""What the documentation tells people to run is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest
import typer
from page_blocks import (
    OFFLINE,
    PAGES,
    ROOT,
    blocks,
    command_lines,
    without_network,
)

from harness.cli.app import app


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python", "py")],
    ids=lambda page: page.stem,
)
def test_every_python_block_runs_as_it_is_printed(page, reader, real_image):
    """One after the other, as a reader of the page would."""
    script = reader / "page.py"
    script.write_text(without_network("\n".join(blocks(page, "python", "py"))))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=reader,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if page.parent.name != "models":
        return
    from zoo import categories

    lines = done.stdout.splitlines()
    best = [line.partition("%  ")[2] for line in lines if "%  " in line]
    assert len(best) == 5
    assert categories(OFFLINE)[real_image[1]] in best  # what ImageNet says the image shows
    assert lines[5] == "(1, 1280)"
    assert lines[6].startswith("stride 2: (1, ")
    assert lines[6].endswith(", 112, 112)")
    assert (reader / "runs" / "all-layers" / "model.pth").stat().st_size > 10**7


def parse(line: str) -> None:
    """Read a command line as the command would, and do nothing."""
    command = typer.main.get_command(app)
    context = command.make_context("zoo", [], resilient_parsing=True)
    name, *rest = shlex.split(line, comments=True)[1:]
    while True:
        inner = command.get_command(context, name)
        assert inner is not None, f"there is no {name} in {line!r}"
        if not hasattr(inner, "list_commands"):
            inner.make_context(name, rest, parent=context)
            return
        command, (name, *rest) = inner, rest


def test_every_command_line_is_one_that_the_command_takes():
    found = [(page.name, line) for page in PAGES for line in command_lines(page)]
    lines = [(page, line) for page, line in found if line.startswith("zoo ")]
    assert lines
    for page, line in lines:
        try:
            parse(line)
        except Exception as error:
            raise AssertionError(f"{page}: {line}: {error}") from error


def test_what_is_in_running_text_names_commands_that_there_are():
    command = typer.main.get_command(app)
    context = command.make_context("zoo", [], resilient_parsing=True)
    known = set(command.list_commands(context))
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
        named = set(re.findall(r"`zoo (\w+)", text))
        assert named <= known, f"{page.name}: no such command: {named - known}"
