"""Every command that a page shows is run, in the order of the page, as it is printed.

What stands for the reader's own things is made small: an image, two classes of a few images, and
of the trainings that would go on for days one step. The index is a copy of this repository's, and
the settings of the folder forbid the network.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli import run_zoo
from page_blocks import OFFLINE, PAGES, ROOT, command_lines, without_network

PROGRAMS = {
    "zoo": [],
    "torchrun": ["-m", "torch.distributed.run", "--standalone"],
}
# Installing needs a network, and the tests are what runs here.
NOT_RUN = {"pip", "pytest"}
# A report says with its status what it found. All others have to succeed.
REPORTS = {"verify", "audit"}
Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def clone(reader) -> Path:
    """The reader's folder with what a clone holds."""
    shutil.copytree(ROOT / "model-index", reader / "model-index")
    shutil.copy(ROOT / "known-findings.yml", reader)
    (reader / "pyproject.toml").write_text("[tool.zoo]\noffline = true\n")
    (reader / "imagenet").symlink_to("images")
    return reader


@pytest.fixture
def run(clone) -> Run:
    """Runs one line."""

    def go(line: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = shlex.split(affordable(line))
        own = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(clone / "cache")}
        environment = os.environ | own | {"OMP_NUM_THREADS": "1"}
        if program == "zoo":
            trains = arguments[0] == "train"  # Its loaders are children of a process of its own.
            return run_zoo(arguments, cwd=clone, environment=environment, spawn=trains)
        return subprocess.run(
            [sys.executable, *PROGRAMS[program], *arguments],
            cwd=clone,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return go


def affordable(line: str) -> str:
    """The line with what the folder and two cores can bear."""
    trains = re.search(r"\bzoo train\b", line) is not None
    if not trains or "--finetune" in line:
        line = without_network(line)
    if trains:
        line = re.sub(r"--nproc_per_node \d+", "--nproc_per_node 2", line)
        line = re.sub(r"--batch-size \d+", "--batch-size 4", line) + " --max-steps 1"
    return line


@pytest.mark.parametrize("page", [*filter(command_lines, PAGES)], ids=lambda page: page.stem)
def test_every_command_of_a_page_runs(page, run, clone, real_image):
    shown = ""
    for line in command_lines(page):
        program, *arguments = line.split()
        if program in NOT_RUN:
            continue
        done = run(line)
        allowed = {0, 1} if arguments[0] in REPORTS and "--baseline" not in line else {0}
        assert done.returncode in allowed, f"{line}: {done.stderr}"
        assert "Traceback" not in done.stderr
        shown += done.stdout
    if page.parent.name == "models":
        from zoo import categories

        assert categories(OFFLINE)[real_image[1]] in shown
        assert "class0" in shown  # as the added variant's classes are called
        assert (clone / "features.npy").stat().st_size == 128 + 6 * 1280 * 4


def test_each_program_of_the_pages_is_known_here():
    programs = {line.split()[0] for page in PAGES for line in command_lines(page)}
    assert programs == {*PROGRAMS, *NOT_RUN}
