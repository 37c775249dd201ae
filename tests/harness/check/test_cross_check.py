"""`--cross-check fvcore`: fvcore's own count beside ours, on real models and on faults put in."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import harness
from harness.check.cross_check import CHECK
from harness.measure.builders import BuilderError
from harness.measure.profile import Profiler
from harness.types import Measurement, Recipe, Unmeasured

INDEX = "Models:\n- Name: net\n  Metadata:\n    FLOPs: 5\n    Image Size: 8\n"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6 * 36, 5)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).flatten(1))


class ReadsValues(Net):
    """It runs on the meta device, and not where its values are zero."""

    def forward(self, x):
        if x.device.type == "cpu":
            assert bool(x.sum() > 0), "nothing\nto see"
        return super().forward(x)


@pytest.fixture
def facts(monkeypatch):
    """The facts of the cross-check, made in this process for a model of any class."""

    def make(kind):
        class Builds:
            def build(self, name):
                if kind is None:
                    raise BuilderError("no such net")
                return kind()

        monkeypatch.setattr("harness.measure.profile.builder_of", lambda recipe: Builds())
        return Profiler().measure(Recipe("net", "any"), ("flops", "fvcore"), ((8, 8),))

    return make


@pytest.fixture
def found(judge, facts, load):
    def find(kind):
        (finding,) = judge(CHECK, load(INDEX), facts(kind))
        return finding

    return find


def test_the_fact_is_what_fvcore_counts(facts, fvcore_run):
    ours, theirs = facts(Net)
    assert isinstance(theirs, Measurement), theirs
    real = fvcore_run(Net(), (1, 4, 8, 8))
    assert real == {"conv": 6 * 36 * 36, "batch_norm": 6 * 36 * 2, "linear": 6 * 36 * 5}
    assert theirs.value["by_operator"] == ours.value["by_operator"] == real
    assert (theirs.device, theirs.image_size) == ("cpu", (8, 8))
    assert set(theirs.versions) == {"torch", "fvcore"}


def test_agreement_is_a_match_of_no_claim(found):
    finding = found(Net)
    assert (finding.status, finding.severity, finding.cause) == ("match", None, None)
    assert (finding.documented, finding.measured) == (None, 7776 + 432 + 1080)
    assert "counts the same for each of 3 operators" in finding.message


@pytest.mark.parametrize(
    ("operator", "rule", "words"),
    [
        ("aten.linear", ("linear", lambda op: 7), "linear 1,080, and zoo's fvcore convention"),
        ("aten.batch_norm", ("norm", lambda op: 3), "batch_norm 432, norm 0, and zoo's"),
        ("aten.flatten", ("flatten", lambda op: 9), "flatten 0, and zoo's fvcore convention"),
    ],
)
def test_a_rule_that_departs_from_fvcore_is_an_error(operator, rule, words, found, monkeypatch):
    from harness.measure.flops import fvcore

    monkeypatch.setitem(fvcore._FVCORE, operator, rule)
    finding = found(Net)
    assert (finding.status, finding.severity) == ("mismatch", "error")
    assert finding.cause == "flops.cross-check"
    assert words in finding.message
    assert f"{rule[0]} {rule[1](None)}" in finding.message
    assert "conv 7,776" not in finding.message  # It agrees.
    assert finding.measured == 7776 + 432 + 1080


def test_what_cant_be_run_is_unverified_with_its_reason(found, monkeypatch):
    finding = found(ReadsValues)
    assert (finding.status, finding.severity) == ("unverified", None)
    assert finding.cause == "flops.cross-check"
    assert "net can't be run by fvcore: AssertionError: nothing to see" in finding.message

    finding = found(None)
    assert (finding.status, finding.cause) == ("unverified", "build.failed")
    assert finding.message.startswith("not cross-checked with fvcore: any can't build net")

    for limit, words in (
        ("_MOST_PARAMETERS", "too large to run on the CPU: 1,319 parameters, the limit is 100"),
        ("_MOST_MACS", "too large to run on the CPU: 8,856 multiply-accumulates, the limit is 100"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"harness.measure.cross_check.{limit}", 100)
            patch.setattr(Net, "cpu", lambda _: pytest.fail("it was built with values"))
            finding = found(Net)
        assert (finding.status, finding.cause) == ("unverified", "flops.cross-check")
        assert words in finding.message


def test_values_that_were_never_filled_in_do_no_harm(facts):
    class Poisoned(Net):
        def __init__(self):
            super().__init__()
            if self.conv.weight.device.type == "cpu":
                with torch.no_grad():
                    self.conv.weight.fill_(float("nan"))

        def forward(self, x):
            assert x.device.type == "meta" or not self.conv.weight.isnan().any()
            return super().forward(x)

    assert not any(isinstance(fact, Unmeasured) for fact in facts(Poisoned))


@pytest.fixture
def real_index(tmp_path, store_home):
    path = tmp_path / "net.yml"
    path.write_text(
        "Models:\n- Name: resnest14d\n  Metadata:\n    Image Size: 224\n    FLOPs: 5\n"
        "    FLOPs Input: 64x96\n- Name: nowhere\n"
    )
    return path


@pytest.mark.slow
def test_a_run_cross_checks_each_variant_at_its_input(real_index, monkeypatch, fvcore_run):
    import zoo
    from harness.run import facts
    from harness.run.engine import LocalEngine

    report = harness.verify(real_index, checks=["metadata"], cross_check="fvcore")
    found = {f.variant: f for f in report.findings if f.check == "flops-cross-check"}
    native = zoo.create_model("resnest14d")
    assert found["resnest14d"].status == "match"
    assert found["resnest14d"].measured == sum(fvcore_run(native, (1, 3, 64, 96)).values())
    assert (found["nowhere"].status, found["nowhere"].cause) == ("unverified", "build.unknown")

    # Known facts are not made again; those of another fvcore are, and they alone.
    made = []
    run = LocalEngine.run

    def noted(self, jobs, react):
        jobs = list(jobs)
        made.extend(kind for job in jobs for kind in job.kinds)
        run(self, [], react)

    monkeypatch.setattr(LocalEngine, "run", noted)
    harness.verify(real_index, checks=["metadata"], cross_check="fvcore")
    assert made == []
    monkeypatch.setattr(facts, "version_of", lambda name: f"another {name}")
    harness.verify(real_index, checks=["metadata"], cross_check="fvcore")
    assert made == ["fvcore"]


def test_a_report_without_it_has_no_such_finding(real_index):
    report = harness.verify(real_index, "nowhere", checks=["flops"])
    assert not [f for f in report.findings if f.check == "flops-cross-check"]
    with pytest.raises(
        harness.UsageError, match="cross_check: 'thop' is not a counter that can be run; write"
    ):
        harness.verify(real_index, cross_check="thop")
