"""Wrong labels and hostile files: one clear line each, or an image reported by name."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib

import numpy as np
import pytest
import yaml
from PIL import Image

from harness.datasets import ImageSetError, UnreadableImage, find_unreadable, open_image_set


def refusal(place):
    """The one line with which a path is refused."""
    with pytest.raises(ImageSetError) as caught:
        open_image_set(place)
    text = str(caught.value)
    assert "\n" not in text
    assert str(place) in text or str(place.parent) in text
    return text


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("ILSVRC2012_val_00000003.JPEG 1000", ":3: class index 1000 is out of range"),
        ("ILSVRC2012_val_00000003.JPEG -1", ":3: '-1' is neither a class index nor a synset"),
        ("ILSVRC2012_val_00000003.JPEG 7.0", ":3: '7.0' is neither"),
        ("ILSVRC2012_val_00000003.JPEG " + "9" * 5000, ":3: "),
        ("ILSVRC2012_val_00000003.JPEG n00000001", "n00000001 is not one of ImageNet's 1,000"),
        ("ILSVRC2012_val_00000003.JPEG", "is no line NAME LABEL"),
        ("ILSVRC2012_val_00000002.JPEG 7", ":3: ILSVRC2012_val_00000002.JPEG is labelled twice"),
        ("ILSVRC2012_val_00000002 7", "means ILSVRC2012_val_00000002.JPEG, which has a label"),
        ("", "1 of 24 images have no line"),
    ],
)
def test_a_wrong_line_of_labels_is_named(wrong, expected, plain_set):
    labels = plain_set / "labels.txt"
    lines = labels.read_text().splitlines()
    lines[2] = wrong
    labels.write_text("\n".join(lines))
    assert expected in refusal(plain_set)


def test_labels_without_images_are_reported_and_lead_nowhere(plain_set):
    (plain_set.parent / "secret.jpg").write_bytes(b"not for us")
    with (plain_set / "labels.txt").open("a") as file:
        file.write("gone.JPEG 5\n../secret.jpg 6\n/etc/passwd 7\n")
    images = open_image_set(plain_set)
    assert len(images) == 24
    assert images.missing == ("gone.JPEG", "../secret.jpg", "/etc/passwd")


def test_images_without_any_label_are_refused(flat):
    text = refusal(flat)
    assert "there is no label for ILSVRC2012_val_00000001.JPEG" in text
    assert "labels.txt" in text


def test_the_ground_truth_is_never_taken_for_class_indices(flat):
    (flat / "ILSVRC2012_validation_ground_truth.txt").write_text("5\n" * 24)
    assert "only the kit's meta.mat translates" in refusal(flat)
    (flat / "meta.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    pytest.importorskip("scipy")
    assert "its meta.mat can't be used" in refusal(flat)


def test_an_id_out_of_range_is_named(forms, given, tmp_path):
    place = forms["kit"](tmp_path / "set", given)
    truth = place / "ILSVRC2012_validation_ground_truth.txt"
    right = truth.read_text()
    for line in ("0", "1001", "x", "9" * 5000):
        truth.write_text(right + line + "\n")
        assert ":25:" in refusal(place)


def test_labels_by_order_need_as_many_images(flat):
    for number, path in enumerate(sorted(flat.iterdir())):
        path.rename(flat / f"{number}.jpg")
    (flat / "synsets.txt").write_text("n01440764\n" * 23)
    assert "it labels 23 images by their order, and" in refusal(flat)


def test_the_numbers_in_names_say_which_line_is_theirs(forms, given, tmp_path):
    """A part of the validation set keeps its labels."""
    place = forms["bare synsets"](tmp_path / "set", given)
    for image in given[:20]:
        (place / image.name).unlink()
    images = open_image_set(place)
    assert list(images.labels) == [image.label for image in given[20:]]


def test_folders_that_are_no_classes_are_refused(tmp_path, given):
    for name in ("n01440764", "n99999999"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(given[0].data)
    assert "n99999999 is not one of ImageNet's 1,000 synsets" in refusal(tmp_path)
    (tmp_path / "n99999999").rename(tmp_path / "others")
    assert "'others' is neither a class index nor a synset" in refusal(tmp_path)
    (tmp_path / "n01440764").rename(tmp_path / "mine")
    said = refusal(tmp_path)
    assert "there is no image set in it (it holds mine, others)" in said
    assert 'write Class Names: ["mine", "others"]' in said
    (tmp_path / "mine").rename(tmp_path / "a, b: no")
    (tmp_path / "others").rename(tmp_path / "no")
    written = refusal(tmp_path).partition("write ")[2].partition(" into the entry")[0]
    assert yaml.safe_load(written) == {"Class Names": ["a, b: no", "no"]}


def test_other_files_are_listed_as_ignored(forms, given, tmp_path):
    place = forms["synset folders"](tmp_path / "set", given)
    (place / "n01440764" / "notes.txt").write_text("hello")
    (place / "n01440764" / "deeper.jpg").mkdir()
    (place / "overview.png").write_bytes(given[0].data)
    (place / ".DS_Store").write_bytes(b"")
    images = open_image_set(place)
    assert len(images) == 24
    assert set(images.ignored) == {"overview.png", "n01440764/notes.txt", "n01440764/deeper.jpg"}


def test_links_to_nothing_pipes_and_forbidden_files_stay_in_the_set(forms, given, tmp_path):
    place = forms["synset folders"](tmp_path / "set", given)
    folder = place / "n01440764"
    (folder / "broken.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (place / "around").symlink_to("around")
    images = open_image_set(place)
    found = {item.name: item.why for item in find_unreadable(images)}
    assert found["n01440764/broken.jpg"] == "No such file or directory"
    assert found["n01440764/pipe.jpg"] == "a pipe, not a regular file"
    assert found["n01440764/loop.jpg"] == "Too many levels of symbolic links"
    assert len(images) == 27
    assert images.ignored == ("around",)


@pytest.mark.parametrize("name", ["val.tar", "val.parquet"])
def test_a_pipe_in_place_of_an_archive_is_not_waited_for(name, tmp_path):
    os.mkfifo(tmp_path / name)
    # Held open with something in it: who reads it all the same gets that, and doesn't wait.
    pipe = os.open(tmp_path / name, os.O_RDWR | os.O_NONBLOCK)
    os.write(pipe, b"x" * 1024)
    assert "it is no regular file" in refusal(tmp_path)
    os.close(pipe)


def test_a_giant_image_is_reported_and_not_decoded(plain_set, given):
    small = io.BytesIO()
    Image.new("1", (1, 1)).save(small, "PNG")
    bomb = bytearray(small.getvalue())
    bomb[16:24] = (20_000).to_bytes(4, "big") * 2  # What its header claims; the rest is small.
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    (plain_set / given[0].name).write_bytes(bomb)
    with (plain_set / given[1].name).open("wb") as file:
        file.truncate(300 << 20)
    found = {item.name: item.why for item in find_unreadable(open_image_set(plain_set))}
    assert "decompression bomb" in found[given[0].name]
    assert "more than the limit" in found[given[1].name]


def test_a_member_that_leads_out_of_its_archive_is_refused(tmp_path, tar_writer, make_given):
    for name in ("../n01440764/a.JPEG", "/n01440764/a.JPEG", "n01440764/../../a.JPEG"):
        path = tar_writer(tmp_path / "val.tar", [make_given(name, b"x", 0)])
        assert "leads out of the archive" in refusal(path)


def test_a_link_in_an_archive_is_never_followed(tmp_path, given):
    path = tmp_path / "val.tar"
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(given[0].data)
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("n01440764/good.JPEG")
        member.size = len(given[0].data)
        archive.addfile(member, io.BytesIO(given[0].data))
        for name, kind in (("sym", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(f"n01440764/{name}.JPEG")
            member.type, member.linkname = kind, str(secret)
            archive.addfile(member)
    images = open_image_set(path)
    assert images.names == ("n01440764/good.JPEG", "n01440764/hard.JPEG", "n01440764/sym.JPEG")
    assert images.read(0) == given[0].data
    for index in (1, 2):
        found = images.read(index)
        assert isinstance(found, UnreadableImage)
        assert "never followed" in found.why


def test_archives_that_are_no_image_sets_are_refused(forms, given, tmp_path, tar_writer):
    good = forms["tar of folders"](tmp_path / "a", given)
    twice = tar_writer(tmp_path / "twice.tar", [given[0], given[0]], "n01440764/")
    assert "twice" in refusal(twice)
    whole, cut = good.read_bytes(), tmp_path / "cut.tar"
    with tarfile.open(good) as archive:
        member = archive.getmembers()[12]
    # In an image, in a header, and just between two members.
    for length in (member.offset_data + 700, member.offset + 100, member.offset):
        cut.write_bytes(whole[:length])
        assert "no whole, uncompressed tar archive" in refusal(cut)
    cut.write_bytes(whole[: member.offset] + b"?" * 512 + whole[member.offset + 512 :])
    assert "no whole, uncompressed tar archive" in refusal(cut)
    zipped = tmp_path / "zipped.tar"
    zipped.write_bytes(gzip.compress(good.read_bytes()))
    assert "no whole, uncompressed tar archive" in refusal(zipped)
    assert "unpack it" in refusal(zipped.rename(tmp_path / "zipped.tar.gz"))
    empty = tar_writer(tmp_path / "empty.tar", [])
    assert "there is no image in it" in refusal(empty)


def test_several_archives_are_read_where_they_are_one_series(forms, given, tmp_path, tar_writer):
    root = tmp_path / "several"
    for name in ("photos.tar", "scans.tar"):
        tar_writer(root / name, given, "n01440764/")
    assert "give the path of one, or of several as a pattern" in refusal(root)
    assert len(open_image_set(root / "photos.tar")) == len(given)
    # Images of one name in two archives are two images.
    assert len(open_image_set(root / "*.tar")) == 2 * len(given)
    assert "there is no such file" in refusal(root / "*.gz")
    assert "can't be read" in refusal(root / "scans-{0..2}.tar")
    # A shard in which one image has no label is labelled by names, and here they tell none.
    shards = forms["shards"](tmp_path / "shards", given)
    tar_writer(shards / "imagenet1k-validation-09.tar", given[:1], "more/")
    (shards / "labels.txt").unlink()
    assert f"-09.tar: more/{given[0].name} has no label beside it" in refusal(shards)


def test_a_sample_of_a_shard_is_what_has_one_name_up_to_the_first_dot(tmp_path):
    def shard(**texts):
        members = [("a/1.input.jpg", b"x"), ("b/1.input.jpg", b"y"), *texts.items()]
        place = tmp_path / f"val-{len(list(tmp_path.iterdir()))}.tar"
        with tarfile.open(place, "w") as archive:
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return place

    both = {"a/1.cls": b"7\n", "b/1.json": b'{"label": 8}'}
    assert open_image_set(shard(**both)).labels == (7, 8)
    exact = {**both, "a/1.input.cls": b"5"}
    assert open_image_set(shard(**exact)).labels == (5, 8)
    assert "a/1.input.jpg has no label beside it" in refusal(shard(**{"b/1.cls": b"8"}))
    assert "'8.5' is neither a class index" in refusal(shard(**both | {"b/1.json": b'{"cls":8.5}'}))


def test_a_folder_around_an_unpacked_archive_is_looked_into(forms, given, tmp_path):
    inner = "imagenetv2-top-images-format-val"
    forms["index folders"](tmp_path / "v2" / inner, given)
    assert open_image_set(tmp_path / "v2").where == str(tmp_path / "v2" / inner)
    forms["index folders"](tmp_path / "all" / "train", given)
    assert "there is no image set in it" in refusal(tmp_path / "all")
    assert "there is no image set in it" in refusal(tmp_path)


def test_files_that_a_shard_names_lie_beside_it(tmp_path, given):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "secret.jpg").write_bytes(given[0].data)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "own.jpg").write_bytes(given[0].data)
    paths = ["own.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), "nowhere.jpg", None]
    table = arrow.table({"image": [{"path": path} for path in paths], "label": [1] * len(paths)})
    parquet.write_table(table, tmp_path / "set" / "a.parquet")
    images = open_image_set(tmp_path / "set" / "a.parquet")
    assert images.read(0) == given[0].data
    assert [type(images.read(n)).__name__ for n in range(1, 5)] == ["UnreadableImage"] * 4


def test_shards_that_are_no_image_sets_are_refused(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    shard = tmp_path / "a.parquet"
    shard.write_bytes(b"PAR1 and no more")
    assert "it can't be read" in refusal(shard)
    parquet.write_table(arrow.table({"x": [1]}), shard)
    assert "its columns are x; an image set needs image" in refusal(shard)
    for label in (-1, 1000, None, "cat"):
        labels = ["5", label] if isinstance(label, str) else [5, label]
        table = arrow.table({"image": [{"bytes": b"x"}] * 2, "label": labels})
        parquet.write_table(table, shard)
        assert "row 1: its label: " in refusal(shard)


def test_a_damaged_row_group_costs_its_own_images(forms, given, tmp_path):
    forms["parquet"](tmp_path / "set", given)
    shard = next((tmp_path / "set" / "data").glob("validation-00000*"))
    data = bytearray(shard.read_bytes())
    place = data.index(given[0].data[200:240])  # Noise after the headers of the first image.
    status = shard.stat()
    data[place - 150 : place + 40] = bytes(np.random.default_rng(0).bytes(190))
    shard.write_bytes(data)
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    images = open_image_set(tmp_path / "set")
    good = [images.read(i) == given[i].data for i in range(24)]
    assert not good[0]
    assert all(good[5:])
