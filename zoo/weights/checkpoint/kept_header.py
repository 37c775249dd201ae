"""The first bytes of a safetensors file on a server, as they are kept in the checkpoint cache."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

from zoo._util.files import open_regular, replace_file

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
