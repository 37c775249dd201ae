"""Naming what a file is that is no checkpoint: people download pages and pointers all the time."""

from __future__ import annotations

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
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
)
# What the text begins with, in small letters.
_TEXTS: tuple[tuple[tuple[bytes, ...], str], ...] = (
    ((b"<!doctype html", b"<html", b"<head"), "an HTML page, not a checkpoint"),
    ((b"<?xml",), "an XML document, such as a storage service's error message"),
    ((b"{", b"["), "a JSON text, such as a server's error message"),
)
_TAR_AT, _TAR = 257, b"ustar"


def sniff(head: bytes) -> str | None:
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


def is_text(head: bytes) -> bool:
    """Whether the bytes read as text, so that they are no pickle in a binary protocol."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as e:
        if e.start < len(head) - 4:
            return False
    return not any(c < 32 and c not in b"\t\n\r\f" for c in head)
