"""`zoo rule` says of every cause what a finding with it means."""

from __future__ import annotations

import json

from cli import said

from harness.causes import CAUSES


def test_every_cause_is_explained_as_text_and_as_json(zoo):
    for name, cause in CAUSES.items():
        done = zoo("rule", name)
        assert (done.returncode, said(done.stderr)) == (0, ""), name
        head, meaning, example, remedy = done.stdout.rstrip("\n").split("\n\n")
        assert head == f"{name}: {cause.severity or 'unverified'}"
        assert (meaning, example) == (cause.meaning, f"Example: {cause.example}")
        assert remedy == f"Remedy: {cause.remedy}"
    shown = json.loads(zoo("rule", "accuracy.no-data", "--format", "json").stdout)
    assert list(shown) == ["id", "severity", "meaning", "example", "remedy"]
    assert (shown["id"], shown["severity"]) == ("accuracy.no-data", None)


def test_all_are_listed(zoo):
    listed = zoo("rule")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout == zoo("rule", "--all").stdout
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    assert rows == [
        [name, each.severity or "unverified", each.meaning] for name, each in CAUSES.items()
    ]
    entries = json.loads(zoo("rule", "--format", "json").stdout)
    assert [entry["id"] for entry in entries] == list(CAUSES)


def test_a_terminal_is_not_overrun(zoo_on_a_terminal):
    for arguments, columns in ((["rule"], 100), (["rule"], 50), (["rule", "weights.unsafe"], 60)):
        status, out, err = zoo_on_a_terminal(*arguments, columns=columns)
        assert (status, err) == (0, "")
        assert max(map(len, out.splitlines())) <= columns, arguments


def test_a_wrong_name_is_one_line(zoo):
    for name, hint in {
        "flops.difers": "did you mean flops.differs?",
        "schema.unknown_key": "did you mean schema.unknown-key?",
        "zzz": "zoo rule lists them",
        "": "zoo rule lists them",
    }.items():
        done = zoo("rule", name)
        assert (done.returncode, done.stdout) == (2, "")
        assert said(done.stderr) == f"there is no cause {name!r}; {hint}\n"
    done = zoo("rule", "--all", "flops.differs")
    assert (done.returncode, done.stdout) == (2, "")
    assert said(done.stderr) == "zoo rule is given both --all and a cause; leave out one of them\n"
