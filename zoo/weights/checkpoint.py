"""The one door to a checkpoint file: what it holds, or why it must not or can't be read.

`read_checkpoint` describes the tensors of a file without importing torch, without reading their
bytes, and without running anything that the file asks to run. Every file gets one answer:
`Contents`, `Unsafe` or `Unreadable`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from zoo._util.files import NotRegularFileError, open_regular
from zoo.weights.formats.globals import ForbiddenGlobal
from zoo.weights.formats.safetensors import looks_like, read_safetensors
from zoo.weights.formats.sniff import is_text, sniff
from zoo.weights.formats.torchfile import read_legacy, read_zip
from zoo.weights.formats.types import (
    Contents,
    Extra,
    Limits,
    Refused,
    StorageInfo,
    TensorInfo,
    Unreadable,
    Unsafe,
    printable,
    unreadable,
    unsafe,
)
from zoo.weights.formats.unwrap import contents_of, strip_prefixes

__all__ = [
    "Contents",
    "Extra",
    "Limits",
    "StorageInfo",
    "TensorInfo",
    "Unreadable",
    "Unsafe",
    "read_checkpoint",
]

_HEAD = 1024
_NO_LIMITS_GIVEN = Limits()


def read_checkpoint(
    path: Path,
    *,
    limits: Limits = _NO_LIMITS_GIVEN,
    within: Path | None = None,
    entry: str | None = None,
) -> Contents | Unsafe | Unreadable:
    """Describe a checkpoint file: torch's zip and legacy formats, and safetensors.

    Args:
        path: the file.
        limits: what it may ask for.
        within: a folder that the file must lie in, symbolic links followed.
        entry: which of the file's state dicts, as `Contents.others` names it; None for the usual
            one.

    Returns:
        Its contents, or one sentence about why there are none. Nothing is raised for what is in
        the file, and nothing of it is executed.
    """
    try:
        with _open(path, within) as file:
            size = os.fstat(file.fileno()).st_size
            return _read(file, path, size, limits, entry)
    except Refused as e:
        return e.result
    except OSError as e:
        return Unreadable(f"the file can't be read: {e.strerror or type(e).__name__}")


def _read(file: BinaryIO, path: Path, size: int, limits: Limits, entry: str | None) -> Contents:
    head = file.read(_HEAD)
    if path.suffix == ".safetensors" or looks_like(head, size):
        # A header's length may begin as any other file does; a text there is no length.
        known = sniff(head)
        if known is not None and (is_text(head[:8]) or not looks_like(head, size)):
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
    known = sniff(head)
    if known is not None:
        raise unreadable(known)
    try:
        return contents_of(read_legacy(file, size, limits), "legacy", size, entry)
    except Refused as e:
        if head.startswith(b"\x80") or _names_a_class(e):
            raise
        what = "a text file" if is_text(head) else "a file of no known format"
        raise unreadable(f"{what}, not a checkpoint") from e


def _names_a_class(refusal: Refused) -> bool:
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
