"""Git asked about a repository that has it run programs."""

from __future__ import annotations

import os
import subprocess

import pytest

from harness.report.source import commit
from zoo._util.git import GitError, ask_git, run_git


def test_nothing_of_a_repository_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)

    def git(*words):
        subprocess.run(["git", *words], check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / ".gitattributes").write_text("*.bin filter=evil\n")
    (tmp_path / "a.bin").write_text("1")
    git("add", "-A")
    git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-qm", "one")
    head = ask_git("rev-parse", "HEAD").decode().strip()
    assert commit("reports") == head
    program = tmp_path / ".git/hooks/post-index-change"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexec cat\n")
    program.chmod(0o755)
    evil = {
        "core.fsmonitor": str(program),
        "core.pager": str(program),
        "pager.status": "true",
        "filter.evil.clean": str(program),
        "filter.evil.process": str(program),
        "filter.evil.required": "true",
    }
    for name, value in evil.items():
        git("config", name, value)
    # Of as many bytes, so that git has to look into it.
    (tmp_path / "a.bin").write_text("2")
    assert commit("reports") == f"{head}+"
    assert run_git("cat-file", "blob", "HEAD:a.bin") == b"1"
    assert not (tmp_path / "ran").exists()
    subprocess.run(["git", "status"], check=False, capture_output=True)
    assert (tmp_path / "ran").exists()


def test_git_that_is_not_there_is_said_or_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_git("status") is None
    with pytest.raises(GitError, match="git is not installed"):
        run_git("status")
