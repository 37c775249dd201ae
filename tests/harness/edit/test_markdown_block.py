"""A page's model-index block is the index itself, and reads back as the same claims."""

from __future__ import annotations

import re

import pytest

from harness.docs.pages import pages
from zoo.index import load_index

HEAD = "Collections:\n- Name: One\n- Name: Two\n"
MODEL = "- Name: {0}\n  In Collection: {1}\n  Metadata:\n    Parameters: {2}\n"


def make(index, folder):
    return pages(index, folder / "none", folder)


def said(index, collection):
    """All claims of a collection and of its variants, less where they stand."""
    own = [(c.field, c.raw, c.value, c.step) for k in index.collections if k.name == collection
           for c in k.claims]  # fmt: skip
    of_variants = [
        (v.name, c.field, c.raw, c.value, c.step, c.quoted, c.task, c.dataset, c.images)
        for v in index.variants
        if v.collection is not None and v.collection.name == collection
        for c in v.claims
    ]
    assert of_variants
    return own + of_variants


def reads_back(index, folder):
    """Every page, read as an index, says what the index says of its collection, and no more."""
    made = make(index, folder)
    with_variants = {v.collection.name for v in index.variants if v.collection is not None}
    assert len(made.pages) == len(with_variants)
    for page in made.pages:
        assert [r for r in page.remarks if "block" in r] == []
        path = folder / page.name
        path.write_bytes(page.text.encode())
        again = load_index([path])
        names = {v.collection.name for v in again.variants if v.collection is not None}
        assert len(names) == len(again.collections) == 1
        (name,) = names
        assert said(again, name) == said(index, name)
        assert all(v.collection is not None for v in again.variants)


def test_this_zoo_reads_back(repository, tmp_path):
    reads_back(load_index([repository / "model-index"]), tmp_path)


@pytest.mark.parametrize("zoo_name", ["timm-docs", "mmpretrain"])
def test_other_zoos_read_back(shared_corpus, tmp_path, zoo_name):
    reads_back(load_index([shared_corpus / zoo_name]), tmp_path)


def test_a_file_of_one_collection_is_there_byte_for_byte(repository, tmp_path):
    for source in sorted((repository / "model-index").glob("*.yml")):
        (page,) = make(load_index([source]), tmp_path).pages
        comment = re.findall(r"<!--\n(Type: model-index\n.*?)-->", page.text, re.S)
        # The page is no YAML file, and has its own place: a line for editors is not repeated.
        expected = re.sub("^# yaml-language-server: .*\n", "", source.read_text("utf-8"))
        if not expected.startswith("Type:"):
            expected = f"Type: model-index\n{expected}"
        assert comment == [expected]


SHAPES = {
    "two collections in one file": HEAD
    + "Models:\n# of One\n"
    + MODEL.format("a", "One", 5)
    + "# of Two\n"
    + MODEL.format("b", "Two", 6)
    + MODEL.format("c", "One", 7),
    "brackets": "Collections: [{Name: One}, {Name: Two, Paper: {Title: T}}]\n"
    "Models: [{Name: a, In Collection: One}, {Name: b,\n  In Collection: Two}]\n",
    "texts of many lines with what looks like comments": "Collections:\n- Name: Two\n"
    "- Name: One\n  Citation: |\n    @misc{k,\n    }\n    # no comment\n# a comment\nModels:\n"
    + MODEL.format("a", "One", 5)
    + MODEL.format("b", "Two", 6),
    "line ends of Windows": (
        HEAD + "Models:\n" + MODEL.format("a", "One", 5) + MODEL.format("b", "Two", 6)
    ).replace("\n", "\r\n"),
    "comments and a marker first": "# licence\n---\nType: model-index\n"
    + HEAD.replace("- Name: Two\n", "")
    + "Models:\n"
    + MODEL.format("a", "One", 5),
    "a bare list of models": "- Name: a\n  In Collection: One\n- Name: b\n  In Collection: One\n",
    "no line break at the end": HEAD + "Models:\n" + MODEL.format("a", "One", 5).rstrip(),
    "the end of a comment before it": "# a --> b\n"
    + HEAD.replace("- Name: Two\n", "")
    + "Models:\n"
    + MODEL.format("a", "One", 5),
    "indented": "  Collections:\n    - Name: One\n    - Name: Two\n  Models:\n"
    "    - Name: a\n      In Collection: Two\n      Weights: 'b.pth'  # why\n",
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
def test_other_shapes_read_back(tmp_path, text):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "b.yml").write_bytes(text.encode())
    if text.startswith("-"):
        (tmp_path / "index" / "a.yml").write_text("Collections:\n- Name: One\n")
    reads_back(load_index([tmp_path / "index"]), tmp_path)


def test_a_collection_in_several_files(tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "a.yml").write_text(HEAD + "Models:\n" + MODEL.format("a", "One", 5))
    (tmp_path / "index" / "b.yml").write_text("Models:\n" + MODEL.format("b", "One", 5))
    index = load_index([tmp_path / "index"])
    reads_back(index, tmp_path)
    (page,) = make(index, tmp_path).pages
    assert page.text.count("<!--\nType: model-index") == 2


def test_comments_stay_with_what_they_are_about(tmp_path):
    path = tmp_path / "b.yml"
    path.write_text(SHAPES["two collections in one file"])
    one, two = make(load_index([path]), tmp_path).pages
    assert "# of One\n- Name: a" in one.text
    assert "of Two" not in one.text
    assert "# of Two\n- Name: b" in two.text
    assert "of One" not in two.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "Collections:\n- Name: One\n  Description: 'a --> b'\n"
            "Models:\n- {Name: a, In Collection: One}\n",
            "holds -->",
        ),
        (
            "Collections:\n- Name: One  # --!> <img src=x>\n"
            "Models:\n- {Name: a, In Collection: One}\n",
            "holds --!>",
        ),
        (
            "Collections:\n- Name: One\n- &two\n  Name: Two\nModels:\n- &m\n  Name: a\n"
            "  In Collection: Two\n- <<: *m\n  Name: b\n  In Collection: One\n",
            "would not be read as the same claims",
        ),
    ],
)
def test_what_no_comment_can_hold_is_left_out_and_said(tmp_path, text, why):
    path = tmp_path / "b.yml"
    path.write_text(text)
    made = make(load_index([path]), tmp_path)
    page = next(page for page in made.pages if page.name == "one.md")
    assert "Type: model-index" not in page.text
    assert page.text.count("-->") == 1  # of its first line
    (remark,) = [remark for remark in page.remarks if "block" in remark]
    assert why in remark
    assert remark.startswith(f"{path}:")
