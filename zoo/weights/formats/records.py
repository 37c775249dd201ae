"""The inert records that stand for what a pickle names and builds, and the budget for them."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.weights.formats.types import Limits, unsafe


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


class Budget:
    """What all pickles of one file may still use."""

    __slots__ = ("limits", "opcodes", "tensors")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.opcodes = limits.opcodes
        self.tensors = limits.tensors

    def spend(self, opcodes: int, where: str, position: int | None = None) -> None:
        """Count opcodes, or the items that one of them copied."""
        self.opcodes -= opcodes
        if self.opcodes < 0:
            place = where if position is None else f"{where}, byte {position}"
            raise unsafe(f"the pickle takes more than {self.limits.opcodes:,} steps to read", place)

    def count_tensor(self, where: str) -> None:
        """Count one tensor."""
        self.tensors -= 1
        if self.tensors < 0:
            raise unsafe(f"the pickle holds more than {self.limits.tensors:,} tensors", where)
