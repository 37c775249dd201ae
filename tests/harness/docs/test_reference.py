"""The reference of the command says what the command's own help says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cli import run_zoo

from harness.docs.reference import BEGIN, END, NoMarkers, with_table

PAGES = (
    *("docs/commands.md", "docs/causes.md", "docs/index-format.md", "docs/model-index.schema.json"),
    "README.md",
)


@pytest.fixture(scope="module")
def helps(repository) -> dict[str, str]:
    """What `--help` prints for each command, and for the commands of a group."""
    found: dict[str, str] = {}
    waiting = [["zoo"]]
    while waiting:
        words = waiting.pop()
        wide = os.environ | {"COLUMNS": "200"}
        done = run_zoo([*words[1:], "--help"], cwd=repository, environment=wide)
        assert done.returncode == 0
        found[" ".join(words)] = done.stdout
        _, _, listed = done.stdout.partition("Commands:\n")
        waiting += [[*words, line.split()[0]] for line in listed.splitlines() if line[:3].strip()
                    or re.match(r"  \w", line)]  # fmt: skip
    return found


def sections(repository: Path) -> dict[str, str]:
    text = (repository / "docs" / "commands.md").read_text("utf-8")
    parts = re.split(r"^## (.*)$", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_command_is_there(repository, helps):
    leaves = {name for name, text in helps.items() if "Commands:\n" not in text}
    assert len(leaves) > 8
    assert set(sections(repository)) == leaves
    readme = (repository / "README.md").read_text("utf-8")
    table = readme.partition(BEGIN)[2].partition(END)[0]
    assert set(re.findall(r"^\| \[`(.*?)`\]", table, re.M)) == leaves


def test_every_option_is_there(repository, helps):
    for name, section in sections(repository).items():
        _, _, options = helps[name].partition("Options:\n")
        known = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", "\n".join(
            line[:60] for line in options.splitlines() if re.match(r"  -", line)
        ))) - {"--help"}  # fmt: skip
        shown = set(re.findall(r"--[a-z][a-z-]+", "\n".join(
            re.findall(r"^\| `(.*?)` \|", section, re.M)
        )))  # fmt: skip
        assert shown == known, name


def test_the_help_is_quoted(repository, helps):
    for name, section in sections(repository).items():
        first = section.strip().split("\n")[0].replace("&#8203;", "").replace("\\", "")
        assert " ".join(first.split()) in " ".join(helps[name].split()), name


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[3])
    return subprocess.run(
        [sys.executable, "-m", "harness.docs.reference", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_committed_is_up_to_date(repository):
    done = run(repository, "--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_an_old_table_is_told_and_written_anew(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"# Mine\n\n{BEGIN}\nstale row\n{END}\n\nAfter.\n")
    (tmp_path / "docs").mkdir()
    checked = run(tmp_path, "--check")
    assert checked.returncode == 1
    told = [line for line in checked.stdout.splitlines() if "differs from its source" in line]
    assert [line.partition(":")[0] for line in told] == [*PAGES]
    assert "-stale row" in checked.stdout.splitlines()
    assert "stale row\n" in readme.read_text()
    assert run(tmp_path).stdout == "".join(f"{page}\n" for page in PAGES)
    text = readme.read_text()
    assert text.startswith("# Mine\n")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "stale" not in text
    assert run(tmp_path, "--check").returncode == 0


def test_wrong_use(tmp_path):
    assert run(tmp_path, "--chek").returncode == 2
    nowhere = run(tmp_path)
    assert nowhere.returncode == 2
    assert nowhere.stderr.startswith("README.md: is not here")
    with pytest.raises(NoMarkers, match=r"^README\.md: write"):
        with_table("# No place")
