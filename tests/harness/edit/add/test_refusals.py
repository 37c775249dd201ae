"""What `zoo add` refuses before it measures anything, each in one line."""

from __future__ import annotations

import os
import shutil

import pytest
from loops import each

LITE = ("--from", "efficientnet_lite0")


@each(
    "name, words",
    [
        ("two\nlines", "control characters"),
        ("x" * 300, "longer than 200 characters"),
        ("", "is not text"),
        (" ", "is empty"),
        ("a\u202eb", "control characters"),
        ("a\x00b", "control characters"),
        ("resnest*", "holds one of * ? [ ]"),
        ("which?", "holds one of * ? [ ]"),
        ("net[1]", "holds one of * ? [ ]"),
        ("-x", "begins with a dash"),
        ("--all", "begins with a dash"),
        ("caf\udce9", "no index can have"),
    ],
)
def test_a_name_that_nobody_could_use(run, folder, name, words):
    done = run("add", "seven.pth", *LITE, f"--name={name}")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(("--name ", "--name: "))
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert not (folder / "model-index.yml").exists()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("new\nline.pth", "rename it"),
        (f"{'é' * 120}.pth", "more than 200 bytes"),
        ("back\\slash.pth", "path separator"),
        (b"caf\xe9.pth", "not UTF-8"),
        ("seven", "rename it"),
        ("a\u202eb.pth", "rename it"),
        ("new\nfolder/seven.pth", "rename it"),
    ],
)
def test_a_file_that_verify_would_refuse_for_its_path(run, folder, file, words):
    path = folder / os.fsdecode(file)
    path.parent.mkdir(exist_ok=True)
    (folder / "seven.pth").rename(path)
    index = ("--index", "model-index.yml")
    done = run("add", path.relative_to(folder), *LITE, "--name", "mine", *index)
    assert done.status == 2
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert not (folder / "model-index.yml").exists()


def test_a_name_that_comes_from_the_file_is_checked_as_well(run, folder):
    (folder / "seven.pth").rename(folder / "se[v]en.pth")
    done = run("add", "se[v]en.pth", *LITE)
    assert done.status == 2
    assert "give the variant another one with --name" in done.err
    done = run("add", "se[v]en.pth", *LITE, "--name", "mine")
    assert done.status == 0, done.err
    status, findings = run.verified("mine")
    assert (status, findings["Weights"]["status"]) == (0, "match")


def test_a_link_has_the_name_of_the_file_that_it_leads_to(run, folder):
    """Which is the one that the entry has."""
    (folder / "seven.pth").rename(folder / "seven-01234567.pth")
    (folder / "link.pth").symlink_to("seven-01234567.pth")
    done = run("add", "link.pth", *LITE)
    assert done.status == 2
    assert "begins with 01234567" in done.err
    (folder / "seven-01234567.pth").rename(folder / "seven.pth")
    (folder / "link-01234567.pth").symlink_to("seven.pth")
    assert run("add", "link-01234567.pth", *LITE, "--name", "mine").status == 0
    assert "Weights: seven.pth\n" in (folder / "model-index.yml").read_text()
    assert run.verified("mine")[0] == 0


def test_an_index_that_can_not_be_written_is_told_before_the_measuring(run, folder):
    """A file that is no checkpoint shows that it was not opened yet."""
    (folder / "page.pth").write_text("<!doctype html>")
    index = folder / "model-index.yml"
    for text, status, words in (
        ("Models:\n- Name: [\n", 2, "not YAML"),
        ("Models: [{Name: one}]\n", 2, "in brackets"),
        ("services: {}\n", 2, "no list of Models"),
        ("Models:\n- Name: one\n", 3, "read-only"),
    ):
        index.write_text(text)
        index.chmod(0o444 if status == 3 else 0o644)
        done = run("add", "page.pth", *LITE)
        assert done.status == status, done.err
        if "YAML" in words:
            assert words in run("add", "page.pth", "--from", "one").err
        assert words in done.err
        assert len(done.err.splitlines()) == 1
        assert index.read_text() == text
        index.chmod(0o644)
    unreadable = folder / os.fsdecode(b"index-\xe9.yml")
    done = run("add", "page.pth", *LITE, "--index", unreadable)
    assert (done.status, "rename it" in done.err) == (2, True), done.err


def test_the_pictures_are_not_run_for_an_entry_that_can_not_be_written(run, folder, few):
    done = run("add", "seven.pth", *LITE, "--data", few, "--dataset", "a\x07b")
    assert (done.status, "Dataset" in done.err) == (2, True), done.err
    assert "called" not in done.err
    assert not (folder / "model-index.yml").exists()


def test_what_is_not_there_is_told_in_the_order_of_the_command_line(run, folder):
    done = run("add", "gone.pth", *LITE, "--index", "nowhere/x.yml")
    assert (done.status, done.err) == (
        2,
        "gone.pth: can't be read: No such file or directory\n",
    )
    for origin, words in (
        ("efficientnet_lit0", "did you mean efficientnet_lite0"),
        ("qwertz", "neither this package nor model-index.yml (--index)"),
    ):
        done = run("add", "seven.pth", "--from", origin)
        assert done.status == 2
        assert words in done.err
        assert "list_models" not in done.err


