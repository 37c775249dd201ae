"""The badge of a report: the claims that hold, each counted once, and text that stays text."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from harness.report import badge, folder
from harness.types import Finding, Report, VariantReport
from zoo.index.types import Location


def finding(field: str, status: str, severity: str | None = None, line: int = 1, **more: object):
    at = Location("net.yml", line, 1)
    given = {"fix": None, **more}
    return Finding("net", field, "c", status, severity, None, "1", 1, "m", at, **given)


def report(*findings: Finding, variants: int = 2) -> Report:
    return Report(
        {}, tuple(VariantReport("net", None, "zoo", {}) for _ in range(variants)), findings
    )


HOLDS = finding("FLOPs", "match")
TWICE = (finding("Size", "match", line=2), finding("Size", "mismatch", "error", line=2))


def test_each_claim_counts_once_and_the_colour_tells_the_worst():
    accepted = finding("Size", "mismatch", "error", line=2, accepted="known")
    warning = finding("Size", "mismatch", "warning", line=2)
    for findings, message, colour in (
        ((), "no claim checked", "lightgrey"),
        ((finding("FLOPs", "unverified"),), "no claim checked", "lightgrey"),
        ((HOLDS,), "1 of 1 claim holds", "brightgreen"),
        ((HOLDS, HOLDS, finding("Top", "unverified", line=3)), "1 of 1 claim holds", "brightgreen"),
        ((HOLDS, *TWICE), "1 of 2 claims hold", "red"),
        ((*reversed(TWICE), HOLDS), "1 of 2 claims hold", "red"),
        ((HOLDS, accepted), "1 of 2 claims hold", "green"),
        (
            (HOLDS, finding("Size", "match", "note", line=3), warning),
            "2 of 3 claims hold",
            "yellow",
        ),
        ((accepted,), "0 of 1 claim holds", "green"),
    ):
        made = badge.endpoint(report(*findings))
        assert (made["message"], made["color"], made["schemaVersion"]) == (message, colour, 1)
        svg = badge.files(report(*findings))["badge.svg"].decode()
        root = ET.fromstring(svg)
        texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
        assert texts == ["2 variants", message]
        assert root.attrib["aria-label"] == f"2 variants: {message}"


def test_a_badge_is_written_when_asked_for_and_kept_up_to_date(tmp_path):
    folder.prepare(tmp_path)
    folder.write(report(HOLDS), tmp_path, print)
    assert not (tmp_path / "badge.svg").exists()
    folder.write(report(HOLDS), tmp_path, print, badge=True)
    assert json.loads((tmp_path / "badge.json").read_text())["color"] == "brightgreen"
    folder.write(report(HOLDS, *TWICE), tmp_path, print)
    assert json.loads((tmp_path / "badge.json").read_text())["color"] == "red"
    assert "1 of 2 claims" in (tmp_path / "badge.svg").read_text()
