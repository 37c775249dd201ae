"""Paths, folders, imports and formats."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo.index import default_index, load_index, package_index

MODEL = "Models: [{{Name: {0}}}]\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")
    return path


def names(index):
    return [variant.name for variant in index.variants]


def test_a_folder_is_read_sorted_once_and_only_where_it_holds_indexes():
    write("zoo/b.yml", MODEL.format("b"))
    write("zoo/a/deep.yaml", MODEL.format("deep"))
    write("zoo/page.mdx", "text\n<!--\nType: model-index\n" + MODEL.format("page") + "-->\n")
    write("zoo/README.md", "# no index here\n")
    write("zoo/mkdocs.yml", "nav: [a]\nx: !!python/name:y z\n")
    write("zoo/notes.txt", MODEL.format("txt"))
    write("zoo/.hidden/c.yml", MODEL.format("hidden"))
    write("zoo/.c.yml", MODEL.format("hidden"))
    index = load_index(["zoo", "zoo/b.yml", Path("zoo")])
    assert names(index) == ["b", "page", "deep"]
    assert (index.problems, index.unusable) == ((), ())
    assert index.files == ("zoo/b.yml", "zoo/page.mdx", "zoo/a/deep.yaml")


def test_names_are_as_given(tmp_path):
    write("zoo/b.yml", "Models: [{Name: b, Layers: x}]")
    for given, file in [
        ("zoo", "zoo/b.yml"), ("./zoo", "./zoo/b.yml"), (tmp_path / "zoo", f"{tmp_path}/zoo/b.yml")
    ]:  # fmt: skip
        assert load_index([given]).problems[0].location.file == file


def test_imports_are_read_in_their_place_and_not_twice():
    write("zoo/model-index.yml", "Import:\n- z/meta.yml\n- a/meta.yml\n- z/meta.yml\n")
    write("zoo/z/meta.yml", MODEL.format("z"))
    write("zoo/a/meta.yml", MODEL.format("a"))
    for given in ("zoo", "zoo/model-index.yml"):
        index = load_index([given])
        assert names(index) == ["z", "a"]
        assert index.problems == ()
    write("zoo/b.yml", "Import: [a/meta.yml]\n")
    for given in ("zoo", "zoo/model-index.yml"):
        index = load_index([given])
        assert names(index) == ["z", "a"]
        assert index.problems == ()


def test_imports_stay_inside_and_go_in_no_circle():
    write("out.yml", MODEL.format("out"))
    os.makedirs("zoo")
    os.symlink("../out.yml", "zoo/link.yml")
    write("zoo/notes.txt", "x")
    rows = [
        "../out.yml",
        str(Path("out.yml").resolve()),
        "link.yml",
        "none.yml",
        "b.yml",
        "notes.txt",
        '"a\\0b.yml"',
    ]
    write("zoo/model-index.yml", "Import:\n" + "".join(f"- {row}\n" for row in rows) + "- 5\n")
    write("zoo/b.yml", "Import: [model-index.yml]\n" + MODEL.format("b"))
    index = load_index(["zoo/model-index.yml"])
    assert names(index) == ["b"]
    lines = {(p.location.file, p.location.line) for p in index.problems}
    assert lines == {("zoo/model-index.yml", n) for n in (2, 3, 4, 5, 7, 8, 9)} | {("zoo/b.yml", 1)}


def test_an_index_whose_imports_yield_nothing_is_of_no_use():
    write("model-index.yml", "Import: [none.yml]\n")
    index = load_index(["model-index.yml"])
    assert index.unusable == ("model-index.yml",)
    assert len(index.problems) == 1


def test_what_is_no_file_gets_one_line_each():
    os.mkfifo("pipe.yml")
    os.symlink("loop.yml", "loop.yml")
    os.makedirs("empty")
    write("page.md", "# nothing\n")
    write("open.md", "\n<!--\nType: model-index\nModels: []\n")
    write("model.txt", MODEL.format("x"))
    given = ["pipe.yml", "loop.yml", "empty", "page.md", "open.md", "model.txt", "none.yml", "a\0b"]
    index = load_index(given)
    assert list(index.unusable) == given
    assert len(index.problems) == len(given)
    assert all(p.cause == "schema.unreadable" and p.severity == "error" for p in index.problems)
    assert all(str(p).isprintable() for p in index.problems)
    assert {str(p.location) for p in index.problems} >= {"open.md:2:1", "none.yml:1:1"}


def test_a_folder_with_loops_ends():
    write("zoo/a.yml", MODEL.format("a"))
    os.symlink(".", "zoo/self")
    os.mkfifo("zoo/pipe.yml")
    index = load_index(["zoo"])
    assert names(index) == ["a"]
    assert index.unusable == ("zoo/pipe.yml",)


def test_one_broken_file_does_not_hide_the_others():
    write("zoo/a.yml", "Models: [\n")
    write("zoo/b.yml", MODEL.format("b"))
    write("zoo/c.yml", "Models: [{Name: }]\n")
    index = load_index(["zoo", "none"])
    assert names(index) == ["b"]
    assert index.unusable == ("zoo/a.yml", "zoo/c.yml", "none")


def test_too_large_a_file_is_refused_unread():
    with open("big.yml", "wb") as file:
        file.truncate(2**31)
    (problem,) = load_index(["big.yml"]).problems
    assert "larger" in problem.message


def test_a_name_given_in_two_files_names_both_places():
    write("zoo/a.yml", "Models:\n- Name: same\n")
    write("zoo/b.yml", "Models:\n- Name: other\n- Name: same\n")
    index = load_index(["zoo"])
    (problem,) = index.problems
    assert str(problem.location) == "zoo/b.yml:3:9"
    assert "zoo/a.yml:2:9" in problem.message
    assert names(index) == ["same", "other", "same"]


def test_a_collection_is_looked_for_in_its_own_file_first():
    for name in ("a", "b"):
        collections = f"Collections: [{{Name: ResNet, README: {name}.md}}]\n"
        models = f"Models: [{{Name: {name}, In Collection: ResNet}}]\n"
        write(f"zoo/{name}.yml", collections + models)
    write("zoo/c.yml", "Models: [{Name: c, In Collection: ResNet}]")
    index = load_index(["zoo"])
    assert index.problems == ()
    found = [v.effective("README") for v in index.variants]
    assert [claim and claim.value for claim in found] == ["a.md", "b.md", "a.md"]


def test_the_default_is_the_folder_at_hand_else_the_packaged_one():
    assert default_index() == package_index()
    assert len(load_index([package_index()]).variants) >= 8
    os.makedirs("model-index")
    assert default_index() == Path("model-index")


def test_a_third_party_reader_is_asked_for_other_formats(tmp_path, monkeypatch):
    write("site/lines_reader.py", (
        "from zoo.index.nodes import compose\n"
        "class Lines:\n"
        "    def takes(self, path): return path.endswith('.lines')\n"
        "    def read(self, text):\n"
        "        if 'boom' in text: raise RuntimeError('boom')\n"
        "        return compose(text, text.index('Models'))\n"
        "reader = Lines()\n"
    ))  # fmt: skip
    write("site/lines-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: lines\nVersion: 1\n")
    write("site/lines-1.dist-info/entry_points.txt", "[zoo.readers]\nlines = lines_reader:reader\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    index = load_index([write("a.lines", "%%\nModels:\n- Name: a\n  Layers: x\n")])
    assert names(index) == ["a"]
    assert str(index.problems[0].location) == "a.lines:4:11"
    index = load_index([write("b.lines", "boom")])
    assert index.unusable == ("b.lines",)
    assert "boom" in index.problems[0].message
