"""What the nightly and the action tell: run as they run it, on commits of a small zoo."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributions import install, python_path

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


# Networks of 1000 classes, as small as they can be: of each kind of change one is concerned.
BUILDER = """
WIDTHS, CROP = {"rebuilt": 3}, 0.875

class Builder:
    def names(self): return {names}
    def knows(self, name): return name in self.names()

    def build(self, name):
        from torch import nn
        width = WIDTHS.get(name, 3)
        convolution = nn.Conv2d(3, width, 1)
        return nn.Sequential(
            convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1000)
        )

    def preprocessing(self, name, weights):
        from harness.measure.builders import PretrainedConfig, StatedPreprocessing
        settings = PretrainedConfig("v1", (32, 32), CROP)
        return StatedPreprocessing("name", (settings,)) if name == "prepared" else None
"""
BUILDERS = {
    "coded": ("edited", "broken", "mended", "rebuilt", "prepared"),
    "layered": ("reloaded", "upgraded"),
}
NIGHTS = """\
Models:
- {Name: edited, Metadata: {Builder: coded, Parameters: 4.01K}}
- {Name: broken, Metadata: {Builder: coded, Parameters: 4012}}
- {Name: mended, Metadata: {Builder: coded, Parameters: 4013}}
- {Name: rebuilt, Metadata: {Builder: coded}}
- {Name: prepared, Metadata: {Builder: coded, Image Size: 32}}
- {Name: upgraded, Metadata: {Builder: layered}}
- Name: reloaded
  Metadata: {Builder: layered, Image Size: 32}
  Weights: reloaded.pth
  Results:
  - {Task: Image Classification, Dataset: ImageNet, Metrics: {Top 1 Accuracy: 5%}}
