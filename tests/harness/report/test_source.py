"""Where the lines of an index are in their repository, as git or the user says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.report.source import linker, repository, template


def test_remotes_of_known_hosts_have_an_address_and_others_none():
    github = "https://github.com/o/r/blob/HEAD/{path}#L{line}"
    for remote in (
        "https://github.com/o/r.git",
        "https://github.com/o/r/",
        "git@github.com:o/r.git",
        "ssh://git@github.com:22/o/r.git",
        "git://github.com/o/r",
        # A password in a remote is nobody else's.
        "https://user:secret@github.com/o/r.git",
    ):
        assert repository(remote) == github, remote
    gitlab = "https://gitlab.example.org/g/s/r/-/blob/HEAD/{path}#L{line}"
    assert repository("git@gitlab.example.org:g/s/r.git") == gitlab
    for remote in (
        "/srv/r.git",
        "../r",
        "file:///srv/github",
        "https://example.org/r",
        "C:/github",
    ):
        assert repository(remote) is None, remote


def test_an_address_that_is_written_is_a_repository_a_folder_or_a_pattern():
    assert template("https://github.com/o/r") == "https://github.com/o/r/blob/HEAD/{path}#L{line}"
    assert template("https://host/tree/main/") == "https://host/tree/main/{path}#L{line}"
    assert template("http://host/?p={path}&l={line}") == "http://host/?p={path}&l={line}"
    assert "secret" not in template("https://user:secret@host/files")
    for wrong in (
        "javascript:alert(1)",
        "data:text/html,x",
        "github.com/o/r",
        "",
        "https://",
        "https://a b/",
    ):
        with pytest.raises(ValueError, match="not the address of a repository"):
            template(wrong)


def test_files_are_named_from_the_top_of_the_repository(tmp_path: Path, monkeypatch):
    inner = tmp_path / "zoo" / "index"
    inner.mkdir(parents=True)
    for name in ("a b.yml", "#1.yml"):
        (inner / name).touch()
    (tmp_path / "outside.yml").touch()
    top = tmp_path / "zoo"
    subprocess.run(["git", "init", "-q", top], check=True)
    monkeypatch.chdir(top / "index")
    assert linker(None)("a b.yml") is None
    subprocess.run(["git", "remote", "add", "origin", "git@github.com:o/r.git"], check=True)
    link, start = linker(None), "https://github.com/o/r/blob/HEAD/index/"
    assert link("a b.yml") == f"{start}a%20b.yml#L{{line}}"
    assert link("#1.yml") == f"{start}%231.yml#L{{line}}"
    assert link(str(inner / "a b.yml")) == f"{start}a%20b.yml#L{{line}}"
    # What is not in the repository, or is no file, has no address there.
    for file in ("../../outside.yml", "absent.yml", "package:timm", str(tmp_path / "outside.yml")):
        assert link(file) is None, file
    assert (
        linker("https://host/x/{path}?{line}")("#1.yml") == "https://host/x/index/%231.yml?{line}"
    )
