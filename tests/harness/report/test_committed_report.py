"""The report that is committed is of the index that is committed: each claim at its own line."""

from __future__ import annotations

import json
from pathlib import Path

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
