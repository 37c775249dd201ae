"""Every command that a page shows is run, in the order of the page, as it is printed.

What stands for the reader's own things is made small: a picture, two classes of a few pictures, and
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
from page_blocks import OFFLINE, PAGES, ROOT, command_lines, need_real_weights, without_network

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
def reader(tmp_path, real_picture) -> Path:
    """The folder of somebody who reads the pages: a clone's index, and pictures."""
    need_real_weights()
    shutil.copytree(ROOT / "model-index", tmp_path / "model-index")
    shutil.copy(ROOT / "known-findings.yml", tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.zoo]\noffline = true\n")
    picture, _ = real_picture
    shutil.copy(picture, tmp_path / "picture.jpg")
    for part, count in (("train", 2), ("val", 1)):
        for label in range(2):
            inside = tmp_path / "pictures" / part / f"class{label}"
            inside.mkdir(parents=True)
            for number in range(count):
                shutil.copy(picture, inside / f"{number}.jpg")
    (tmp_path / "imagenet").symlink_to("pictures")
    return tmp_path


@pytest.fixture
def run(reader) -> Run:
    """Runs one line."""

    def go(line: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = shlex.split(affordable(line))
        own = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(reader / "cache")}
        environment = os.environ | own | {"OMP_NUM_THREADS": "1"}
        if program == "zoo":
            trains = arguments[0] == "train"  # Its loaders are children of a process of its own.
            return run_zoo(arguments, cwd=reader, environment=environment, spawn=trains)
        return subprocess.run(
            [sys.executable, *PROGRAMS[program], *arguments],
            cwd=reader,
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
def test_every_command_of_a_page_runs(page, run, reader, real_picture):
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

        assert categories(OFFLINE)[real_picture[1]] in shown
        assert "class0" in shown  # as the added variant's classes are called
        assert (reader / "features.npy").stat().st_size == 128 + 6 * 1280 * 4


def test_each_program_of_the_pages_is_known_here():
    programs = {line.split()[0] for page in PAGES for line in command_lines(page)}
    assert programs == {*PROGRAMS, *NOT_RUN}
