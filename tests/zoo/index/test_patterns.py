"""Patterns of files: what matches, in which order, and where a search ends."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest
from loops import each

from zoo._util import files
from zoo.index import load_index

INDEX = "Models:\n- Name: {}\n"
FILES = [
    "a.yml", "b.yml", "c.yaml", "notes.txt", ".hidden.yml", "docs/a.mdx", "docs/b.md",
    "docs/deep/er/a.mdx", "docs/deep/x1.yml", "docs/deep/x2.yml", "docs/.git/a.yml", "[odd].yml",
]  # fmt: skip


@pytest.fixture(autouse=True)
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(INDEX.format(name.replace("/", "-").strip(".")))


@each(
    "pattern",
    [
        "*", "*.yml", "*.y*ml", "?.yml", "[ab].yml", "[!a].yml", "[a-b].yml", "[[]odd].yml", "**",
        "**/*.mdx", "docs/**/*.mdx", "docs/**", "docs/*/*.yml", "docs/deep/x[12].yml", "**/deep/*",
        "**/er/**/a.mdx", "./docs/*.md", ".*.yml", "docs/.git/*", "none*", "doc", "*/*", "[]a].yml",
    ],
)  # fmt: skip
def test_a_pattern_matches_what_pythons_glob_does(pattern):
    expected = {os.path.normpath(p) for p in glob.glob(pattern, recursive=True)}
    found = files.matches(pattern)
    assert {os.path.normpath(p) for p in found} == {p for p in expected if os.path.isfile(p)}
    assert found == sorted(found)


def test_an_absolute_pattern_names_absolute_files(tmp_path):
    assert files.matches(f"{tmp_path}/*.yaml") == [f"{tmp_path}/c.yaml"]


def test_matches_are_read_sorted_and_those_without_an_index_passed_over():
    Path("docs/plain.md").write_text("# Nothing here\n")
    index = load_index(["docs/**/*"])
    assert index.files == ("docs/deep/x1.yml", "docs/deep/x2.yml")
    assert not index.problems
    assert not index.unusable


def test_a_pattern_without_a_match_or_an_index_gets_one_line():
    index = load_index(["docs/*.yml", "docs/*.md", "a.yml"])
    assert index.unusable == ("docs/*.yml", "docs/*.md")
    assert sorted(str(p) for p in index.problems) == [
        "docs/*.md:1:1: holds no model-index; match .yml, .yaml, .md or .mdx files that hold one",
        "docs/*.yml:1:1: matches no file; correct the pattern, or the folder it is in",
    ]
    assert len(index.variants) == 1


def test_a_file_of_that_very_name_wins():
    Path("a*.yml").write_text(INDEX.format("star"))
    Path("ab.yml").write_text(INDEX.format("other"))
    assert [v.name for v in load_index(["a*.yml"]).variants] == ["star"]


def test_links_to_folders_are_not_followed_and_loops_end():
    os.symlink(".", "docs/loop")
    os.symlink("deep", "docs/link")
    assert files.matches("docs/**/x1.yml") == ["docs/deep/x1.yml"]


def test_a_search_through_everything_is_refused(monkeypatch):
    monkeypatch.setattr(files, "MAX_VISITED", 5)
    (problem,) = load_index(["**/*.mdx"]).problems
    assert "more than 5 files" in problem.message


def test_imports_may_be_patterns_within_the_folder():
    Path("zoo").mkdir()
    Path("zoo/model-index.yml").write_text("Import:\n- parts/*.yml\n- none/*.yml\n- ../*.yml\n")
    Path("zoo/parts").mkdir()
    for name in ("two", "one"):
        Path(f"zoo/parts/{name}.yml").write_text(INDEX.format(name))
    index = load_index(["zoo/model-index.yml"])
    assert [v.name for v in index.variants] == ["one", "two"]
    assert [(p.location.line, p.message) for p in index.problems] == [
        (3, "'none/*.yml' names no file"),
        (4, "'../*.yml' leaves the folder of the index"),
    ]


def test_hidden_folders_are_not_searched(monkeypatch):
    for number in range(50):
        Path(f"docs/.git/{number}.yml").touch()
    monkeypatch.setattr(files, "MAX_VISITED", 40)
    assert files.matches("**/x1.yml") == ["docs/deep/x1.yml"]


def test_a_pattern_of_many_stars_takes_no_longer_than_others():
    Path("many").mkdir()
    Path("many", "a" * 200).touch()
    deep = Path("many", *["d"] * 20)
    deep.mkdir(parents=True)
    (deep / "x.yml").touch()
    assert files.matches(f"many/{'*a' * 30}b") == []
    assert files.matches("many/" + "**/d/" * 10 + "*.yml") == [str(deep / "x.yml")]
    assert files.matches("many/" + "**/" * 40 + "x.yml") == [str(deep / "x.yml")]
