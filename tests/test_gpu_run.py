"""The tests of a card, rehearsed where there is none, and the script that runs them on one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cli import run_python

# As `$PYTHON -m pytest FILE`: what it is to leave is in a file of that name, else a row that holds.
STUB = """#!{python}
import json, os, sys, time
from pathlib import Path

if sys.argv[1] == "-c":
    sys.exit(print())  # The card is there.
if "pytest" not in sys.argv:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
name = Path(sys.argv[-1]).stem.removeprefix("test_")
said = Path({folder!r}, name)
row = dict(step=name, check="a check", variant="", figure="1", goal="", held=True)
if said.exists():
    given = json.loads(said.read_text())
    time.sleep(given.pop("sleep", 0))
    status = given.pop("status", 0)
    row = row | given if given else None
else:
    status = 0
if row:
    with open(os.environ["ZOO_GPU_TESTS_ROWS"], "a") as rows:
        rows.write(json.dumps(row) + "\\n")
print("printed by", name)
sys.exit(status)
"""


@pytest.fixture
def run(repository, tmp_path):
    """Runs the script by a Python whose pytest leaves what it is given for each step."""
    python = tmp_path / "python"

    def call(*words, script=True, **variables):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ZOO_")}
        python.write_text(STUB.format(python=sys.executable, folder=str(tmp_path)))
        python.chmod(0o755)
        return subprocess.run(
            [repository / "tests" / "gpu" / "run.sh", *words],
            cwd=tmp_path,
            env=kept | {"PYTHON": str(python) if script else sys.executable} | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    return call


@pytest.mark.slow
def test_what_does_not_hold_is_never_silent(run, tmp_path):
    report = tmp_path / "some report.md"
    done = run(report, ZOO_GPU_TESTS_DEVICE="cpu")
    assert (done.returncode, done.stderr) == (0, "")
    text = report.read_text()
    assert done.stdout.endswith(f"{text}\nwritten to {report}\n")
    assert text.count("| a check |") == text.count("| ended |") == 8
    (tmp_path / "loop").write_text('{"held": false}')
    done = run(report, ZOO_GPU_TESTS_DEVICE="cpu")
    assert (done.returncode, done.stderr) == (1, "")
    assert report.read_text().count("**no**") == 1
    leaves = {"loop": "{}", "bench": '{"status": 1}', "errors": '{"status": 2}'}
    shows = ["Of the step loop there is no figure.", "| bench | did not hold |"]
    shows.append("| errors | broke off, status 2 |")
    for more, left, says in (
        ({}, leaves, shows),
        (
            {"ZOO_GPU_TESTS_BUDGET": "2"},
            {"counts": '{"sleep": 30}'},
            ["| counts | ran past ", "| devices | had no time left |"],
        ),
    ):
        for name, text in left.items():
            (tmp_path / name).write_text(text)
        done = run(report, ZOO_GPU_TESTS_DEVICE="cpu", **more)
        assert done.returncode == 1
        assert [words for words in says if words not in report.read_text()] == []
        assert "**no**" not in report.read_text()
    assert "printed by bench" not in done.stderr  # It had no time.


@pytest.mark.slow
def test_wrong_use_and_a_missing_card_are_a_line_and_a_status(run, tmp_path):
    import torch

    folder = tmp_path / "folder"
    folder.mkdir()
    cases = [
        (("--fast",), 2, "--fast is no option"),
        (("a", "b"), 2, "one REPORT"),
        ((folder,), 2, "can't be written"),
        ((tmp_path / "gone" / "x.md",), 2, "can't be written"),
    ]
    if not torch.cuda.is_available():
        cases.append(((), 77, "nothing was measured: it needs a CUDA device"))
    for words, status, says in cases:
        done = run(*words, script=False)
        assert done.returncode == status, done.stderr
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "gpu-report.md").exists()


@pytest.mark.slow
def test_each_test_of_a_card_runs_on_the_cpu(repository, tmp_path):
    """Through the same code, on few and small images: nothing waits for a card to be tried."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ZOO_", "PYTEST_"))}
    words = ["-n", "0", "--basetemp", str(tmp_path / "base"), "-p", "no:cacheprovider"]
    done = run_python(
        ["-m", "pytest", *words, "tests/gpu"],
        cwd=repository,
        env=kept | {"ZOO_GPU_TESTS_DEVICE": "cpu"},
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout.splitlines()[-1]
