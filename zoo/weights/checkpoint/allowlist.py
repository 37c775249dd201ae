"""The closed list of names that a checkpoint's pickle may use, and the inert records they make.

torch's ``weights_only`` allows tensors, their types and a few containers. To these come the plain
values that training scripts leave in a checkpoint (arguments, dates, paths, numpy's scalars and
arrays, states of random generators): they are kept as what the pickle wrote of them and never
become objects of their class.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable

from zoo.weights.checkpoint.types import (
    ITEM_SIZES,
    MAX_DIMENSIONS,
    MAX_ELEMENTS,
    Dtype,
    Global,
    Opaque,
    Ordered,
    ReadLimits,
    Record,
    Rejection,
    Storage,
    Tensor,
    UnsafeCheckpoint,
    printable,
    unreadable,
    unsafe,
)


class ForbiddenGlobal(Rejection):
    """A pickle asks for ``name``, which is not on the list."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(
            UnsafeCheckpoint(f"the pickle asks for {printable(name)}, which is not a tensor", where)
        )
        self.name = name


class Budget:
    """What all pickles of one file may still use."""

    __slots__ = ("limits", "opcodes", "tensors")

    def __init__(self, limits: ReadLimits) -> None:
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


_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}
# Classes of plain values: what a pickle makes of them is numbers, texts and containers of these.
_RECORDS = frozenset(
    f"{module}.{name}"
    for module, names in {
        "argparse": "Namespace",
        "array": "array _array_reconstructor",
        "builtins": "bytearray bytes complex dict float frozenset int list object range set slice"
        " str tuple bool Ellipsis NotImplemented",
        "collections": "ChainMap Counter UserDict UserList UserString deque",
        "copyreg": "_reconstructor",
        "datetime": "date datetime time timedelta timezone",
        "decimal": "Decimal DecimalTuple",
        "fractions": "Fraction",
        "ipaddress": "IPv4Address IPv4Interface IPv4Network IPv6Address IPv6Interface IPv6Network",
        "numpy": "dtype ndarray matrix memmap recarray record",
        "numpy.core.multiarray": "_reconstruct scalar",
        "numpy.core.numeric": "_frombuffer",
        "numpy.ma": "MaskedArray",
        "numpy.ma.core": "MaskedArray _mareconstruct",
        "numpy.random._generator": "Generator",
        "numpy.random._mt19937": "MT19937",
        "numpy.random._pcg64": "PCG64 PCG64DXSM",
        "numpy.random._philox": "Philox",
        "numpy.random._pickle": "__bit_generator_ctor __generator_ctor __randomstate_ctor",
        "numpy.random._sfc64": "SFC64",
        "numpy.random.bit_generator": "SeedSequence __pyx_unpickle_SeedSequence",
        "numpy.random.mtrand": "RandomState",
        "optparse": "Values",
        "pandas._libs.tslibs.nattype": "_nat_unpickle",
        "pandas._libs.tslibs.timedeltas": "_timedelta_unpickle",
        "pandas._libs.tslibs.timestamps": "_unpickle_timestamp",
        "PIL.Image": "Dither Palette Quantize Resampling Transform Transpose",
        "pathlib": "Path PurePath PosixPath PurePosixPath WindowsPath PureWindowsPath",
        "random": "Random",
        "re": "RegexFlag _compile",
        "time": "struct_time",
        "torch": "device Generator Tensor per_tensor_affine per_tensor_symmetric"
        " per_channel_affine per_channel_symmetric per_channel_affine_float_qparams",
        "torch._C": "Generator",
        "torch._utils": "torch.channels_last torch.channels_last_3d torch.contiguous_format"
        " torch.preserve_format",
        "torch.serialization": "_get_layout",
        "torch.torch_version": "TorchVersion",
        "torchvision.transforms.functional": "InterpolationMode",
        "types": "SimpleNamespace",
        "uuid": "SafeUUID UUID",
        "zoneinfo": "ZoneInfo ZoneInfo._unpickle",
        "_codecs": "encode",
    }.items()
    for name in names.split()
)
_SIZED = "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64"
_NUMPY_SCALARS = frozenset(
    f"{_SIZED} float128 longdouble complex64 complex128 complex256 clongdouble longlong ulonglong"
    " intc uintc bool bool_ str_ bytes_ void object_ datetime64 timedelta64".split()
)
_NUMPY_DTYPES = re.compile(
    r"(Bool|Byte|Bytes|CLongDouble|Complex(64|128)|Date|DateTime64|Float(16|32|64)|U?Int(8|16|32|64)"
    r"|LongDouble|Object|Str|TimeDelta64|U?LongLong|U?Int|U?Short|Void)DType"
)
# The names of Python 2, which pickles of protocol 2 and below are written with; and of modules
# that were moved.
_RENAMED = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "exceptions": "builtins",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "pathlib._local": "pathlib",
    "numpy.rec": "numpy",
    "numpy.core.records": "numpy",
    "numpy.matrixlib.defmatrix": "numpy",
}
_FORMER = {
    "builtins.xrange": "builtins.range",
    "builtins.long": "builtins.int",
    "builtins.unicode": "builtins.str",
    "UserDict.UserDict": "collections.UserDict",
    "UserDict.IterableUserDict": "collections.UserDict",
    "UserList.UserList": "collections.UserList",
    "UserString.UserString": "collections.UserString",
}
GETATTR = "builtins.getattr"
_WITHOUT_VALUES = {
    "torch._utils._rebuild_meta_tensor_no_storage": "without values, of the meta device",
    "torch._utils._rebuild_nested_tensor": "of several shapes (nested)",
}


