"""Safetensors headers that claim what can't be, and what the library itself says of them."""

from __future__ import annotations

import json
import struct

import safetensors.torch
import torch
from loops import each

from zoo.weights.checkpoint import (
    CheckpointInfo,
    ReadLimits,
    UnreadableCheckpoint,
    UnsafeCheckpoint,
    read_checkpoint,
)


def build(header, data=b"", *, length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


GOOD = {"a": entry([2], 0, 8), "b": entry([3, 1], 8, 20)}

UNSAFE: dict[str, bytes] = {
    "an endless header": build(b"{" + b" " * 50, length=1 << 62),
    "a header of 100 MB": build(b"{", length=100 << 20),
    "overlap": build({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
    "a hole": build({"a": entry([2], 0, 8), "b": entry([2], 12, 20)}, bytes(20)),
    "a late start": build({"a": entry([2], 8, 16)}, bytes(16)),
    "a wrong span": build({"a": entry([3], 0, 8)}, bytes(8)),
    "backwards": build({"a": entry([2], 8, 0)}, bytes(8)),
    "negative": build({"a": entry([-2], 0, 8)}, bytes(8)),
    "negative offsets": build({"a": entry([2], -8, 0)}, bytes(8)),
    "floats": build({"a": entry([2.0], 0, 8)}, bytes(8)),
    "booleans": build({"a": entry([True, 2], 0, 8)}, bytes(8)),
    "a product of 2**70": build({"a": entry([1 << 35, 1 << 35], 0, 8)}, bytes(8)),
    "a zero that hides it": build({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8)),
    "a thousand dimensions": build({"a": entry([1] * 1000, 0, 4)}, bytes(4)),
    "a text for a shape": build({"a": entry("2", 0, 8)}, bytes(8)),
    "bytes after the last": build(GOOD, bytes(21)),
    "a name twice": build(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        bytes(4),
    ),
    "deep": build(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "deep maps": build(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
}
UNREADABLE: dict[str, bytes] = {
    "a longer header than file": build(b"{" + b" " * 50, length=60),
    "cut off": build(GOOD, bytes(19)),
    "no JSON": build(b"{" + b"x" * 50),
    "not UTF-8": build(b'{"\xff\xfe": 1}'),
    "an open bracket": build(b'{"a": ['),
    "a list": build(b'{}[{"a":1}]'),
    "an unknown dtype": build({"a": entry([2], 0, 8, "F31")}, bytes(8)),
    "a dtype that is a list": build({"a": entry([2], 0, 8, ["F32"])}, bytes(8)),
    "no map": build({"a": 3}),
    "metadata that is no text": build({"__metadata__": {"a": 1}, **GOOD}, bytes(20)),
    "an endless number": build(b'{"a":' + b"9" * 100_000 + b"}"),
    "nothing in it": build({}),
}


def library_accepts(path):
    try:
        safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, KeyError, ValueError, OSError):
        return False
    return True


def test_the_good_one(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(build(GOOD, bytes(20)))
    assert library_accepts(path)
    contents = read_checkpoint(path)
    assert isinstance(contents, CheckpointInfo)
    assert [(t.name, t.shape, t.stride) for t in contents.tensors] == [
        ("a", (2,), (1,)),
        ("b", (3, 1), (1, 1)),
    ]


@each("name", UNSAFE)
def test_headers_that_deceive(name, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(UNSAFE[name])
    assert isinstance(read_checkpoint(path), UnsafeCheckpoint)
    # The library takes these two. Which of two equal keys counts is its parser's choice.
    if name not in ("a name twice", "a thousand dimensions"):
        assert not library_accepts(path)


@each("name", UNREADABLE)
def test_damaged_headers(name, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(UNREADABLE[name])
    assert isinstance(read_checkpoint(path), UnreadableCheckpoint)
    if name != "nothing in it":
        assert not library_accepts(path)


def test_a_header_whose_length_begins_like_another_format(tmp_path):
    """Its first bytes are a number: 123 reads as a brace, 0x8b1f as gzip."""
    path = tmp_path / "a.bin"
    for length in (0x3C, 123, 0x5A4D, 0x4B50, 0x8B1F):
        raw = json.dumps({"a": entry([2], 0, 8)}).encode()
        path.write_bytes(build(raw.ljust(length), bytes(8)))
        if length >= len(raw):
            assert isinstance(read_checkpoint(path), CheckpointInfo), length


def test_parallel_prefix_and_limits(tmp_path):
    path = tmp_path / "a.safetensors"
    safetensors.torch.save_file({f"module.w{i}": torch.ones(2) for i in range(9)}, path)
    contents = read_checkpoint(path)
    assert isinstance(contents, CheckpointInfo)
    assert contents.prefixes == ("module.",)
    assert contents.tensors[0].name == "w0"
    assert isinstance(read_checkpoint(path, limits=ReadLimits(tensors=8)), UnsafeCheckpoint)
    assert isinstance(read_checkpoint(path, limits=ReadLimits(header_bytes=50)), UnsafeCheckpoint)
