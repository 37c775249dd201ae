"""Zip archives that are bombs, that climb, that lie, or that are damaged."""

from __future__ import annotations

import io
import stat
import struct
import zipfile

import pytest
import torch
from loops import each

from zoo.weights.checkpoint import (
    CheckpointInfo,
    UnreadableCheckpoint,
    UnsafeCheckpoint,
    read_checkpoint,
)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.pth"
    torch.save({"w": torch.arange(100.0), "b": torch.ones(3)}, path)
    assert isinstance(read_checkpoint(path), CheckpointInfo)
    return path.read_bytes()


@pytest.fixture
def answer(tmp_path):
    def read(data):
        path = tmp_path / "model.pth"
        path.write_bytes(data)
        return read_checkpoint(path)

    return read


def repacked(data, change, method=0):
    """The same members written anew by zipfile, and what ``change`` adds."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", method) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
        change(new)
    return out.getvalue()


def adding(name, content=b"x", mode=0):
    def change(archive):
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        info.external_attr = mode << 16
        info.create_system = 3
        archive.writestr(info, content)

    return change


def test_an_archive_packed_again_is_read(good, answer):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        contents = answer(repacked(good, lambda _: None, method))
        assert isinstance(contents, CheckpointInfo)
        assert {t.name: t.shape for t in contents.tensors} == {"w": (100,), "b": (3,)}


@each(
    "name",
    ["../evil", "good/../../evil", "/etc/evil", "C:/evil", "good\\evil", "good/a\nb",
     "good//evil", "good/\x1b[2Jevil", "good/./evil"],
)  # fmt: skip
def test_names_that_climb_or_hide(name, good, answer):
    found = answer(repacked(good, adding(name)))
    assert isinstance(found, UnsafeCheckpoint), found
    assert str(found).isprintable()


def test_links_and_devices_in_the_archive(good, answer):
    link = answer(repacked(good, adding("good/link", b"/etc/passwd", stat.S_IFLNK | 0o777)))
    assert isinstance(link, UnsafeCheckpoint)
    assert "symbolic link" in link.what
    assert isinstance(answer(repacked(good, adding("good/p", b"", stat.S_IFIFO))), UnsafeCheckpoint)
    plain = answer(repacked(good, adding("good/plain", b"x", stat.S_IFREG | 0o644)))
    assert isinstance(plain, CheckpointInfo)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(good, answer):
    found = answer(repacked(good, adding("good/data.pkl", b"\x80\x02N.")))
    assert isinstance(found, UnsafeCheckpoint)
    assert "one name" in found.what


def test_a_second_data_pkl_and_code(good, answer):
    for name, content in {
        "evil/data.pkl": b"\x80\x02N.",
        "good/code/a.py": b"import os",
        "good/hook.py": b"import os",
    }.items():
        assert isinstance(answer(repacked(good, adding(name, content))), UnsafeCheckpoint), name


def test_bombs(good, answer):
    zeros = bytes(50_000_000)
    bomb = answer(repacked(good, adding("good/data/7", zeros), zipfile.ZIP_DEFLATED))
    # writestr with a ZipInfo stores; compress this member by hand.
    assert isinstance(bomb, CheckpointInfo)

    def deflated(archive):
        archive.writestr("good/data/7", zeros, zipfile.ZIP_DEFLATED)

    bomb = answer(repacked(good, deflated))
    assert isinstance(bomb, UnsafeCheckpoint)
    assert "zip bomb" in bomb.what


def test_a_pickle_that_inflates_to_more_than_it_says(answer):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(range(256)) * 40)
    data = bytearray(out.getvalue())
    # Understate its size in both headers.
    central = data.find(b"PK\x01\x02")
    struct.pack_into("<L", data, 22, 100)
    struct.pack_into("<L", data, central + 24, 100)
    found = answer(bytes(data))
    assert isinstance(found, UnsafeCheckpoint)
    assert "more than the archive declares" in found.what


def test_overlapping_members(good, answer):
    """A stored member that is said, twice over, to reach into the next one."""
    data = bytearray(repacked(good, lambda _: None))
    local, central = data.find(b"PK\x03\x04"), data.find(b"PK\x01\x02")
    (size,) = struct.unpack_from("<L", data, local + 18)
    for at in (local + 18, local + 22, central + 20, central + 24):
        struct.pack_into("<L", data, at, size + 40)
    found = answer(bytes(data))
    assert isinstance(found, UnsafeCheckpoint)
    assert "share bytes" in found.what


def test_directory_and_header_that_disagree(good, answer):
    data = bytearray(repacked(good, lambda _: None))
    local = data.find(b"good/data/0")
    changed = bytes(data[:local] + b"good/data/9" + data[local + 11 :])
    assert isinstance(answer(changed), UnsafeCheckpoint)
    struct.pack_into("<L", data, local - 30 + 22, 1)
    assert isinstance(answer(bytes(data)), UnsafeCheckpoint)


def test_encrypted_members(good, answer):
    data = bytearray(good)
    at = data.find(b"PK\x01\x02")
    struct.pack_into("<H", data, at + 8, 0x801)
    found = answer(bytes(data))
    assert isinstance(found, UnreadableCheckpoint)
    assert "encrypted" in found.why


def test_every_truncation_is_unreadable(good, answer):
    for length in range(0, len(good), 7):
        found = answer(good[:length])
        assert isinstance(found, UnreadableCheckpoint), (length, found)
    assert isinstance(answer(b"MZ" + good), UnreadableCheckpoint)
    before = answer(b"PK\x03\x04" + bytes(26) + good)
    assert isinstance(before, UnreadableCheckpoint)
    assert "something was put before it" in before.why
    assert isinstance(answer(good + b"tail"), UnreadableCheckpoint)


def test_many_members(tmp_path, answer):
    """An end record that lists 4 billion members is not believed, nor counted up to."""
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0, 30, 0)
    assert isinstance(answer(b"PK\x03\x04" + bytes(26) + end), UnreadableCheckpoint)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 1 << 31, 30, 0)
    assert isinstance(
        answer(b"PK\x03\x04" + bytes(26) + end), UnreadableCheckpoint | UnsafeCheckpoint
    )


@each(
    "data, said",
    [
        (b"", "empty"),
        (bytes(5000), "zero bytes"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "HTML page"),
        (b"\n\n  <html lang='en'>", "HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML"),
        (b'{"error": "not found"}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "LFS pointer"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip"),
        (b"\xfd7zXZ\x00" + bytes(100), "xz"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"404: Not Found", "text file"),
        (b"checkpoint moved\nsee elsewhere\n", "text file"),
        (b"\x00\x01\x02\x03 random \xff\xfe", "no known format"),
        (b"PK\x03\x04" + bytes(100), "zip archive"),
        (b"\x80\x02}q\x00(X\x05\x00\x00\x00", "cut off"),
    ],
)
def test_what_a_file_is_instead(data, said, answer):
    found = answer(data)
    assert isinstance(found, UnreadableCheckpoint)
    assert said in found.why


def test_a_tar_and_an_npz(tmp_path):
    import tarfile

    import numpy as np

    with tarfile.open(tmp_path / "a.pth", "w") as archive:
        archive.add(__file__, "a")
    found = read_checkpoint(tmp_path / "a.pth")
    assert isinstance(found, UnreadableCheckpoint)
    assert "tar archive" in found.why
    np.savez(tmp_path / "b.npz", w=np.ones(3))
    found = read_checkpoint(tmp_path / "b.npz")
    assert isinstance(found, UnreadableCheckpoint)
    assert "npz" in found.why


def test_truncated_legacy_files(tmp_path):
    path = tmp_path / "legacy.pth"
    torch.save(
        {"w": torch.arange(100.0), "b": torch.ones(3)}, path, _use_new_zipfile_serialization=False
    )
    data = path.read_bytes()
    for length in range(1, len(data), 5):
        path.write_bytes(data[:length])
        found = read_checkpoint(path)
        assert isinstance(found, UnreadableCheckpoint), (length, found)
    assert "cut off" in str(found)