def resolve(module: str, name: str, where: str) -> object:
    """The inert stand-in of a global.

    Raises:
        ForbiddenGlobal: the name is not on the list.
    """
    module = _RENAMED.get(module, module)
    full = f"{module}.{name}"
    full = _FORMER.get(full, full)
    if full in _RECORDS or full in _BUILDERS or full == GETATTR or _is_plain(module, name):
        return Global(full)
    if full in _WITHOUT_VALUES:
        raise unreadable(f"{where}: a tensor {_WITHOUT_VALUES[full]}, which no model loads")
    if module in ("torch", "torch.cuda") and name in _STORAGES:
        return Dtype(_STORAGES[name])
    if full in ("torch.storage.UntypedStorage", "torch.UntypedStorage"):
        return Dtype("uint8", untyped=True)
    if module == "torch" and name in ITEM_SIZES:
        return Dtype(name)
    raise ForbiddenGlobal(full, where)


def _is_plain(module: str, name: str) -> bool:
    """Whether this is a type of numpy's elements, or one of Python's own exceptions."""
    if module == "numpy":
        return name in _NUMPY_SCALARS
    if module == "numpy.dtypes":
        return _NUMPY_DTYPES.fullmatch(name) is not None
    kind = getattr(builtins, name, None) if module == "builtins" else None
    return isinstance(kind, type) and issubclass(kind, Exception)


def construct(
    function: Global, arguments: tuple[object, ...], budget: Budget, where: str
) -> object:
    """What a listed name makes of its arguments: a tensor, a container, or an inert record.

    Raises:
        Rejection: a tensor reaches beyond its storage, or the arguments don't fit.
    """
    if function.name == GETATTR:
        return _attribute(arguments, where)
    builder = _BUILDERS.get(function.name)
    if builder is None:
        return Record(function.name, arguments)
    made = builder(arguments, budget, where)
    if isinstance(made, Tensor) and function.name in _COUNTED:
        budget.count_tensor(where)
    return made


def _attribute(arguments: tuple[object, ...], where: str) -> Global:
    """Any attribute of anything would be a way to code; time zones alone are pickled by one."""
    if len(arguments) == 2 and isinstance(arguments[0], Global):
        full = f"{arguments[0].name}.{arguments[1]}"
        if full in _RECORDS and arguments[1] == "_unpickle":
            return Global(full)
    raise ForbiddenGlobal(GETATTR, where)


def _ordered(arguments: tuple[object, ...], budget: Budget, where: str) -> Ordered:
    made = Ordered()
    if not arguments:
        return made
    pairs = arguments[0]
    if not isinstance(pairs, list | tuple):
        raise _mismatch("OrderedDict", where)
    budget.spend(len(pairs), where)
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise _mismatch("OrderedDict", where)
        made[pair[0] if type(pair[0]) is str else Opaque()] = pair[1]
    return made


def _size(arguments: tuple[object, ...], budget: Budget, where: str) -> tuple[int, ...]:
    if len(arguments) != 1:
        raise _mismatch("torch.Size", where)
    return _dimensions(arguments[0], where)


