"""Each shape rule against torch's own kernel for the meta device, on random arguments."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.measure.fastpath import _RULES, output_of

FAST = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
# Each of these is looked at with fewer examples: there are many of them, and all are alike.
SHORT = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

UNARY = ("relu", "silu", "gelu", "sigmoid", "tanh", "hardtanh", "hardswish", "hardsigmoid", "relu6")
UNARY_IN_PLACE = ("relu_", "silu_", "sigmoid_", "hardtanh_", "hardswish_", "hardsigmoid_", "relu6_")
small = st.integers(1, 5)
any_rank = st.integers(0, 5)
dtypes = st.sampled_from([torch.float32, torch.float32, torch.float16, torch.int64])


@st.composite
def tensors(draw, ndim=any_rank, dtype=dtypes, size=small):
    """A meta tensor of any layout: contiguous, permuted, cut out or broadcast."""
    sizes = draw(ndim.flatmap(lambda n: st.lists(size, min_size=n, max_size=n)))
    layouts = ["plain", "plain", "channels last", "permuted", "cut", "expanded"]
    layout = draw(st.sampled_from(layouts))
    kind = draw(dtype)
    if layout == "channels last" and len(sizes) > 2:
        base = torch.empty([sizes[0], *sizes[2:], sizes[1]], dtype=kind, device="meta")
        return base.movedim(-1, 1)
    if layout == "permuted":
        order = draw(st.permutations(range(len(sizes))))
        base = torch.empty([sizes[i] for i in order], dtype=kind, device="meta")
        return base.permute([order.index(i) for i in range(len(sizes))])
    if layout == "cut" and sizes:
        base = torch.empty([*sizes[:-1], sizes[-1] + 2], dtype=kind, device="meta")
        return base[..., 1:-1]
    if layout == "expanded" and sizes:
        return torch.empty([1, *sizes[1:]], dtype=kind, device="meta").expand(sizes)
    return torch.empty(sizes, dtype=kind, device="meta")


images = tensors(st.just(4))


def same_as_torch(name: str, *args: Any) -> bool:
    """Holds the rule to the kernel; returns whether the rule had an answer."""
    rule = output_of("aten." + name)
    assert rule is not None
    mine = rule(*args)
    try:
        with torch.inference_mode():
            real = getattr(torch.ops.aten, name)(*args)
    except (ArithmeticError, RuntimeError, IndexError, ValueError, TypeError):
        real = None
    assert mine is None or real is not None, f"torch refuses {args}"
    if mine is None:
        return False
    if isinstance(real, tuple):
        assert [(tuple(t.shape), t.dtype) for t in mine] == [
            (tuple(t.shape), t.dtype) for t in real
        ]
        mine, real = mine[0], real[0]
    assert (tuple(mine.shape), mine.dtype) == (tuple(real.shape), real.dtype)
    # Strides decide whether a later view is possible. Those of sides of length 1 mean nothing.
    long = [i for i, n in enumerate(real.shape) if n > 1] if real.numel() else []
    assert [mine.stride(i) for i in long] == [real.stride(i) for i in long]
    return True


@FAST
@given(st.data())
@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_convolution(spatial, data):
    draw = data.draw
    x = draw(tensors(st.integers(spatial + 1, spatial + 2), size=st.integers(1, 9)))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    per_group = draw(st.sampled_from([max(1, x.shape[1] // groups), draw(small)]))
    out = draw(st.sampled_from([groups, 2 * groups, draw(small)]))
    sides = draw(st.lists(small, min_size=spatial, max_size=spatial))
    weight = torch.empty(out, per_group, *sides, dtype=draw(dtypes), device="meta")
    has_bias = draw(st.booleans())
    bias = torch.empty(draw(st.sampled_from([out, out, 7])), device="meta") if has_bias else None
    many = st.one_of(
        st.lists(st.integers(-1, 3), min_size=spatial, max_size=spatial),
        st.lists(st.integers(0, 3), min_size=1, max_size=1),
    )
    args = (x, weight, bias, draw(many), draw(many), draw(many), groups)
    same_as_torch(f"conv{spatial}d", *args)


@FAST
@given(images, st.lists(st.sampled_from([None, 0, 0, 0, 1]), min_size=4, max_size=4))
def test_batch_norm(x, off):
    vectors = [
        None if o is None else torch.empty(x.shape[1] + o, dtype=x.dtype, device="meta")
        for o in off
    ]
    if (vectors[2] is None) == (vectors[3] is None):
        same_as_torch("batch_norm", x, *vectors, vectors[2] is None, 0.1, 1e-5, False)


@FAST
@given(st.data())
def test_norms_of_layers_and_groups(data):
    x = data.draw(tensors(st.integers(0, 4), size=st.integers(0, 4)))
    rank = data.draw(st.integers(0, 3))
    shape = list(x.shape[max(x.ndim - rank, 0) :])
    channels = x.shape[1] if x.ndim > 1 else 1

    def affine(sizes):
        kind = data.draw(st.sampled_from([torch.float32, torch.float32, torch.float16]))
        off = data.draw(st.sampled_from([None, 0, 0, 0, 1]))
        sizes = [n + (off or 0) for n in sizes]
        return None if off is None else torch.empty(sizes, dtype=kind, device="meta")

    same_as_torch("native_layer_norm", x, shape, affine(shape), affine(shape), 1e-5)
    first = x.shape[0] if x.ndim else 1
    inner = x.numel() // max(first * channels, 1)
    groups = data.draw(st.sampled_from([1, 2, 3, channels]))
    weights = (affine([channels]), affine([channels]))
    same_as_torch("native_group_norm", x, *weights, first, channels, inner, groups, 1e-5)


@FAST
@given(st.data())
def test_linear(data):
    x = data.draw(tensors(st.integers(0, 4)))
    width = x.shape[-1] if x.ndim else 1
    weight = data.draw(tensors(st.integers(1, 2), st.just(x.dtype)))
    if data.draw(st.booleans()):
        weight = torch.empty(data.draw(small), width, dtype=x.dtype, device="meta")
    length = data.draw(st.sampled_from([None, weight.shape[0], weight.shape[0], 2]))
    bias = None if length is None else torch.empty(length, dtype=x.dtype, device="meta")
    same_as_torch("linear", x, weight, bias)


pair = st.lists(st.integers(-1, 4), min_size=1, max_size=2)
pictures = tensors(st.integers(3, 4), size=st.integers(1, 9))


@FAST
@given(pictures, pair, st.one_of(st.just([]), pair), pair, st.booleans())
def test_average_pool(x, kernel, stride, padding, ceil):
    same_as_torch("avg_pool2d", x, kernel, stride, padding, ceil)


@FAST
@given(pictures, pair, st.one_of(st.just([]), pair), pair, pair, st.booleans())
def test_maximum_pool(x, kernel, stride, padding, dilation, ceil):
    same_as_torch("max_pool2d", x, kernel, stride, padding, dilation, ceil)


@pytest.mark.parametrize("ceil", [False, True])
def test_windows_at_the_edge(ceil):
    """With ``ceil`` a last window that begins in the padding is left out."""
    answered = 0
    for size, kernel, stride, dilation in product(range(1, 9), range(1, 5), range(1, 5), (1, 2)):
        x = torch.empty(1, 1, size, size, device="meta")
        for padding in range(kernel // 2 + 1):
            args = (x, [kernel], [stride], [padding])
            answered += same_as_torch("max_pool2d", *args, [dilation], ceil)
            answered += same_as_torch("avg_pool2d", *args, ceil)
    assert answered > 700


@FAST
@given(pictures, st.lists(st.integers(0, 4), min_size=2, max_size=2))
def test_adaptive_pool(x, size):
    same_as_torch("adaptive_avg_pool2d", x, size)


@FAST
@given(
    st.sampled_from(["mean", "sum"]),
    tensors(),
    st.one_of(st.none(), st.lists(st.integers(-6, 5), max_size=3)),
    st.booleans(),
)
def test_reductions(name, x, dims, keep):
    rule = output_of("aten." + name)
    mine = rule(x, dims, keep)
    try:
        op = getattr(torch.ops.aten, name)
        real = (op.dim if name == "mean" else op.dim_IntList)(x, dims, keep)
    except (RuntimeError, IndexError, ValueError):
        real = None
    if real is None:
        assert mine is None
        return
    if mine is not None:
        assert (mine.shape, mine.dtype, mine.stride()) == (real.shape, real.dtype, real.stride())


@FAST
@given(tensors(), st.integers(-6, 5))
def test_softmax(x, dim):
    same_as_torch("softmax", x, dim)


@st.composite
def partners(draw):
    """Two tensors that can often be broadcast to each other."""
    x = draw(tensors())
    sizes = [draw(st.sampled_from([n, n, n, 1, 2])) for n in x.shape]
    sizes = sizes[draw(st.integers(0, len(sizes))) :] if draw(st.booleans()) else sizes
    order = draw(st.permutations(range(len(sizes)))) if draw(st.booleans()) else range(len(sizes))
    order = list(order)
    base = torch.empty([sizes[i] for i in order], dtype=draw(dtypes), device="meta")
    y = base.permute([order.index(i) for i in range(len(sizes))])
    return (x, y) if draw(st.booleans()) else (y, x)


@FAST
@given(st.sampled_from(["add", "sub", "mul", "add_", "mul_"]), partners())
def test_arithmetic_of_two_tensors(name, both):
    same_as_torch(name, *both)


@FAST
@given(
    st.sampled_from(["add", "sub", "mul", "add_", "mul_"]),
    tensors(),
    st.sampled_from([2, 0.5, True, 0]),
)
def test_arithmetic_with_a_number(name, x, number):
    same_as_torch(name, x, number)


@FAST
@given(st.data())
def test_concatenation(data):
    first = data.draw(tensors())
    rest = [
        torch.empty(
            [data.draw(st.sampled_from([n, n, n, 3])) for n in first.shape],
            dtype=data.draw(st.sampled_from([first.dtype, first.dtype, torch.float64])),
            device="meta",
        )
        for _ in range(data.draw(st.integers(0, 2)))
    ]
    same_as_torch("cat", [first, *rest], data.draw(st.integers(-6, 5)))


@SHORT
@given(tensors())
@pytest.mark.parametrize("name", UNARY + UNARY_IN_PLACE)
def test_element_by_element(name, x):
    same_as_torch(name, x)


@SHORT
@given(tensors())
@pytest.mark.parametrize("name", ["dropout", "feature_dropout", "dropout_"])
def test_dropout_in_evaluation(name, x):
    same_as_torch(name, x, 0.5, False)


def test_the_usual_arguments_are_answered():
    """A rule that always declined would pass all of the above."""
    x = torch.empty(1, 8, 9, 9, device="meta")
    vector = torch.empty(8, device="meta")
    answered = {
        "conv2d": (x, torch.empty(4, 8, 3, 3, device="meta"), None, [2, 2], [1, 1], [1, 1], 1),
        "conv1d": (x[0], torch.empty(4, 9, 3, device="meta"), None, [1], [1], [1], 1),
        "conv3d": (x[None], torch.empty(4, 1, 3, 3, 3, device="meta"), None, [1], [1], [1], 1),
        "batch_norm": (x, vector, vector, vector, vector, False, 0.1, 1e-5, True),
        "native_layer_norm": (x, [8, 9, 9], None, None, 1e-5),
        "native_group_norm": (x, vector, vector, 1, 8, 81, 4, 1e-5),
        "linear": (x, torch.empty(4, 9, device="meta"), torch.empty(4, device="meta")),
        "avg_pool2d": (x, [3, 3], [2, 2], [1, 1], True),
        "max_pool2d": (x, [3, 3], [2, 2], [1, 1]),
        "adaptive_avg_pool2d": (x, [1, 1]),
        "mean": (x, [2, 3], True),
        "sum": (x, [1]),
        "softmax": (x, 1),
        "add": (x, x),
        "sub": (x, x),
        "mul": (x, torch.empty(1, 8, 1, 1, device="meta")),
        "add_": (x, x),
        "mul_": (x, 2.0),
        "cat": ([x, x], 1),
        "dropout": (x, 0.5, False),
        "feature_dropout": (x, 0.5, False),
        "dropout_": (x, 0.5, False),
        "hardsigmoid": (x,),
        **dict.fromkeys(UNARY + UNARY_IN_PLACE, (x,)),
    }
    unanswered = [n for n, args in answered.items() if output_of("aten." + n)(*args) is None]
    assert unanswered == []
    assert {"aten." + n for n in answered} == set(_RULES)
