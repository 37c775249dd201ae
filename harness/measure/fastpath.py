"""Output shapes of the commonest operators, without torch's own kernels for the meta device.

Those kernels are written in Python and their first call imports a symbolic algebra package and
the compiler, which takes longer than tracing a family of models. The rules here are enough for
most convolutional networks; each gives up, by returning None, on any argument that it was
not written for, and torch's own kernel then decides, errors included. Strides matter too, since
they decide whether a later ``view`` is possible: where an operand's layout would shape the
result's, the rules take contiguous operands alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Rule = Callable[..., Any]


def output_of(name: str) -> Rule | None:
    """The rule for an operator (``aten.conv2d``): arguments -> meta tensor, or None to decline."""
    return _RULES.get(name)


def _convolution(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1 in each direction."""
    spatial = weight.ndim - 2
    if isinstance(padding, str) or x.ndim != weight.ndim or x.dtype != weight.dtype:
        return None
    if not (x.is_contiguous() and weight.is_contiguous()):
        return None
    if x.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        return None
    if bias is not None and (tuple(bias.shape) != weight.shape[:1] or bias.dtype != x.dtype):
        return None
    sizes = []
    for i in range(spatial):
        s, p, d = at(stride, i), at(padding, i), at(dilation, i)
        size = x.shape[i + 2] + 2 * p - d * (weight.shape[i + 2] - 1) - 1
        if size < 0 or s < 1 or p < 0 or d < 1:
            return None
        sizes.append(size // s + 1)
    return x.new_empty((x.shape[0], weight.shape[0], *sizes))


def at(value: Any, i: int) -> int:
    """Of a setting that has one value for all directions, or one for each."""
    if isinstance(value, int):
        return value
    return int(value[i] if len(value) > 1 else value[0])


def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, var: Any, *rest: Any) -> Any:
    if not x.dtype.is_floating_point or not x.is_contiguous():
        return None
    if x.ndim < 2 or any(t is not None and tuple(t.shape) != (x.shape[1],) for t in (weight, bias)):
        return None
    if any(t is not None and tuple(t.shape) != (x.shape[1],) for t in (mean, var)):
        return None
    return x.new_empty(x.shape)


