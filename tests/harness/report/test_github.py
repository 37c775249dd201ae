"""Workflow commands, read as the runner of GitHub Actions reads a step's log."""

from __future__ import annotations

import re

from hostile import COMMANDS, TEXTS, report_of
from loops import each

from zoo.index.types import Location


def commands(text):
    """(name, properties, message) of each line that the runner would obey, by its own rules.

    A line is a command where it begins, spaces aside, with ``::``; an older form is obeyed
    wherever ``##[`` stands in it. Escapes are undone in this order.
    """
    found = []
    for line in re.split("\r\n|\n|\r", text):
        assert "##[" not in line
        match = re.fullmatch(r"::([^ :]+)(?: (.*?))?::(.*)", line.lstrip())
        if match is None:
            assert not line.lstrip().startswith("::")
            continue
        properties = {}
        for part in (match[2] or "").split(","):
            key, _, value = part.partition("=")
            properties[key] = unescaped(value, ":", ",")
        found.append((match[1], properties, unescaped(match[3])))
    return found


def unescaped(text, *more):
    for char in ("\r", "\n", *more):
        text = text.replace(f"%{ord(char):02X}", char)
    return text.replace("%25", "%")


def test_an_error_stands_on_its_line(make_finding, make_report, shown):
    text = shown("github", make_report(make_finding()))
    ((name, properties, message),) = commands(text)
    assert name == "error"
    assert properties == {
        "file": "model-index/net.yml",
        "line": "12",
        "col": "7",
        "title": "net50: FLOPs (flops.differs)",
    }
    assert message.startswith("The model has 5399965376 FLOPs; write that. (documented 6973972864")
    assert text.splitlines()[-1].startswith("zoo: 1 variant: 1 error, 0 warnings")


@each("severity, command", [("error", "error"), ("warning", "warning"), ("note", "notice")])
def test_severities(severity, command, make_finding, make_report, shown):
    text = shown("github", make_report(make_finding(severity=severity)), verbose=True)
    assert [name for name, _, _ in commands(text)] == [command]


def test_notes_and_open_claims_are_plain_lines(make_finding, make_report, shown):
    """A step shows ten annotations of a kind: they are for what asks for an act."""
    findings = [make_finding(severity="note", cause="schema.quoted-number")] * 30
    open_claim = make_finding(status="unverified", severity=None, cause="accuracy.no-data")
    text = shown("github", make_report(*findings, open_claim))
    assert commands(text) == []
    assert "note: 30 findings on FLOPs" in text
    assert "unverified: " in text


def test_what_a_baseline_accepts_is_no_annotation(make_finding, make_report, shown):
    text = shown("github", make_report(make_finding(accepted="asked upstream")))
    assert commands(text) == []
    assert "accepted: model-index/net.yml:12:7: net50: FLOPs: " in text
    assert "asked upstream" in text


def test_hostile_text_commands_nothing(shown):
    for text in TEXTS:
        for verbose in (False, True):
            found = commands(shown("github", report_of(text), verbose=verbose))
            expected = ["error", "notice", "error"] if verbose else ["error", "error"]
            assert [name for name, _, _ in found] == expected, text
            for _, properties, message in found:
                assert set(properties) <= {"file", "line", "col", "title"}
                assert text != COMMANDS[0] or "::stop-commands::z" in message
            assert found[0][1]["line"] == "3"
            assert text != COMMANDS[0] or "a:b 100%25" in found[0][2]


def test_a_file_is_named_from_the_top_of_the_repository(make_finding, make_report, shown):
    report = make_report(make_finding(location=Location("../models/net.yml", 1, 1)))
    ((_, properties, _),) = commands(shown("github", report, folder="a/b"))
    assert properties["file"] == "a/models/net.yml"


def test_a_run_that_was_cut_short(make_report, shown):
    ((name, _, message),) = commands(shown("github", make_report(cut_short="no space")))
    assert name == "error"
    assert "no space" in message
