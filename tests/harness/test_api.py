"""The Python API on real indexes: the same report as the command's, and errors as exceptions."""

from __future__ import annotations

import copy
import io
import json

import pytest

import harness

INDEX = """\
Models:
- Name: resnest50d
  Metadata:
    Parameters: 27480000
    FLOPs: 5399965376
    Layers: 51
    Image Size: 224
- Name: resnest14d
  Metadata:
    Parameters: 10610000
    Parametres: 3
"""


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """An index, and a store of its own that the tests share: the models are built once."""
    folder = tmp_path_factory.mktemp("api")
    (folder / "net.yml").write_text(INDEX)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield folder / "net.yml"


CHECKS = ["parameters", "layers", "flops"]


def found(report):
    return {(f.variant, f.field): (f.status, f.cause) for f in report.findings}


@pytest.mark.slow
def test_verify_reports_what_the_command_reports(index, tmp_path, monkeypatch, capsys):
    from harness.cli.app import app

    report = harness.verify(index, checks=CHECKS)
    assert isinstance(report, harness.Report)
    assert report.cut_short is None
    assert found(report)["resnest50d", "Parameters"] == ("match", None)
    assert found(report)["resnest50d", "FLOPs"] == ("match", None)
    assert found(report)["resnest50d", "Layers"] == ("mismatch", "layers.differs")
    command = f"verify --all --index {index} --checks {','.join(CHECKS)} --format json"
    with pytest.raises(SystemExit) as left:
        app(command.split())
    assert left.value.code == 1
    document = json.loads(capsys.readouterr().out)
    from harness.report import Options, get_format

    out = io.StringIO()
    get_format("json")(report, out=out, options=Options())
    mine = json.loads(out.getvalue())
    for each in (document, mine):
        del each["environment"]
        for finding in each["findings"]:
            finding["location"]["file"] = index.name
    assert mine == document


@pytest.mark.slow
def test_variants_are_chosen_and_a_baseline_is_applied(index, tmp_path):
    known = tmp_path / "known.yml"
    known.write_text(
        "accepted:\n- variant: resnest50d\n  field: Layers\n  cause: layers.differs\n"
        "  documented: '51'\n  reason: the stem is counted\n"
    )
    for chosen in ("resnest50d", ["resnest50*"]):
        report = harness.verify(index, chosen, checks=["layers"], baseline=known)
        assert [v.name for v in report.variants] == ["resnest50d"]
        assert [f.accepted for f in report.findings] == ["the stem is counted"]
        assert report.summary()["errors"] == 0


def test_audit_builds_nothing(index, monkeypatch):
    monkeypatch.setattr("harness.run.engine.LocalEngine.run", lambda *_: pytest.fail("built"))
    report = harness.audit(str(index))
    assert found(report)["resnest14d", "Parametres"] == ("mismatch", "schema.unknown-key")
    assert [v.name for v in report.variants] == ["resnest50d", "resnest14d"]


def test_wrong_use_is_an_exception_with_a_line_for_each_mistake(index, tmp_path):
    for arguments, options, words in (
        ((index,), {"checks": ["flop"]}, "checks: there are no checks 'flop'; did you mean flops?"),
        ((index,), {"cheks": ["flops"]}, "cheks: there is no such option; did you mean checks?"),
        ((index,), {"builder": "tim"}, "builder: "),
        ((index,), {"samples": 3}, "samples: there are no images"),
        ((index,), {"format": "json"}, "format: steers what the command prints; leave it out"),
        ((index, "resnest50"), {}, "'resnest50' names no variant"),
        ((tmp_path / "none.yml",), {}, "none.yml"),
        (("",), {}, "index: '' is not a path"),
        ((index,), {"device": "cuda:99"}, "device: "),
        ((index,), {"baseline": tmp_path / "none.yml"}, "none.yml"),
    ):
        with pytest.raises(harness.UsageError) as caught:
            harness.verify(*arguments, **options)
        assert words in str(caught.value), str(caught.value)
        assert not str(caught.value).startswith("--")
    with pytest.raises(harness.UsageError, match=r"none\.yml"):
        harness.audit(tmp_path / "none.yml")


def test_an_interrupt_stays_one(index, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.run.engine.LocalEngine.run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        harness.verify(index, checks=["layers"], no_store=True)


def test_what_a_run_does_without_is_a_warning(index, store_home):
    store_home.write_text("a file in the place of the cache folder")
    with pytest.warns(RuntimeWarning, match="measurement store can't be used"):
        harness.verify(index, "resnest14d", checks=["metadata"])


@pytest.mark.slow
def test_tables_hold_every_finding_and_every_measurement(index):
    report = harness.verify(index, checks=CHECKS)
    findings = report.to_pandas()
    assert len(findings) == len(report.findings)
    row = findings[(findings.field == "Layers") & (findings.variant == "resnest50d")].iloc[0]
    assert (row.status, row.cause, row.documented, row.measured) == (
        *("mismatch", "layers.differs", "51"),
        50,
    )
    assert (row.file, row.line) == (str(index), 6)
    assert row.fix.startswith("--- ")
    variants = report.to_pandas("variants").set_index("name")
    assert variants.loc["resnest50d", "flops.fvcore"] == 5399965376
    assert variants.loc["resnest50d", "parameters"] == 27483240
    assert list(variants.loc["resnest50d", "image_size"]) == [224, 224]
    empty = copy.replace(report, findings=()) if hasattr(copy, "replace") else None
    assert empty is None or list(empty.to_pandas().columns) == list(findings.columns)
    with pytest.raises(ValueError, match="no table 'claims'"):
        report.to_pandas("claims")
