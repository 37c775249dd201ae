"""What continuous integration runs: the workflow, the action, the hook, and what they print."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import check_jsonschema
import pytest
import yaml
from cli import run_python, run_zoo, said
from click.testing import CliRunner

from harness.cli import main

NIGHTLY = Path(".github/workflows/nightly.yml")
ON_GPU = NIGHTLY.with_name("nightly-gpu.yml")
PINNED = re.compile(r"[\w-]+(/[\w-]+)+@v\d+")


@pytest.fixture(scope="module")
def read(repository):
    def parse(name):
        return yaml.safe_load((repository / name).read_text(encoding="utf-8"))

    return parse


@pytest.fixture
def with_zoo(environment, tmp_path):
    """The environment of a shell that has the command `zoo` on its path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "zoo"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m zoo "$@"\n')
    script.chmod(0o755)
    return environment | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.slow
def test_files_are_valid_by_the_published_schemas(repository, tmp_path):
    def check(schema, path):
        return CliRunner().invoke(check_jsonschema.main, ["--builtin-schema", schema, str(path)])

    broken = tmp_path / "broken.yml"
    for schema, name in (
        ("github-workflows", NIGHTLY),
        ("github-workflows", ON_GPU),
        ("github-workflows", NIGHTLY.with_name("nightly-issue.yml")),
        ("github-actions", Path("action.yml")),
    ):
        done = check(f"vendor.{schema}", repository / name)
        assert done.exit_code == 0, done.output
        # The schema tells a broken one.
        text = (repository / name).read_text().replace("\nname: ", "\nnmae: ", 1)
        text = text.replace("    steps:", "    setps:", 1).replace("runs:\n", "run:\n", 1)
        broken.write_text(text)
        assert check(f"vendor.{schema}", broken).exit_code == 1


def test_the_workflow_asks_for_no_more_than_it_needs(read):
    workflow = read(NIGHTLY)
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "read", "security-events": "write"}
    assert job["timeout-minutes"] <= 120
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    used += [step["uses"] for step in read("action.yml")["runs"]["steps"] if "uses" in step]
    assert all(PINNED.fullmatch(name) for name in used), used
    checkout = next(step for step in job["steps"] if "checkout" in step.get("uses", ""))
    assert checkout["with"]["persist-credentials"] is False


def test_no_pull_request_reaches_the_gpu(read, repository):
    """Nor anything that it can start; and docs/ci.md shows the workflow, byte by byte."""
    workflow = read(ON_GPU)
    assert set(workflow[True]) == {"schedule", "workflow_dispatch"}  # YAML 1.1 takes ``on`` so.
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == job["permissions"] == {"contents": "read"}
    assert "self-hosted" in job["runs-on"]
    assert job["timeout-minutes"] <= 360
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(PINNED.fullmatch(name) for name in used), used
    assert job["steps"][0]["with"]["persist-credentials"] is False
    page = (repository / "docs" / "ci.md").read_text(encoding="utf-8")
    assert f"```yaml\n{(repository / ON_GPU).read_text(encoding='utf-8')}```\n" in page


def test_the_commands_of_the_gpu_s_night_are_the_commands_that_there_are(
    read, repository, zoo, folder, with_zoo
):
    (job,) = read(ON_GPU)["jobs"].values()
    (command,) = (s["run"] for s in job["steps"] if s.get("run", "").startswith("zoo "))
    shutil.copy(repository / "known-findings.yml", folder)
    assert set(job["env"]) == {"ZOO_DATA"}
    words = shlex.split(command.replace("cuda", "cpu"))
    done = zoo(*words[1:], "--dry-run", "--offline", ZOO_DATA="sample")
    assert done.returncode == 0, done.stderr
    assert "20 images" in done.stdout + done.stderr
    # A card that is not there fails the step, after the report of it.
    step = next(s for s in job["steps"] if "run.sh" in s.get("run", ""))
    script = folder / "tests" / "gpu" / "run.sh"
    script.parent.mkdir(parents=True)
    for text, status, summary in (("exit 77", 77, ""), ("echo '| a |' > $1; exit 1", 1, "| a |\n")):
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        (folder / "summary.md").write_text("")
        variables = {"GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
        assert run_step(step, folder, with_zoo | variables).returncode == status
        assert (folder / "summary.md").read_text() == summary


def test_no_input_is_part_of_a_script(read):
    """What stands in ``run`` is run: text from outside has to come as a variable."""
    steps = [*read("action.yml")["runs"]["steps"]]
    for workflow in (NIGHTLY, ON_GPU, NIGHTLY.with_name("nightly-issue.yml")):
        steps += next(iter(read(workflow)["jobs"].values()))["steps"]
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]