"""


def publish_weights(path: Path, answer: int) -> None:
    """A checkpoint of a network that answers each image with the same class."""
    import torch
    from torch import nn

    last = nn.Linear(3, 1000)
    nn.init.zeros_(last.weight)
    last.bias.data = torch.arange(1000.0)  # So that the next four answers are no chance either.
    last.bias.data[answer] = 2000
    first = nn.Conv2d(3, 3, 1)
    torch.save(nn.Sequential(first, nn.Identity(), nn.Identity(), last).state_dict(), path)


@pytest.fixture
def night(folder, environment_of_a_job, tmp_path):
    """Commit the synthetic zoo, and run some steps of the nightly in it, then what tells of it."""
    site, libraries = tmp_path / "site", tmp_path / "site-packages"
    for name, names in BUILDERS.items():
        source = BUILDER.replace("{names}", repr([*names]))
        if name == "layered":
            source = source.replace(
                'WIDTHS, CROP = {"rebuilt": 3}, 0.875', "from layers import WIDTHS"
            )
        info = install(site, f"{name} = {name}:Builder", source)
    with (info / "METADATA").open("a") as metadata:
        metadata.write("Requires-Dist: layers\n")
    install(libraries, "x = layers:x", "WIDTHS = {'upgraded': 3}\n", group="none")
    more = {"PYTHONPATH": python_path(site, libraries, ROOT), "OMP_NUM_THREADS": "1"}
    steps, job = steps_of(NIGHTLY), environment_of_a_job | more
    (folder / "known-findings.yml").write_text("accepted: []\n")
    (folder / "model-index/net.yml").write_text(NIGHTS)
    publish_weights(folder / "model-index/reloaded.pth", 305)
    git = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run([*git, "init", "-q"], cwd=folder, env=job, check=True)

    def go(*names):
        for words in (("add", "model-index"), ("commit", "-qm", "a night")):
            subprocess.run([*git, *words], cwd=folder, env=job, check=True)
        shutil.rmtree(folder / "last", ignore_errors=True)
        summary = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
        done = [run(steps.get(name, {"run": name}), folder, job, **summary) for name in names]
        words = ("issue", "nightly/report.json", "changes.json", "changes.md")
        assert tell(words, folder, job).returncode == 0
        return done

    return go


@pytest.fixture
def change_everything(folder, edit, tmp_path):
    """Make of each kind of change one."""

    def change():
        edit("Parameters: 4.01K", "Parameters: 4.012K")
        edit("Builder: coded, Parameters: 4012", "Builder: coded, Parameters: 4021")
        edit("Parameters: 4013", "Parameters: 4012")
        publish_weights(folder / "model-index/reloaded.pth", 999)
        for name, old, new in (
            ("site/coded.py", '{"rebuilt": 3}, 0.875', '{"rebuilt": 4}, 0.9'),
            ("site-packages/layers.py", "3", "5"),
            ("site-packages/layers-1.0.dist-info/METADATA", "Version: 1.0", "Version: 1.1"),
        ):
            text = (tmp_path / name).read_text()
            assert old in text
            (tmp_path / name).write_text(text.replace(old, new))

    return change


@pytest.mark.slow
def test_a_night_says_what_changed_since_the_last(night, change_everything, folder, edit, tmp_path):
    """The commands of the workflow, as they stand there, on commits that change all kinds."""
    say = "Say what changed since the last night"
    first = night("Verify", "Report", say)
    assert [done.returncode for done in first] == [0, 0, 0], first
    assert not (folder / "last").exists()
    assert not (folder / "changes.md").exists()
    ((method, path, body),) = asked(tmp_path)
    assert (method, path) == ("POST", "repos/owner/name/issues")
    assert body["body"].endswith("\n1 error.\n")
    assert json.loads((folder / "zoo.sarif").read_text())["version"] == "2.1.0"
    change_everything()
    history = "zoo history rebuilt Parameters --report nightly --format json"
    _, second, printed = night("Report", say, history)
    assert second.returncode == 1
    assert second.stdout.startswith("::error file=model-index/net.yml,line=3,")
    told = json.loads((folder / "changes.json").read_text())
    assert [*seen(told)] == [
        ("claims", "edited", "Parameters", "4.01K", "4.012K", "index"),
        ("claims", "broken", "Parameters", "4012", "4021", "index"),
        ("claims", "mended", "Parameters", "4013", "4012", "index"),
        ("measurements", "rebuilt", "parameters", 4012, 5016, "code"),
        ("measurements", "prepared", "preprocessing.crop_pct", 0.875, 0.9, "code"),
        ("measurements", "upgraded", "parameters", 4012, 6020, "library"),
        ("measurements", "reloaded", "sha256", *sums(told), "weights"),
        ("accuracies", "reloaded", "top1", 5.0, 0.0, "weights", "library"),
        ("accuracies", "reloaded", "top5", 5.0, 0.0, "weights", "library"),
        ("new", "broken", "Parameters", "4021", 4012, "index"),
        ("mended", "mended", "Parameters", "4013", 4012, "index"),
    ]
    row = "| upgraded: parameters | 4,012 -&gt; 6,020 | library changed: layers 1.0 -&gt; 1.1 |"
    assert row in (folder / "summary.md").read_text()
    ((method, path, body),) = asked(tmp_path)
    assert (method, path) == ("PATCH", "repos/owner/name/issues/7")
    assert row in body["body"]
    rows = json.loads(printed.stdout)["rows"]
    assert [row["state"] for row in rows] == ["first", "moved"]
    assert [row["measured"] for row in rows] == [4012, 5016]
    assert all(len({row[name] for row in rows}) == 2 for name in ("commit", "versions"))


def seen(told: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """What changed, and why, without the counts of operations."""
    for kind in ("claims", "measurements", "accuracies", "speeds"):
        for each in told[kind]:
            what = each.get("field") or each.get("name") or each.get("metric")
            if not what.startswith("flops."):
                causes = (cause["kind"] for cause in each["causes"])
                yield kind, each["variant"], what, each["old"], each["new"], *causes
    for kind in ("new", "mended", "changed"):
        for each in told["findings"][kind]:
            values = each["documented"], each["measured"]
            yield (
                kind,
                each["variant"],
                each["field"],
                *values,
                *(c["kind"] for c in each["causes"]),
            )


def sums(told: dict[str, Any]) -> tuple[str, str]:
    """The SHA-256 of before and now."""
    (found,) = (each for each in told["measurements"] if each["name"] == "sha256")
    assert found["old"] != found["new"]
    return found["old"], found["new"]


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
