"""CSV that pandas reads back, and a line for each finding."""

from __future__ import annotations

import io
import re

import pandas as pd

MISMATCH = {"status": "mismatch", "severity": "error", "cause": "flops.differs"}


def test_pandas_reads_back_what_the_report_has(all_findings, make_report, make_finding, shown):
    texts = ('a "quote", a comma', "two\nlines", "-0.5", "+3%", "ünïcode", "a;b")
    odd = [make_finding(**MISMATCH, documented=text) for text in texts]
    report = make_report(*all_findings, *odd)
    text = shown("csv", report)
    read = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    expected = report.to_pandas()
    assert list(read.columns) == list(expected.columns)
    for name in expected.columns:
        written = ["" if pd.isna(v) else v for v in expected[name]]
        if name in ("line", "column"):
            written = [v and int(v) for v in written]
        assert list(read[name]) == [*map(str, written)], name
    # With pandas' own guesses, numbers are numbers.
    assert pd.read_csv(io.StringIO(text))["line"].dtype.kind in "if"


def test_no_text_is_a_formula(make_report, make_finding, shown):
    for text in ("=1+1", "@SUM(A1)", "-cmd|' /C calc'!A0", "+A1", "＝1"):
        finding = make_finding(**MISMATCH, documented=text, variant=text, message=text)
        read = pd.read_csv(io.StringIO(shown("csv", make_report(finding))), dtype=str)
        assert [*read.loc[0, ["variant", "documented", "message"]]] == [f"'{text}"] * 3


def test_a_line_for_each_finding_with_its_place_and_cause(all_findings, make_report, shown):
    lines = shown("concise", make_report(*all_findings)).splitlines()
    found = [f for f in all_findings if f.status != "match"]
    for finding, line in zip(found, lines, strict=True):
        at = finding.location
        place = "-" if at is None else f"{at.file}:{at.line}:{at.column}"
        assert re.match(rf"{re.escape(place)}: {re.escape(finding.cause)} \S", line)
        assert finding.message in line
    every = shown("concise", make_report(*all_findings), verbose=True).splitlines()
    assert len(every) == len(all_findings)
    few = shown("concise", make_report(*all_findings), quiet=True).splitlines()
    assert len(few) == sum(f.severity in ("error", "warning") for f in all_findings)
