"""The members of a zip archive, read with suspicion.

The standard library's `zipfile` parses the directory, within bounds. But it is lenient: it skips
what stands before an archive, believes the directory without looking at the members' own
headers, and lets two members share bytes. Here the two must agree, members may not overlap, and
their names may only go down.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from zoo.weights.checkpoint.types import ReadLimits, printable, unreadable, unsafe

_END = struct.Struct("<4s4H2LH")  # PKWARE's APPNOTE.TXT 4.3.16
_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7
_ENTRY = b"PK\x01\x02"
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x1, 0x8, 0x800
_ALL_ONES = (0xFFFF, 0xFFFFFFFF)  # "see the zip64 record"
_ANY_TAIL = 1 << 17  # what zipfile reads to find the directory, and more


@dataclass(frozen=True, slots=True)
class Member:
    """One entry: ``position`` is where its bytes begin in the file."""

    name: str
    size: int
    compressed: int
    is_deflated: bool
    position: int


class _Bounded:
    """A file for zipfile, which would read a directory of any size into memory."""

    def __init__(self, file: BinaryIO, size: int, limits: ReadLimits) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._file, self._size, self._limits = file, size, limits

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._size - self._file.tell())
        count = left if count < 0 else count
        if count > max(self._limits.directory_bytes, _ANY_TAIL):
            raise unsafe(f"the zip directory has {count:,} bytes", "zip directory")
        data = self._file.read(count)
        if data.count(_ENTRY) > self._limits.members:
            most = f"the archive has more than {self._limits.members:,} members"
            raise unsafe(most, "zip directory")
        return data


def read_directory(file: BinaryIO, size: int, limits: ReadLimits) -> dict[str, Member]:
    """All members by name.

    Args:
        file: open at any place.
        size: of the file, in bytes.
        limits: of members, of the directory's length and of the compression ratio.

    Raises:
        Rejection: the archive is built to deceive, or damaged.
    """
    try:
        archive = zipfile.ZipFile(_Bounded(file, size, limits))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        why = f"damaged zip archive, or one that is cut off: {error}"
        raise unreadable(printable(why, 200)) from error
    entries, directory = archive.infolist(), archive.start_dir
    end = size - _END.size - len(archive.comment)
    _check_end(file, end, len(entries))
    if end - directory > limits.directory_bytes:
        raise unsafe(f"the zip directory has {end - directory:,} bytes", "zip directory")
    members: dict[str, Member] = {}
    end, last = 0, ""
    for entry in sorted(entries, key=lambda e: e.header_offset):
        _check_entry(entry, limits)
        if entry.orig_filename in members:
            raise unsafe("two members of the archive have one name", printable(entry.filename))
        if not members and entry.header_offset != 0:
            raise unreadable(
                "damaged zip archive: its first member is not where its directory says"
                " (a part of the file is missing, or something was put before it)"
            )
        if entry.header_offset < end:
            raise unsafe("two members of the archive share bytes", f"{last}, {entry.filename}")
        member = _member(file, entry, directory)
        end, last = member.position + member.compressed, printable(member.name)
        members[member.name] = member
    return members


def read_member(file: BinaryIO, member: Member, limit: int) -> bytes:
    """A member's bytes, inflated where it is compressed, never more than ``limit``."""
    if member.size > limit:
        raise unsafe(f"the record has {member.size:,} bytes", printable(member.name))
    file.seek(member.position)
    data = file.read(member.compressed)
    return inflate(data, member.size, member.name) if member.is_deflated else data


def inflate(data: bytes, size: int, name: str) -> bytes:
    """Exactly ``size`` bytes out of a raw deflate stream.

    Raises:
        Rejection: the stream holds more or less than that, or is damaged.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        out = inflater.decompress(data, size + 1)
    except zlib.error as e:
        raise unreadable(f"{printable(name)}: the compressed bytes are damaged") from e
    if len(out) > size:
        raise unsafe("the record inflates to more than the archive declares", printable(name))
    if len(out) < size:
        raise unreadable(f"{printable(name)}: the record inflates to less than declared")
    return out


def _check_end(file: BinaryIO, position: int, count: int) -> None:
    """Hold the end record against what zipfile made of it: it skips bytes and parts in silence."""
    file.seek(position)
    raw = file.read(_END.size)
    if len(raw) < _END.size or not raw.startswith(b"PK\x05\x06"):
        raise unreadable("damaged zip archive: bytes follow its end record")
    _, disk, first, here, total, _, _, _ = _END.unpack(raw)
    if disk not in (0, *_ALL_ONES) or first not in (0, *_ALL_ONES) or here != total:
        raise unreadable("a zip archive in several parts")
    if total not in (count, *_ALL_ONES):
        raise unreadable(f"damaged zip archive: its directory has {count} members and says {total}")


def _check_entry(entry: zipfile.ZipInfo, limits: ReadLimits) -> None:
    name, shown = entry.orig_filename, printable(entry.orig_filename)
    parts = name.removesuffix("/").split("/")
    if name.startswith("/") or name[1:2] == ":":
        raise unsafe("a member of the archive has an absolute path", shown)
    if ".." in parts:
        raise unsafe("a member of the archive climbs out of its folder", shown)
    if "\\" in name or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise unsafe("a member's name has a backslash or a control character", shown)
    if "" in parts or "." in parts:
        raise unsafe("a member's name has an empty part", shown)
    mode = entry.external_attr >> 16
    kinds = (0, stat.S_IFREG, stat.S_IFDIR)
    if entry.create_system == 3 and mode and stat.S_IFMT(mode) not in kinds:
        kind = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
        raise unsafe(f"a member of the archive is {kind}", shown)
    if entry.volume:
        raise unreadable("a zip archive in several parts")
    if entry.flag_bits & _ENCRYPTED:
        raise unreadable(f"the archive is encrypted ({shown})")
    if entry.compress_type == zipfile.ZIP_STORED:
        if entry.file_size != entry.compress_size:
            raise unsafe("a stored member has two sizes", shown)
    elif entry.compress_type != zipfile.ZIP_DEFLATED:
        raise unreadable(f"the archive is compressed by a method that torch can't read ({shown})")
    elif entry.file_size > max(entry.compress_size, 1) * limits.ratio:
        raise unsafe(
            f"a zip bomb: {entry.compress_size:,} bytes that inflate to {entry.file_size:,}, which"
            " torch never writes",
            shown,
        )


def _member(file: BinaryIO, entry: zipfile.ZipInfo, directory: int) -> Member:
    """Hold an entry of the directory against the local header it points to."""
    shown = printable(entry.orig_filename)
    file.seek(entry.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise unreadable(f"damaged zip archive: {shown} has no header")
    _, _, flags, method, _, _, _, compressed, size, length, extras = _LOCAL.unpack(header)
    raw_name = entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8 else "cp437")
    agree = file.read(length) == raw_name and method == entry.compress_type
    if not flags & _DESCRIPTOR:
        # A size of all ones stands in the zip64 field, which zipfile has read in the directory.
        agree &= size in (entry.file_size, _ALL_ONES[1])
        agree &= compressed in (entry.compress_size, _ALL_ONES[1])
    if not agree:
        raise unsafe("the archive's directory and the member's header disagree", shown)
    position = entry.header_offset + _LOCAL.size + length + extras
    if position + entry.compress_size > directory:
        raise unreadable(f"damaged zip archive: {shown} lies outside of it")
    deflated = entry.compress_type == zipfile.ZIP_DEFLATED
    return Member(entry.orig_filename, entry.file_size, entry.compress_size, deflated, position)
