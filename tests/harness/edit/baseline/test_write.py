"""Writing a baseline: what is added, what goes, and what a person wrote that stays."""

from __future__ import annotations

import os
from datetime import date

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.config import GROUPS, UsageError
from harness.edit.baseline import read_baseline
from harness.edit.baseline_apply import BaselineFileError, apply_baseline, write_baseline
from zoo._util.text import without_secrets
from zoo.index.types import Location

TODAY = date(2026, 11, 23)

BY_HAND = """\
# Ours.

accepted:
  # About net50.
  - variant: net50
    field: FLOPs   # counted by hand
    cause: flops.differs
    documented: "6973972864"
    reason: >
      A long story, told

      by a person.
    expires: 2099-01-01

  # About what is gone,
  # in two lines.
  - variant: net50
    field: Layers
    cause: layers.differs
    documented: 51
    reason: gone since
  - {variant: net101, field: FLOPs, cause: flops.differs, documented: 1, reason: not in this run}
# The end.
"""


def written(path, report, groups=GROUPS, today=TODAY):
    return write_baseline(report, read_baseline(path.name, missing=True), groups, today)


def test_a_new_one_is_usable_at_once(path, finding, report):
    found = report(
        finding(),
        finding(severity="warning", cause="flops.convention", documented=None),
        finding(severity="note", cause="schema.quoted-number"),
        finding(status="unverified", severity=None, cause="accuracy.no-data"),
        finding(status="match", severity=None, cause=None),
        finding(variant=None, field="", cause="schema.unreadable", documented=None),
    )
    made = written(path, found)
    assert (made.added, made.removed, made.kept) == (3, 0, 0)
    seen = apply_baseline(found, read_baseline(path.name), GROUPS, TODAY)
    assert (seen.summary()["errors"], seen.summary()["warnings"]) == (0, 0)
    assert seen.summary()["accepted"] == 3
    # As any other reader of YAML has it.
    assert yaml.safe_load(path.read_text())["accepted"] == [
        {
            "variant": "net50",
            "field": "FLOPs",
            "cause": "flops.differs",
            "documented": "6973972864",
            "reason": "known when this entry was written, 2026-11-23",
        },
        {
            "variant": "net50",
            "field": "FLOPs",
            "cause": "flops.convention",
            "documented": None,
            "reason": "known when this entry was written, 2026-11-23",
        },
        {
            "cause": "schema.unreadable",
            "documented": None,
            "reason": "known when this entry was written, 2026-11-23",
            "file": "model-index/net.yml",
        },
    ]


def test_the_same_findings_change_no_byte(path, finding, report):
    found = report(finding(), finding(field="Layers", cause="layers.differs"))
    written(path, found)
    before, mark = path.read_bytes(), path.stat().st_mtime_ns
    assert (written(path, found).added, written(path, found).kept) == (0, 2)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, mark)


def test_what_a_person_wrote_stays(path, finding, report):
    path.write_text(BY_HAND)
    new = finding(field="Parameters", cause="parameters.differs", documented="27")
    made = written(path, report(finding(), new))
    assert (made.added, made.removed, made.kept, made.expired) == (1, 1, 2, 0)
    begin = BY_HAND.index("  # About what is gone")
    end = BY_HAND.index("  - {variant: net101")
    added = """\
  # The model has 5399965376 FLOPs; write that.
  - variant: net50
    field: Parameters
    cause: parameters.differs
    documented: '27'
    reason: known when this entry was written, 2026-11-23
"""
    expected = BY_HAND[:begin] + BY_HAND[end:].replace("# The end.\n", added + "# The end.\n")
    assert path.read_text() == expected


def test_line_ends_and_byte_order_mark_stay(path, finding, report):
    text = BY_HAND.replace("\n", "\r\n").encode("utf-8-sig")
    path.write_bytes(text)
    written(path, report(finding(), finding(field="Layers", cause="size.shared")))
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf# Ours.\r\n")
    assert content.count(b"\n") == content.count(b"\r\n")
    assert len(read_baseline(path.name).entries) == 3


