"""`zoo verify --checks speed`: what claims on this device state is timed, kept and compared."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from cli import run_zoo

from harness.check.speed import _FAMILY, DIFFERS, _name_words
from harness.measure.devices import default_threads
from harness.measure.machine import processor
from harness.run.facts import VariantFacts
from harness.run.store import Store

NAME = "efficientnet_lite0"


@pytest.mark.slow
def test_each_claim_on_this_device_is_held_against_a_bench_of_its_own(tmp_path, monkeypatch):
    usual = VariantFacts.timing.func
    briefly = property(lambda self: replace(usual(self), batch_sizes=(1,), seconds=0.05))
    timings = []

    def timed(self, value):
        self.__dict__["timing"] = value
        timings.append(value)

    monkeypatch.setattr(
        VariantFacts,
        "timing",
        property(lambda self: self.__dict__.get("timing") or briefly.fget(self), timed),
    )
    here = {"device": processor()["cpu"], "threads": default_threads(), "precision": "float32"}
    claims = [
        {"value": 0.001, "batch size": 2, "layout": "contiguous", **here},
        {"value": 0.001, "batch size": 1, "layout": "channels_last", **here},
        {"value": 5000, "batch size": 64, "device": "NVIDIA A40"},
        5,
    ]
    metadata = {"Image Size": 32, "Throughput": claims}
    index = tmp_path / "index.yml"
    index.write_text(json.dumps({"Models": [{"Name": NAME, "Metadata": metadata}]}))
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def verify(*more):
        words = ("verify", "--all", "--index", index, "--device", "cpu", "--format", "json", *more)
        done = run_zoo(words, cwd=tmp_path, environment=environment)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)["findings"]
        return done.stderr, [f for f in found if f["field"] == "Throughput"]

    said, found = verify("--checks", "speed")
    assert ", to time: 1 variant at batch 1 and 1 timing as claimed, " in said
    # Of a virtual machine whose processor has the name of many nothing is contradicted.
    here = (
        "speed.undecided" if _FAMILY.fullmatch(" ".join(_name_words(here["device"]))) else DIFFERS
    )
    assert [f["cause"] for f in found] == [here] * 2 + ["speed.other-device"] * 2
    assert "(batch 2, float32, contiguous" in found[0]["message"]
    assert "(batch 1, float32, channels_last" in found[1]["message"]
    assert [f["documented"] for f in found] == ["0.001", "0.001", "5000", "5"]
    assert f"{NAME}, batch 2: " in said
    assert {job.batch_sizes for job in timings} == {(1,), (2,)}  # and no 64 for another device's
    # Kept, and no affair of a run that doesn't ask for speeds.
    looked_up, get = [], Store.get
    monkeypatch.setattr(
        Store, "get", lambda self, key, *more: looked_up.append(key) or get(self, key, *more)
    )
    said, again = verify("--checks", "speed")
    assert (again, "batch 2" in said) == (found, False)
    assert 2 <= len(looked_up) == len(set(looked_up))  # not for the plan, and again for the run
    assert ", nothing to time, " in said
    assert verify("--checks", "parameters")[1] == []
