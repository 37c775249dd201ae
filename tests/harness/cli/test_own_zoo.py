"""The tutorial, word by word: its files are written and its commands run, in an empty folder.

What a command prints on a terminal of 100 columns is what the page shows below it. With
``ZOO_WRITE_PAGES=1`` the page is written anew from what is printed; look at what has changed.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from distributions import python_path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "own-zoo.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Runs that say that something is wrong, in their order; all others find nothing to complain of.
FINDING = ["zoo verify --all", "zoo verify --all --baseline known-findings.yml"]


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty one."""
    folder = tmp_path / "tiny-zoo"
    folder.mkdir()
    return folder


@pytest.fixture
def play(zoo_on_a_terminal, folder, tmp_path, monkeypatch):
    """Run one line of a shell block; its status, and what is seen of it."""
    site = tmp_path / "site" / "tiny_zoo-1.0.dist-info"

    def installed() -> None:
        """As an editable installation leaves it: metadata there, sources here."""
        tomllib = pytest.importorskip("tomllib")
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        (points,) = project["entry-points"].items()
        site.mkdir(parents=True)
        about = f"Name: {project['name']}\nVersion: {project['version']}\n"
        (site / "METADATA").write_text(f"Metadata-Version: 2.1\n{about}")
        lines = [f"[{points[0]}]", *(f"{name} = {place}" for name, place in points[1].items())]
        (site / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for place in (site.parent, folder):
            monkeypatch.syspath_prepend(str(place))

    def run(line: str) -> tuple[int, str]:
        program, *words = shlex.split(line)
        if program == "pip":
            if (folder / "pyproject.toml").is_file():
                installed()
            return 0, ""
        if program != "zoo":
            return subprocess.run(["/bin/sh", "-c", line], cwd=folder, check=False).returncode, ""
        path = python_path(folder, site.parent)
        plain = {"TERM": "dumb", "NO_COLOR": "1", "PYTHONPATH": f"{path}:{ROOT}"}
        status, out, err = zoo_on_a_terminal(*words, columns=100, **plain)
        return status, "".join(f"{line.rstrip()}\n" for line in (err + out).splitlines())

    return run


@pytest.mark.slow
def test_the_tutorial_prints_what_it_shows(play, folder):
    seen, failed = "", []

    def block(match: re.Match[str]) -> str:
        nonlocal seen
        language, text = match.groups()
        name = text.partition("\n")[0].removeprefix("# ")
        if language == "text":
            return f"```text\n{seen.rstrip()}\n```"
        seen = ""
        if language != "sh":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
            return match[0]
        for line in text.splitlines():
            if line.startswith("mkdir "):
                continue  # It is made, and empty.
            status, seen = play(line)
            if status:
                failed.append(line)
                assert status == 1, f"{line}: {seen}"
        return match[0]

    page = PAGE.read_text()
    played = BLOCK.sub(block, page)
    (version,) = set(re.findall(r"torch \d[\w.+]*", played))
    played = played.replace(version, *re.findall(r"torch \d[\w.+]*", page))
    if os.environ.get("ZOO_WRITE_PAGES"):
        PAGE.write_text(played)
    assert played == page
    assert failed == FINDING
    workflow = yaml.safe_load((folder / ".github/workflows/zoo.yml").read_text())
    (checked,) = (
        s["run"] for s in workflow["jobs"]["zoo"]["steps"] if s.get("run", "").startswith("zoo")
    )
    assert play(checked)[0] == 0
    assert (folder / "reports" / "index.html").is_file()
    assert (folder / "reports" / "comparison.md").is_file()
