"""What a checkpoint file holds, or why it can't be had: the types that every reader returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Format = Literal["zip", "legacy", "safetensors"]
ExtraKind = Literal["optimizer", "ema", "tensors", "records", "value"]
Scalar = bool | int | float | str | None
Plain = Scalar | Mapping[str, Scalar]

# Bytes per element. A quantized type of several elements a byte counts its storage's bytes.
ITEM_SIZES: Mapping[str, int] = {
    name: size
    for size, names in {
        8: "float64 complex64 int64 uint64",
        4: "float32 complex32 int32 uint32 qint32",
        2: "float16 bfloat16 int16 uint16",
        1: "float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu "
        "float4_e2m1fn_x2 int8 uint8 bool qint8 quint8 quint4x2 quint2x4",
        16: "complex128",
    }.items()
    for name in names.split()
}
MAX_DIMENSIONS = 64
# No storage of a checkpoint has more elements; an expanded view may not either.
MAX_ELEMENTS = 1 << 40


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much a file may ask for before it is refused.

    The largest ImageNet training checkpoints (weights, an EMA copy and an optimizer of a thousand
    layers) stay under a tenth of each.

    Attributes:
        pickle_bytes: the length of the pickle that describes the tensors.
        opcodes: the instructions of all pickles of a file; each may cost some 100 bytes.
        tensors: tensors in a file.
        header_bytes: the JSON header of a safetensors file.
        members: entries of a zip archive.
        directory_bytes: the central directory of a zip archive.
        ratio: uncompressed over compressed size of a zip member (torch compresses nothing).
    """

    pickle_bytes: int = 32 << 20
    opcodes: int = 2_000_000
    tensors: int = 200_000
    header_bytes: int = 8 << 20
    members: int = 200_000
    directory_bytes: int = 32 << 20
    ratio: int = 100


@dataclass(frozen=True, slots=True)
class UnsafeCheckpoint:
    """The file asks for more than tensors, or is built to hurt its reader.

    Attributes:
        what: what was found, e.g. ``the pickle asks for os.system``.
        where: the record and the byte, e.g. ``archive/data.pkl, byte 23``.
    """

    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.what} ({self.where})"


@dataclass(frozen=True, slots=True)
class UnreadableCheckpoint:
    """The file is no checkpoint, or a damaged one; ``why`` is one clause for a person."""

    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, slots=True)
class StorageInfo:
    """A run of bytes in the file that tensors are views of.

    Attributes:
        key: the name that the file gives it.
        nbytes: its length, uncompressed.
        position: where its first byte stands in the file.
        deflated: its compressed length in the file, where it is compressed.
    """

    key: str
    nbytes: int
    position: int
    deflated: int | None = None


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of the state dict.

    Attributes:
        name: its key, without the container and the prefixes that were taken off.
        shape: its sizes.
        dtype: torch's name without ``torch.``, e.g. ``float32``.
        nbytes: elements x bytes per element, whether or not it shares its storage.
        storage: the key of its storage; tensors with one key share bytes.
        offset: the first element's place in the storage, in bytes.
        stride: in elements.
        layout: ``strided``, or what else it is (``sparse``, ``quantized``), which can be listed
            but not loaded.
        flags: ``conj`` and ``neg``, views that torch resolves on reading.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    storage: str
    offset: int = 0
    stride: tuple[int, ...] = ()
    layout: str = "strided"
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Extra:
    """What a file holds beside the state dict.

    Attributes:
        name: its dotted path in the file.
        kind: ``optimizer``, ``ema``, other ``tensors``, other ``records`` of the archive (bytes
            that no tensor uses), or a plain ``value`` such as the epoch or the arguments.
        nbytes: of its storages, those that the state dict doesn't use already.
        tensors: how many it holds.
        value: a plain value; anything that is not plain is described in words.
    """

    name: str
    kind: ExtraKind
    nbytes: int = 0
    tensors: int = 0
    value: Plain = None


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """A checkpoint's tensors, described without reading them.

    Attributes:
        format: the container.
        tensors: of the state dict, in the file's order.
        storages: of these tensors, by key.
        container: the dotted path of the state dict in the file, ``""`` where it is the file.
        prefixes: what was taken off every name, in that order: ``module.`` of DataParallel and
            DistributedDataParallel, ``_orig_mod.`` of torch.compile.
        extras: what else the file holds.
        versions: module path -> version, of the state dict's metadata (torch's modules read old
            layouts by it).
        file_size: bytes.
        byteorder: ``little`` or ``big``, of the storages.
        others: dotted paths of other state dicts in the file whose tensors are called as these are,
            such as a moving average of the same network. `read_checkpoint` takes one as ``entry``.
    """

    format: Format
    tensors: tuple[TensorInfo, ...]
    storages: Mapping[str, StorageInfo]
    container: str
    prefixes: tuple[str, ...]
    extras: tuple[Extra, ...]
    file_size: int
    versions: Mapping[str, int] = field(default_factory=dict)
    byteorder: Literal["little", "big"] = "little"
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Global:
    """A name of the list, not the thing it names."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtype:
    """A type of elements: a storage class, or a ``torch.dtype``. ``untyped`` counts bytes."""

    name: str
    untyped: bool = False


@dataclass(slots=True, eq=False)
class Record:
    """An object of a listed class: its name, and what the pickle said about it."""

    kind: str
    arguments: tuple[object, ...]
    state: object = None


class Ordered(dict[object, object]):
    """An ``OrderedDict``; ``state`` holds its attributes (a state dict's ``_metadata``)."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        super().__init__()
        self.state: object = None


class Opaque:
    """Stands for a dict's key that is not worth the risk of hashing it."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Storage:
    """Bytes that the pickle refers to: ``nbytes`` from ``offset`` of the storage ``key``."""

    key: str
    dtype: str
    nbytes: int
    offset: int = 0


@dataclass(slots=True, eq=False)
class Tensor:
    """A view of a storage; ``offset`` in bytes, ``stride`` in elements."""

    storage: str
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    nbytes: int
    layout: str = "strided"
    flags: tuple[str, ...] = ()
    parts: tuple[Tensor, ...] = ()


class Rejection(Exception):
    """Raised inside the readers; `read_checkpoint` returns its ``result``."""

    def __init__(self, result: UnsafeCheckpoint | UnreadableCheckpoint) -> None:
        super().__init__(str(result))
        self.result = result


def unsafe(what: str, where: str) -> Rejection:
    """A refusal of what the file does."""
    return Rejection(UnsafeCheckpoint(what, where))


def unreadable(why: str) -> Rejection:
    """A refusal for what the file is."""
    return Rejection(UnreadableCheckpoint(why))


def printable(text: str | bytes, limit: int = 80) -> str:
    """Text out of a file made fit for a terminal: escaped where not ASCII, cut where long."""
    if isinstance(text, bytes):
        text = text[: limit + 1].decode("latin-1")
    shown = "".join(
        c if c.isascii() and c.isprintable() else ascii(c)[1:-1] for c in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."
