"""The header of a safetensors file: eight bytes of length, then JSON.

The format (safetensors' own description): ``{name: {dtype, shape, data_offsets: [begin, end]}}``
and ``__metadata__``, a map of texts; offsets count from the end of the header, and the tensors
cover the rest of the file without holes or overlaps.

The package ``safetensors`` is not used, because it can't keep what is promised here: it opens a
file by its name and not the one that was checked, imports NumPy or torch to read a header, accepts
a tensor that is named twice, has one error for a file that is cut off and one that lies, and does
not say where a tensor's bytes begin. The tests hold this reader against it.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from zoo._util.files import open_regular, replace_file
from zoo.weights.checkpoint.types import (
    ITEM_SIZES,
    MAX_DIMENSIONS,
    MAX_ELEMENTS,
    CheckpointInfo,
    Extra,
    ReadLimits,
    StorageInfo,
    TensorInfo,
    printable,
    unreadable,
    unsafe,
)

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}
_MAX_DEPTH = 4  # {name: {"shape": [..]}} needs three
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_WHERE = "safetensors header"


def looks_like(head: bytes, size: int) -> bool:
    """Whether a file that begins with these 9 or more bytes is meant to be a safetensors file."""
    return len(head) >= 9 and head[8:9] == b"{" and size > 8


def read_safetensors(file: BinaryIO, size: int, limits: ReadLimits) -> CheckpointInfo:
    """Read and check the header; the tensors' bytes are not read.

    Raises:
        Rejection: the header claims what can't be, or the file is cut off or not in this
            format.
    """
    file.seek(0)
    head = file.read(8)
    if len(head) < 8:
        raise unreadable("a safetensors file that is cut off in its first eight bytes")
    (length,) = struct.unpack("<Q", head)
    if length > limits.header_bytes:
        raise unsafe(f"the header claims {length:,} bytes", f"{_WHERE}, byte 0")
    raw = file.read(length)
    if len(raw) < length:
        raise unreadable(f"a safetensors file that is cut off: its header has {length:,} bytes")
    entries = _parse(raw)
    metadata = entries.pop("__metadata__", None)
    if len(entries) > limits.tensors:
        raise unsafe(f"the header lists {len(entries):,} tensors", _WHERE)
    tensors: list[TensorInfo] = []
    storages: dict[str, StorageInfo] = {}
    start = 8 + length
    for name, entry in entries.items():
        tensor, begin = _tensor(name, entry)
        tensors.append(tensor)
        storages[name] = StorageInfo(name, tensor.nbytes, start + begin)
    _check_cover(storages, start, size)
    return CheckpointInfo(
        "safetensors", tuple(tensors), storages, "", (), _extras(metadata), file_size=size
    )


def _parse(raw: bytes) -> dict[str, object]:
    depth = 0
    for match in _BRACKET.finditer(_STRING.sub(b"", raw)):
        depth += 1 if match.group() in b"[{" else -1
        if depth > _MAX_DEPTH:
            raise unsafe(f"the header nests deeper than {_MAX_DEPTH} levels", _WHERE)
    try:
        parsed = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as e:
        raise unreadable("a safetensors file whose header is not JSON") from e
    if not isinstance(parsed, dict):
        raise unreadable("a safetensors file whose header is not a map of tensors")
    return parsed


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for key, value in pairs:
        if key in made:
            raise unsafe(f"the header names {printable(key)} twice", _WHERE)
        made[key] = value
    return made


def _tensor(name: str, entry: object) -> tuple[TensorInfo, int]:
    shown = printable(name)
    where = f"{_WHERE}, {shown}"
    if not isinstance(entry, dict):
        raise unreadable(f"safetensors header: {shown} is no map")
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry.get("dtype"), str) else None
    if dtype is None:
        raise unreadable(f"safetensors header: {shown} has no dtype that torch knows")
    shape, span = _numbers(entry.get("shape"), where), _numbers(entry.get("data_offsets"), where)
    if len(span) != 2 or span[0] > span[1]:
        raise unsafe("the tensor's offsets run backwards", where)
    count = 1
    for dimension in shape:
        count *= dimension
    if count > MAX_ELEMENTS:
        raise unsafe("the tensor claims more than 10**12 elements", where)
    nbytes = count * ITEM_SIZES[dtype]
    if span[1] - span[0] != nbytes:
        raise unsafe(
            f"the tensor's shape needs {nbytes:,} bytes, and its offsets span"
            f" {printable(format(span[1] - span[0], ','))}",
            where,
        )
    stride: list[int] = []
    step = 1
    for dimension in reversed(shape):
        stride.insert(0, step)
        step *= max(dimension, 1)
    return TensorInfo(name, shape, dtype, nbytes, name, stride=tuple(stride)), span[0]


def _numbers(value: object, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MAX_DIMENSIONS:
        raise unsafe("the tensor's shape or offsets are no short list", where)
    if any(type(v) is not int or not 0 <= v < 1 << 63 for v in value):
        raise unsafe("the tensor's shape or offsets are not numbers from 0 on", where)
    return tuple(value)


def _check_cover(storages: dict[str, StorageInfo], start: int, size: int) -> None:
    """The tensors must cover the rest of the file, each byte once."""
    end = start
    for storage in sorted(storages.values(), key=lambda s: (s.position, s.nbytes)):
        if storage.position != end:
            kind = "shares bytes with another" if storage.position < end else "leaves a hole"
            raise unsafe(f"the tensor {kind}", f"{_WHERE}, {printable(storage.key)}")
        end += storage.nbytes
    if end > size:
        raise unreadable(
            f"a safetensors file that is cut off: its tensors need {end:,} bytes, and the file"
            f" has {size:,}"
        )
    if end < size:
        raise unsafe(f"{size - end:,} bytes follow the last tensor", f"byte {end}")


def _extras(metadata: object) -> tuple[Extra, ...]:
    if metadata is None:
        return ()
    if not isinstance(metadata, dict) or any(type(v) is not str for v in metadata.values()):
        raise unreadable("a safetensors file whose __metadata__ is not a map of texts")
    value = {printable(k): printable(v, 200) for k, v in metadata.items()}
    return (Extra("__metadata__", "value", value=value),)


# -- headers of files on servers, as they are kept in the checkpoint cache -------------------

KEPT = ".zoo-header"
_HEAD = struct.Struct("<32sQ")  # the SHA-256 of the bytes, and the size of the whole file


@dataclass(frozen=True, slots=True)
class Header:
    """What is kept of a file (see `zoo.weights.headers`).

    Attributes:
        data: the first bytes of the file: its header, or as much as shows that it has none.
        size: of the whole file, in bytes.
    """

    data: bytes
    size: int


def read_header(path: Path) -> Header | None:
    """A kept header; None where the file isn't whole, so that it has to be asked for again."""
    try:
        with open_regular(path) as file:
            digest, size = _HEAD.unpack(file.read(_HEAD.size))
            data = file.read()
    except (OSError, struct.error):
        return None
    return Header(data, size) if hashlib.sha256(data).digest() == digest else None


def write_header(path: Path, header: Header) -> None:
    """Keep a header under this name, whole or not at all.

    Raises:
        OSError: the file can't be written.
    """
    digest = hashlib.sha256(header.data).digest()
    replace_file(path, _HEAD.pack(digest, header.size) + header.data, private=True)
