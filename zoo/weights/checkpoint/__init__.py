"""What a checkpoint file holds, found out without torch and without running anything of it.

`read_checkpoint` is the one door. It describes the tensors of a file without importing torch,
without reading their bytes, and without running anything that the file wants to run. Every file
gets one answer: `CheckpointInfo`, `UnsafeCheckpoint` or `UnreadableCheckpoint`.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from zoo._util.files import NotRegularFileError, open_regular
from zoo.weights.checkpoint.allowlist import ForbiddenGlobal
from zoo.weights.checkpoint.safetensors import looks_like, read_safetensors
from zoo.weights.checkpoint.state_dict import contents_of, strip_prefixes
from zoo.weights.checkpoint.torchfile import read_legacy, read_zip
from zoo.weights.checkpoint.types import (
    CheckpointInfo,
    Extra,
    ReadLimits,
    Rejection,
    StorageInfo,
    TensorInfo,
    UnreadableCheckpoint,
    UnsafeCheckpoint,
    printable,
    unreadable,
    unsafe,
)

__all__ = [
    "CheckpointInfo",
    "Extra",
    "ReadLimits",
    "StorageInfo",
    "TensorInfo",
    "UnreadableCheckpoint",
    "UnsafeCheckpoint",
    "read_checkpoint",
    "read_safetensors_header",
]

# (offset, bytes, what such a file is)
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself"),
    (0, b"\x1f\x8b", "a gzip file; unpack it first"),
    (0, b"BZh", "a bzip2 file; unpack it first"),
    (0, b"\xfd7zXZ\x00", "an xz file; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"PK", "a damaged zip archive"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras weights), not a torch checkpoint"),
    (0, b"\x93NUMPY", "a numpy array (.npy), not a torch checkpoint"),
    (0, b"GGUF", "a GGUF file, not a torch checkpoint"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"\x7fELF", "a program (ELF)"),
    (0, b"MZ", "a program (Windows)"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
)
# What the text begins with, in small letters.
_TEXTS: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((b"<!doctype html", b"<html", b"<head"), "an HTML page, not a checkpoint"),
    ((b"<?xml",), "an XML document, such as a storage service's error message"),
    ((b"{", b"["), "a JSON text, such as a server's error message"),
)
_TAR_AT, _TAR = 257, b"ustar"
_HEAD = 1024
_NO_LIMITS_GIVEN = ReadLimits()


def read_checkpoint(
    path: Path,
    *,
    limits: ReadLimits = _NO_LIMITS_GIVEN,
    within: Path | None = None,
    entry: str | None = None,
) -> CheckpointInfo | UnsafeCheckpoint | UnreadableCheckpoint:
    """Describe a checkpoint file: torch's zip and legacy formats, and safetensors.

    Args:
        path: the file.
        limits: what it may ask for.
        within: a folder that the file must lie in, symbolic links followed.
        entry: which of the file's state dicts (see `CheckpointInfo.others`); None for the usual
            one.

    Returns:
        Its contents, or one sentence about why there are none. Nothing is raised for what is in
        the file, and nothing of it is executed.
    """
    try:
        with _open(path, within) as file:
            size = os.fstat(file.fileno()).st_size
            return _read(file, path, size, limits, entry)
    except Rejection as e:
        return e.result
    except OSError as e:
        return UnreadableCheckpoint(f"the file can't be read: {e.strerror or type(e).__name__}")


def read_safetensors_header(
    data: bytes, size: int
) -> CheckpointInfo | UnsafeCheckpoint | UnreadableCheckpoint:
    """Describe a safetensors file of ``size`` bytes by its first ones, which hold its header."""
    try:
        return _read(io.BytesIO(data), Path("header.safetensors"), size, _NO_LIMITS_GIVEN, None)
    except Rejection as e:
        return e.result


def _read(
    file: BinaryIO, path: Path, size: int, limits: ReadLimits, entry: str | None
) -> CheckpointInfo:
    head = file.read(_HEAD)
    if path.suffix == ".safetensors" or looks_like(head, size):
        # A header's length may begin as any other file does; a text there is no length.
        known = _sniff(head)
        if known is not None and (_is_text(head[:8]) or not looks_like(head, size)):
            raise unreadable(known)
        contents = read_safetensors(file, size, limits)
        if not contents.tensors:
            raise unreadable("a safetensors file without tensors")
        prefixes, names = strip_prefixes([t.name for t in contents.tensors])
        tensors = zip(contents.tensors, names, strict=True)
        renamed = tuple(replace(t, name=n) for t, n in tensors)
        return replace(contents, tensors=renamed, prefixes=prefixes)
    if head.startswith(b"PK\x03\x04"):
        return contents_of(read_zip(file, size, limits), "zip", size, entry)
    known = _sniff(head)
    if known is not None:
        raise unreadable(known)
    try:
        return contents_of(read_legacy(file, size, limits), "legacy", size, entry)
    except Rejection as e:
        if head.startswith(b"\x80") or _names_a_class(e):
            raise
        what = "a text file" if _is_text(head) else "a file of no known format"
        raise unreadable(f"{what}, not a checkpoint") from e


def _names_a_class(refusal: Rejection) -> bool:
    """Whether a file without a pickle's opening is one after all (protocols 0 and 1).

    Any text that begins with ``c`` could pass for one, so the class has to look like a name.
    """
    return isinstance(refusal, ForbiddenGlobal) and all(
        part.isidentifier() for part in refusal.name.split(".")
    )


def _open(path: Path, within: Path | None) -> BinaryIO:
    """Open a regular file, never waiting for a pipe and never touching a device."""
    if within is not None:
        try:
            real = path.resolve(strict=True)
            folder = within.resolve(strict=True)
        except RuntimeError:  # a loop of links, before Python 3.13
            raise unsafe("the file is a symbolic link to itself", printable(path.name)) from None
        if not real.is_relative_to(folder):
            raise unsafe("the file is a symbolic link out of its folder", printable(path.name))
        path = real
    try:
        return open_regular(path, follow_links=within is None)
    except NotRegularFileError as error:
        raise unreadable(f"{error.kind}, not a file") from None


def _sniff(head: bytes) -> str | None:
    """What a file is by its first bytes (1 KiB is enough), None where they say nothing."""
    if not head:
        return "an empty file"
    if not head.strip(b"\0"):
        return "a file of zero bytes, which a broken download leaves"
    if head[_TAR_AT : _TAR_AT + 5] == _TAR:
        if head.startswith((b"storages\0", b"tensors\0", b"pickle\0", b"sys_info\0")):
            return "a checkpoint in the tar format of torch before 0.2; save it again"
        return "a tar archive; unpack it first"
    binary = (name for offset, magic, name in _MAGIC if head[offset:].startswith(magic))
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    textual = (name for openings, name in _TEXTS if text.startswith(openings))
    return next(binary, None) or next(textual, None)


def _is_text(head: bytes) -> bool:
    """Whether the bytes read as text, so that they are no pickle in a binary protocol."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as e:
        if e.start < len(head) - 4:
            return False
    return not any(c < 32 and c not in b"\t\n\r\f" for c in head)
