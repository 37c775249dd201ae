"""What a build may take, and what is left of it: time, memory, output, children, state."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli import is_gone

from harness.config import UsageError, resolve
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


@pytest.mark.slow
def test_what_eats_memory_is_ended_and_the_others_go_on(hostile):
    """Itself, or by a child; addresses without memory behind them are none."""
    names = ["good-1", "eats", "good-2", "feeds", "maps"]
    answers = run(names, max_memory=MEMORY)
    for name, fact in answers.items():
        if name in ("eats", "feeds"):
            assert isinstance(fact, Unmeasured)
            assert "more than 1 GiB of memory and was ended" in fact.why
        else:
            assert isinstance(fact, Measurement), fact


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


@pytest.mark.slow
def test_what_a_build_does_costs_its_own_variant_alone(hostile, capfd):
    """One worker: copies of itself, a flood of output, a spoilt pipe, a trap for the next one."""
    names = ["forks-1", "good-1", "forks-2", "floods", "prints", "scribbles", "good-2", "good-3"]
    names += ["poisons", "suffers", "exits", "good-4"]
    answers = run(names)
    for name, words in (("scribbles", "spoilt"), ("exits", "exit status 3")):
        fact = answers.pop(name)
        assert isinstance(fact, Unmeasured)
        assert words in fact.why
    for name, fact in answers.items():
        assert isinstance(fact, Measurement), fact
        assert fact.name == name
    out, err = capfd.readouterr()
    assert out == ""
    assert 2**15 < len(err) < 2**18  # It may have been built again.
    assert "what more the model prints is left out" in err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["leaves_behind", "dies_behind"])
def test_children_end_with_the_worker(hostile, kind, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    monkeypatch.setenv("MARK", str(mark))
    run([kind])
    worker, same_group, own_group = map(int, mark.read_text().split())
    assert is_gone(worker)
    assert is_gone(same_group)
    assert is_gone(own_group)


@pytest.mark.slow
def test_limits_are_options_and_settings(hostile, zoo, index_of, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.zoo]\nmax-memory = "1 GiB"\n')
    arguments = ["--all", "--builder", "hostile", "--checks", "parameters"]
    for name, given, said in (
        ("hangs", ("--timeout", "3s"), "more than 3 seconds"),
        ("eats", (), "more than 1 GiB"),
    ):
        done = zoo("verify", *arguments, *given, "--index", str(index_of([name])))
        assert done.returncode == 1
        assert f"{name} took {said}" in done.stdout
    for wrong in ("8 apples", "1", "-1GiB", "GiB"):
        with pytest.raises(UsageError, match="write 256MiB or more"):
            resolve("verify", {"max-memory": wrong})
