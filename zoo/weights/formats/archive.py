"""The directory of a zip archive, read with suspicion.

Python's ``zipfile`` is made to be lenient: it believes the central directory, skips what stands
before it, and lets two members share bytes. Here central directory and local headers must agree,
members may not overlap, and their names may only go down.

Layouts: APPNOTE.TXT of PKWARE, sections 4.3.7 (local header), 4.3.12 (central directory header),
4.3.14 and 4.3.16 (end records), 4.5.3 (zip64).
"""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from zoo.weights.formats.types import Limits, printable, unreadable, unsafe

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT = 0xFFFF
_ENCRYPTED, _DESCRIPTOR = 0x1, 0x8
STORED, DEFLATED = 0, 8


@dataclass(frozen=True, slots=True)
class Member:
    """One entry: ``position`` is where its bytes begin in the file."""

    name: str
    size: int
    compressed: int
    method: int
    position: int


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    raw_name: bytes
    flags: int
    method: int
    compressed: int
    size: int
    offset: int


def read_directory(file: BinaryIO, size: int, limits: Limits) -> dict[str, Member]:
    """All members by name.

    Args:
        file: open at any place.
        size: of the file, in bytes.
        limits: of members, of the directory's length and of the compression ratio.

    Raises:
        Refused: `Unsafe` where the archive is built to deceive; `Unreadable` where it is damaged.
    """
    start, length, count = _find_directory(file, size)
    if length > limits.directory_bytes or count > limits.members:
        raise unsafe(
            f"the zip directory lists {count:,} members in {length:,} bytes", "zip directory"
        )
    file.seek(start)
    entries = _entries(file.read(length), limits)
    if len(entries) != count:
        raise unreadable(
            f"damaged zip archive: its directory has {len(entries)} members and says {count}"
        )
    members: dict[str, Member] = {}
    end, last = 0, ""
    for entry in sorted(entries, key=lambda e: e.offset):
        if entry.name in members:
            raise unsafe("two members of the archive have one name", printable(entry.name))
        if entry.offset < end:
            raise unsafe("two members of the archive share bytes", f"{last}, {entry.name}")
        member = _locate(file, entry, start)
        end, last = member.position + member.compressed, printable(entry.name)
        members[entry.name] = member
    return members


def read_member(file: BinaryIO, member: Member, limit: int) -> bytes:
    """A member's bytes, inflated where it is compressed, never more than ``limit``."""
    if member.size > limit:
        raise unsafe(f"the record has {member.size:,} bytes", printable(member.name))
    file.seek(member.position)
    data = file.read(member.compressed)
    if member.method == STORED:
        return data
    return inflate(data, member.size, member.name)