def _layer_norm(x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    """The result, and for each place of it the mean and the inverse deviation."""
    shape, rank = tuple(shape), len(shape)
    if not _is_plain_norm(x, (weight, bias), shape) or not 0 < rank <= x.ndim:
        return None
    if tuple(x.shape[x.ndim - rank :]) != shape:
        return None
    places = (*x.shape[: x.ndim - rank], *(1 for _ in shape))
    return x.new_empty(x.shape), x.new_empty(places), x.new_empty(places)


def _group_norm(
    x: Any, weight: Any, bias: Any, n: int, channels: int, inner: int, groups: int, eps: float
) -> Any:
    if not _is_plain_norm(x, (weight, bias), (channels,)) or x.ndim < 2 or inner < 1:
        return None
    if tuple(x.shape[:2]) != (n, channels) or x.numel() != n * channels * inner:
        return None
    if groups < 1 or channels < 1 or channels % groups:
        return None
    return x.new_empty(x.shape), x.new_empty((n, groups)), x.new_empty((n, groups))


def _is_plain_norm(x: Any, affine: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    """Whether all of it is of the usual dtype: where it isn't, so are some of the results."""
    import torch

    return (
        x.dtype is torch.float32
        and x.is_contiguous()
        and all(t is None or (t.dtype is x.dtype and tuple(t.shape) == shape) for t in affine)
    )


def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1] or x.dtype != weight.dtype:
        return None
    if bias is not None and (tuple(bias.shape) != weight.shape[:1] or bias.dtype != x.dtype):
        return None
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


def _avg_pool(
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Any:
    return _pool(x, kernel, stride, padding, 1, ceil_mode)


def _max_pool(
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:
    return _pool(x, kernel, stride, padding, dilation, ceil_mode)


def _pool(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Any:
    """As a convolution's size; with ``ceil`` the last window may begin inside the padding's end.

    A window that would begin beyond the input and its left padding is left out.
    """
    if x.ndim != 4 or not x.is_contiguous():
        return None
    sizes = []
    for i in range(2):
        k, p, d = at(kernel, i), at(padding, i), at(dilation, i)
        s = at(stride, i) if stride not in ((), []) else k
        size = x.shape[i + 2]
        span = size + 2 * p - d * (k - 1) - 1
        if span < 0 or s < 1 or k < 1 or d < 1 or not 0 <= p <= k // 2:
            return None
        out = -(-span // s) + 1 if ceil else span // s + 1
        if ceil and (out - 1) * s >= size + p:
            out -= 1
        sizes.append(out)
    return x.new_empty((*x.shape[:2], *sizes))


def _adaptive_pool(x: Any, size: Any) -> Any:
    if not x.dtype.is_floating_point or not x.is_contiguous():
        return None
    if x.ndim != 4 or any(n == 0 for n in x.shape[1:]):
        return None
    return x.new_empty((*x.shape[:2], at(size, 0), at(size, 1)))


def _reduce(x: Any, dims: Any = None, keepdim: bool = False) -> Any:
    if not x.dtype.is_floating_point or dims is None or isinstance(dims, int) or not dims:
        return None
    if any(not -x.ndim <= d < x.ndim for d in dims):
        return None
    gone = {d % x.ndim for d in dims}
    if len(gone) != len(dims):
        return None
    kept = (1 if i in gone else n for i, n in enumerate(x.shape) if keepdim or i not in gone)
    return x.new_empty(tuple(kept))


def _softmax(x: Any, dim: Any, dtype: Any = None) -> Any:
    if dtype is not None or not x.dtype.is_floating_point or not -x.ndim <= dim < x.ndim:
        return None
    return x.new_empty(x.shape)


def _broadcast(a: Any, b: Any, *rest: Any) -> Any:
    """Both operands of one dtype, sizes equal or 1 from the right, as NumPy has it."""
    if isinstance(b, int | float):
        return _elementwise(a)
    shape = _common_shape(a, b)
    if shape is None or not (a.is_contiguous() and b.is_contiguous()):
        return None
    return a.new_empty(shape)


def _broadcast_in_place(a: Any, b: Any, *rest: Any) -> Any:
    if isinstance(b, int | float):
        return a if a.dtype.is_floating_point else None
    return a if _common_shape(a, b) == tuple(a.shape) else None


def _common_shape(a: Any, b: Any) -> tuple[int, ...] | None:
    if a.dtype != b.dtype or a.device != b.device:
        return None
    short, long = sorted((tuple(a.shape), tuple(b.shape)), key=len)
    short = (1,) * (len(long) - len(short)) + short
    if any(m != n and 1 not in (m, n) for m, n in zip(short, long, strict=True)):
        return None
    return tuple(n if m == 1 else m for m, n in zip(short, long, strict=True))


def _concatenate(tensors: Any, dim: int = 0) -> Any:
    first = tensors[0]
    if first.ndim < 1 or not -first.ndim <= dim < first.ndim:
        return None
    dim %= first.ndim
    shape = list(first.shape)
    if not all(t.is_contiguous() for t in tensors):
        return None
    for other in tensors[1:]:
        if other.ndim != first.ndim or other.dtype != first.dtype:
            return None
        if any(m != n for i, (m, n) in enumerate(zip(shape, other.shape, strict=True)) if i != dim):
            return None
        shape[dim] += other.shape[dim]
    return first.new_empty(shape)


def _elementwise(x: Any, *rest: Any) -> Any:
    if not x.dtype.is_floating_point or not x.is_contiguous():
        return None
    return x.new_empty(x.shape)


def _dropout(x: Any, p: float, train: bool) -> Any:
    """Nothing is dropped in evaluation, and the input itself comes out."""
    return None if train else x


_RULES: dict[str, Rule] = {
    "aten.conv1d": _convolution,
    "aten.conv2d": _convolution,
    "aten.conv3d": _convolution,
    "aten.batch_norm": _batch_norm,
    "aten.native_layer_norm": _layer_norm,
    "aten.native_group_norm": _group_norm,
    "aten.linear": _linear,
    "aten.avg_pool2d": _avg_pool,
    "aten.max_pool2d": _max_pool,
    "aten.adaptive_avg_pool2d": _adaptive_pool,
    "aten.mean": _reduce,
    "aten.sum": _reduce,
    "aten.softmax": _softmax,
    "aten.add": _broadcast,
    "aten.sub": _broadcast,
    "aten.mul": _broadcast,
    "aten.add_": _broadcast_in_place,
    "aten.mul_": _broadcast_in_place,
    "aten.cat": _concatenate,
    **dict.fromkeys(
        (
            "aten.relu",
            "aten.relu6",
            "aten.silu",
            "aten.gelu",
            "aten.sigmoid",
            "aten.tanh",
            "aten.hardtanh",
            "aten.hardswish",
            "aten.hardsigmoid",
        ),
        _elementwise,
    ),
    **dict.fromkeys(
        (
            "aten.relu_",
            "aten.relu6_",
            "aten.silu_",
            "aten.sigmoid_",
            "aten.hardtanh_",
            "aten.hardswish_",
            "aten.hardsigmoid_",
        ),
        lambda x, *rest: x if x.dtype.is_floating_point else None,
    ),
    **dict.fromkeys(("aten.dropout", "aten.feature_dropout", "aten.dropout_"), _dropout),
}
