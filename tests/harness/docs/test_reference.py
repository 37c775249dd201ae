"""The reference of the command says what the command's own help says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from cli import run_python, run_zoo

from harness.docs.reference import BEGIN, END, NoMarkers, with_table

PAGES = (
    *("docs/commands.md", "docs/causes.md", "docs/index-format.md", "docs/model-index.schema.json"),
    *("harness/report/schema-1.json", "harness/report/diff-schema-1.json"),
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


SHARED = "Shared options"


def sections(repository: Path) -> dict[str, str]:
    text = (repository / "docs" / "commands.md").read_text("utf-8")
    parts = re.split(r"^## (.*)$", text, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_command_is_there(repository, helps):
    leaves = {name for name, text in helps.items() if "Commands:\n" not in text}
    assert len(leaves) > 8
    assert set(sections(repository)) == {*leaves, SHARED}
    readme = (repository / "README.md").read_text("utf-8")
    table = readme.partition(BEGIN)[2].partition(END)[0]
    assert set(re.findall(r"^\| \[`(.*?)`\]", table, re.M)) == leaves


def rows(section: str) -> set[str]:
    """The options that a table describes, as they are written."""
    return set(re.findall(r"^\| `(-.*?)` \|", section, re.M))


def test_every_option_is_described_once(repository, helps):
    """In its command's table, or among the shared ones, where three commands or more name it."""
    found = sections(repository)
    shared = rows(found.pop(SHARED))
    users = dict.fromkeys(shared, 0)
    for name, section in found.items():
        _, _, named = section.partition("[shared options](#shared-options): ")
        linked = set(re.findall(r"`(-.*?)`", named))
        assert linked <= shared, name
        assert not rows(section) & linked, name
        for option in linked:
            users[option] += 1
        _, _, options = helps[name].partition("Options:\n")
        known = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", "\n".join(
            line.strip().partition("  ")[0] for line in options.splitlines() if line[:3] == "  -"
        ))) - {"--help"}  # fmt: skip
        shown = set(re.findall(r"--[a-z][a-z-]+", " ".join(rows(section) | linked)))
        assert shown == known, name
    assert min(users.values()) >= 3


def test_the_help_is_quoted(repository, helps):
    for name, section in sections(repository).items():
        if name == SHARED:
            continue
        help_ = " ".join(helps[name].split())
        first = section.strip().split("\n")[0].replace("`", "")
        assert " ".join(first.split()) in help_, name
        (usage,) = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
        examples = re.findall(r"^# (.*)\n(zoo .*)$", usage, re.M)
        assert len(examples) == helps[name].partition("Examples:")[2].count("\n  zoo "), name
        for why, line in examples:
            assert " ".join(f"{line} {why}".split()) in help_, name


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_python(["-m", "harness.docs.reference", *arguments], cwd=folder)


def test_what_is_committed_is_up_to_date(repository):
    done = run(repository, "--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_an_old_table_is_told_and_written_anew(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"# Mine\n\n{BEGIN}\nstale row\n{END}\n\nAfter.\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "harness/report").mkdir(parents=True)
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
