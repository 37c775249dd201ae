"""The closed list of names that a checkpoint's pickle may use, and the inert records they make.

torch's ``weights_only`` allows tensors, their types and a few containers. To these come the plain
records that training scripts leave in a checkpoint (arguments, numpy scalars, counters, paths):
they are kept as what the pickle wrote of them and never become objects of their class.
"""

from __future__ import annotations

from collections.abc import Callable

from zoo.weights.formats import rebuild
from zoo.weights.formats.records import Budget, Dtype, Global, Opaque, Ordered, Record, Tensor
from zoo.weights.formats.types import ITEM_SIZES, Refused, Unsafe, printable


class ForbiddenGlobal(Refused):
    """A pickle asks for ``name``, which is not on the list."""

    def __init__(self, name: str, where: str) -> None:
        super().__init__(
            Unsafe(f"the pickle asks for {printable(name)}, which is not a tensor", where)
        )
        self.name = name


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
_RECORDS = frozenset(
    f"{module}.{name}"
    for module, names in {
        "argparse": "Namespace",
        "builtins": "bytearray complex dict float frozenset int list set slice str tuple bool",
        "collections": "Counter deque",
        "datetime": "date datetime timedelta",
        "numpy": "dtype ndarray float16 float32 float64 int32 int64 bool_",
        "numpy.core.multiarray": "_reconstruct scalar",
        "numpy._core.multiarray": "_reconstruct scalar",
        "numpy.dtypes": "Float16DType Float32DType Float64DType Int32DType Int64DType BoolDType",
        "pathlib": "Path PurePath PosixPath PurePosixPath WindowsPath PureWindowsPath",
        "pathlib._local": "Path PurePath PosixPath PurePosixPath WindowsPath PureWindowsPath",
        "torch": "device Tensor per_tensor_affine per_tensor_symmetric per_channel_affine"
        " per_channel_symmetric per_channel_affine_float_qparams",
        "torch.serialization": "_get_layout",
        "_codecs": "encode",
    }.items()
    for name in names.split()
)
_RENAMED = {"__builtin__": "builtins"}  # Python 2


def resolve(module: str, name: str, where: str) -> object:
    """The inert stand-in of a global.

    Raises:
        ForbiddenGlobal: the name is not on the list.
    """
    module = _RENAMED.get(module, module)
    full = f"{module}.{name}"
    if full in _RECORDS or full in _BUILDERS:
        return Global(full)
    if module in ("torch", "torch.cuda") and name in _STORAGES:
        return Dtype(_STORAGES[name])
    if full in ("torch.storage.UntypedStorage", "torch.UntypedStorage"):
        return Dtype("uint8", untyped=True)
    if module == "torch" and name in ITEM_SIZES:
        return Dtype(name)
    raise ForbiddenGlobal(full, where)


def construct(
    function: Global, arguments: tuple[object, ...], budget: Budget, where: str
) -> object:
    """What a listed name makes of its arguments: a tensor, a container, or an inert record.

    Raises:
        Refused: a tensor that its storage can't hold: `Unsafe`. Wrong arguments: `Unreadable`.
    """
    builder = _BUILDERS.get(function.name)
    if builder is None:
        return Record(function.name, arguments)
    made = builder(arguments, budget, where)
    if isinstance(made, Tensor) and function.name in _COUNTED:
        budget.count_tensor(where)
    return made


def _ordered(arguments: tuple[object, ...], budget: Budget, where: str) -> Ordered:
    made = Ordered()
    if not arguments:
        return made
    pairs = arguments[0]
    if not isinstance(pairs, list | tuple):
        raise rebuild.mismatch("OrderedDict", where)
    budget.spend(len(pairs), where)
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise rebuild.mismatch("OrderedDict", where)
        made[pair[0] if type(pair[0]) is str else Opaque()] = pair[1]
    return made


def _defaultdict(_arguments: tuple[object, ...], _budget: Budget, _where: str) -> Ordered:
    return Ordered()


def _size(arguments: tuple[object, ...], budget: Budget, where: str) -> tuple[int, ...]:
    if len(arguments) != 1:
        raise rebuild.mismatch("torch.Size", where)
    return rebuild.dimensions(arguments[0], where)


def _parameter(arguments: tuple[object, ...], budget: Budget, where: str) -> object:
    if not arguments:
        return Record("torch.nn.parameter.Parameter", ())
    if not isinstance(arguments[0], Tensor):
        raise rebuild.mismatch("Parameter", where)
    return arguments[0]


def _typed(arguments: tuple[object, ...], budget: Budget, where: str) -> object:
    """``_rebuild_from_type_v2``: (function, class, arguments, state) of a tensor's attributes."""
    if len(arguments) != 4 or not isinstance(arguments[2], tuple):
        raise rebuild.mismatch("a tensor with attributes", where)
    function = arguments[0]
    if not isinstance(function, Global) or function.name not in _COUNTED:
        raise rebuild.mismatch("a tensor with attributes", where)
    if function.name == "torch._tensor._rebuild_from_type_v2":
        raise rebuild.mismatch("a tensor with attributes", where)
    return _BUILDERS[function.name](arguments[2], budget, where)


_BUILDERS: dict[str, Callable[[tuple[object, ...], Budget, str], object]] = {
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _defaultdict,
    "torch.Size": _size,
    "torch.nn.parameter.Parameter": _parameter,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_tensor": rebuild.tensor,
    "torch._utils._rebuild_tensor_v2": rebuild.tensor,
    "torch._utils._rebuild_tensor_v3": rebuild.tensor_v3,
    "torch._utils._rebuild_qtensor": rebuild.quantized,
    "torch._utils._rebuild_sparse_tensor": rebuild.sparse,
    "torch._tensor._rebuild_from_type_v2": _typed,
}
# Those that make a tensor out of something that is none yet.
_COUNTED = frozenset(name for name in _BUILDERS if "_rebuild_" in name and "param" not in name)
