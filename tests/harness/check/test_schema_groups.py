"""A value that can't be read is reported by the group of checks that would have read it."""

from __future__ import annotations

import pytest

from harness.config import RunConfig
from harness.run.session import prepare

INDEX = """\
Models:
- Name: resnest14d
  Metadata:
    FLOPs: 5.4 GFurlongs
    Parameters: many
    Epochs: -3
  Weights: 12
"""


@pytest.mark.parametrize(
    ("groups", "fields"),
    [
        (("flops",), {"FLOPs"}),
        (("parameters",), {"Parameters"}),
        (("weights",), {"Weights"}),
        (("layers",), set()),
        (("metadata",), {"FLOPs", "Parameters", "Weights", "Epochs"}),
        (("metadata", "flops"), {"FLOPs", "Parameters", "Weights", "Epochs"}),
    ],
)
def test_each_group_reports_the_fields_it_reads(tmp_path, groups, fields):
    path = tmp_path / "index.yml"
    path.write_text(INDEX)
    report = prepare(RunConfig(index=(path,), checks=groups, no_store=True)).audit()
    wrong = [f for f in report.findings if f.severity == "error"]
    assert {f.field for f in wrong} == fields
    assert len(wrong) == len(fields)
    assert all(f.cause in ("schema.wrong-type", "schema.out-of-range") for f in wrong)
