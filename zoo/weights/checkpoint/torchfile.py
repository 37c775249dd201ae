"""torch.save's two containers: the zip archive (since torch 1.6) and the legacy stream before it.

Either yields the object that the pickle describes, made of the inert records of
`zoo.weights.checkpoint.types`, and where the storages' bytes stand in the file. The bytes
themselves are not read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from zoo.weights.checkpoint.archive import Member, read_directory, read_member
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