def test_the_commands_of_the_workflow_are_the_commands_that_there_are(
    read, repository, zoo, folder
):
    (job,) = read(NIGHTLY)["jobs"].values()
    commands = [s["run"] for s in job["steps"] if s.get("run", "").startswith("zoo ")]
    assert len(commands) == 2
    shutil.copy(repository / "known-findings.yml", folder)
    for command in commands:
        words = shlex.split(command.partition(">")[0])
        done = zoo(*words[1:], "--dry-run", "--offline")
        assert done.returncode == 0, done.stderr
        assert "--baseline known-findings.yml" in command
    saved = next(s["with"] for s in job["steps"] if "upload-sarif" in s.get("uses", ""))
    assert commands[0].endswith(f"> {saved['sarif_file']}")


def test_the_baseline_of_this_repository_is_one(zoo, repository):
    done = zoo("audit", "--baseline", str(repository / "known-findings.yml"))
    assert done.returncode in (0, 1), done.stderr


def run_step(step, folder, environment):
    """Run a step's commands by the shell that GitHub runs them with."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("sarif", ["", "zoo.sarif"])
def test_the_action_runs(sarif, read, with_zoo, folder):
    """Its last step, as GitHub runs it."""
    step = read("action.yml")["runs"]["steps"][-1]
    assert step["env"] == {"ZOO_RUN": "${{ inputs.run }}", "ZOO_SARIF": "${{ inputs.sarif }}"}
    (folder / "models").mkdir()
    wrong = "Models:\n- Name: resnest14d\n  Metadata:\n    Crop Pct: 8.75\n"
    (folder / "models" / "net.yml").write_text(wrong)
    summary = folder / "summary.md"
    variables = {
        "ZOO_RUN": "audit --index models",
        "ZOO_SARIF": sarif,
        "RUNNER_TEMP": str(folder),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_WORKSPACE": str(folder.parent),
    }
    done = run_step(step, folder, with_zoo | variables)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=work/models/net.yml,line=4,col=15,title=")
    assert summary.read_text().startswith("## Model zoo report\n")
    assert (folder / "zoo.sarif").exists() is bool(sarif)
    if sarif:
        (result,) = json.loads((folder / sarif).read_text())["runs"][0]["results"]
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]
        assert place["uri"] == "work/models/net.yml"


@pytest.mark.parametrize(
    ("first", "second", "status"), [(2, 2, 2), (3, 3, 3), (3, 0, 3), (0, 1, 1)]
)
def test_the_action_writes_annotations_whatever_the_first_command_ends_with(
    first, second, status, read, with_zoo, folder
):
    step = read("action.yml")["runs"]["steps"][-1]
    stub = f"""#!/bin/sh
case "$*" in
  *sarif*) echo '{{}}'; exit {first};;
  *) echo '::error::annotated'; exit {second};;
