"""The report that is committed is of the index that is committed: each claim at its own line."""

from __future__ import annotations

import json
from pathlib import Path

from harness.docs.measured import read_report
from harness.report import badge
from zoo.index import load_index

ROOT = Path(__file__).parents[3]


def test_it_names_the_lines_of_today():
    claims = {
        (str(variant.name), claim.field, claim.location.line)
        for variant in load_index([str(ROOT / "model-index")]).variants
        for claim in variant.claims
    }
    report = json.loads((ROOT / "reports/report.json").read_text(encoding="utf-8"))
    told = {
        (f["variant"], f["field"], f["location"]["line"])
        for f in report["findings"]
        if f["location"] and f["documented"] is not None
    }
    assert len(told) > 50
    assert told - claims == set(), "write it anew: zoo report --data sample"


def test_its_badge_is_of_it_and_on_the_readme():
    index = load_index([str(ROOT / "model-index")])
    report = read_report(ROOT / "reports", index.variants)
    for name, content in badge.files(report).items():
        assert (ROOT / "reports" / name).read_bytes() == content, "zoo report --badge"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "](reports/badge.svg)](reports/" in text
