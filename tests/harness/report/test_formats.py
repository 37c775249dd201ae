"""Every format handles every kind of finding."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from cli import run_python
from distributions import install
from hostile import TEXTS, is_visible, report_of
from loops import each

from harness.report import UnknownFormatError, formats, get_format


@each("name", formats())
def test_every_finding_is_shown(name, all_findings, make_report, shown):
    sizes = [{}, {"width": 80}, {"width": 200, "color": True}, {"color": True}, {"width": 20}]
    for finding, options in product(all_findings, sizes):
        text = shown(name, make_report(finding), verbose=True, **options)
        assert finding.field in text
        if finding.cause is not None and options.get("width") != 20:
            assert finding.cause in text
        if finding.status != "match":
            assert "Themodelhas5399965376FLOPs" in "".join(text.split())
        assert text.endswith("\n")
        assert "None" not in text


@each("name", formats())
def test_an_accepted_finding_has_its_reason(name, all_findings, make_report, shown):
    for finding, options in product(all_findings, [{}, {"verbose": True}, {"width": 80}]):
        if finding.status == "match" and "verbose" not in options:
            continue
        text = shown(name, make_report(replace(finding, accepted="AskedUpstreamInMay")), **options)
        assert "AskedUpstreamInMay" in "".join(text.split())
        assert "accepted" in text.lower()


@each("name", formats())
@each("options", [{}, {"width": 40}, {"verbose": True}, {"quiet": True}])
def test_no_hidden_character_reaches_a_reader(name, options, shown):
    """No control character, no direction, no lone surrogate, in any format."""
    for text in TEXTS:
        written = shown(name, report_of(text), **options)
        assert is_visible(written), text


@each("name", ["table", "markdown", "github", "sarif", "concise"])
def test_quiet_leaves_out_what_is_accepted(name, make_finding, make_report, shown):
    report = make_report(make_finding(accepted="AskedUpstreamInMay"))
    assert "AskedUpstreamInMay" not in shown(name, report, quiet=True)


# Nothing but findings is in them.
FINDINGS_ALONE = ("json", "csv", "concise")


@each("name", sorted({*formats()} - {"concise"}))
def test_format_of_an_empty_report(name, make_report, shown):
    assert shown(name, make_report(variants=())).strip()


@each("name", sorted({*formats()} - {*FINDINGS_ALONE}))
@each("why, word", [("interrupted", "interrupted"), ("no space", "no space")])
def test_a_run_that_was_cut_short_says_so(name, why, word, make_report, shown):
    assert word in shown(name, make_report(cut_short=why))


def test_unknown_format_names_the_others():
    with pytest.raises(UnknownFormatError, match=r"'jsn'; did you mean json\? .*table.*markdown"):
        get_format("jsn")


def test_a_third_party_format_is_found_by_its_entry_point(tmp_path):
    """A real installed distribution, in a process of its own."""
    source = "def render(report, *, out, options):\n    out.write('HELLO')\n"
    install(tmp_path, "shout = shout:render", source, group="zoo.formats")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from harness.report import get_format, Options;"
        "get_format('table'); assert 'importlib.metadata' not in sys.modules;"
        "get_format('shout')(None, out=sys.stdout, options=Options())"
    )
    done = run_python(["-c", code, str(tmp_path)])
    assert (done.stdout, done.stderr) == ("HELLO", "")
