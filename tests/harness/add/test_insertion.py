"""Where an entry is put: every other byte of the file stays, and it is read as it was meant."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import yaml

from harness.add.entry import Entry
from harness.add.insertion import insert
from harness.fix import Refused
from zoo.index import load_index

FIRST = """\
Collections:
- Name: Net
Models:
- Name: one   # the first
  In Collection: Net
  Metadata:
    Parameters: 1000
"""
DEEP = """\
Models:
  - Name: one
    Metadata: {Parameters: 1000}
    # what belongs to it
  -   Name: two
      Weights: two.pth

# behind all
"""
BEFORE = """\
# a page
Models:
- Name: one
  Metadata:
    Description: |
      Of several lines,
      # not a comment

    Parameters: 1000


# the families
Collections:
- Name: Net
"""
FILES = {
    "plain": FIRST,
    "no line break at the end": FIRST.rstrip("\n"),
    "Windows": FIRST.replace("\n", "\r\n"),
    "a mark": "\ufeff" + FIRST,
    "indented": DEEP,
    "before the collections": BEFORE,
    "an empty list": "Models:\nCollections:\n- Name: Net\n",
    "a text at the end": "Models:\n- Name: one\n  Metadata:\n    Description: >\n      A text\n\n",
    "an alias at the end": (
        "Models:\n- Name: one\n  Metadata: &all\n    Parameters: 1000\n- Name: two\n"
        "  Metadata: *all\n"
    ),
    "several documents": FIRST + "---\nmore: of something else\n",
}
NAMES = ("7", "yes", "a: b", "it's", 'quo"ted', "- x", "#no", "é ü", "null", "a#b", " x ", "1e3")


def entry(**changes) -> Entry:
    given = {
        "name": "new",
        "collection": None,
        "metadata": {
            "Base": "resnest14d",
            "Classes": len(NAMES),
            "Class Names": NAMES,
            "FLOPs": 2764157888,
            "SHA256": "12e3" + "0" * 60,
            "Image Size": (224, 256),
            "Mean": (0.485, 0.456, 0.406),
            "Crop Pct": Decimal("0.875"),
        },
        "weights": "some%20folder/new.pth",
        "result": {
            "Task": "Image Classification",
            "Dataset": "my: pictures",
            "Images": 360,
            "Top 1 Accuracy": Decimal("96.94"),
            "Top 5 Accuracy": Decimal("100.00"),
        },
    }
    return Entry(**{**given, **changes})


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_every_other_byte_stays(tmp_path, text):
    path = tmp_path / "index.yml"
    path.write_bytes(text.encode())
    before = load_index([path])
    insert(path, entry())
    after = path.read_bytes()
    # What was there is there still, in one piece on either side of what is new.
    head = next(i for i in range(len(after) + 1) if after[:i] + after[i:] and _rest(after, i, text))
    added = after[head : len(after) - (len(text.encode()) - head)]
    assert added.decode().count("Name: new") == 1
    index = load_index([path])
    assert [v.name for v in index.variants] == [*[v.name for v in before.variants], "new"]
    assert [c.name for c in index.collections] == [c.name for c in before.collections]
    # A list without a model is a problem that the model mends.
    assert len(index.problems) == (0 if not before.variants else len(before.problems))
    if "\r\n" in text:
        assert b"\n" not in after.replace(b"\r\n", b"")


def _rest(after: bytes, place: int, text: str) -> bool:
    old = text.encode()
    return old[:place] == after[:place] and after.endswith(old[place:])


@pytest.mark.parametrize("text", [None, DEEP])
def test_values_are_what_another_reader_of_yaml_reads(tmp_path, text):
    path = tmp_path / "index.yml"
    if text is not None:
        path.write_text(text)
    insert(path, entry())
    read = yaml.safe_load(path.read_text(encoding="utf-8"))["Models"][-1]
    metadata = read["Metadata"]
    assert metadata["Class Names"] == list(NAMES)
    assert metadata["SHA256"] == "12e3" + "0" * 60
    assert (metadata["FLOPs"], metadata["Classes"]) == (2764157888, len(NAMES))
    assert (metadata["Image Size"], metadata["Mean"]) == ("224x256", [0.485, 0.456, 0.406])
    assert read["Results"] == [
        {
            "Task": "Image Classification",
            "Dataset": "my: pictures",
            "Images": 360,
            "Metrics": {"Top 1 Accuracy": "96.94%", "Top 5 Accuracy": "100.00%"},
        }
    ]
    (variant,) = [v for v in load_index([path]).variants if v.name == "new"]
    assert variant.claim("Image Size").value == (224, 256)
    assert variant.claim("Top 1 Accuracy").images == 360


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps({"Models": [{"Name": "one"}]}), "Models"),
        ("Models: [{Name: one}]\n", "Models"),
        ("Collections:\n- Name: Net\n", "no list of Models"),
        ("- Name: one\n  Weights: x.pth\n", "no list of Models"),
        ("Models:\n- Name: [\n", "can't be read"),
        ("\udcff", "UTF-8"),
    ],
)
def test_what_can_not_be_written_to_is_left_as_it_is(tmp_path, text, words):
    path = tmp_path / "index.yml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    with pytest.raises(Refused, match=words):
        insert(path, entry())
    assert path.read_bytes() == before


def test_a_read_only_file_is_left_as_it_is(tmp_path):
    path = tmp_path / "index.yml"
    path.write_text(FIRST)
    path.chmod(0o444)
    with pytest.raises(Refused, match="read-only"):
        insert(path, entry())
    assert path.read_text() == FIRST


@pytest.mark.parametrize("name", ["two\nlines", "a\u202eb", "x" * 300])
def test_a_name_that_an_index_can_not_have_is_refused(tmp_path, name):
    path = tmp_path / "index.yml"
    path.write_text(FIRST)
    with pytest.raises(Refused):
        insert(path, entry(name=name))
    assert path.read_text() == FIRST
