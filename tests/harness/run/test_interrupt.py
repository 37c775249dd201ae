"""Ctrl-C and kill in the middle of a run: a valid store, the right status, nobody left behind."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from cli import is_gone

from harness.run.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc to look for processes"),
]


@pytest.fixture
def begun(hostile, environment, index_of, tmp_path):
    """A run that has measured one variant and is in the middle of the second."""
    mark = tmp_path / "mark"
    index = index_of(["good", "marks", "good-later"])
    command = [sys.executable, "-m", "zoo", "verify", "--index", str(index), "--all"]
    command += ["--builder", "hostile", "--checks", "parameters", "--format", "json"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment | {"MARK": str(mark)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield process, int(mark.read_text())
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def stored_names(home) -> set[str]:
    path = home / "zoo" / "measurements-1.sqlite"
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {name for (name,) in db.execute("SELECT name FROM measurements")}


@pytest.mark.parametrize("group", [True, False], ids=["terminal", "process"])
def test_an_interrupt(begun, store_home, group):
    """A terminal's Ctrl-C reaches the workers as well; a supervisor's SIGINT does not."""
    process, worker = begun
    if group:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
    document = json.loads(output)  # what was found so far
    (held,) = [f for f in document["findings"] if f["variant"] == "good"]
    assert (held["field"], held["status"], held["measured"]) == ("Parameters", "match", 122)
    assert is_gone(worker)
    assert stored_names(store_home) == {"good"}


def test_a_kill(begun, store_home, zoo, index_of):
    process, worker = begun
    process.kill()
    process.wait(timeout=30)
    assert stored_names(store_home) == {"good"}
    assert is_gone(worker)  # although it sleeps, and does not see that its input has ended
    index = index_of(["good"])
    done = zoo(
        "verify", "good", "--index", str(index), "--builder", "hostile", "--checks", "parameters"
    )
    assert done.returncode == 0
    assert "nothing to build" in done.stderr
    assert Store.open(store_home / "zoo" / "measurements-1.sqlite").info()["measurements"] == 1


def test_a_worker_whose_run_was_killed_ends_by_itself(hostile, environment, tmp_path):
    """It waits for a job, and its input ends."""
    script = (
        "import os, signal, sys\n"
        "from harness.run.engine import LocalEngine\n"
        "from harness.run.jobs import Job\n"
        "from harness.types import Recipe\n"
        "def react(job, facts):\n"
        "    print(facts[0].value['parameters'], flush=True)\n"
        "    sys.stdin.read()\n"
        "LocalEngine(1).run([Job(Recipe('good', 'hostile'), ('structure',), ())], react)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "122\n"
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(children) == 1
    process.kill()
    process.communicate()
    assert is_gone(int(children[0]))