esac
"""
    (folder.parent / "bin" / "zoo").write_text(stub)
    variables = {"ZOO_RUN": "audit", "ZOO_SARIF": "zoo.sarif", "RUNNER_TEMP": str(folder)}
    done = run_step(step, folder, with_zoo | variables)
    assert (done.returncode, done.stdout) == (status, "::error::annotated\n")
    assert (folder / "zoo.sarif").read_text() == "{}\n"


def test_an_input_can_not_run_a_command(read, with_zoo, folder):
    step = read("action.yml")["runs"]["steps"][-1]
    hostile = "audit; touch sprung $(touch sprung) `touch sprung` *"
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env=with_zoo | {"ZOO_RUN": hostile, "ZOO_SARIF": "", "RUNNER_TEMP": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert not (folder / "sprung").exists()


def test_the_hook_as_pre_commit_runs_it(read, repository, with_zoo, folder):
    """In a repository of its own, by the real pre-commit; `zoo` is installed already."""
    pytest.importorskip("pre_commit")
    (hook,) = read(".pre-commit-hooks.yaml")
    # What pre-commit would install first, this environment has.
    local = hook | {"language": "system"}
    config = {"repos": [{"repo": "local", "hooks": [local]}]}
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))

    def run(*command):
        variables = {
            "PRE_COMMIT_HOME": str(folder.parent / "pre-commit"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "HOME": str(folder.parent),
        }
        return subprocess.run(
            command,
            cwd=folder,
            env=with_zoo | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    manifest = str(repository / ".pre-commit-hooks.yaml")
    pre_commit = (sys.executable, "-m", "pre_commit")
    valid = run(*pre_commit, "validate-manifest", manifest)
    assert valid.returncode == 0, valid.stdout
    assert run("git", "init", "--quiet").returncode == 0
    run("git", "add", ".")
    done = run(*pre_commit, "run", "zoo-audit")
    assert done.returncode == 0, done.stdout
    assert "Passed" in done.stdout
    (folder / "model-index" / "net.yml").write_text("Models:\n- Name: a\n- Name: a\n")
    run("git", "add", ".")
    done = run(*pre_commit, "run", "zoo-audit")
    assert done.returncode == 1
    assert "schema.duplicate-name" in done.stdout
    (folder / "other.yml").write_text("a: b\n")
    run("git", "add", "other.yml")
    done = run(*pre_commit, "run", "zoo-audit", "--files", "other.yml")
    assert "no files to check" in done.stdout


WRONG = "- Name: resnest14d\n  Metadata:\n    Crop Pct: 8.75\n"
CARD = """\
---
model-index:
- name: net
  results:
  - task: {type: image-classification}
    dataset: {type: imagenet-1k, name: ImageNet}
    metrics:
    - {type: accuracy, value: 180.5, name: Top 1 Accuracy}
