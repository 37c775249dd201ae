"""What the documentation tells people to run is run, in the order of the page, as it is printed.

What stands for the reader's own things is made small: an image, two classes of a few images, and
of the trainings that would go on for days one step. The index is a copy of this repository's, and
the settings of the folder forbid the network. What two pages show alike is run once.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
from cli import run_python, run_zoo
from page_blocks import OFFLINE, PAGES, ROOT, blocks, command_lines, without_network

from harness.cli.app import app
from zoo import categories

TORCHRUN = ("-m", "torch.distributed.run", "--standalone")
# Installing needs a network, and the tests are what runs here.
PROGRAMS = {"zoo", "torchrun", "pip", "pytest", "tests/gpu/run.sh"}
# A report says with its status what it found. All others have to succeed.
REPORTS = {"verify", "audit"}
# Its commands are of a folder of its own, see tests/harness/cli/test_own_zoo.py.
OWN_ZOO = ROOT / "docs" / "own-zoo.md"


@pytest.fixture
def clone(reader) -> Path:
    """The reader's folder with what a clone holds."""
    shutil.copytree(ROOT / "model-index", reader / "model-index")
    shutil.copy(ROOT / "known-findings.yml", reader)
    # A process that reads images costs more than these few do.
    (reader / "pyproject.toml").write_text(
        "[tool.zoo]\noffline = true\ndecode-workers = 0\nsamples = 4\n"
    )
    (reader / "imagenet").symlink_to("images")
    return reader


def affordable(line: str) -> str:
    """The line with what the folder and two cores can bear."""
    trains = re.search(r"\bzoo train\b", line) is not None
    if not trains or "--finetune" in line:
        line = without_network(line)
    if trains:
        line = re.sub(r"--nproc_per_node \d+", "--nproc_per_node 2", line)
        line = re.sub(r"\bresnest50d\b", "resnest14d", line)  # the same blocks, fewer of them
        line = re.sub(r"--batch-size \d+", "--batch-size 4", line) + " --max-steps 1"
    return line.replace("--all --index package:torchvision", "*18* --index package:torchvision")


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    own = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    environment = os.environ | own | {"OMP_NUM_THREADS": "1"}
    program, *arguments = shlex.split(line)
    if program == "zoo":
        return run_zoo(arguments, cwd=folder, environment=environment)
    return run_python([*TORCHRUN, *arguments], cwd=folder, env=environment, timeout=300)


@pytest.mark.slow
def test_every_command_of_the_pages_runs(clone, real_image):
    shown: dict[str, str] = {}
    for page in (each for each in PAGES if each != OWN_ZOO):
        for line in map(affordable, command_lines(page)):
            program, command, *_ = [*line.split(), ""]
            # What runs for minutes is tried by tests of its own (see tests/test_gpu_run.py).
            if program in ("pip", "pytest", "tests/gpu/run.sh") or line in shown:
                continue
            for output in re.findall(r"--output (runs/\S+)", line):  # of another page
                shutil.rmtree(clone / output, ignore_errors=True)
            done = run(line, clone)
            allowed = {0, 1} if command in REPORTS and "--baseline" not in line else {0}
            assert done.returncode in allowed, f"{page.name}: {line}: {done.stderr}"
            assert "Traceback" not in done.stderr
            shown[line] = done.stdout
    assert len(shown) > 15
    assert categories(OFFLINE)[real_image[1]] in shown["zoo classify efficientnet_lite0 image.jpg"]
    (added,) = (text for line, text in shown.items() if line.startswith("zoo classify mine "))
    assert "class0" in added  # as the added variant's classes are called
    assert (clone / "features.npy").stat().st_size == 128 + 6 * 1280 * 4


@pytest.mark.slow
def test_every_python_block_runs_as_it_is_printed(reader, real_image, monkeypatch, capsys):
    """One after the other, as a reader of the page would."""
    monkeypatch.chdir(reader)
    monkeypatch.setenv("XDG_CACHE_HOME", str(reader / "cache"))
    scripts = {without_network("\n".join(blocks(page, "python", "py"))): page for page in PAGES}
    texts: dict[str, str] = {}
    for script, page in scripts.items():
        exec(compile(script, page.name, "exec"), {"__name__": "__main__"})
        texts[page.parent.name] = capsys.readouterr().out
        for told in re.findall(r"^ *print\(error\)  # (.+)$", script, re.MULTILINE):
            assert told in texts[page.parent.name].splitlines(), page
    lines = texts["models"].splitlines()
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
    lines = [(page.name, line) for page in PAGES for line in command_lines(page)]
    programs = {line.split()[0] for name, line in lines if name != OWN_ZOO.name}
    assert programs == PROGRAMS
    for page, line in lines:
        if line.startswith("zoo "):
            try:
                parse(line)
            except Exception as error:
                raise AssertionError(f"{page}: {line}: {error}") from error


def test_what_is_in_running_text_names_commands_that_there_are():
    command = typer.main.get_command(app)
    known = set(command.list_commands(command.make_context("zoo", [], resilient_parsing=True)))
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
        named = set(re.findall(r"`zoo ([a-z]\w*)", text))
        assert named <= known, f"{page.name}: no such command: {named - known}"
