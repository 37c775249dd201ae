"""Workers with a device each, and devices that fail: real processes, on the CPU."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace

import pytest
import torch
from distributions import install, python_path
from PIL import Image

from harness import cli
from harness.config import UsageError, configure
from harness.measure import cuda
from harness.run import plan
from harness.run.engine import LocalEngine
from harness.run.jobs import AccuracyJob, BenchmarkJob, DeviceShare, Job, WaitingJobs
from harness.run.perform import Performer
from harness.run.progress import Progress
from harness.run.session import prepare
from harness.types import Measurement, Recipe, Unmeasured

BUILDER = '''
import json
import multiprocessing
import os
from pathlib import Path

import torch
from torch import nn

ASSERT = "CUDA error: device-side assert triggered"


def first(what):
    """Whether it is the first time in any process."""
    try:
        Path(os.environ["MARKS"], what).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.fc = nn.Linear(3, 1000)

    def forward(self, x):
        if self.kind == "trace" and first("trace"):
            raise torch.AcceleratorError(ASSERT + "\\nCUDA kernel errors might be reported late")
        if not x.is_meta:
            seen = os.environ.get("CUDA_VISIBLE_DEVICES")
            decoders = len(multiprocessing.active_children())
            with open(Path(os.environ["MARKS"], "log"), "a") as log:
                print(json.dumps([self.kind, seen, os.getpid(), decoders]), file=log)
            if self.kind == "dies" and seen == "MIG-b" and first("death"):
                os._exit(3)
            if self.kind == "late":
                self.passes = getattr(self, "passes", 0) + 1
                if self.passes == 8 and first("late"):
                    os._exit(3)
            if self.kind == "forward":
                try:
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")
                except RuntimeError as error:
                    raise ValueError("the layer failed") from error
        return self.fc(x.mean((2, 3)))


class Builder:
    def knows(self, name):
        return True

    def names(self):
        return []

    def identity(self, name):
        return "1"

    def build(self, name):
        if name == "build":
            raise torch.AcceleratorError(ASSERT + "\\nCompile with `TORCH_USE_CUDA_DSA`")
        return Net(name)
'''


@pytest.fixture
def here(tmp_path, monkeypatch, store_home):
    """A builder, weights, and 40 images in four shards: the jobs that count a variant's."""
    install(tmp_path / "site", "devices = devices_builders:Builder", BUILDER)
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path / "site"))
    monkeypatch.setenv("MARKS", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    torch.save({"fc.weight": torch.eye(1000, 3), "fc.bias": torch.zeros(1000)}, tmp_path / "w.pt")
    (tmp_path / "images").mkdir()
    names = [f"{number:02}.png" for number in range(40)]
    for number, name in enumerate(names):
        Image.new("RGB", (32, 32), (6 * number, 0, 0)).save(tmp_path / "images" / name)
    lines = "".join(f"{name} 0\n" for name in names)
    (tmp_path / "images" / "labels.txt").write_text(lines)

    def jobs(name, workers=0):
        recipe = Recipe(name, "devices", image_size=(32, 32))
        return [
            Job(
                recipe,
                ("accuracy",),
                (),
                str(tmp_path / "w.pt"),
                counting=AccuracyJob(
                    str(tmp_path / "images"), (f"{at}-{at + 10}",), device="cpu", workers=workers
                ),
            )
            for at in range(0, 40, 10)
        ]

    return jobs


def run(jobs, *shares, workers=1):
    """Each job's facts, by the name of its variant, and how its first try failed."""
    found, tried = {}, {}

    def react(job, facts):
        found.setdefault(job.recipe.name, []).extend(facts)
        tried[job.recipe.name] = max(job.failed, tried.get(job.recipe.name, ""))
        return []

    LocalEngine(workers, shares=shares).run(jobs, react)
    return found, tried


def logged():
    """What models said as they ran: their variant, the devices they see, process, decoders."""
    with open(os.path.join(os.environ["MARKS"], "log")) as log:
        return list(map(json.loads, log))


@pytest.mark.slow
def test_each_device_has_a_worker_that_sees_it_alone(here):
    """Shards of one variant go to both, with the decoders shared; who dies is replaced there."""
    shares = [DeviceShare(f"cuda:{n}", id, n, 2, "cpu") for n, id in enumerate(("GPU-a", "MIG-b"))]
    found, tried = run(here("dies", workers=2), *shares)
    assert tried == {"dies": "ended the process that built it (exit status 3)"}
    found = found["dies"]
    assert sorted(fact.part for fact in found) == ["0-10", "10-20", "20-30", "30-40"]
    assert all(isinstance(fact, Measurement) for fact in found), found
    said = logged()
    processes = {seen: {pid for _, shown, pid, _ in said if shown == seen} for _, seen, *_ in said}
    assert {seen: len(pids) for seen, pids in processes.items()} == {"GPU-a": 1, "MIG-b": 2}
    # The one that came later found its shard decoded.
    assert {decoders for _, seen, _, decoders in said if seen == "GPU-a"} == {1}


@pytest.mark.slow
def test_a_job_of_many_shards_loses_none_that_was_counted(here):
    """Each shard's facts come as it ends: a worker that dies takes none of them with it."""
    first, *others = here("late")
    whole = first.of_parts(part for job in (first, *others) for part in job.parts)
    order = []

    def react(job, facts):
        order.append([fact.part for fact in facts])
        assert [fact.slot for fact in facts] == list(job.slots)
        assert all(isinstance(fact, Measurement) for fact in facts), facts
        return []

    LocalEngine(shares=[DeviceShare("cuda:0", "GPU-a", device="cpu")]).run([whole], react)
    # The last answer of the job has only what was not said before.
    assert order[:2] == [["0-10"], ["10-20"]]
    assert sorted(part for parts in order for part in parts) == ["0-10", "10-20", "20-30", "30-40"]
    assert len({process for _, _, process, _ in logged()}) == 2


@pytest.mark.slow
def test_an_error_that_ends_cuda_costs_its_variant_alone(here):
    """At the build, in a pass and on images: a new process, once more, and then a finding."""
    built = [
        Job(Recipe(name, "devices"), ("structure", "flops"), ((32, 32),))
        for name in ("good", "build", "trace", "last")
    ]
    first, *others = here("forward")
    several = first.of_parts([*first.parts, *others[0].parts])
    jobs = [*built, several, others[1], *here("plain")[:1]]
    # The device itself works: it is tried with another model, and goes on.
    found, tried = run(jobs, DeviceShare("cuda:0", "7", device="cpu"))
    assert tried["trace"] == "CUDA error: device-side assert triggered"
    assert {tried[name] for name in ("good", "last", "plain")} == {""}
    for name in ("good", "trace", "last", "plain"):
        assert all(isinstance(fact, Measurement) for fact in found[name]), found[name]
    for name, line in (("build", "device-side assert triggered"), ("forward", "an illegal memory")):
        for fact in found[name]:
            assert isinstance(fact, Unmeasured)
            assert fact.cause == "build.device-failed"
            expected = f"{name}: its device failed in two processes: CUDA error: {line}"
            assert fact.why.startswith(expected)
            assert "TORCH_USE" not in fact.why
    assert len(found["forward"]) == 3
    # What failed twice is not tried on its other images.
    processes = {(kind, pid) for kind, _, pid, _ in logged()}
    assert Counter(kind for kind, _ in processes) == {"forward": 2, "plain": 1}


BROKEN = """
import os

if os.environ.get("CUDA_VISIBLE_DEVICES") == "GPU-bad":
    import torch

    call = torch.nn.Module.__call__

    def fails(self, *given, **named):
        if any(isinstance(each, torch.Tensor) and not each.is_meta for each in given):
            with open(os.path.join(os.environ["MARKS"], "bad"), "a") as log:
                print(os.getpid(), file=log)
            if os.path.exists(os.path.join(os.environ["MARKS"], "fatal")):
                os._exit(3)
            raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")
        return call(self, *given, **named)

    torch.nn.Module.__call__ = fails
"""


@pytest.mark.slow
def test_a_device_that_is_broken_is_given_no_more(here, cold_workers, tmp_path):
    (tmp_path / "site" / "sitecustomize.py").write_text(BROKEN)
    bad, good = (DeviceShare(f"cuda:{n}", id, device="cpu") for n, id in ((0, "GPU-bad"), (1, "7")))
    jobs = [job for name in ("one", "two", "three") for job in here(name)[:2]]
    found, _ = run([*jobs, Job(Recipe("four", "devices"), ("structure",), ())], bad)
    assert isinstance(found.pop("four")[0], Measurement)  # which runs on no device
    ecc = "CUDA error: uncorrectable ECC error encountered"
    why = f"cuda:0 failed, and then ran no other model: {ecc}"
    told = {fact.why for facts in found.values() for fact in facts}
    assert {fact.cause for facts in found.values() for fact in facts} == {"build.device-failed"}
    first = f"one: its device failed in two processes: {ecc}"
    assert told == {first, *(f"{name}: not run: {why}" for name in ("one", "two", "three"))}
    # Twice, and once with a model that runs wherever anything does.
    processes = (tmp_path / "bad").read_text().split()
    assert len(set(processes)) == 3
    # So it is in the rest of the run.
    found, _ = run(jobs[:1], bad)
    assert [fact.why for fact in found["one"]] == [f"one: not run: {why}"]
    assert (tmp_path / "bad").read_text().split() == processes
    bad.broken.clear()
    (tmp_path / "fatal").touch()  # It takes the process with it.
    found, _ = run(jobs[:3:2], bad)
    died = why.replace(ecc, "ended the process that built it (exit status 3)")
    assert bad.broken == [died]
    assert found["two"][0].why == f"two: not run: {died}"
    # Another device runs what is left, the variant that showed it as well.
    bad.broken.clear()
    found, _ = run(jobs[1:4], bad, good)
    assert sorted(found) == ["one", "two"]
    assert all(isinstance(fact, Measurement) for facts in found.values() for fact in facts)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (torch.AcceleratorError("CUDA error: misaligned address\nmore"), "CUDA error: misaligned"),
        (torch.AcceleratorError("the accelerator is gone"), "the accelerator is gone"),
        # A graph that could not be recorded, cudaErrorStreamCapture...: the next call is all right.
        (
            torch.AcceleratorError("CUDA error: operation not permitted when stream is capturing"),
            "",
        ),
        (torch.AcceleratorError("CUDA error: capturing stream has unjoined work\nmore"), ""),
        (RuntimeError("CUDA error: operation failed due to a previous error during capture"), ""),
        (RuntimeError("CUDA error: unspecified launch failure"), "CUDA error: unspecified launch"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "cuDNN error"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling x"), "CUDA error"),
        (RuntimeError("HIP error: an illegal memory access"), "HIP error"),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), "CUDA error: unc"),
        (RuntimeError("Triton Error [CUDA]: an illegal memory access"), "Triton Error"),
        (RuntimeError("in layer 3:\nCUDA error: device-side assert triggered"), "CUDA error: dev"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), ""),
        (RuntimeError("CUDA error: out of memory"), ""),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ""),
        (RuntimeError("Found no NVIDIA driver on your system"), ""),
        (AssertionError("Torch not compiled with CUDA enabled"), ""),
        (ValueError("CUDA error: that is what a user wrote"), ""),
    ],
)
def test_which_errors_end_cuda(error, line):
    assert cuda.ending(error).startswith(line)
    assert bool(cuda.ending(error)) is bool(line)
    raised = KeyError("layer")
    raised.__context__ = error
    assert cuda.ending(raised) == cuda.ending(error)


