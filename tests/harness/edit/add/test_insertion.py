"""Where an entry is put: every other byte of the file stays, and it is read as it was meant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from loops import each

from harness.edit.add_entry import NewEntry
from harness.edit.add_insert import NotWritable, insert, rehearse
from harness.edit.add_measure import NotAdded
from harness.edit.yaml_edit import EditRefused
from zoo.index import load_index

ROOT = Path(__file__).parents[4]
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


def entry(**changes) -> NewEntry:
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
    return NewEntry(**{**given, **changes})


@each("text", FILES.values())
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


EMPTY = {
    "brackets": ("Models: []\n", "Models:\n{}"),
    "wide brackets": (
        "Models: [ ]  # none yet\nType: model-index\n",
        "Models:  # none yet\n{}Type: model-index\n",
    ),
    "brackets and no line break": ("Models: []", "Models:\n{}"),
    "brackets below": ("Models:\n  []\nType: model-index\n", "Models:\n{}Type: model-index\n"),
    "a tilde": ("Models: ~\n", "Models:\n{}"),
    "null, and Windows": ("Models: null # none\r\n# end\r\n", "Models: # none\r\n{}# end\r\n"),
    "collections": (
        "Collections:\n- Name: Net\n# end\n",
        "Collections:\n- Name: Net\n# end\nModels:\n{}",
    ),
    "its type": ("Type: model-index\n", "Type: model-index\nModels:\n{}"),
    "nothing": ("", "Type: model-index\nModels:\n{}"),
    "comments": ("# of mine", "# of mine\nType: model-index\nModels:\n{}"),
    "a mark": ("\ufeff", "\ufeffType: model-index\nModels:\n{}"),
    "the beginning of a document": ("---\n", "---\nType: model-index\nModels:\n{}"),
}


@each("text, wanted", EMPTY.values())
def test_an_index_without_a_model_gets_its_first(tmp_path, text, wanted):
    path = tmp_path / "index.yml"
    path.write_bytes(text.encode())
    added = entry()
    rehearse(path, added)
    assert path.read_bytes() == text.encode()
    insert(path, added)
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = "".join(f"{line}{ending}" for line in added.lines())
    assert path.read_bytes().decode() == wanted.replace("{}", lines)
    index = load_index([path])
    assert ([v.name for v in index.variants], index.problems) == (["new"], ())


def test_an_indented_file_gets_an_indented_list(tmp_path):
    path = tmp_path / "index.yml"
    path.write_text("  Collections:\n  - Name: Net")
    insert(path, entry(collection="Net"))
    assert path.read_text().startswith("  Collections:\n  - Name: Net\n  Models:\n  - Name: new\n")
    (variant,) = load_index([path]).variants
    assert variant.collection.name == "Net"


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


@each(
    "text, words",
    [
        (json.dumps({"Models": [{"Name": "one"}]}), "brackets"),
        ("Models: [{Name: one}]\n", "brackets"),
        ("services: {web: 1}\n", "no list of Models"),
        ("Collections: []\nunknown: 1\n", "no list of Models"),
        ("{Models: []}\n", "brackets"),
        ("Models: 7\n", "no list"),
        ("Models: [  # none\n]\n", "brackets"),
        ("- Name: one\n  Weights: x.pth\n", "no list of Models"),
        ("Models:\n- Name: [\n", "can't be read"),
        ("\udcff", "UTF-8"),
    ],
)
def test_what_can_not_be_written_to_is_left_as_it_is(tmp_path, text, words):
    path = tmp_path / "index.yml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    for put in (rehearse, insert):
        with pytest.raises(EditRefused, match=words):
            put(path, entry())
    assert path.read_bytes() == before


def test_a_read_only_file_is_left_as_it_is(tmp_path):
    path = tmp_path / "index.yml"
    path.write_text(FIRST)
    path.chmod(0o444)
    with pytest.raises(NotWritable, match="read-only"):
        rehearse(path, entry())
    with pytest.raises(EditRefused, match="read-only"):
        insert(path, entry())
    assert path.read_text() == FIRST


@each("name", ["two\nlines", "a\u202eb", "x" * 300])
def test_a_name_that_an_index_can_not_have_is_refused(tmp_path, name):
    path = tmp_path / "index.yml"
    path.write_text(FIRST)
    with pytest.raises(EditRefused):
        insert(path, entry(name=name))
    assert path.read_text() == FIRST


ADDS = """
import sys
from pathlib import Path
from harness.edit.add_entry import NewEntry
from harness.edit.add_insert import insert

for number in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}-{number}"
    insert(Path(sys.argv[1]), NewEntry(name, None, {"Base": "resnest14d"}, "new.pth", {}))
"""


def test_of_processes_that_add_at_once_none_loses_an_entry(tmp_path):
    """The first makes the file, the others write to it."""
    folder, each = tmp_path / "zoo", 4
    folder.mkdir()
    path = folder / "index.yml"
    # By a link as well: it is the same file.
    (folder / "link.yml").symlink_to("index.yml")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ADDS, str(folder / file), who, str(each)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for who, file in zip("abc", ("index.yml", "link.yml", "index.yml"), strict=True)
    ]
    for process in running:
        _, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
    names = [variant.name for variant in load_index([path]).variants]
    assert sorted(names) == [f"{who}-{n}" for who in "abc" for n in range(each)]
    assert sorted(item.name for item in folder.iterdir()) == ["index.yml", "link.yml"]


def test_a_name_that_was_taken_meanwhile_is_refused(tmp_path):
    path = tmp_path / "index.yml"
    path.write_text(FIRST)
    with pytest.raises(NotAdded, match=r"index.yml:4:9: .*'one' is there already"):
        insert(path, entry(name="one"))
    assert path.read_text() == FIRST


def test_what_the_last_look_objects_to_is_not_written(tmp_path):
    path = tmp_path / "index.yml"

    def look() -> None:
        raise NotAdded("it changed")

    for text in (None, FIRST):
        if text is not None:
            path.write_text(text)
        with pytest.raises(NotAdded, match="it changed"):
            insert(path, entry(), look)
        assert (path.read_text() if path.exists() else None) == text