def test_whose_checkpoint_it_is_is_told_where_that_is_known(run, folder, states):
    import torch

    torch.save(states("efficientnet_lite1", 3), folder / "other.pth")
    done = run("add", "other.pth", *LITE)
    assert (done.status, done.err) == (
        2,
        "other.pth: it is no checkpoint of efficientnet_lite0, but of "
        "efficientnet_lite1: give that as --from\n",
    )
    torch.save(torch.nn.Linear(2, 2).state_dict(), folder / "linear.pth")
    done = run("add", "linear.pth", *LITE)
    assert done.status == 2
    assert "2 extra: " in done.err
    assert len(done.err) < 300


def test_the_collection_is_the_one_that_is_asked_for(run, folder):
    index = folder / "model-index.yml"
    index.write_text("Collections:\n- Name: Roses\n- Name: Petals\n")
    done = run("add", "seven.pth", *LITE, "--collection", "Rosen")
    assert done.status == 2
    assert "no collection 'Rosen'; it has Petals, Roses" in done.err
    done = run("add", "seven.pth", *LITE, "--collection", "Roses")
    assert done.status == 0, done.err
    assert "In Collection: Roses" in index.read_text()
    shutil.copy(folder / "seven.pth", folder / "again.pth")
    done = run("add", "again.pth", *LITE)
    assert done.status == 0, done.err
    assert index.read_text().count("In Collection") == 1


COLLECTION = """\
Collections:
- Name: Petals
  Metadata:
    Classes: 5
    FLOPs Input: 64x64
    Image Size: 64
    Crop Pct: 0.5
    Interpolation: bilinear
    Mean: [0.1, 0.2, 0.3]
    Std: [0.4, 0.5, 0.6]
    FLOPs Convention: macs
"""


def test_what_the_collection_says_of_other_variants_does_not_hold_for_this_one(run, folder):
    (folder / "model-index.yml").write_text(COLLECTION)
    done = run("add", "seven.pth", *LITE, "--collection", "Petals")
    assert done.status == 0, done.err
    status, findings = run.verified("seven")
    assert status == 0
    for field in ("Parameters", "FLOPs", "Weights", "File Size"):
        assert findings[field]["status"] == "match", findings[field]


def test_settings_that_nobody_stated_are_stated_against_a_collection(run, folder):
    """The origin leaves them to the field's defaults, and by those the model is used."""
    from zoo.index import load_index
    from zoo.preprocessing import variant_preprocessing

    index = folder / "model-index.yml"
    index.write_text(
        COLLECTION + "Models:\n- Name: bare\n  Metadata:\n    Base: efficientnet_lite0\n"
    )
    wanted = variant_preprocessing(load_index([index]).variants[0])
    done = run("add", "seven.pth", "--from", "bare", "--collection", "Petals")
    assert done.status == 0, done.err
    added = load_index([index]).variants[1]
    assert added.collection is not None
    assert variant_preprocessing(added) == wanted
    assert added.effective("FLOPs Input").value == (224, 224)
    assert run.verified("seven")[0] == 0


def test_nothing_is_made_of_an_entry_that_can_not_be_read(run, folder):
    """Its Crop Pct would be another one's in the new entry, and the accuracy measured with it."""
    index = folder / "model-index.yml"
    for line in ("Crop Pct: most", "Image Size: large", "Mean: [123.675, 116.28, 103.53]"):
        index.write_text(
            "Models:\n- Name: mine\n  Weights: mine.pth\n  Metadata:\n"
            f"    Base: efficientnet_lite0\n    {line}\n"
        )
        before = index.read_bytes()
        done = run("add", "seven.pth", "--from", "mine", "--name", "new", "--index", index)
        assert done.status == 2
        assert f"mine: {line.partition(':')[0]} is" in done.err
        assert len(done.err.splitlines()) == 1
        assert index.read_bytes() == before


def test_without_from_those_are_named_whose_tensors_it_has(run, folder, states):
    torch = pytest.importorskip("torch")
    torch.save(states("resnest14d", 5), folder / "resnest50d.pth")
    torch.save({"a": torch.ones(2)}, folder / "other.pth")
    (folder / "text.pth").write_text("no checkpoint")
    cases = {
        "seven.pth": ("the tensors of efficientnet_lite0; write --from efficientnet_lite0",),
        "resnest50d.pth": (
            "the tensors of resnest14d, though it is called after resnest50d; "
            "write --from resnest14d",
        ),
        "other.pth": ("the tensors of no variant of this package; write --from VARIANT",),
        "text.pth": ("text.pth: a text file",),
        "nowhere.pth": ("nowhere.pth: the file can't be read",),
    }
    for file, words in cases.items():
        done = run("add", file)
        assert (done.status, done.out) == (2, "")
        assert all(word in done.err for word in words), (file, done.err)
    assert not (folder / "model-index.yml").exists()
