"""Every format handles every kind of finding."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from loops import each

from harness.report import UnknownFormatError, formats, get_format
from harness.types import VariantReport
from zoo.index.types import Location

HOSTILE = "\x00\x1b[2J\u202egnp\r\n::error::x\t\x85\u2028 \ud800 <b>|</b> ##[error] ]]> {0} %0A"


@each("name", formats())
@each("options", [{}, {"width": 80}, {"width": 200, "color": True}, {"color": True}, {"width": 20}])
def test_format_shows_any_finding(name, options, any_finding, make_report, shown):
    text = shown(name, make_report(any_finding), verbose=True, **options)
    flat = "".join(text.split())
    assert any_finding.field in text
    if any_finding.cause is not None and options.get("width") != 20:
        assert any_finding.cause in text
    if any_finding.status != "match":
        assert "TheFLOPsare" in flat or "Themodelhas5399965376FLOPs" in flat
    assert text.endswith("\n")
    assert "None" not in text


@each("name", formats())
def test_format_says_why_a_finding_is_accepted(name, any_finding, make_report, shown):
    accepted = replace(any_finding, accepted="AskedUpstreamInMay")
    for options in ({}, {"verbose": True}, {"width": 80}):
        if any_finding.status == "match" and "verbose" not in options:
            continue
        text = shown(name, make_report(accepted), **options)
        assert "AskedUpstreamInMay" in "".join(text.split())
        assert "accepted" in text.lower()


@each("name", ["table", "markdown", "github", "sarif"])
def test_quiet_leaves_out_what_is_accepted(name, make_finding, make_report, shown):
    report = make_report(make_finding(accepted="AskedUpstreamInMay"))
    assert "AskedUpstreamInMay" not in shown(name, report, quiet=True)


@each("name", formats())
@each("options", [{}, {"width": 40}, {"verbose": True}, {"quiet": True}])
def test_format_of_hostile_text(name, options, make_finding, make_report, shown):
    """No control character, no direction, no lone surrogate reaches a reader as it is."""
    changes = dict.fromkeys(("variant", "field", "documented", "measured", "message"), HOSTILE)
    place = Location(HOSTILE, 1, 1)
    findings = [
        make_finding(**changes, location=place),
        make_finding(**changes, location=place, severity="note"),
        make_finding(**changes, location=place, accepted=HOSTILE),
        make_finding(**changes, location=place, status="unverified", severity=None),
    ]
    variants = (VariantReport(HOSTILE, HOSTILE, "zoo", {}, location=place),)
    text = shown(name, make_report(*findings, variants=variants, cut_short=HOSTILE), **options)
    assert text.replace("\n", "").isprintable()


@each("name", formats())
def test_format_of_an_empty_report(name, make_report, shown):
    assert shown(name, make_report(variants=())).strip()


@each("name", [name for name in formats() if name != "json"])
@each("why, word", [("interrupted", "interrupted"), ("no space", "no space")])
def test_a_run_that_was_cut_short_says_so(name, why, word, make_report, shown):
    assert word in shown(name, make_report(cut_short=why))


def test_unknown_format_names_the_others():
    with pytest.raises(UnknownFormatError, match=r"'jsn'; did you mean json\? .*table.*markdown"):
        get_format("jsn")


def test_a_third_party_format_is_found_by_its_entry_point(tmp_path):
    """A real installed distribution, in a process of its own."""
    info = tmp_path / "shout-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shout\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zoo.formats]\nshout = shout:render\n")
    (tmp_path / "shout.py").write_text(
        "def render(report, *, out, options):\n    out.write('HELLO')\n"
    )
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from harness.report import get_format, Options;"
        "get_format('table'); assert 'importlib.metadata' not in sys.modules;"
        "get_format('shout')(None, out=sys.stdout, options=Options())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("HELLO", "")
