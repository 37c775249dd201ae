"""What the nightly and the action tell: run as they run it, on commits of a small zoo."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
NIGHTLY = ROOT / ".github/workflows/nightly.yml"
TELL = ROOT / ".github/tell.py"
# GitHub, as far as the script asks it: what is there is in a file, and each change is written down.
GH = f"""#!{sys.executable}
import json, subprocess, sys
from pathlib import Path
state = Path(__file__).with_name("github.json")
there = json.loads(state.read_text()) if state.exists() else {{"listed": [], "asked": []}}
words = sys.argv[1:]
assert words[0] == "api", words
if "--method" not in words:
    jq = ["jq", "-r", words[words.index("--jq") + 1]]
    mark = "<!-- zoo diff -->"
    others = [
        {{"id": 1, "number": 1, "user": {{"type": "User"}}, "body": mark}},
        {{"id": 2, "number": 2, "user": {{"type": "Bot"}}, "body": None}},
    ]
    if "/comments" not in words[1]:
        others += [{{**others[0], "user": {{"type": "Bot"}}, "pull_request": {{}}}}]
    subprocess.run(jq, input=json.dumps(others + there["listed"]), text=True, check=True)
else:
    body = json.load(sys.stdin)
    method = words[words.index("--method") + 1]
    there["asked"].append([method, words[1], body])
    if method == "POST" and body["body"].startswith("<!-- zoo diff -->"):
        there["listed"].append({{"id": 7, "number": 7, "user": {{"type": "Bot"}}, **body}})
    if body.get("state") == "closed":
        there["listed"].clear()
    state.write_text(json.dumps(there))
"""


@pytest.fixture
def environment_of_a_job(environment, tmp_path):
    """The environment of a job, with the command and GitHub's own."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed, by which gh looks through answers")
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {"gh": GH, "zoo": f'#!/bin/sh\nexec "{sys.executable}" -m zoo "$@"\n'}
    scripts["python"] = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    own = {
        **{"GITHUB_REPOSITORY": "owner/name", "GH_TOKEN": "secret", "RUNNER_TEMP": str(tmp_path)},
        **{"GITHUB_ACTION_PATH": str(ROOT), "GIT_CONFIG_GLOBAL": os.devnull},
    }
    return environment | own | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def asked(tmp_path: Path) -> list[list[object]]:
    """What GitHub was asked to change since the last time."""
    state = tmp_path / "bin/github.json"
    if not state.exists():
        return []
    there = json.loads(state.read_text())
    state.write_text(json.dumps(there | {"asked": []}))
    return there["asked"]


