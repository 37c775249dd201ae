"""torch.save's two containers: the zip archive (since torch 1.6) and the legacy stream before it.

Either yields the object that the pickle describes, made of the inert records of
`zoo.weights.checkpoint.types`, and where the storages' bytes stand in the file. The bytes
themselves are not read.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from zoo.weights.checkpoint.pickle_vm import PickleMachine, TruncatedPickle
from zoo.weights.checkpoint.types import (
    ITEM_SIZES,
    MAX_ELEMENTS,
    Dtype,
    ReadLimits,
    Storage,
    StorageInfo,
    printable,
    unreadable,
    unsafe,
)

# torch.serialization.MAGIC_NUMBER and PROTOCOL_VERSION: the first two pickles of a legacy file.
MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_FIRST_LOOK = 1 << 20
_END = struct.Struct("<4s4H2LH")  # PKWARE's APPNOTE.TXT 4.3.16
_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7
_ENTRY = b"PK\x01\x02"
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x1, 0x8, 0x800
_ALL_ONES = (0xFFFF, 0xFFFFFFFF)  # "see the zip64 record"
_ANY_TAIL = 1 << 17  # what zipfile reads to find the directory, and more


@dataclass(slots=True)
class TorchFile:
    """The object in a file of torch.save, its storages by key, and bytes that nothing uses."""

    root: object
    storages: dict[str, StorageInfo]
    byteorder: Literal["little", "big"] = "little"
    unused: dict[str, int] = field(default_factory=dict)


def read_zip(file: BinaryIO, size: int, limits: ReadLimits) -> TorchFile:
    """Read the directory and the pickle of a zip checkpoint.

    Raises:
        Rejection: the archive or its pickle is damaged, or unsafe.
    """
    members = read_directory(file, size, limits)
    top = _top_folder(members)
    record = f"{top}/data.pkl"
    storages: dict[str, StorageInfo] = {}

    def persistent(identifier: object) -> Storage:
        key, dtype, nbytes, view = _storage_id(identifier, machine.place())
        if view is not None:
            raise unreadable(f"{machine.place()}: a view of a storage, which no zip file has")
        member = members.get(f"{top}/data/{key}")
        if member is None:
            raise unreadable(f"the archive lacks the bytes of storage {printable(key)}")
        if nbytes > member.size:
            raise unsafe(
                f"a storage claims {nbytes:,} bytes, and its record has {member.size:,}",
                printable(member.name),
            )
        deflated = member.compressed if member.is_deflated else None
        storages[key] = StorageInfo(key, member.size, member.position, deflated)
        return Storage(key, dtype, nbytes)

    data = read_member(file, members[record], limits.pickle_bytes)
    machine = PickleMachine(data, printable(record), limits, persistent)
    try:
        root = machine.load()
    except TruncatedPickle:
        raise unreadable(f"{printable(record)}: the pickle ends too early") from None
    order = members.get(f"{top}/byteorder")
    written = read_member(file, order, 16) if order else b"little"
    if written not in (b"little", b"big"):
        raise unreadable(f"{printable(top)}/byteorder says {printable(written)}")
    used = {f"{top}/data/{key}" for key in storages} | {record}
    # Small records are torch's own (version, byteorder, serialization_id, .format_version).
    unused = {n: m.compressed for n, m in members.items() if n not in used and m.compressed > 64}
    return TorchFile(root, storages, "big" if written == b"big" else "little", unused)


def _top_folder(members: dict[str, Member]) -> str:
    """The folder of ``data.pkl``; everything in the archive lies in it."""
    pickles = [n for n in members if n.endswith("/data.pkl") and n.count("/") == 1]
    if not pickles:
        if any(n.endswith(".npy") for n in members):
            raise unreadable("an .npz archive of numpy arrays, not a torch checkpoint")
        raise unreadable("a zip archive that torch.save didn't write: it has no data.pkl")
    top = pickles[0].split("/")[0]
    for name in members:
        if not name.startswith(top + "/"):
            raise unsafe(
                f"the archive has a second folder beside {printable(top)}", printable(name)
            )
        if name.startswith(f"{top}/code/") or name == f"{top}/constants.pkl":
            raise unsafe("a TorchScript archive, which holds code", printable(name))
        if name.endswith((".py", ".pyc", ".so", ".dll")):
            raise unsafe("the archive holds code", printable(name))
    return top


def read_legacy(file: BinaryIO, size: int, limits: ReadLimits) -> TorchFile:
    """Read the pickles of a legacy checkpoint, and find its storages behind them.

    Layout: magic, protocol version, system information, the object and the list of storage keys,
    a pickle each; then for each key an int64 count of elements and the elements.

    Raises:
        Rejection: the file is damaged or unsafe, or a pickle that torch.save didn't write.
    """
    look = min(size, _FIRST_LOOK, limits.pickle_bytes)
    while True:
        file.seek(0)
        data = file.read(look)
        try:
            return _read_legacy(file, size, data, limits)
        except TruncatedPickle:
            if look >= size:
                raise unreadable("a pickle that is cut off") from None
            if look >= limits.pickle_bytes:
                raise unsafe(f"the pickle has more than {look:,} bytes", "byte 0") from None
            look = min(size, limits.pickle_bytes)


def _read_legacy(file: BinaryIO, size: int, data: bytes, limits: ReadLimits) -> TorchFile:
    roots: dict[str, Storage] = {}

    def persistent(identifier: object) -> Storage:
        key, dtype, nbytes, view = _storage_id(identifier, machine.place())
        root = roots.get(key)
        if root is None or root.nbytes == 0:
            root = roots[key] = Storage(key, dtype, nbytes)
        if view is None:
            return root
        offset, length = (v * ITEM_SIZES[root.dtype] for v in view)
        if offset + length > root.nbytes:
            raise unsafe("a view reaches beyond its storage", machine.place())
        return Storage(key, root.dtype, length, offset)

    machine = PickleMachine(data, "pickle", limits, persistent)
    if machine.load() != MAGIC:
        raise unreadable("a plain pickle, not a checkpoint that torch.save wrote")
    if machine.load() != _PROTOCOL:
        raise unreadable("a legacy checkpoint of an unknown protocol version")
    system = machine.load()
    little = not isinstance(system, dict) or system.get("little_endian") is not False
    root = machine.load()
    keys = machine.load()
    if not isinstance(keys, list) or not all(type(k) is str for k in keys):
        raise unreadable(f"{machine.place()}: the list of storages is damaged")
    storages = _locate_storages(file, size, machine.position, [*map(str, keys)], roots)
    return TorchFile(root, storages, "little" if little else "big")


def _locate_storages(
    file: BinaryIO, size: int, position: int, keys: list[str], roots: dict[str, Storage]
) -> dict[str, StorageInfo]:
    storages: dict[str, StorageInfo] = {}
    for key in keys:
        shown = printable(key)
        if key not in roots or key in storages:
            raise unreadable(f"storage {shown} is listed, and no tensor uses it just once")
        file.seek(position)
        head = file.read(8)
        nbytes = roots[key].nbytes
        if len(head) < 8 or position + 8 + nbytes > size:
            raise unreadable(
                f"the file is cut off: storage {shown} needs {nbytes:,} bytes from byte"
                f" {position + 8:,} on, and the file has {size:,}"
            )
        (count,) = struct.unpack("<q", head)
        if count * ITEM_SIZES[roots[key].dtype] != nbytes:
            raise unsafe(
                f"a storage of {nbytes:,} bytes is written as {count:,} elements",
                f"storage {shown}, byte {position}",
            )
        storages[key] = StorageInfo(key, nbytes, position + 8)
        position += 8 + nbytes
    missing = [key for key in roots if key not in storages]
    if missing:
        raise unreadable(f"the file lacks the bytes of storage {printable(missing[0])}")
    return storages


def _storage_id(identifier: object, where: str) -> tuple[str, str, int, tuple[int, int] | None]:
    """(key, dtype, bytes, (offset, length) of a view in elements) of a persistent id."""
    bad = unreadable(f"{where}: the pickle refers to something else than a storage")
    if not isinstance(identifier, tuple) or not 5 <= len(identifier) <= 6:
        raise bad
    kind, dtype, key, _location, count, *rest = identifier
    if kind not in ("storage", b"storage") or not isinstance(dtype, Dtype) or type(key) is not str:
        raise bad
    if type(count) is not int or not 0 <= count <= MAX_ELEMENTS:
        raise unsafe("a storage claims an impossible size", where)
    view = rest[0] if rest else None
    if view is None:
        return key, dtype.name, count * ITEM_SIZES[dtype.name], None
    if not isinstance(view, tuple) or len(view) != 3:
        raise bad
    _, offset, length = view
    if any(type(v) is not int or not 0 <= v <= MAX_ELEMENTS for v in (offset, length)):
        raise unsafe("a view claims an impossible place in its storage", where)
    return key, dtype.name, count * ITEM_SIZES[dtype.name], (offset, length)


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