---
# net
"""


@pytest.mark.parametrize(
    ("file", "text", "args"),
    [
        ("model-index.yml", f"Models:\n{WRONG}", None),
        ("configs/net/metafile.yml", f"Models:\n{WRONG}", "[--index, configs]"),
        ("README.md", CARD, "[--index, README.md]"),
        ("models/small/README.md", CARD, "[--index, 'models/**/README.md']"),
        (
            "docs/models/net.mdx",
            f"# net\n\n<!--\nType: model-index\nModels:\n{WRONG}-->\n",
            "[--index, 'docs/models/*.mdx']",
        ),
    ],
)
def test_the_hook_starts_on_each_kind_of_zoo(
    file, text, args, read, repository, with_zoo, tmp_path
):
    """By the real pre-commit, with the ``args`` that docs/ci.md shows; without them it fails."""
    pytest.importorskip("pre_commit")
    page = (repository / "docs" / "ci.md").read_text(encoding="utf-8")
    assert args is None or f"| `{args}` |" in page
    (hook,) = read(".pre-commit-hooks.yaml")
    work = tmp_path / "their zoo"
    (work / file).parent.mkdir(parents=True)
    (work / file).write_text(text)
    config = work / ".pre-commit-config.yaml"

    told = {} if args is None else {"args": yaml.safe_load(args)}
    local = hook | {"language": "system"} | told
    config.write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": [local]}]}))
    variables = {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit"), "HOME": str(tmp_path)}
    for command in (("git", "init", "--quiet"), ("git", "add", "--all")):
        subprocess.run(command, cwd=work, env=with_zoo | variables, check=True)
    done = run_python(
        ["-m", "pre_commit", "run", "zoo-audit", "--files", file],
        cwd=work,
        env=with_zoo | variables | {"GIT_CONFIG_GLOBAL": os.devnull},
    )
    assert done.returncode == 1
    assert f"{file}:" in done.stdout
    assert "schema.out-of-range" in done.stdout
    if args is not None:
        _, *words = [*shlex.split(hook["entry"]), *hook.get("args", ())]
        done = run_zoo(words, cwd=work, environment=with_zoo)
        assert done.returncode == 2
        assert "no index here: " in done.stderr
        assert "resnest50d" not in done.stdout


@pytest.mark.parametrize("sarif", ["", "zoo.sarif"])
def test_the_action_fails_where_there_is_no_index(sarif, read, with_zoo, tmp_path):
    step = read("action.yml")["runs"]["steps"][-1]
    variables = {
        "ZOO_RUN": read("action.yml")["inputs"]["run"]["default"],
        "ZOO_SARIF": sarif,
        "RUNNER_TEMP": str(tmp_path),
    }
    work = tmp_path / "checkout"
    work.mkdir()
    done = run_step(step, work, with_zoo | variables)
    assert done.returncode == 2
    assert said(done.stderr).startswith("no index here: ")


@pytest.mark.parametrize("name", ["sarif", "junit", "github"])
def test_an_absolute_path_inside_the_checkout_comes_out_relative(
    name, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    index = folder / "model-index" / "net.yml"
    index.write_text("Models:\n- Name: a\n- Name: a\n")
    link = tmp_path / "link"
    link.symlink_to(folder)
    ways = [
        (str(index), {}, "model-index/net.yml"),
        (str(index.parent), {"GITHUB_WORKSPACE": str(tmp_path)}, "work/model-index/net.yml"),
        (str(link / "model-index"), {"CI_PROJECT_DIR": str(folder)}, "model-index/net.yml"),
        (
            f"../{folder.name}/model-index",
            {"GITHUB_WORKSPACE": str(tmp_path)},
            "work/model-index/net.yml",
        ),
    ]
    outside = tmp_path / "elsewhere.yml"
    shutil.copy(index, outside)
    ways.append((str(outside), {}, str(outside)))
    for named, variables, expected in ways:
        with monkeypatch.context() as job:
            for variable in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR", "GITHUB_STEP_SUMMARY"):
                job.delenv(variable, raising=False)
            for variable, value in variables.items():
                job.setenv(variable, value)
            assert main(["audit", "--index", named, "--format", name]) == 1
        printed = capsys.readouterr().out
        if name == "sarif":
            result = json.loads(printed)["runs"][0]["results"][0]
            found = result["locations"][0]["physicalLocation"]["artifactLocation"]
            uri = expected if not expected.startswith("/") else f"file://{expected}"
            assert found["uri"] == uri
            assert ("uriBaseId" in found) is not expected.startswith("/")
        elif name == "junit":
            cases = ET.fromstring(printed).iter("testcase")
            assert expected in {case.get("file") for case in cases}
        else:
            assert f"file={expected}," in printed


@pytest.mark.parametrize("name", ["json", "junit", "sarif", "github"])
def test_wrong_use_leaves_a_document_that_programs_can_read(name, zoo, folder):
    (folder / "model-index" / "net.yml").write_text("Models: 3\n")
    done = zoo("audit", "--format", name)
    assert done.returncode == 2
    if name == "junit":
        assert int(ET.fromstring(done.stdout).get("errors")) == 1
        return
    if name == "github":
        assert done.stdout.startswith("::error file=model-index/net.yml,line=1,")
        return
    document = json.loads(done.stdout)
    if name == "sarif":
        (run,) = document["runs"]
        assert run["invocations"][0]["executionSuccessful"] is False
        assert run["results"][0]["ruleId"].startswith("schema.")


def test_the_job_summary_is_added_to_and_bounded(zoo, folder):
    path = folder / "summary.md"

    def summary(crop: str, count: int) -> str:
        """What is added for so many variants, each with a crop that can't be."""
        path.write_text("before\n")
        models = (f"- Name: net{n}\n  Metadata:\n    Crop Pct: {crop}{n}\n" for n in range(count))
        (folder / "model-index" / "net.yml").write_text(f"Models:\n{''.join(models)}")
        done = zoo("audit", "--format", "github", GITHUB_STEP_SUMMARY=str(path))
        assert done.stdout.count("::error ") == count
        text = path.read_text()
        assert text.startswith("before\n## Model zoo report\n")
        return text

    text = summary("8.75 #", 300)  # all say the same, and are one row
    assert "net19<br>and 280 more |" in text
    assert len(text) < 10_000
    text = summary("8.75", 6000)
    assert len(text.encode()) < 2**20
    assert text.endswith("The log of the step has all of it.\n")
    assert text.splitlines()[-4].endswith(" |")
    # A summary that can't be written is no reason to fail.
    summary("8.75", 1)
    done = zoo("audit", "--format", "github", GITHUB_STEP_SUMMARY=str(folder))
    assert done.returncode == 1
    assert "no job summary" in said(done.stderr)
    # Other formats leave it alone.
    path.unlink()
    zoo("audit", GITHUB_STEP_SUMMARY=str(path))
    assert not path.exists()