def _parameter(arguments: tuple[object, ...], budget: Budget, where: str) -> object:
    if not arguments:
        return Record("torch.nn.parameter.Parameter", ())
    if not isinstance(arguments[0], Tensor):
        raise _mismatch("Parameter", where)
    return arguments[0]


def _typed(arguments: tuple[object, ...], budget: Budget, where: str) -> object:
    """``_rebuild_from_type_v2``: (function, class, arguments, state) of a tensor's attributes."""
    if len(arguments) != 4 or not isinstance(arguments[2], tuple):
        raise _mismatch("a tensor with attributes", where)
    function = arguments[0]
    if not isinstance(function, Global) or function.name not in _COUNTED:
        raise _mismatch("a tensor with attributes", where)
    if function.name == "torch._tensor._rebuild_from_type_v2":
        raise _mismatch("a tensor with attributes", where)
    return _BUILDERS[function.name](arguments[2], budget, where)


# The argument lists of the next four are those of torch._utils; where a tensor lies is checked
# against its storage.


def _tensor(arguments: tuple[object, ...], budget: Budget, where: str) -> Tensor:
    """``_rebuild_tensor`` and ``_v2``: (storage, offset, size, stride, ..., metadata)."""
    if len(arguments) < 4:
        raise _mismatch("a tensor", where)
    metadata = arguments[6] if len(arguments) > 6 else None
    return _view(arguments, None, metadata, where)


def _tensor_v3(arguments: tuple[object, ...], budget: Budget, where: str) -> Tensor:
    """As v2, with the dtype before the metadata: the storage is of plain bytes."""
    if len(arguments) < 7 or not isinstance(arguments[6], Dtype):
        raise _mismatch("a tensor", where)
    metadata = arguments[7] if len(arguments) > 7 else None
    return _view(arguments, arguments[6].name, metadata, where)


def _quantized(arguments: tuple[object, ...], budget: Budget, where: str) -> Tensor:
    if len(arguments) < 5:
        raise _mismatch("a quantized tensor", where)
    made = _view(arguments, None, None, where)
    made.layout = "quantized"
    return made


def _sparse(arguments: tuple[object, ...], budget: Budget, where: str) -> Tensor:
    """(layout, (indices, values, size, ...)); a compressed layout has two tensors of indices."""
    data = arguments[1] if len(arguments) == 2 else None
    if not isinstance(data, tuple) or not 3 <= len(data) <= 5:
        raise _mismatch("a sparse tensor", where)
    parts = tuple(part for part in data if isinstance(part, Tensor))
    sizes = [part for part in data if isinstance(part, tuple | list)]
    if len(parts) < 2 or len(sizes) != 1:
        raise _mismatch("a sparse tensor", where)
    values = parts[-1]
    return Tensor(
        values.storage,
        values.dtype,
        _dimensions(sizes[0], where),
        (),
        0,
        sum(part.nbytes for part in parts),
        "sparse",
        parts=parts,
    )


def _view(arguments: tuple[object, ...], dtype: str | None, metadata: object, where: str) -> Tensor:
    storage, offset = arguments[0], arguments[1]
    if not isinstance(storage, Storage):
        raise _mismatch("a tensor", where)
    shape, stride = _dimensions(arguments[2], where), _dimensions(arguments[3], where)
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


def _dimensions(value: object, where: str) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or len(value) > MAX_DIMENSIONS:
        raise unsafe("a tensor's sizes or strides are no short tuple", where)
    for size in value:
        if type(size) is not int or not 0 <= size < 1 << 63:
            raise unsafe("a tensor's sizes or strides are not numbers from 0 on", where)
    return tuple(value)


def _mismatch(what: str, where: str) -> Rejection:
    return unreadable(f"{where}: {what} is rebuilt from arguments that don't fit")


_BUILDERS: dict[str, Callable[[tuple[object, ...], Budget, str], object]] = {
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": lambda arguments, budget, where: Ordered(),
    "torch.Size": _size,
    "torch.nn.parameter.Parameter": _parameter,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._tensor._rebuild_from_type_v2": _typed,
}
# Those that make a tensor out of something that is none yet.
_COUNTED = frozenset(name for name in _BUILDERS if "_rebuild_" in name and "param" not in name)