@pytest.mark.parametrize(
    ("variable", "count", "expected"),
    [
        (None, 2, ("0", "1")),
        ("3, 1", 2, ("3", "1")),
        ("0,1,-1,2", 2, ("0", "1")),
        ("GPU-8932f937,GPU-1", 2, ("GPU-8932f937", "GPU-1")),
        ("MIG-a,MIG-b", 1, ("MIG-a", "MIG-b")),
        ("MIG-a,MIG-b", 0, ()),
        ("", 0, ()),
        (None, None, None),
    ],
)
def test_a_list_that_the_user_set_is_heeded(monkeypatch, variable, count, expected):
    monkeypatch.setattr(cuda, "_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if variable is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert cuda.visible() == expected


def test_which_devices_a_run_takes(monkeypatch):
    """All that are visible, or the one that is named; nothing is asked of torch without any."""
    monkeypatch.setattr(cuda, "visible", lambda: ("5", "MIG-b"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    both = [DeviceShare("cuda:0", "5", 0, 2), DeviceShare("cuda:1", "MIG-b", 1, 2)]
    assert plan.shares_here("cuda") == plan.shares_here("auto") == both
    assert plan.shares_here("cuda:1") == [DeviceShare("cuda:1", "MIG-b")]
    assert plan.shares_here("cpu") == []
    assert plan.on(both) == " on 2 GPUs (cuda:0, cuda:1)"
    assert plan.on(both[1:]) == " on 1 GPU (cuda:1)"
    assert plan.on([]) == ""
    with pytest.raises(UsageError, match="there are 2 CUDA devices here"):
        plan.shares_here("cuda:2")
    # A torch without CUDA runs on the CPU, whatever the driver has.
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert plan.shares_here("auto") == []
    with pytest.raises(UsageError, match="there are 0 CUDA devices here"):
        plan.shares_here("cuda")


def test_the_plan_says_on_which_devices_images_are_evaluated(here, tmp_path, monkeypatch):
    monkeypatch.setattr(cuda, "visible", lambda: ("0", "1"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    index = tmp_path / "index.yml"
    index.write_text("Models:\n- Name: resnest14d\n  Metadata:\n    Parameters: 1\n")
    asked = {"index": index, "data": tmp_path / "images", "dataset": "imagenet-1k"}
    for device, end in (
        ("auto", " on 2 GPUs (cuda:0, cuda:1)"),
        ("cuda", " on 2 GPUs (cuda:0, cuda:1)"),
        ("cuda:1", " on 1 GPU (cuda:1)"),
        ("cpu", ""),
    ):
        session = prepare(configure(**asked, device=device))
        assert session.plan.endswith(f"up to 40 images{end}")


def test_a_number_of_a_second_try_is_said_to_be_one(tmp_path, monkeypatch, store_home):
    class SecondTry(LocalEngine):
        def run(self, jobs, react):
            for job in jobs:
                react(replace(job, failed="CUDA error: x"), Performer().perform(job))

    class Heard(Progress):
        def warn(self, sentence):
            warned.append(sentence)

    warned = []
    monkeypatch.setattr("harness.run.session.LocalEngine", SecondTry)
    index = tmp_path / "index.yml"
    index.write_text("Models:\n- Name: resnest14d\n  Metadata:\n    Parameters: 1\n")
    prepare(configure(index=index, checks="parameters")).verify(Heard())
    line = "resnest14d: CUDA error: x; it was measured in a new process, at the second try"
    assert warned == [line]


def test_what_decodes_is_shared_out(monkeypatch):
    monkeypatch.setattr("harness.run.jobs.usable_cores", lambda: 10)
    counting = AccuracyJob("sample", ("0-10",), workers=5, threads=9)
    job = Job(Recipe("a"), ("accuracy",), (), "w.pth", counting=counting)
    shares = [DeviceShare(f"cuda:{n}", str(n), n, 4) for n in range(4)]
    given = [share.given(job).counting for share in shares]
    assert [each.workers for each in given] == [2, 1, 1, 1]
    assert [each.threads for each in given] == [3, 2, 2, 2]
    assert {each.device for each in given} == {"cuda"}
    alone = DeviceShare("cuda:3", "3").given(job).counting
    assert (alone.workers, alone.threads, alone.device) == (5, 9, "cuda")
    for workers, part in ((0, 0), (None, 3)):  # By default the cores are shared.
        chosen = Job(Recipe("a"), ("accuracy",), (), counting=AccuracyJob("x", (), workers=workers))
        assert shares[0].given(chosen).counting.workers == part
    timed = Job(Recipe("a"), ("speed",), (), timing=BenchmarkJob((1,), 1.0, "cuda:3"))
    assert shares[3].given(timed).timing.device == "cuda"


def test_a_worker_keeps_its_model_while_there_is_work_for_it():
    """A job of the model that it has, else of one that nobody has; help comes at the end."""
    waiting = WaitingJobs()
    for name in "aabbc":
        waiting.put(Job(Recipe(name), ("accuracy",), (), counting=AccuracyJob("x", ())))
    taken = [waiting.get(who, block=False).recipe.name for who in (1, 2, 1, 1, 2)]
    assert "".join(taken) == "abacb"


def test_a_command_that_computes_itself_says_that_the_gpu_failed(monkeypatch, capsys):
    """As classify and train do; what the process asks of CUDA afterwards could only fail."""

    def fails(arguments):
        raise torch.AcceleratorError("CUDA error: an illegal memory access\nmore")

    monkeypatch.setattr(cli, "_run", fails)
    assert cli.main(["classify"]) == 3
    line, hint = capsys.readouterr().err.splitlines()
    assert line == "error: the GPU failed: CUDA error: an illegal memory access"
    assert hint.endswith("or with --device cpu")