def inflate(data: bytes, size: int, name: str) -> bytes:
    """Exactly ``size`` bytes out of a raw deflate stream.

    Raises:
        Refused: `Unsafe` where the stream holds more than it declared, `Unreadable` where less.
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


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """(start, length, members) of the central directory."""
    tail_start = max(0, size - _END.size - _MAX_COMMENT)
    file.seek(tail_start)
    tail = file.read(size - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise unreadable("a zip archive that is cut off: it has no directory at its end")
    _, disk, first, here, count, length, start, comment = _END.unpack_from(tail, at)
    if tail_start + at + _END.size + comment != size:
        raise unreadable("damaged zip archive: bytes follow its end record")
    end = tail_start + at
    locator_at = at - _END64_LOCATOR.size
    if locator_at >= 0 and tail[locator_at : locator_at + 4] == b"PK\x06\x07":
        _, _, position, _ = _END64_LOCATOR.unpack_from(tail, locator_at)
        if position > end - _END64_LOCATOR.size - _END64.size:
            raise unreadable("damaged zip archive: its zip64 end record is out of place")
        file.seek(position)
        signature, _, _, _, disk, first, here, count, length, start = _END64.unpack(
            _exactly(file, _END64.size)
        )
        if signature != b"PK\x06\x06":
            raise unreadable("damaged zip archive: its zip64 end record is missing")
        end = position
    if disk or first or here != count:
        raise unreadable("a zip archive in several parts")
    if start + length != end:
        raise unreadable(
            "damaged zip archive: its directory is not where its end record says"
            " (a part of the file is missing, or something was put before it)"
        )
    return start, length, count


def _entries(directory: bytes, limits: Limits) -> list[_Entry]:
    entries: list[_Entry] = []
    at = 0
    while at < len(directory):
        if directory[at : at + 4] != b"PK\x01\x02" or len(directory) - at < _CENTRAL.size:
            raise unreadable("damaged zip archive: its directory is broken")
        fields = _CENTRAL.unpack_from(directory, at)
        (_, made, _, flags, method, _, _, _, compressed, size, names, extras, comment) = fields[:13]
        disk, _, attributes, offset = fields[13:]
        at += _CENTRAL.size
        raw = directory[at : at + names]
        extra = directory[at + names : at + names + extras]
        at += names + extras + comment
        if at > len(directory):
            raise unreadable("damaged zip archive: its directory is broken")
        size, compressed, offset = _zip64(extra, size, compressed, offset)
        name = raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")
        _check_name(name)
        if disk:
            raise unreadable("a zip archive in several parts")
        mode = attributes >> 16
        if made >> 8 == 3 and mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "a special file"
            raise unsafe(f"a member of the archive is {kind}", printable(name))
        entry = _Entry(name, raw, flags, method, compressed, size, offset)
        _check_compression(entry, limits)
        entries.append(entry)
        if len(entries) > limits.members:
            raise unsafe(f"the archive has more than {limits.members:,} members", "zip directory")
    return entries


def _check_name(name: str) -> None:
    parts = name[:-1].split("/") if name.endswith("/") else name.split("/")
    shown = printable(name)
    if name.startswith("/") or name[1:2] == ":":
        raise unsafe("a member of the archive has an absolute path", shown)
    if ".." in parts:
        raise unsafe("a member of the archive climbs out of its folder", shown)
    if "\\" in name or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise unsafe("a member's name has a backslash or a control character", shown)
    if "" in parts or "." in parts:
        raise unsafe("a member's name has an empty part", shown)


def _check_compression(entry: _Entry, limits: Limits) -> None:
    shown = printable(entry.name)
    if entry.flags & _ENCRYPTED:
        raise unreadable(f"the archive is encrypted ({shown})")
    if entry.method not in (STORED, DEFLATED):
        raise unreadable(f"the archive is compressed by a method that torch can't read ({shown})")
    if entry.method == STORED and entry.size != entry.compressed:
        raise unsafe("a stored member has two sizes", shown)
    if entry.method == DEFLATED and entry.size > max(entry.compressed, 1) * limits.ratio:
        raise unsafe(
            f"a zip bomb: {entry.compressed:,} bytes that inflate to {entry.size:,}, which torch"
            " never writes",
            shown,
        )


def _zip64(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """The 64-bit values where the 32-bit fields are all ones."""
    if 0xFFFFFFFF not in (size, compressed, offset):
        return size, compressed, offset
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + length]
            values = list(struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8]))
            wanted = [v == 0xFFFFFFFF for v in (size, compressed, offset)]
            if len(values) < sum(wanted):
                break
            size, compressed, offset = (
                values.pop(0) if is_wanted else value
                for is_wanted, value in zip(wanted, (size, compressed, offset), strict=True)
            )
            return size, compressed, offset
        at += 4 + length
    raise unreadable("damaged zip archive: a zip64 size is missing")


def _locate(file: BinaryIO, entry: _Entry, directory: int) -> Member:
    """Hold an entry of the directory against the local header it points to."""
    shown = printable(entry.name)
    if entry.offset + _LOCAL.size > directory:
        raise unreadable(f"damaged zip archive: {shown} lies outside of it")
    file.seek(entry.offset)
    header = _exactly(file, _LOCAL.size)
    signature, _, flags, method, _, _, _, compressed, size, names, extras = _LOCAL.unpack(header)
    if signature != b"PK\x03\x04":
        raise unreadable(f"damaged zip archive: {shown} has no header")
    tail = _exactly(file, names + extras)
    position = entry.offset + _LOCAL.size + names + extras
    if tail[:names] != entry.raw_name or method != entry.method:
        raise unsafe("the archive's directory and the member's header disagree", shown)
    if not flags & _DESCRIPTOR:
        if 0xFFFFFFFF in (size, compressed):
            size, compressed, _ = _zip64(tail[names:], size, compressed, 0)
        if (size, compressed) != (entry.size, entry.compressed):
            raise unsafe("the archive's directory and the member's header disagree", shown)
    if position + entry.compressed > directory:
        raise unreadable(f"damaged zip archive: {shown} lies outside of it")
    return Member(entry.name, entry.size, entry.compressed, entry.method, position)


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise unreadable("damaged zip archive: it ends too early")
    return data
