"""What a build may take, and what is left of it: time, memory, output, children, state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from harness.run.engine import LocalEngine
from harness.run.jobs import Job
from harness.run.process import memory_of, usual_limit
from harness.types import Measurement, Recipe, Unmeasured

MEMORY = 2**30  # A worker with torch takes 250 MB.


def run(names, *, workers=1, timeout=120.0, max_memory=None):
    answers = {}

    def react(done, facts):
        assert done.recipe.name not in answers
        (answers[done.recipe.name],) = facts
        return []

    jobs = [Job(Recipe(name, "hostile"), ("structure",), ()) for name in names]
    LocalEngine(workers, timeout, max_memory).run(jobs, react)
    assert set(answers) == set(names)
    return answers


def gone(pid: int, within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] in "ZX":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("kind", ["eats", "feeds"])
def test_what_eats_memory_is_ended_and_the_others_go_on(hostile, kind):
    answers = run(["good-1", f"{kind}-a", "good-2"], max_memory=MEMORY)
    assert isinstance(answers[f"{kind}-a"], Unmeasured)
    assert "more than 1 GiB of memory and was ended" in answers[f"{kind}-a"].why
    assert isinstance(answers["good-1"], Measurement)
    assert isinstance(answers["good-2"], Measurement)


def test_addresses_are_no_memory(hostile):
    assert isinstance(run(["maps"], max_memory=MEMORY)["maps"], Measurement)


def test_memory_is_what_a_process_holds_itself():
    """A process of its own: one that has freed much memory takes new memory from that."""
    code = "import sys; held = bytearray(b'x') * int(sys.argv[1]); print(flush=True); input()"
    held = []
    for size in (1, 2**27):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            held.append(memory_of(process.pid))
            process.stdin.write(b"\n")
    assert 2**27 * 0.9 < held[1] - held[0] < 2**27 * 1.5
    assert 2**28 < usual_limit() <= 2**33


def test_a_worker_that_copies_itself_answers_once(hostile):
    answers = run(["forks-1", "good-1", "forks-2", "good-2"])
    assert all(isinstance(fact, Measurement) for fact in answers.values())
    assert all(fact.name == name for name, fact in answers.items())


@pytest.mark.parametrize("kind", ["leaves_behind", "dies_behind"])
def test_children_end_with_the_worker(hostile, kind, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    monkeypatch.setenv("MARK", str(mark))
    run([kind])
    worker, same_group, own_group = map(int, mark.read_text().split())
    assert gone(worker)
    assert gone(same_group)
    if kind == "dies_behind":  # Its death gave that child away to the system before it was seen.
        os.kill(own_group, signal.SIGKILL)
    assert gone(own_group)


def test_a_killed_run_leaves_no_worker(hostile, environment, index_of, tmp_path):
    import subprocess
    import sys

    mark = tmp_path / "mark"
    command = [sys.executable, "-m", "zoo", "verify", "--index", str(index_of(["marks"]))]
    command += ["--all", "--builder", "hostile", "--checks", "parameters"]
    process = subprocess.Popen(command, env=environment | {"MARK": str(mark)})
    while not (mark.exists() and mark.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert gone(int(mark.read_text()))


def test_a_flood_of_output_is_cut(hostile, capfd):
    answers = run(["floods", "prints"])
    assert all(isinstance(fact, Measurement) for fact in answers.values())
    out, err = capfd.readouterr()
    assert out == ""
    assert 2**15 < len(err) < 2**17
    assert "what more the model prints is left out" in err


def test_what_an_earlier_variant_broke_is_built_in_a_fresh_worker(hostile):
    answers = run(["poisons", "suffers"])
    assert isinstance(answers["suffers"], Measurement)


def test_a_spoilt_answer_costs_its_own_variant_alone(hostile):
    """What is left in the pipe is no answer to the next question, nor to the one after it."""
    names = ["good-1", "scribbles", "good-2", "good-3"]
    answers = run(names)
    assert isinstance(answers["scribbles"], Unmeasured)
    assert "spoilt" in answers["scribbles"].why
    for name in ("good-1", "good-2", "good-3"):
        assert isinstance(answers[name], Measurement)
        assert answers[name].name == name


def test_what_breaks_in_a_fresh_worker_is_not_tried_for_ever(hostile):
    (fact,) = run(["exits"]).values()
    assert isinstance(fact, Unmeasured)
    assert "exit status 3" in fact.why


def test_limits_are_options(hostile, zoo, index_of):
    index = index_of(["good", "hangs", "eats"])
    arguments = ["--all", "--builder", "hostile", "--checks", "parameters"]
    limits = ["--timeout", "20s", "--max-memory", "1GiB"]
    done = zoo("verify", "--index", str(index), *arguments, *limits)
    assert done.returncode == 1
    assert "hangs took more than 20 seconds" in done.stdout
    assert "eats took more than 1 GiB" in done.stdout
    for wrong in ("8 apples", "1", "-1GiB", "GiB"):
        done = zoo("verify", "--index", str(index), *arguments, "--max-memory", wrong)
        assert done.returncode == 2
        assert "write 256MiB or more" in done.stderr


def test_limits_are_settings(hostile, zoo, index_of, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.zoo]\ntimeout = "3s"\nmax-memory = "0.6 GB"\n')
    index = index_of(["good", "hangs"])
    arguments = ["--all", "--builder", "hostile", "--checks", "parameters"]
    done = zoo("verify", "--index", str(index), *arguments)
    assert "hangs took more than 3 seconds" in done.stdout
