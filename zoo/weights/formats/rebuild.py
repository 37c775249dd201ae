"""Rebuilding tensors as records: where each one lies in its storage, checked against its bounds.

The argument lists are those of the functions of the same names in ``torch._utils``.
"""

from __future__ import annotations

from zoo.weights.formats.records import Budget, Dtype, Storage, Tensor
from zoo.weights.formats.types import (
    ITEM_SIZES,
    MAX_DIMENSIONS,
    MAX_ELEMENTS,
    Refused,
    unreadable,
    unsafe,
)


def tensor(arguments: tuple[object, ...], budget: Budget, where: str) -> Tensor:
    """``_rebuild_tensor`` and ``_v2``: (storage, offset, size, stride, ..., metadata)."""
    if len(arguments) < 4:
        raise mismatch("a tensor", where)
    metadata = arguments[6] if len(arguments) > 6 else None
    return _view(arguments, None, metadata, where)


def tensor_v3(arguments: tuple[object, ...], budget: Budget, where: str) -> Tensor:
    """As v2, with the dtype before the metadata: the storage is of plain bytes."""
    if len(arguments) < 7 or not isinstance(arguments[6], Dtype):
        raise mismatch("a tensor", where)
    metadata = arguments[7] if len(arguments) > 7 else None
    return _view(arguments, arguments[6].name, metadata, where)


def quantized(arguments: tuple[object, ...], budget: Budget, where: str) -> Tensor:
    if len(arguments) < 5:
        raise mismatch("a quantized tensor", where)
    made = _view(arguments, None, None, where)
    made.layout = "quantized"
    return made


def sparse(arguments: tuple[object, ...], budget: Budget, where: str) -> Tensor:
    """(layout, (indices, values, size, ...)); a compressed layout has two tensors of indices."""
    data = arguments[1] if len(arguments) == 2 else None
    if not isinstance(data, tuple) or not 3 <= len(data) <= 5:
        raise mismatch("a sparse tensor", where)
    parts = tuple(part for part in data if isinstance(part, Tensor))
    sizes = [part for part in data if isinstance(part, tuple | list)]
    if len(parts) < 2 or len(sizes) != 1:
        raise mismatch("a sparse tensor", where)
    values = parts[-1]
    return Tensor(
        values.storage,
        values.dtype,
        dimensions(sizes[0], where),
        (),
        0,
        sum(part.nbytes for part in parts),
        "sparse",
        parts=parts,
    )


def _view(arguments: tuple[object, ...], dtype: str | None, metadata: object, where: str) -> Tensor:
    storage, offset = arguments[0], arguments[1]
    if not isinstance(storage, Storage):
        raise mismatch("a tensor", where)
    shape, stride = dimensions(arguments[2], where), dimensions(arguments[3], where)
    dtype = dtype or storage.dtype
    item = ITEM_SIZES[dtype]
    count = 1
    for size in shape:
        count *= size
    if type(offset) is not int or offset < 0 or len(stride) != len(shape):
        raise unsafe("a tensor has an impossible place in its storage", where)
    if count > MAX_ELEMENTS:
        raise unsafe("a tensor claims more than 10**12 elements", where)
    last = sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    if count and (offset + last + 1) * item > storage.nbytes:
        raise unsafe(f"a tensor reaches beyond its storage of {storage.nbytes:,} bytes", where)
    flags: tuple[str, ...] = ()
    if isinstance(metadata, dict):
        flags = tuple(flag for flag in ("conj", "neg") if metadata.get(flag) is True)
    start = storage.offset + (offset * item if count else 0)
    return Tensor(storage.key, dtype, shape, stride, start, count * item, flags=flags)


def dimensions(value: object, where: str) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or len(value) > MAX_DIMENSIONS:
        raise unsafe("a tensor's sizes or strides are no short tuple", where)
    for size in value:
        if type(size) is not int or not 0 <= size < 1 << 63:
            raise unsafe("a tensor's sizes or strides are not numbers from 0 on", where)
    return tuple(value)


def mismatch(what: str, where: str) -> Refused:
    return unreadable(f"{where}: {what} is rebuilt from arguments that don't fit")
