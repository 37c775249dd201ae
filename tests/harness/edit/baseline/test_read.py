"""What is a baseline, and what is said of a file that is none."""

from __future__ import annotations

import os
from datetime import date

import pytest
from loops import each

from harness.config import UsageError
from harness.edit.baseline import read_baseline

ENTRY = """\
accepted:
- variant: net50
  field: FLOPs
  cause: flops.differs
  documented: 6973972864
  reason: asked upstream
"""


def mistakes(path, text):
    path.write_bytes(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    with pytest.raises(UsageError) as error:
        read_baseline(path.name)
    return error.value.lines


def test_an_entry(path):
    path.write_text(ENTRY + "  expires: 2027-06-30\n  file: model-index/net.yml\n")
    (entry,) = read_baseline(path.name).entries
    assert entry.key == ("net50", "FLOPs", "flops.differs", "6973972864")
    assert entry.reason == "asked upstream"
    assert entry.expires == date(2027, 6, 30)
    assert entry.file == str(path.parent / "model-index" / "net.yml")
    assert str(entry.location) == "known-findings.yml:2:3"


@each(
    "written, documented",
    [
        ("80.96%", "80.96%"),
        ("'0.875'", "0.875"),
        ("null", None),
        ("'null'", "null"),
        ("''", ""),
        ("yes", "yes"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_a_documented_value_is_its_text(path, written, documented):
    path.write_text(ENTRY.replace("6973972864", written))
    assert read_baseline(path.name).entries[0].documented == documented


@each("text", ["accepted: []\n", "accepted:\n", "# all\naccepted: ~\n"])
def test_nothing_accepted(path, text):
    path.write_text(text)
    assert read_baseline(path.name).entries == ()


@each(
    "old, new, line",
    [
        ("accepted:", "acepted:", "1:1: is no key of a baseline; write accepted: and under it"),
        ("reason: asked upstream", "reason: ''", "6:11: an entry without a reason; write why"),
        ("reason: asked upstream", "reason: ' '", "6:11: an entry without a reason"),
        ("  reason: asked upstream\n", "", "2:3: an entry without a reason; write why"),
        ("reason: asked", "reasons: asked", "6:3: there is no key 'reasons' in an entry; did you"),
        ("  documented: 6973972864\n", "", "2:3: an entry without a documented value would"),
        ("cause: flops.differs", "cause: flops.difers", "4:10: there is no cause 'flops.difers'; "),
        ("  cause: flops.differs\n", "", "2:3: an entry without a cause; write the finding's"),
        ("- variant: net50", "- variant:", "2:3: names neither a variant nor a file"),
        ("asked upstream", "[asked]", "6:11: reason is no text; write one"),
        ("asked upstream", "!!python/name:os.system x", "6:11: reason is no text"),
        ("asked upstream", "x\n  reason: y", "7:3: reason stands twice in this entry"),
        ("asked upstream", "x\n  expires: soon", "7:12: expires: 'soon' is no day; write one"),
        ("asked upstream", "x\n  expires: 2026-02-30", "7:12: expires: '2026-02-30' is no day"),
        ("asked upstream", "x\n  expires: 20270101", "7:12: expires: '20270101' is no day"),
        ("asked upstream", "x\n- y", "7:3: is no entry; write variant:"),
        ("asked upstream", "x\naccepted: []", "7:1: accepted stands here again; write one list"),
        ("asked upstream", "{x", "7:1: not YAML: "),
    ],
)
def test_mistakes_name_their_place(path, old, new, line):
    (said,) = mistakes(path, ENTRY.replace(old, new))
    assert said.startswith(f"known-findings.yml:{line}")
    assert said.isprintable()


def test_the_same_entry_twice(path):
    text = ENTRY + ENTRY.removeprefix("accepted:\n")
    assert mistakes(path, text) == (
        "known-findings.yml:7:3: is the entry of line 2 again; delete one of them",
    )


def test_every_mistake_is_said_at_once_up_to_a_bound(path):
    lines = mistakes(path, "accepted:\n" + "- variant: a\n" * 30)
    assert len(lines) == 21
    assert lines[-1] == "known-findings.yml: and 70 more mistakes"


@each(
    "content, words",
    [
        (b"", "holds no baseline; write accepted:"),
        (b"- a\n", "holds no baseline"),
        (b"accepted: 3\n", "accepted is no list"),
        (b"accepted: {}\n", "accepted is no list"),
        (b"accepted: []\n---\naccepted: []\n", "holds no baseline"),
        (b"accepted: \xff\n", "byte 10 is not UTF-8; save the file as UTF-8"),
        (b"accepted: \x1b[2J\n", "the character U+001B is not allowed"),
        (b"accepted: " + b"[" * 100_000, "nested more than"),
        (b"accepted: &a [*a]\n", "names no anchor"),
        (b"a: &a [x,x]\nb: &b [*a,*a]\n" + b"accepted: [" + b"*b," * 200_000 + b"]", "expand"),
    ],
)
def test_hostile_files_are_one_line(path, content, words):
    lines = mistakes(path, content)
    assert words in lines[0]
    assert all(line.isprintable() and len(line) < 300 for line in lines)


def test_files_that_are_none(path):
    os.mkfifo(path)
    with pytest.raises(UsageError, match="not a regular file"):
        read_baseline(path)
    with pytest.raises(UsageError, match=r"no.yml: can't be read: No such file .*write-baseline"):
        read_baseline("no.yml")
    with pytest.raises(UsageError, match="a folder, not a regular file"):
        read_baseline(path.parent)
    path.unlink()
    path.write_bytes(b"#" * (9 << 20))
    with pytest.raises(UsageError, match="larger than"):
        read_baseline(path)
