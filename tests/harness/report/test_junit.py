"""JUnit XML, read back with a library that reads what CI systems write."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import junitparser
import pytest
from hostile import TEXTS, report_of

from harness.types import VariantReport
from zoo.index.types import Claim, Location


@pytest.fixture
def parsed(shown):
    def parse(report, **options):
        text = shown("junit", report, **options)
        assert text.isascii()
        return junitparser.JUnitXml.fromroot(ET.fromstring(text))

    return parse


@pytest.fixture
def case_of(parsed, make_report):
    def parse(finding, **options):
        (suite,) = parsed(make_report(finding), **options)
        (case,) = suite
        return case

    return parse


def test_every_kind_of_finding_is_one_case(all_findings, case_of):
    for finding in all_findings:
        case = case_of(finding)
        kinds = [type(result) for result in case.result]
        if finding.severity in ("error", "warning"):
            assert kinds == [junitparser.Failure]
            assert case.result[0].type == f"{finding.severity}: {finding.cause}"
        elif finding.status == "unverified":
            assert kinds == [junitparser.Skipped]
            assert finding.message in case.result[0].message
        else:
            assert kinds == []
            assert finding.message in case.system_out


def test_an_accepted_finding_is_skipped_with_its_reason(case_of, make_finding):
    case = case_of(make_finding(accepted="asked upstream"))
    assert [type(result) for result in case.result] == [junitparser.Skipped]
    assert "asked upstream" in case.result[0].message


def test_place_and_names(case_of, make_finding):
    case = case_of(make_finding(location=Location("./a b.yml", 12, 7)), folder="sub")
    attributes = case._elem.attrib
    assert (attributes["file"], attributes["line"]) == ("sub/a b.yml", "12")
    assert (case.classname, case.name, case.time) == ("net50", "FLOPs: flops", 0)


def test_a_suite_per_collection_and_one_for_the_index(parsed, make_finding, make_report):
    variants = tuple(
        VariantReport(n, c, "zoo", {}) for n, c in [("a", "A"), ("b", None), ("c", "A")]
    )
    findings = [make_finding(variant=name) for name in ("a", "b", "c")]
    findings += [
        make_finding(variant=None),
        make_finding(variant="a", status="match", severity=None, cause=None),
    ]
    xml = parsed(make_report(*findings, variants=variants))
    assert [(suite.name, suite.tests, suite.failures) for suite in xml] == [
        ("model-index", 2, 2),
        ("A", 3, 2),
    ]
    assert (xml.tests, xml.failures, xml.errors, xml.skipped, xml.time) == (5, 4, 0, 0, 4.25)


def test_counts_are_those_of_the_cases(all_findings, parsed, make_report):
    xml = parsed(make_report(*all_findings, cut_short="no space"))
    before = (xml.tests, xml.failures, xml.errors, xml.skipped)
    xml.update_statistics()
    assert before == (xml.tests, xml.failures, xml.errors, xml.skipped)
    assert xml.tests == len(all_findings) + 1


def test_no_two_cases_have_one_name(all_findings, parsed, make_report):
    names = [(c.classname, c.name) for suite in parsed(make_report(*all_findings)) for c in suite]
    assert len(set(names)) == len(all_findings)


def test_claims_of_one_field_are_told_apart_by_what_differs(parsed, make_finding, make_report):
    def claim(line, **about):
        return Claim("F", "1", 1, "count", None, Location("a.yml", line, 1), task="T", **about)

    claims = (
        claim(1, dataset="ImageNet", settings=(("Image Size", (224, 224)),)),
        claim(2, dataset="ImageNet", settings=(("Image Size", (288, 288)),)),
        claim(3, dataset="ImageNet-V2", settings=(("Image Size", (224, 224)),)),
        claim(4, dataset="ImageNet-V2", settings=(("Image Size", (224, 224)),)),
    )
    findings = [make_finding(variant="a", field="F", location=each.location) for each in claims]
    made = make_report(*findings, variants=(VariantReport("a", None, "zoo", {}, claims=claims),))
    names = [case.name.removeprefix("F: flops") for suite in parsed(made) for case in suite]
    other = " (ImageNet-V2, Image Size 224x224)"
    assert names == [
        " (ImageNet, Image Size 224x224)",
        " (ImageNet, Image Size 288x288)",
        other,
        f"{other} #2",
    ]


def test_hostile_text_is_text(parsed):
    for text in TEXTS:
        *cases, broken = [case for suite in parsed(report_of(text)) for case in suite]
        assert len(cases) == 5
        assert type(broken.result[0]) is junitparser.Error
        for case in cases:
            assert case.classname.isprintable()
            if text.isprintable() and text and "\uffff" not in text:
                assert case.classname in (text, f"{text[:191]}…")
    names = {case.classname for suite in parsed(report_of("\ufffe\x00")) for case in suite}
    assert names == {"zoo", r"\ufffe\x00"}


def test_a_run_that_was_cut_short_is_an_error(parsed, make_report, shown):
    xml = parsed(make_report(cut_short="no space"))
    assert xml.errors == 1
    (suite,) = xml
    (case,) = suite
    assert type(case.result[0]) is junitparser.Error
    assert "no space" in case.result[0].message


def test_it_is_a_file_that_other_tools_read(all_findings, make_report, shown):
    text = shown("junit", make_report(*all_findings))
    read = junitparser.JUnitXml.fromfile(io.BytesIO(text.encode("ascii")))
    assert read.tests == len(all_findings)