def run(step, folder, environment, **more):
    """Run a step's commands by the shell that GitHub runs them with."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    return subprocess.run(
        command, cwd=folder, env=environment | more, capture_output=True, text=True, check=False
    )


def steps_of(path: Path) -> dict[str, dict[str, object]]:
    """The named steps of the one job of a workflow, or of the action."""
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    listed = read["runs"]["steps"] if "runs" in read else next(iter(read["jobs"].values()))["steps"]
    return {step["name"]: step for step in listed if "name" in step}


def tell(words, folder, environment):
    command = [sys.executable, str(TELL), *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_there_is_one_issue_at_a_time(environment_of_a_job, tmp_path):
    """Opened by a new error, left alone while nothing is new, updated, closed."""

    def night(errors, *new, first=False):
        found = [{"severity": word, "accepted": reason} for word, reason in new]
        documents = {
            "report.json": {"summary": {"errors": errors}, "findings": found},
            "changes.json": {"findings": {"new": found}},
        }
        for name, document in documents.items():
            (tmp_path / name).write_text(json.dumps(document))
        (tmp_path / "changes.md").write_text("## Model zoo changes\n")
        if first:
            (tmp_path / "changes.json").unlink()
            (tmp_path / "changes.md").unlink()
        words = ("issue", "report.json", "changes.json", "changes.md")
        done = tell(words, tmp_path, environment_of_a_job)
        assert done.returncode == 0, done.stderr
        return [(method, path.rpartition("name/")[2]) for method, path, _ in asked(tmp_path)]

    error = ("error", None)
    assert night(0, first=True) == []
    assert night(2) == []  # Errors that were there before it was turned on.
    assert night(0, ("warning", None), ("error", "accepted")) == []
    assert night(1, error, first=True) == [("POST", "issues")]
    assert night(1) == []
    assert night(2, error) == [("PATCH", "issues/7")]
    assert night(1) == []
    assert night(0) == [("POST", "issues/7/comments"), ("PATCH", "issues/7")]
    assert night(0) == []


@pytest.mark.slow
def test_a_night_says_what_changed_since_the_last(
    folder, edit, environment_of_a_job, tmp_path, repository
):
    """The commands of the workflow, as they stand there, night after night."""
    steps, job = steps_of(NIGHTLY), environment_of_a_job
    shutil.copy(repository / "known-findings.yml", folder)
    (folder / "known-findings.yml").write_text("accepted: []\n")
    summary = folder / "summary.md"

    def night():
        shutil.rmtree(folder / "last", ignore_errors=True)
        summary.write_text("")
        found = {}
        for name in ("Verify", "Report", "Say what changed since the last night"):
            step = dict(steps[name])
            step["run"] = step["run"].replace("--data sample", "--offline")
            step["run"] = step["run"].replace("--cross-check fvcore", "")
            done = run(step, folder, job, GITHUB_STEP_SUMMARY=str(summary))
            found[name] = done
        words = ("issue", "nightly/report.json", "changes.json", "changes.md")
        assert tell(words, folder, job).returncode == 0
        return found

    first = night()
    assert [done.returncode for done in first.values()] == [0, 0, 0], first
    assert not (folder / "last").exists()
    assert not (folder / "changes.md").exists()
    assert asked(tmp_path) == []
    assert json.loads((folder / "zoo.sarif").read_text())["version"] == "2.1.0"
    # An edit that breaks a number: the step fails, and one issue is opened.
    edit("Parameters: 27480000", "Parameters: 27480001")
    second = night()["Say what changed since the last night"]
    assert second.returncode == 1
    assert second.stdout.startswith("::error file=model-index/net.yml,line=")
    assert "27480000 -&gt; 27480001" in summary.read_text()
    ((method, path, body),) = asked(tmp_path)
    assert (method, path) == ("POST", "repos/owner/name/issues")
    assert "27480001" in body["body"]
    # It is mended.
    edit("Parameters: 27480001", "Parameters: 27480000")
    third = night()["Say what changed since the last night"]
    assert (third.returncode, "Mended findings" in third.stdout) == (0, True)
    comment, closed = asked(tmp_path)
    assert comment[1] == "repos/owner/name/issues/7/comments"
    assert closed == ["PATCH", "repos/owner/name/issues/7", {"state": "closed"}]
    history = json.loads(
        run({"run": "zoo history resnest50d --report nightly --format json"}, folder, job).stdout
    )
    assert history


@pytest.mark.slow
def test_a_pull_request_has_one_comment(folder, edit, environment_of_a_job, tmp_path):
    """What it mends and breaks against its base; written anew at each run."""
    steps, job = steps_of(ROOT / "action.yml"), environment_of_a_job

    def git(*words):
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        done = subprocess.run(
            ["git", *who, *words], cwd=folder, env=job, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    edit("Image Size: 224", "Image Size: 224\n    Crop Pct: 8.75")
    git("add", "model-index")
    git("commit", "-qm", "base")
    base = git("rev-parse", "HEAD")

    def request():
        more = {"ZOO_RUN": "audit", "ZOO_BASE": base, "ZOO_PULL": "12"}
        for name in ("Compare with the base", "Comment on the pull request"):
            done = run(steps[name], folder, job, **more)
            assert done.returncode == 0, done.stderr
        assert git("worktree", "list").count("\n") == 0
        return done.stdout

    request()
    assert asked(tmp_path) == []  # Nothing changed, and there is no comment yet.
    edit("Crop Pct: 8.75", "Crop Pct: 0.875")
    edit("Layers: 50", "Layers: -50")
    request()
    ((method, path, body),) = asked(tmp_path)
    assert (method, path) == ("POST", "repos/owner/name/issues/12/comments")
    text = body["body"]
    assert text.startswith("<!-- zoo diff -->\n## Model zoo changes\n")
    assert text.index("New findings (1)") < text.index("Mended findings (1)")
    edit("Layers: -50", "Layers: 50")
    request()
    ((method, path, body),) = asked(tmp_path)
    assert (method, path) == ("PATCH", "repos/owner/name/issues/comments/7")
    assert "New findings" not in body["body"]
    # A base that is not there is said, and fails nothing.
    base = "0" * 40
    more = {"ZOO_RUN": "audit", "ZOO_BASE": base, "ZOO_PULL": "12"}
    done = run(steps["Compare with the base"], folder, job, **more)
    assert (done.returncode, done.stdout.startswith("::notice")) == (0, True)
    assert run(steps["Comment on the pull request"], folder, job, **more).stdout == ""
    assert asked(tmp_path) == []


def test_only_the_step_that_comments_has_the_token():
    """Code that a pull request may have written runs in the other one."""
    steps = steps_of(ROOT / "action.yml")
    with_token = [name for name, step in steps.items() if "GH_TOKEN" in step.get("env", {})]
    assert with_token == ["Comment on the pull request"]
    assert "zoo diff" not in steps[with_token[0]]["run"]
    workflow = yaml.safe_load((ROOT / ".github/workflows/nightly-issue.yml").read_text())
    assert "vars.NIGHTLY_ISSUE == 'true'" in workflow["jobs"]["issue"]["if"]
    assert workflow["permissions"] == {"contents": "read"}