@pytest.mark.parametrize(
    "text",
    ["accepted: []\n", "accepted:\n", "accepted: []", "accepted:", "# a\naccepted: [ ] # b\n# c\n"],
)
def test_an_empty_one_is_filled(path, text, finding, report):
    path.write_text(text)
    assert written(path, report(finding())).added == 1
    assert read_baseline(path.name).entries[0].variant == "net50"
    assert all(comment in path.read_text() for comment in "abc" if f"# {comment}" in text)


def test_emptied_and_filled_again(path, finding, report):
    written(path, report(finding()))
    assert written(path, report()).removed == 1
    assert read_baseline(path.name).entries == ()
    assert written(path, report(finding())).added == 1
    assert len(read_baseline(path.name).entries) == 1


def test_what_the_run_can_not_speak_for_stays(path, finding, report):
    path.write_text(BY_HAND)
    assert written(path, report(finding()), groups=("metadata",)).removed == 0
    assert path.read_text() == BY_HAND


def test_an_expired_entry_is_for_a_person_to_prolong(path, finding, report):
    path.write_text(BY_HAND)
    made = written(path, report(finding()), today=date(2099, 1, 2))
    assert (made.kept, made.expired) == (2, 1)


def test_entries_that_can_not_be_told_apart_are_refused(path, finding, report):
    entry = "{variant: a, cause: x, documented: 1, reason: y}"
    path.write_text(f"accepted: [{entry}]\n")
    with pytest.raises(UsageError, match=r"known-findings.yml:1:12: the entries can't be kept"):
        written(path, report(finding()))
    assert path.read_text() == f"accepted: [{entry}]\n"


def test_a_file_that_changed_meanwhile_is_left_alone(path, finding, report):
    path.write_text(BY_HAND)
    old = read_baseline(path.name)
    path.write_text(BY_HAND + "# more\n")
    with pytest.raises(BaselineFileError, match="it has changed since this run began"):
        write_baseline(report(finding()), old, GROUPS, TODAY)
    assert path.read_text() == BY_HAND + "# more\n"


def test_a_folder_that_can_not_be_written_to(path, finding, report):
    with pytest.raises(BaselineFileError, match=r"no/known.yml: can't be written: No such file"):
        write_baseline(
            report(finding()), read_baseline("no/known.yml", missing=True), GROUPS, TODAY
        )


def test_a_kill_leaves_the_old_file(path, finding, report, monkeypatch):
    path.write_text(BY_HAND)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        written(path, report())
    assert path.read_text() == BY_HAND
    assert os.listdir(path.parent) == [path.name]


def test_modes_and_links_stay(path, finding, report):
    real = path.parent / "real.yml"
    real.write_text("accepted: []\n")
    real.chmod(0o640)
    path.symlink_to(real)
    written(path, report(finding()))
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert len(read_baseline(real).entries) == 1


# What an index can hold: its reader refuses controls, but its escapes may write them.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(variant=TEXT.filter(bool), field=TEXT, documented=st.none() | TEXT, message=TEXT)
@example(variant="00:/0@", field="F", documented="https://u:p@h/a?token=abc", message="m")
def test_any_text_reads_back_as_it_was(variant, field, documented, message, path, finding, report):
    path.unlink(missing_ok=True)
    found = finding(variant=variant, field=field, documented=documented, message=message)
    written(path, report(found, finding()))
    entry = read_baseline(path.name).entries[0]
    shown = None if documented is None else without_secrets(documented)
    assert entry.key == (variant, field, "flops.differs", shown)
    seen = apply_baseline(report(found), read_baseline(path.name), GROUPS, TODAY)
    assert seen.findings[0].accepted
    before = path.read_bytes()
    assert written(path, report(found, finding())).added == 0
    assert path.read_bytes() == before


def test_paths_are_relative_to_the_baseline(path, finding, report):
    (path.parent / "ci").mkdir()
    broken = finding(variant=None, location=Location("model-index/net.yml", 1, 1))
    write_baseline(report(broken), read_baseline("ci/known.yml", missing=True), GROUPS, TODAY)
    assert "file: ../model-index/net.yml" in (path.parent / "ci" / "known.yml").read_text()
    assert (
        apply_baseline(report(broken), read_baseline("ci/known.yml"), GROUPS, TODAY)
        .findings[0]
        .accepted
    )
