"""Worker processes against builders that do their worst."""

from __future__ import annotations

import threading
import time

import pytest

from harness.run.engine import EngineError, LocalEngine
from harness.run.jobs import Job
from harness.run.process import Limits, WorkerProcess
from harness.types import Measurement, Recipe, Unmeasured

# Each kind of failure, and a word that its finding has to say.
FAILING = {
    "raises": "ValueError: first line second line",
    "unspeakable": "ValueError",
    "unprintable": ": Unprintable",
    "nothing": "build() returned NoneType, not a torch.nn.Module",
    "leaves": "exit status 0",
    "interrupts": "KeyboardInterrupt",
    "exits": "exit status 3",
    "segfaults": "SIGSEGV",
    "recurses": "RecursionError",
}
WORKING = ("good", "prints", "writes", "chatters")


def job(name: str) -> Job:
    return Job(Recipe(name, "hostile"), ("structure",), ())


def run(names, *, workers=1, timeout=300.0):
    """Name -> its facts, each job answered exactly once."""
    answers = {}

    def react(done, facts):
        assert done.recipe.name not in answers
        answers[done.recipe.name] = facts
        return []

    LocalEngine(workers, timeout).run([job(name) for name in names], react)
    return answers


@pytest.mark.slow
def test_each_failure_is_one_fact_and_the_others_go_on(hostile, capfd):
    names = [f"{kind}-{i}" for i, kind in enumerate([*FAILING, *WORKING])]
    names = ["good-first", *names, "good-last"]
    answers = run(names, workers=2)
    assert set(answers) == set(names)
    for name, facts in answers.items():
        (fact,) = facts
        kind = name.partition("-")[0]
        if kind in FAILING:
            assert isinstance(fact, Unmeasured), name
            assert (fact.cause, fact.name, fact.kind) == ("build.failed", name, "structure")
            assert FAILING[kind] in fact.why
            assert "\n" not in fact.why
        else:
            assert isinstance(fact, Measurement), fact
            assert fact.value["parameters"] == 4 * 28 + 10
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_what_hangs_is_ended(hostile, monkeypatch):
    """The others have more time, since a machine with other work may need it."""
    answers, at = {}, []
    hanging = ("hangs", "waits", "asks")
    monkeypatch.setattr(
        "harness.run.engine.limits_of",
        lambda job, **_: Limits(2.0 if job.recipe.name in hanging else 120.0),
    )

    def react(done, facts):
        answers[done.recipe.name] = facts
        at.append(time.monotonic())
        return []

    LocalEngine(1).run(map(job, ("good-first", *hanging, "good")), react)
    # The start of a process does not count, for it imports torch before its first job.
    assert 2 <= at[1] - at[0] < 60
    for kind in hanging:
        (fact,) = answers[kind]
        assert isinstance(fact, Unmeasured)
        assert "more than 2 seconds" in fact.why
    (fact,) = answers["good"]
    assert isinstance(fact, Measurement)


@pytest.mark.slow
def test_what_follows_from_a_job_is_done_as_well(hostile):
    done = []

    def react(finished, facts):
        done.append(finished.recipe.name)
        return [job("good-b"), job("exits-c"), job("good-d")] if len(done) == 1 else []

    LocalEngine(2).run([job("good-a")], react)
    assert sorted(done) == ["exits-c", "good-a", "good-b", "good-d"]


def test_no_job_starts_no_process(monkeypatch):
    monkeypatch.setattr("subprocess.Popen", None)
    LocalEngine().run([], lambda job, facts: [])


@pytest.mark.slow
def test_a_python_that_can_not_start_is_no_finding(hostile, cold_workers, monkeypatch, tmp_path):
    """Not the variant's fault: the run ends, and says so."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torch.py").write_text("raise ImportError('a broken torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    with pytest.raises(EngineError, match="could not start"):
        run(["good"])


@pytest.mark.slow
def test_what_the_run_raises_ends_the_engine(hostile):
    def react(finished, facts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalEngine(2).run([job("good"), job("good-b")], react)


def test_an_interrupt_before_the_workers_have_begun(monkeypatch):
    """It may come between two lines of the start: what is then stopped was never started."""
    from harness.run import engine

    def interrupted(workers):
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.WorkerThread, "answers_of", staticmethod(interrupted))
    with pytest.raises(KeyboardInterrupt):
        engine.LocalEngine(1).run([Job(Recipe("resnest14d"), ("structure",), ())], lambda j, f: [])


def test_workers_are_ended_side_by_side(monkeypatch):
    """Each may take a while, and an interrupt is to end a run within two seconds."""
    from harness.run import engine

    def interrupted(workers):
        raise KeyboardInterrupt

    meeting = threading.Barrier(4)
    monkeypatch.setattr(engine.WorkerThread, "answers_of", staticmethod(interrupted))
    monkeypatch.setattr(engine.WorkerThread, "stop", lambda worker: meeting.wait(timeout=120))
    with pytest.raises(KeyboardInterrupt):
        engine.LocalEngine(4).run([job("good")], lambda job, facts: [])
    assert not meeting.broken


@pytest.mark.slow
def test_a_worker_whose_input_ends_is_gone():
    """As where the run was killed while it waits for a job."""
    worker = WorkerProcess()
    worker.wait_until_ready()
    worker._process.stdin.close()
    worker._process.wait(timeout=120)
    worker.close()
